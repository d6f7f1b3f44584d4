/**
 * Which nonces of accounts are old: from before what somebody was told of the account, who would use one twice. A watch
 * knows its account at the blocks of the grid; what its gateway says when it is asked, and a receipt, may be newer.
 *
 * Where only a gateway's word says so, it binds until the watch has come so far that it would show the same if it was true.
 */
import { LRUCache } from 'lru-cache'
import type { Address } from '../wallet/index.ts'
import type { Place } from './receiptProof.ts'
import type { State } from './state.ts'

/** Accounts of one chain of which is remembered what was told. */
const mostAccounts = 256

interface Told {
  /** The newest block of which was told that a transaction of the account is in it. */
  minedIn: Pick<Place, 'number' | 'hash'>
  /** The highest nonce that its gateway told when it was asked, as far as no watch has shown it. */
  nonce: number
  /** What of that the watch has to show, by the first block that is newer than `by`. */
  trial: { readonly nonce: number; readonly by: number } | undefined
}

const none = { number: 0, hash: '' }

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
    }
  }

  #of(account: Address): Told {
    const told = this.#told.get(account) ?? { minedIn: none, nonce: 0, trial: undefined }
    this.#told.set(account, told)
    return told
  }
}
