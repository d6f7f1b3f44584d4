/**
 * One transaction that the user sent, watched at its sender's gateway until its block is old. When it is registered first it
 * also asks once: a block that was there by then is not told. A receipt that is too large for a push is asked for, too.
 */
import { NightjarError } from '../errors/index.ts'
import { type Json, nightjarCodeOf, type Outcome, watchMethod } from '../rpc/index.ts'
import { pause, second } from '../runtime.ts'
import type { Address } from '../wallet/index.ts'
import { type AccountsContext, accountGroup, watchCells } from './context.ts'
import { type Grid, secretSchedule } from './grid.ts'
import type { Heads } from './heads.ts'
import { isObject } from './json.ts'
import { askOwn, namesIn } from './reading.ts'
import { placeOf, proveReceipt } from './receiptProof.ts'
import { Registration } from './registration.ts'
import type { Trust } from './trust.ts'

const longestPause = 30 * second
/** The same in slots, as the wallet waits. */
const pausedSlots = 3

export interface ReceiptWatchOptions {
  readonly context: AccountsContext
  readonly chain: number
  readonly account: Address
  /** Of the transaction. */
  readonly hash: string
  readonly grid: Grid
  readonly heads: Heads
  readonly trust: Trust
  /** Its gateway tells nothing more. */
  onDone(): void
}

export interface KnownReceipt {
  /** Null until the transaction is in a block. */
  readonly receipt: Json
  readonly trust: 'verified' | 'unverified'
}

export const unknownReceipt: KnownReceipt = { receipt: null, trust: 'unverified' }

export class ReceiptWatch {
  readonly #options: ReceiptWatchOptions
  readonly #registration: Registration
  #known = unknownReceipt
  /** What was told last: the same is not checked twice. */
  #told: string | undefined
  #hasAsked = false

  constructor(options: ReceiptWatchOptions) {
    const { context, chain, account, hash, grid, onDone } = options
    this.#options = options
    const scheduleAt = secretSchedule(context, grid, { chain, subject: hash })
    const questionFor = (gateway: string) => {
      const params = [{ transaction: hash, ...scheduleAt(gateway) }]
      return { chain, cells: watchCells, method: watchMethod, params }
    }
    this.#registration = new Registration({
      context,
      order: { group: accountGroup(account), chain, questionFor },
      longestPause: Math.min(longestPause, pausedSlots * grid.slot),
      onOutcome: (outcome, gateway) => this.#onPush(outcome, gateway),
      onRegistered: () => void this.#askOnce(),
      onDone,
    })
  }

  start(): void {
    this.#registration.start()
  }

  stop(): void {
    this.#registration.stop()
  }

  /** Who sent it. */
  get account(): Address {
    return this.#options.account
  }

  /** Undefined where nothing comes of it now. */
  get known(): KnownReceipt | undefined {
    return this.#registration.isFailing && this.#known.receipt === null ? undefined : this.#known
  }

  /** Of which block the receipt is. */
  onReplaced(number: number, hash: string): void {
    const place = placeOf(this.#known.receipt)
    if (place === undefined || place.number !== number || place.hash === hash) return
    this.#known = unknownReceipt
    this.#told = undefined
  }

  #onPush(outcome: Outcome, gateway: string): boolean {
    // Then there is one.
    if ('error' in outcome && nightjarCodeOf(outcome.error) === 'answer-too-large') void this.#ask()
    const pushed = 'result' in outcome ? outcome.result : null
    const receipt = isObject(pushed) ? pushed.receipt : undefined
    if (receipt === undefined) return false
    void this.#take(receipt, gateway)
    return true
  }

  async #askOnce(): Promise<void> {
    if (this.#hasAsked) return
    this.#hasAsked = true
    await this.#options.heads.known()
    await this.#ask()
  }

  async #ask(): Promise<void> {
    const { context, account, chain, hash } = this.#options
    const call = { method: 'eth_getTransactionReceipt', params: [hash] }
    try {
      const { outcome, gateway } = await askOwn({ context, chain, account }, call)
      if ('result' in outcome && outcome.result !== null) await this.#take(outcome.result, gateway)
    } catch (error) {
      // The path is gone, and the registration finds out too. Else it is a bug of ours.
      if (!(error instanceof NightjarError)) throw error
    }
  }

  async #take(receipt: Json, gateway: string): Promise<void> {
    const text = JSON.stringify(receipt)
    if (text === this.#told) return
    this.#told = text
    // Nothing shows that a transaction is in no block.
    if (receipt === null) {
      this.#known = { receipt, trust: 'unverified' }
      return
    }
    const { context, account, chain, grid, hash, heads, trust } = this.#options
    let verdict = await proveReceipt(heads, this.#options, hash, receipt)
    if (verdict.kind === 'unconfirmed') {
      // Those whose heads are followed may hear of its block later.
      await pause(context.clock, grid.slot)
      verdict = await proveReceipt(heads, this.#options, hash, receipt)
    }
    if (this.#told !== text) return
    if (verdict.kind === 'verified' || verdict.kind === 'unverified') {
      this.#known = { receipt, trust: verdict.kind }
      return
    }
    this.#told = undefined
    if (verdict.kind === 'unconfirmed') return
    if (verdict.kind === 'elsewhere') {
      const number = placeOf(receipt)?.number
      return trust.disagree({
        chain,
        what: 'watch',
        gateways: namesIn(gateway),
        ...(number === undefined ? {} : { number }),
      })
    }
    trust.lie({ group: accountGroup(account), gateway, chain, what: verdict.what, evidence: receipt })
    this.#registration.again()
  }
}
