/** A contract call that was taken apart, in digits without 0x. */
import type { Address } from '../call.ts'

export interface Piece {
  /** The one own account that the piece names, if any. */
  readonly account: Address | undefined
  /** Calldata for the same contract. */
  readonly data: string
}

export interface Pieces {
  readonly pieces: readonly Piece[]
  /** The return data of the whole from those of its pieces; undefined where they are not what the contract returns. */
  join(returned: readonly string[]): string | undefined
}

/** A wallet has fewer accounts; each piece is a request of its own. */
export const mostPieces = 256

/** Digits of all pieces together: they repeat what they share, so a call could grow by taking it apart. */
export const mostDigits = 4 * 1024 * 1024

/** The return data of the whole. Nothing is returned where no such contract is, then by no piece. */
export function joinReturned(split: Pieces, returned: readonly string[]): string | undefined {
  return returned.every((data) => data === '') ? '' : split.join(returned)
}
