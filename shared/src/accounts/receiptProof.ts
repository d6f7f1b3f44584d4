/**
 * A receipt against its block, whose hash two operators agree on: against the block's whole lists of transactions and
 * receipts (blockLists.ts).
 */
import { type Hex, verifyReceipt } from '../proofs/index.ts'
import type { Json } from '../rpc/index.ts'
import type { ListsPlace } from './blockLists.ts'
import type { Heads } from './heads.ts'

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
  if (typeof receipt !== 'object' || receipt === null || Array.isArray(receipt)) return undefined
  // An array has been ruled out.
  const { blockNumber, blockHash, transactionHash } = receipt as { readonly [name: string]: Json }
  if (typeof blockNumber !== 'string' || !/^0x[0-9a-f]{1,13}$/i.test(blockNumber)) return undefined
  if (!isHash(blockHash) || !isHash(transactionHash)) return undefined
  return {
    number: Number(blockNumber),
    hash: blockHash.toLowerCase(),
    transaction: transactionHash.toLowerCase(),
  }
}

function isHash(value: Json | undefined): value is string {
  return typeof value === 'string' && /^0x[0-9a-f]{64}$/i.test(value)
}
