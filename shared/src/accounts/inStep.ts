/**
 * What the wallet is told beside the newest block's number, in step with that: gateways tell of each at a time of its own, and
 * a node would not have a receipt from after its newest block. Who sends, awaits the receipt and sends again with the nonce at
 * `latest` would use the same nonce twice.
 */
import type { Call, Json, Outcome } from '../rpc/index.ts'
import { type Clock, second } from '../runtime.ts'
import type { Address } from '../wallet/index.ts'
import { isObject, isSafeQuantity, quantityOf } from './json.ts'
import { withoutBlock } from './local.ts'
import type { Watches } from './watches.ts'

/**
 * Slots for which the grid is waited for to come to the transaction's block: one, and two more as a young chain's rhythm may be
 * measured wrong. A chain that makes blocks on demand may stop before.
 */
const slotsToGrid = 3
/** Slots until all accounts are read there, though one may have to be given up first as silent. */
const slotsToAll = 6
/** However short the slots are: gateways hear of a block one after the other. */
const leastPatience = 10 * second
/** Transactions of which is remembered what the wallet was told. */
const mostRemembered = 1000

/** A transaction that is in a block. */
interface Mined {
  readonly block: number
  readonly blockHash: string
  readonly sender: Address | undefined
}

interface Remembered {
  readonly blockHash: string
  /** When the wallet first asked for it, in the clock's elapsed milliseconds. */
  readonly since: number
  /** From then on it stays told, whatever becomes of the watches. */
  isTold: boolean
}

export class InStep {
  readonly #clock: Clock
  readonly #watches: Watches
  /** By chain and hash, oldest first. */
  readonly #transactions = new Map<string, Remembered>()

  constructor(clock: Clock, watches: Watches) {
    this.#clock = clock
    this.#watches = watches
  }

  /** The outcome of `call` as the wallet is told it now: what is in a later block than its newest is in none yet. */
  async told(chain: number, call: Call, outcome: Outcome): Promise<Outcome> {
    const { method, params } = call
    const hash = Array.isArray(params) ? params[0] : undefined
    const isReceipt = method === 'eth_getTransactionReceipt'
    if (!isReceipt && method !== 'eth_getTransactionByHash') return outcome
    const mined = 'result' in outcome ? minedOf(outcome.result) : undefined
    if (mined === undefined) return outcome
    const remembered = this.#remember(`${chain} ${hash}`.toLowerCase(), mined)
    // Another poll may have been told meanwhile.
    if (!remembered.isTold && (await this.#isDue(chain, mined, remembered.since))) remembered.isTold = true
    if (remembered.isTold) return outcome
    return isReceipt ? { result: null } : withoutBlock(outcome)
  }

  /**
   * What names no account, sent. Where the wallet is told the newest block's number from here, `latest` asks for the block of that
   * number: the caller's gateway may be further.
   */
  async ask(chain: number, call: Call, send: (call: Call) => Promise<Outcome>): Promise<Outcome> {
    const { method, params } = call
    if (method !== 'eth_getBlockByNumber' || !Array.isArray(params) || params[0] !== 'latest') return send(call)
    const newest = await this.#watches.newest(chain)
    if (newest !== undefined) return send({ ...call, params: [quantityOf(newest), ...params.slice(1)] })
    const outcome = await send(call)
    const block = 'result' in outcome && isObject(outcome.result) ? outcome.result : undefined
    // When watches say what the newest is they do not take the wallet back behind this one.
    if (isSafeQuantity(block?.number)) this.#watches.tell(chain, Number(block.number))
    return outcome
  }

  /** Whether `latest` has come to the transaction's block, or will not come there. */
  async #isDue(chain: number, { block, sender }: Mined, since: number): Promise<boolean> {
    const watches = this.#watches.of(chain)
    if (watches === undefined) return true
    // Without a value of any account, `latest` is what gateways are asked for.
    const newest = watches.head === undefined ? undefined : await this.#watches.newest(chain)
    const isReached = newest === undefined || newest >= block
    if (isReached && (sender === undefined || (await watches.hasReached(sender, block)))) return true
    const grid = await watches.heads.grid()
    const isOnGrid = (watches.heads.newestOn(grid) ?? 0) >= block
    const patience = Math.max(leastPatience, (isOnGrid ? slotsToAll : slotsToGrid) * grid.slot)
    return this.#clock.elapsed() - since >= patience
  }

  /** A transaction that has come into another block is another one. */
  #remember(key: string, { blockHash }: Mined): Remembered {
    const known = this.#transactions.get(key)
    const isSame = known?.blockHash === blockHash
    const remembered = isSame ? known : { blockHash, since: this.#clock.elapsed(), isTold: false }
    this.#transactions.delete(key)
    this.#transactions.set(key, remembered)
    for (const oldest of this.#transactions.keys()) {
      if (this.#transactions.size <= mostRemembered) break
      this.#transactions.delete(oldest)
    }
    return remembered
  }
}

/** Of a transaction or a receipt; undefined where it is in no block. */
function minedOf(value: Json): Mined | undefined {
  if (!isObject(value) || !isSafeQuantity(value.blockNumber)) return undefined
  const { blockNumber, blockHash, from } = value
  return {
    block: Number(blockNumber),
    blockHash: String(blockHash).toLowerCase(),
    sender: typeof from === 'string' ? (from.toLowerCase() as Address) : undefined,
  }
}
