/**
 * What inpage tells of the accounts that a wallet shows its page. Apart from the other messages, as their schemas would
 * add weight to every page.
 */

/** So that the background knows which accounts are to be kept apart. A page can lie about it. */
export interface ShownAccounts {
  readonly accounts: readonly string[]
  /** Hash of one that the first of them sent. */
  readonly transaction?: string | undefined
}

/** Accounts that are told of at once. */
export const shownAtOnce = 100
