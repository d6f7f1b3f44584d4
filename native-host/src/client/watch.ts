/** Notices hops that went silent: after some quiet it asks with a PING, and without an answer it closes the hop. */
import type { Hop } from '@nightjar/shared/circuit'
import { type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { type Clock, second, within } from '@nightjar/shared/runtime'

/** How long a hop may be quiet while something is asked of it, and while nothing is. */
const quietBusy = 2 * second
const quietIdle = 20 * second
const pingTimeout = 2 * second
const tick = 1 * second

export interface WatchOptions {
  readonly clock: Clock
  /** What a silent hop is closed with, and all below it. */
  readonly code: ErrorCode
  isBusy(): boolean
  /** Whether it may be asked at all; always, where it is not said. */
  mayAsk?(): boolean
  /** The hop before it. While that is silent too it has to be asked first, or the wrong relay would be blamed. */
  readonly before?: Hop | undefined
  /** Called when it is asked. */
  onAsk?(): void
  /** Called when it did not answer, before it is closed. */
  onSilent?(): void
}

/** Watches `hop` until it is closed; closes it when it does not answer. */
export function watchHop(hop: Hop, options: WatchOptions): void {
  const { clock, before } = options

  function next(): void {
    if (hop.error === undefined) clock.after(tick, look)
  }

  function look(): void {
    if (hop.error !== undefined) return
    if (options.mayAsk?.() === false) return next()
    const notBefore = clock.elapsed() - (options.isBusy() ? quietBusy : quietIdle)
    if (hop.lastHeard > notBefore || (before !== undefined && before.lastHeard <= notBefore)) return next()
    void ask()
  }

  async function ask(): Promise<void> {
    const asked = clock.elapsed()
    options.onAsk?.()
    await within(clock, pingTimeout, hop.ping(), () => new NightjarError('timed-out')).catch(() => undefined)
    // Whatever came meanwhile is as good as the answer, which may have to queue behind it.
    if (hop.error !== undefined || hop.lastHeard >= asked) return next()
    options.onSilent?.()
    hop.close(options.code)
  }

  next()
}
