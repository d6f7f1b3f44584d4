/**
 * Asks one after the other until one answers. Where the first is unusually slow, the next is asked beside it, once, and
 * the first answer counts; the other question is given up.
 */
import { NightjarError } from '@nightjar/shared/errors'
import type { Clock, Timer } from '@nightjar/shared/runtime'

export interface InTurnOptions<T> {
  /** In order; each may reject with `upstream-failed`, any other error ends it all. */
  readonly asks: readonly ((signal: AbortSignal) => Promise<T>)[]
  readonly signal: AbortSignal
  readonly clock: Clock
  /** Milliseconds after which the next may be asked beside the first; undefined for never. */
  readonly patience: number | undefined
  /** Whether that may be done now; asked when the time has come. */
  maySecond(): boolean
  onSecond(): void
}

/** @throws what the last one failed with */
export function askInTurn<T>(options: InTurnOptions<T>): Promise<T> {
  const { asks, signal, clock, patience, maySecond, onSecond } = options
  const over = new AbortController()
  const giveUp = () => over.abort()
  let next = 0
  let underWay = 0
  let second: Timer | undefined
  if (signal.aborted) return Promise.reject(new NightjarError('upstream-failed', { detail: 'nobody waits for it' }))
  signal.addEventListener('abort', giveUp, { once: true })

  return new Promise<T>((resolve, reject) => {
    function settle(act: () => void): void {
      second?.cancel()
      signal.removeEventListener('abort', giveUp)
      act()
      // Whoever is still asked is asked in vain.
      over.abort()
    }

    function askNext(): void {
      const ask = asks[next++]
      if (ask === undefined) return
      underWay += 1
      ask(over.signal).then(
        (answer) => settle(() => resolve(answer)),
        (error: unknown) => {
          underWay -= 1
          const mayGoOn = error instanceof NightjarError && error.code === 'upstream-failed' && !over.signal.aborted
          if (mayGoOn && next < asks.length) askNext()
          else if (!mayGoOn || underWay === 0) settle(() => reject(error))
        },
      )
    }

    askNext()
    if (patience !== undefined && asks.length > 1) {
      second = clock.after(patience, () => {
        if (next > 1 || !maySecond()) return
        onSecond()
        askNext()
      })
    }
  })
}
