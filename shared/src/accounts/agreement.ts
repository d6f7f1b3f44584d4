/** What gateways of different operators say of one block, taken together. */
import type { Header } from '../proofs/index.ts'

export type Agreement =
  /** `header` is missing where its form is not known (another kind of chain): then nothing can be checked against it. */
  | {
      readonly kind: 'agreed'
      readonly hash: string
      readonly header: Header | undefined
      /** How many operators say so: two at least. */
      readonly operators: number
    }
  /** The network has one operator to ask. */
  | { readonly kind: 'alone'; readonly hash: string }
  /** Nobody has it, or one alone, and others, who are there, do not have it yet, or any more. */
  | { readonly kind: 'unconfirmed' }
  | { readonly kind: 'disputed' }

/** Whether they agree, and on what was expected. */
export function fits(agreement: Agreement, expected: string | undefined): boolean {
  if (agreement.kind === 'disputed') return false
  return expected === undefined || (agreement.kind !== 'unconfirmed' && agreement.hash === expected)
}
