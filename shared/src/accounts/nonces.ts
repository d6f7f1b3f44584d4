/**
 * Which nonces of accounts are old: from before what somebody was told of the account, who would use one twice. A watch
 * knows its account at the blocks of the grid; what its gateway says when it is asked, and a receipt, may be newer.
 *
 * Where only a gateway's word says so, it binds until the watch has come so far that it would show the same if it was true.
 * What was verified binds until its block is replaced: no gateway that lags, or lies, takes it back.
 */
import { LRUCache } from 'lru-cache'
import type { Address } from '../wallet/index.ts'
import type { Place } from './receiptProof.ts'
import type { State } from './state.ts'

/** Accounts of one chain of which is remembered what was told. */
const mostAccounts = 256

interface Verified {
  readonly nonce: number
  /** Of the first block that showed it. */
  readonly number: number
  readonly hash: string
}

interface Told {
  /** The newest block of which was told that a transaction of the account is in it. */
  minedIn: Pick<Place, 'number' | 'hash'>
  /** The highest nonce that its gateway told when it was asked, as far as no watch has shown it. */
  nonce: number
  /** What of that the watch has to show, by the first block that is newer than `by`. */
  trial: { readonly nonce: number; readonly by: number } | undefined
  /** The highest nonce that was told as verified. */
  verified: Verified
}

const none = { number: 0, hash: '' }
const noneVerified: Verified = { ...none, nonce: 0 }

export class Nonces {
  readonly #told = new LRUCache<Address, Told>({ max: mostAccounts })

  /** Somebody was told that a transaction of the account is in that block. @returns whether none so new was told before */
  mined(account: Address, { number, hash }: Pick<Place, 'number' | 'hash'>): boolean {
    const told = this.#of(account)
    if (number <= told.minedIn.number) return false
    told.minedIn = { number, hash }
    return true
  }

  /** Its gateway, asked for the latest one, said so, and nothing is known of the block that it is of. */
  told(account: Address, nonce: number): void {
    const told = this.#of(account)
    told.nonce = Math.max(told.nonce, nonce)
  }

  /** The account's nonce at that block is told as verified. */
  toldVerified(account: Address, { number, hash, nonce }: Pick<State, 'number' | 'hash' | 'nonce'>): void {
    const told = this.#of(account)
    const shown = { number, hash, nonce: Number(nonce) }
    const { verified } = told
    // Lower later on: then the block of the other was replaced, be it long ago.
    const isOver = shown.number > verified.number && shown.nonce < verified.nonce
    if (isOver || shown.nonce > verified.nonce) told.verified = shown
  }

  /** The account's nonce at that block is this one at least. */
  leastAt(account: Address, block: number): number {
    const { number, nonce } = this.#told.peek(account)?.verified ?? noneVerified
    return block < number ? 0 : nonce
  }

  /**
   * Whether the account's nonce there must not be told as its latest.
   * @param ahead a block that no honest gateway has yet
   */
  isOld(account: Address, state: Pick<State, 'number' | 'nonce'>, ahead: number): boolean {
    const told = this.#told.peek(account)
    if (told === undefined) return false
    if (told.minedIn.number > ahead) told.minedIn = { number: ahead, hash: '' }
    if (state.number < told.minedIn.number) return true
    const nonce = Number(state.nonce)
    const { trial } = told
    const isPast = trial !== undefined && state.number > trial.by
    // There it was not what its gateway had said of a block before that: what it said since is worth no more.
    if (nonce >= told.nonce || (isPast && nonce < trial.nonce)) {
      told.nonce = 0
      told.trial = undefined
      return false
    }
    if (trial === undefined || isPast) told.trial = { nonce: told.nonce, by: ahead }
    return true
  }

  /** What was in it may be in no block now. That the nonce was higher before, the watch shows to be over. */
  onReplaced(number: number, hash: string): void {
    for (const told of this.#told.values()) {
      if (told.minedIn.number === number && told.minedIn.hash !== hash) told.minedIn = none
      if (told.verified.number === number && told.verified.hash !== hash) told.verified = noneVerified
    }
  }

  #of(account: Address): Told {
    const told = this.#told.get(account) ?? { minedIn: none, nonce: 0, trial: undefined, verified: noneVerified }
    this.#told.set(account, told)
    return told
  }
}
