/**
 * The receipts of whole blocks, verified. Those of a block in which an account has a transaction are asked of that account's
 * own gateway, which knows of the transaction: one that was asked for all accounts would learn over the weeks which senders
 * recur. They are asked for once for all who need them in turn, so that nobody learns how many they are.
 */
import { type Header, type Receipt, verifyReceipts, verifyTransactions } from '../proofs/index.ts'
import type { Json } from '../rpc/index.ts'
import { accountGroup, againGroup } from './context.ts'
import { hashOf, quantityOf } from './json.ts'
import { askNamed, type ReadingPlace } from './reading.ts'
import type { Trust } from './trust.ts'

/** Blocks whose receipts are remembered: each may have megabytes. */
const remembered = 4

/** For whom they are asked. */
export interface ListsPlace extends ReadingPlace {
  readonly trust: Pick<Trust, 'lie'>
}

type Receipts = readonly Receipt[] | undefined

export class BlockLists {
  /** By hash of the block. */
  readonly #receipts = new Map<string, Promise<Receipts>>()

  /** Those of the block with this verified header; undefined where they cannot be had, or are of a kind that is not known. */
  receipts(header: Header, place: ListsPlace): Promise<Receipts> {
    const known = this.#receipts.get(header.hash) ?? Promise.resolve(undefined)
    const receipts = known.then((found) => found ?? read(header, place))
    this.#receipts.delete(header.hash)
    this.#receipts.set(header.hash, receipts)
    for (const hash of this.#receipts.keys()) {
      if (this.#receipts.size <= remembered) break
      this.#receipts.delete(hash)
    }
    return receipts
  }
}

/** Who said something false of the account may keep back what would show it: then another, whom nobody else asks, is asked. */
async function read(header: Header, place: ListsPlace): Promise<Receipts> {
  const own = accountGroup(place.account)
  return (await readFrom(own, header, place)) ?? readFrom(againGroup(own), header, place)
}

async function readFrom(group: string, header: Header, place: ListsPlace): Promise<Receipts> {
  const { chain, trust } = place
  const number = quantityOf(header.number)
  const whole = await ask(group, place, 'eth_getBlockByNumber', [number, true])
  // Asked by number it may speak of a block that was there before, or has come since.
  if (hashOf(whole.result) !== header.hash) return undefined
  const transactions = await verifyTransactions(whole.result, header)
  if (transactions.kind === 'lie') {
    trust.lie({ group, gateway: whole.gateway, chain, what: transactions.reason, evidence: { header, whole } })
  }
  if (transactions.kind !== 'verified') return undefined
  const all = await ask(group, place, 'eth_getBlockReceipts', [number])
  const receipts = await verifyReceipts(all.result, header, transactions.value)
  if (receipts.kind === 'verified') return receipts.value
  const still = await ask(group, place, 'eth_getBlockByNumber', [number, false])
  if (receipts.kind === 'lie' && hashOf(still.result) === header.hash) {
    trust.lie({ group, gateway: all.gateway, chain, what: receipts.reason, evidence: { header, all } })
  }
  return undefined
}

/** No result where there is no answer: what needs it counts as not checked. */
async function ask(group: string, { context, chain }: ListsPlace, method: string, params: readonly Json[]) {
  try {
    const { outcome, gateway } = await askNamed(context, { group, chain, call: { method, params } })
    return { result: 'result' in outcome ? outcome.result : undefined, gateway }
  } catch {
    return { result: undefined, gateway: '' }
  }
}
