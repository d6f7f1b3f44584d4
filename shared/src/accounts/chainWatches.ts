/**
 * All that is watched on one chain: accounts, transactions, and the heads that they are checked against. It knows which
 * block the wallet is told as the newest: one for which all accounts can be answered.
 */
import { asNightjarError, NightjarError } from '../errors/index.ts'
import { minute, second, type Timer } from '../runtime.ts'
import type { Address } from '../wallet/index.ts'
import { AccountWatch } from './accountWatch.ts'
import { Changes } from './changes.ts'
import type { AccountsContext } from './context.ts'
import type { Grid } from './grid.ts'
import { Heads } from './heads.ts'
import type { LocalQuestion } from './local.ts'
import { readProven } from './reading.ts'
import { type KnownReceipt, ReceiptWatch, unknownReceipt } from './receiptWatch.ts'
import { Schedule } from './schedule.ts'
import type { State } from './state.ts'
import type { Trust } from './trust.ts'

/** Accounts, and transactions, that are watched at once. */
const mostAccounts = 100
const mostTransactions = 64
/** How long a call waits for the first value of its account. */
const coldPatience = 20 * second
/** How long after its beginning an account is not yet asked for what came before it. */
const youngFor = 1 * minute
/** Slots for which a call waits for a block that is not there yet. */
const patientSlots = 2
/** The heads end within this after the last watch, at a time of their own. */
const longestAfter = 2 * minute

export interface ChainWatchesOptions {
  readonly context: AccountsContext
  readonly chain: number
  readonly trust: Trust
  /** The block of that number is another one now. */
  onReplaced(number: number): void
  /** Nothing is watched any more. */
  onOver(): void
}

export class ChainWatches {
  readonly heads: Heads
  readonly #options: ChainWatchesOptions
  readonly #changes: Changes
  /** The same for all accounts for as long as any is watched. */
  readonly #grid: Promise<Grid>
  readonly #accounts = new Map<Address, Schedule>()
  readonly #receipts = new Map<string, ReceiptWatch>()
  /** Transactions whose watch waits for the grid. */
  readonly #awaited = new Set<string>()
  /** The account that has begun at once: the next would begin beside it. */
  #first: Address | undefined
  #end: Timer | undefined
  #isOver = false

  constructor(options: ChainWatchesOptions) {
    const { context, chain, trust } = options
    this.#options = options
    this.#changes = new Changes(context.clock)
    this.heads = new Heads({
      context,
      chain,
      trust,
      onHead: () => this.#changes.notify(),
      onReplaced: (number, hash) => this.#replaced(number, hash),
    })
    this.heads.start()
    this.#grid = this.heads.grid()
  }

