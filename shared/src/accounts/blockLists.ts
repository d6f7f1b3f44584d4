/**
 * The receipts of whole blocks, verified. They are asked for where the heads are, so that nobody learns which transaction of
 * a block it is about; and once for all who need them in turn, so that nobody learns how many they are.
 */
import { type Header, type Receipt, verifyReceipts, verifyTransactions } from '../proofs/index.ts'

/** Blocks whose receipts are remembered: each may have megabytes. */
const remembered = 4

/** Data of the whole chain. */
export type AskChain = (method: string, params: readonly (string | boolean)[]) => Promise<unknown>

export class BlockLists {
  readonly #ask: AskChain
  /** By hash of the block. */
  readonly #receipts = new Map<string, Promise<readonly Receipt[] | undefined>>()

  constructor(ask: AskChain) {
    this.#ask = ask
  }

  /** Those of the block with this verified header; undefined where they cannot be had, or are of a kind that is not known. */
  async receipts(header: Header): Promise<readonly Receipt[] | undefined> {
    const known = this.#receipts.get(header.hash) ?? this.#read(header)
    this.#receipts.delete(header.hash)
    this.#receipts.set(header.hash, known)
    for (const hash of this.#receipts.keys()) {
      if (this.#receipts.size <= remembered) break
      this.#receipts.delete(hash)
    }
    const receipts = await known
    if (receipts === undefined && this.#receipts.get(header.hash) === known) this.#receipts.delete(header.hash)
    return receipts
  }

  async #read(header: Header): Promise<readonly Receipt[] | undefined> {
    const block = `0x${header.number.toString(16)}`
    const [whole, all] = await Promise.all([
      this.#ask('eth_getBlockByNumber', [block, true]),
      this.#ask('eth_getBlockReceipts', [block]),
    ])
    const transactions = await verifyTransactions(whole, header)
    if (transactions.kind !== 'verified') return undefined
    const receipts = await verifyReceipts(all, header, transactions.value)
    return receipts.kind === 'verified' ? receipts.value : undefined
  }
}
