/**
 * A receipt against its block, whose hash two operators agree on: against the block's whole lists of transactions and
 * receipts (blockLists.ts).
 */
import { type Hex, verifyReceipt } from '../proofs/index.ts'
import type { Json } from '../rpc/index.ts'
import type { ListsPlace } from './blockLists.ts'
import type { Heads } from './heads.ts'
import { isHash, isObject, isSafeQuantity } from './json.ts'

export type ReceiptVerdict =
  | { readonly kind: 'verified' }
  /** The block, or its lists, could not be had, or are of a kind that is not known. */
  | { readonly kind: 'unverified' }
  | { readonly kind: 'lie'; readonly what: string }
  /** Of no block, or of one that others contradict. */
  | { readonly kind: 'elsewhere' }
  /** Of a block that nobody else has yet. */
  | { readonly kind: 'unconfirmed' }

/**
 * @param own whose transaction it is: that account's gateway is asked for the lists
 * @param hash of the transaction that was asked for
 */
export async function proveReceipt(
  heads: Pick<Heads, 'agree' | 'receipts'>,
  own: ListsPlace,
  hash: string,
  receipt: Json,
): Promise<ReceiptVerdict> {
  const place = placeOf(receipt)
  if (place === undefined) return { kind: 'elsewhere' }
  if (place.transaction !== hash) return { kind: 'lie', what: 'receipt' }
  const agreement = await heads.agree(place.number, place.hash)
  if (agreement.kind === 'disputed') return { kind: 'elsewhere' }
  if (agreement.kind === 'unconfirmed') return { kind: 'unconfirmed' }
  if (agreement.hash !== place.hash) return { kind: 'elsewhere' }
  const header = agreement.kind === 'agreed' ? agreement.header : undefined
  if (header === undefined) return { kind: 'unverified' }
  const receipts = await heads.receipts(header, own)
  if (receipts === undefined) return { kind: 'unverified' }
  const there = receipts.find(({ transaction }) => transaction.hash === (hash as Hex))
  if (there === undefined) return { kind: 'lie', what: 'receipt' }
  const verdict = await verifyReceipt(receipt, there, header)
  if (verdict.kind === 'lie') return { kind: 'lie', what: verdict.reason }
  return { kind: verdict.kind === 'verified' ? 'verified' : 'unverified' }
}

/** Where in the chain a receipt says that it is. */
export interface Place {
  readonly number: number
  readonly hash: string
  /** Of the transaction. */
  readonly transaction: string
}

export function placeOf(receipt: Json): Place | undefined {
  if (!isObject(receipt)) return undefined
  const { blockNumber, blockHash, transactionHash } = receipt
  if (!isSafeQuantity(blockNumber) || !isHash(blockHash) || !isHash(transactionHash)) return undefined
  return {
    number: Number(blockNumber),
    hash: blockHash.toLowerCase(),
    transaction: transactionHash.toLowerCase(),
  }
}
