/**
 * Which account the user is at, as one site or wallet shows it: the one that is asked for by itself. Only that one may be asked for directly. Wallets that
 * ask for one account after the other, each by itself, would else show which belong together.
 */
import { type Clock, second } from '../runtime.ts'
import type { Address } from '../wallet/index.ts'

/** For this long after an account was asked for it is no other's turn. A wallet goes through all in less. */
const quiet = 10 * second

export class Turn {
  readonly #clock: Clock
  /** Whose turn it is. */
  #holder: Address | undefined
  /** Who asked last; the times are milliseconds since the Unix epoch. */
  #last: { readonly account: Address; readonly at: number } | undefined
  /** When anybody but that one asked last. */
  #otherAt = -quiet

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The account is asked for. @returns milliseconds until it may be its turn; 0 where it is */
  pauseOf(account: Address): number {
    const now = this.#clock.now()
    if (this.#last !== undefined && this.#last.account !== account) this.#otherAt = this.#last.at
    this.#last = { account, at: now }
    const pause = account === this.#holder ? 0 : Math.max(this.#otherAt + quiet - now, 0)
    if (pause === 0) this.#holder = account
    return pause
  }
}
