/**
 * What a check of a stranger's answer comes to. Only `verified` carries a value, and it holds nothing but what was
 * checked: whoever goes on with the value cannot use a field of the answer that nobody looked at.
 */

/** What was found false. Words are stable: they are shown, counted and kept as evidence. */
export type Lie =
  /** The block is not the one with this hash. */
  | 'block-hash'
  /** The proof does not lead from the root to the key. */
  | 'proof'
  /** The answer is about another address or another slot than asked. */
  | 'other-account'
  | 'other-slot'
  /** Balance, nonce, code hash or storage hash are not those of the state. */
  | 'account'
  | 'slot'
  | 'code'
  /** The list is not the block's. */
  | 'transactions'
  | 'receipts'
  /** The list is, but what stands beside the hashed fields is not: hash, place, gas used and so on. */
  | 'transaction'
  | 'receipt'
  | 'log-missing'
  | 'log-added'
  | 'log-altered'
  | 'log-order'

/** Why nothing can be said. */
export type Doubt =
  /** Not of the form that the method's answers have; null among them. */
  | 'malformed'
  | 'too-large'
  /** A block with fields that no fork known here has: a newer fork, or another kind of chain. */
  | 'unknown-field'
  /** A transaction of a type that is not known here. */
  | 'unknown-type'

export type Verdict<T> =
  | { readonly kind: 'verified'; readonly value: T }
  | { readonly kind: 'lie'; readonly reason: Lie }
  | { readonly kind: 'unverifiable'; readonly reason: Doubt }

/** Ends a check from within. It never leaves this folder: `judge` makes a verdict of it. */
class Finding extends Error {
  override readonly name = 'Finding'
  readonly verdict: Verdict<never>

  constructor(verdict: Verdict<never>) {
    super(verdict.kind)
    this.verdict = verdict
  }
}

export function lie(reason: Lie): Error {
  return new Finding({ kind: 'lie', reason })
}

export function unverifiable(reason: Doubt): Error {
  return new Finding({ kind: 'unverifiable', reason })
}

/** Runs a check. Whatever else than a finding it throws is a bug of ours and goes through. */
export async function judge<T>(check: () => T | Promise<T>): Promise<Verdict<T>> {
  try {
    return { kind: 'verified', value: await check() }
  } catch (error) {
    if (error instanceof Finding) return error.verdict
    throw error
  }
}
