/** Notices hops that went silent: after some quiet it asks with a PING, and without an answer it closes the hop. */
import type { Hop } from '@nightjar/shared/circuit'
import { NightjarError } from '@nightjar/shared/errors'
import { type Clock, second, within } from '@nightjar/shared/runtime'

/** How long a hop may be quiet while something is asked of it, and while nothing is. */
const quietBusy = 2 * second
const quietIdle = 20 * second
const pingTimeout = 2 * second
const tick = 1 * second

/** Watches `hop` until it is closed; closes it with `timed-out` when it does not answer. */
export function watchHop(hop: Hop, clock: Clock, isBusy: () => boolean): void {
  function next(): void {
    if (hop.error === undefined) clock.after(tick, look)
  }

  function look(): void {
    if (hop.error !== undefined) return
    if (clock.now() - hop.lastHeard < (isBusy() ? quietBusy : quietIdle)) return next()
    within(clock, pingTimeout, hop.ping(), () => new NightjarError('timed-out')).then(next, () =>
      hop.close('timed-out'),
    )
  }

  next()
}