  /** How many accounts are watched, and how many of them have no value yet. */
  get counts(): { readonly watched: number; readonly cold: number } {
    const schedules = [...this.#accounts.values()]
    return { watched: schedules.length, cold: schedules.filter(({ watch }) => watch?.isWarm !== true).length }
  }

  /** The newest block of the grid that heads are known of. */
  async newestOnGrid(): Promise<number | undefined> {
    await this.heads.known()
    return this.heads.newestOn(await this.#grid)
  }

  /** The newest block for which every account that was read by then can be answered. */
  get head(): number | undefined {
    const watches = this.#live()
    const numbers = watches.map((watch) => watch.numbers)
    const [candidates = []] = numbers.toSorted(([one = 0], [other = 0]) => one - other)
    return candidates.find((number) =>
      watches.every((watch, index) => watch.at(number) !== undefined || (numbers[index]?.at(-1) ?? 0) > number),
    )
  }

  /**
   * The wallet asks for the account, which is watched from now on, or from some time soon.
   * @param isAlone it was asked for by itself: the first account of which this is so begins at once
   * @returns whether it is watched
   */
  touch(account: Address, isAlone: boolean): boolean {
    const known = this.#accounts.get(account)
    const isFirst = isAlone && this.#first === undefined
    if (known === undefined && this.#accounts.size >= mostAccounts) return false
    if (isFirst) this.#first = account
    if (known !== undefined) {
      known.touch()
      if (isFirst) known.hurry()
      return true
    }
    this.#end?.cancel()
    const { context } = this.#options
    const pause = isFirst ? 0 : context.random() * context.settings().coldSpread
    const begin = () => this.#watch(account)
    const onEnd = () => {
      this.#accounts.delete(account)
      this.#changes.notify()
      this.#endIfIdle()
    }
    this.#accounts.set(account, new Schedule({ context, begin, onEnd }, pause))
    return true
  }

  /**
   * The account at the block that is asked for, as its watch has it; undefined where that has none and will have none.
   * @throws NightjarError `still-apart` where its first value is yet to come, and `answer-refuted`
   */
  async watched({ account, block }: LocalQuestion, isAtStake: boolean): Promise<State | undefined> {
    const watch = await this.#warm(account)
    if (watch === undefined) return undefined
    const { numbers } = watch
    const newest = numbers[0] ?? 0
    if (block !== 'latest' && block < (numbers.at(-1) ?? 0)) this.#refuseToHurry(account)
    if (block === 'latest') return this.#atStake(watch.at(this.head ?? newest) ?? watch.at(newest), isAtStake)
    if (block > newest) {
      const { slot } = await this.#grid
      const isThere = () => (watch.numbers[0] ?? 0) >= block || watch.isOut
      await this.#changes.until(isThere, patientSlots * slot)
    }
    return this.#atStake(watch.at(block), isAtStake)
  }

  /**
   * The same as its gateway proves it when asked; undefined where it cannot.
   * @throws NightjarError `answer-refuted`, and what keeps the gateway from answering
   */
  async proven({ account, block }: LocalQuestion, isAtStake: boolean): Promise<State | undefined> {
    if (block === 'latest') return undefined
    const { context, chain, trust } = this.#options
    const read = () => readProven({ context, chain, account, heads: this.heads, trust }, block)
    const state = await read().catch((error: unknown) => {
      if (asNightjarError(error).code !== 'answer-refuted') throw error
      // That gateway is left by now; the next one may be right.
      return read()
    })
    return this.#atStake(state, isAtStake)
  }

  /** From now on the receipt is watched. */
  async watchReceipt(hash: string, account: Address): Promise<void> {
    if (this.#receipts.has(hash)) return
    this.#end?.cancel()
    const { context, chain, trust } = this.#options
    this.#awaited.add(hash)
    const grid = await this.#grid
    this.#awaited.delete(hash)
    if (this.#receipts.has(hash) || this.#isOver) return
    const { heads } = this
    const onDone = () => {
      this.#receipts.delete(hash)
      this.#endIfIdle()
    }
    const watch = new ReceiptWatch({ context, chain, account, hash, grid, heads, trust, onDone })
    this.#receipts.set(hash, watch)
    for (const [oldest, one] of this.#receipts) {
      if (this.#receipts.size <= mostTransactions) break
      this.#receipts.delete(oldest)
      one.stop()
    }
    watch.start()
  }

  receipt(hash: string): KnownReceipt | undefined {
    return this.#awaited.has(hash) ? unknownReceipt : this.#receipts.get(hash)?.known
  }

  stop(): void {
    this.#isOver = true
    this.#end?.cancel()
    for (const watched of [...this.#accounts.values(), ...this.#receipts.values()]) watched.stop()
    this.heads.stop()
  }

  #live(): readonly AccountWatch[] {
    return [...this.#accounts.values()].flatMap(({ watch }) => (watch?.isWarm === true && !watch.isOut ? [watch] : []))
  }

  async #watch(account: Address): Promise<AccountWatch> {
    const { context, chain, trust } = this.#options
    const onChange = () => this.#changes.notify()
    return new AccountWatch({ context, chain, account, grid: await this.#grid, heads: this.heads, trust, onChange })
  }

  /** Its watch once it has a value; undefined where none comes. */
  async #warm(account: Address): Promise<AccountWatch | undefined> {
    const watch = () => this.#accounts.get(account)?.watch
    const isSettled = () => watch()?.isWarm === true || watch()?.isOut === true || !this.#accounts.has(account)
    if (!(await this.#changes.until(isSettled, coldPatience))) {
      const { clock } = this.#options.context
      const begins = this.#accounts.get(account)?.beginsAt ?? clock.now()
      throw stillApart(Math.max(begins - clock.now(), 0) + (await this.#grid).slot)
    }
    const settled = watch()
    return settled?.isOut === true ? undefined : settled
  }

  /**
   * A block from before the first value, asked for when that has just come: the wallet was told it when it began to ask
   * for all its accounts. Sent for each, it would say of which accounts it was told together.
   */
  #refuseToHurry(account: Address): void {
    const { clock } = this.#options.context
    const schedule = this.#accounts.get(account)
    const isYoung = schedule !== undefined && clock.now() - schedule.beginsAt < youngFor
    if (isYoung && account !== this.#first) throw stillApart(second)
  }

  async #atStake(state: State | undefined, isAtStake: boolean): Promise<State | undefined> {
    if (state === undefined || !isAtStake) return state
    const agreement = await this.heads.agree(state.number, state.hash, true)
    if (agreement.kind === 'disputed') throw new NightjarError('answer-refuted')
    if (agreement.kind === 'alone') return { ...state, trust: 'unverified' }
    if (agreement.hash !== state.hash) throw new NightjarError('answer-refuted')
    return state
  }

  #replaced(number: number, hash: string): void {
    for (const { watch } of this.#accounts.values()) watch?.onReplaced(number, hash)
    for (const watch of this.#receipts.values()) watch.onReplaced(number, hash)
    this.#options.onReplaced(number)
    this.#changes.notify()
  }

  #endIfIdle(): void {
    if (this.#accounts.size > 0) return
    this.#first = undefined
    if (this.#receipts.size > 0) return
    const { context, onOver } = this.#options
    this.#end = context.clock.after(context.random() * longestAfter, () => {
      this.stop()
      onOver()
    })
  }
}

/** @param wait milliseconds after which it is worth asking again */
function stillApart(wait: number): NightjarError {
  return new NightjarError('still-apart', { facts: { seconds: Math.ceil(wait / second) } })
}
