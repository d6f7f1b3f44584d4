/**
 * Which account the user is at, as one site or wallet shows it: the one that is asked for by itself. Only that one may be
 * asked for directly. Wallets that ask for one account after the other, each by itself, would else show which belong
 * together: on one chain as on several, as who looks at another chain is still at the same account.
 */
import { LRUCache } from 'lru-cache'
import { type Clock, second } from '../runtime.ts'
import type { Address } from '../wallet/index.ts'

/** For this long after an account was asked for it is no other's turn. A wallet goes through all in less. */
const quiet = 10 * second
/** Askers of which is remembered which account their user is at. */
const mostSites = 1000

/** By who asks: which account the user of one is at says nothing of another's. */
export class Turns {
  readonly #clock: Clock
  readonly #turns = new LRUCache<string, Turn>({ max: mostSites })

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** As `Turn.pauseOf`, at that site. */
  pauseOf(site: string, account: Address): number {
    return this.#at(site).pauseOf(account)
  }

  /** As `Turn.takeIfFree`, at that site. */
  takeIfFree(site: string, account: Address): boolean {
    return this.#at(site).takeIfFree(account)
  }

  #at(site: string): Turn {
    const turn = this.#turns.get(site) ?? new Turn(this.#clock)
    this.#turns.set(site, turn)
    return turn
  }
}

export class Turn {
  readonly #clock: Clock
  /** Whose turn it is. */
  #holder: Address | undefined
  /** Who asked last; the times are the clock's elapsed milliseconds. */
  #last: { readonly account: Address; readonly at: number } | undefined
  /** When anybody but that one asked last. */
  #otherAt = -quiet

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The account is asked for by itself. @returns milliseconds until it may be its turn; 0 where it is */
  pauseOf(account: Address): number {
    const now = this.#clock.elapsed()
    const pause = this.#pauseAt(now, account)
    if (this.#last !== undefined && this.#last.account !== account) this.#otherAt = this.#last.at
    this.#last = { account, at: now }
    if (pause === 0) this.#holder = account
    return pause
  }

  /** It would be asked for beside others. Where it is not its turn that says nothing of whom the user is at. */
  takeIfFree(account: Address): boolean {
    return this.#pauseAt(this.#clock.elapsed(), account) === 0 && this.pauseOf(account) === 0
  }

  #pauseAt(now: number, account: Address): number {
    if (account === this.#holder) return 0
    const last = this.#last
    const otherAt = last !== undefined && last.account !== account ? last.at : this.#otherAt
    return Math.max(otherAt + quiet - now, 0)
  }
}
