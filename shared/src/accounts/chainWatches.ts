/**
 * All that is watched on one chain: accounts, transactions, and the heads that they are checked against. It knows which
 * block the wallet is told as the newest: one for which all accounts can be answered.
 */
import { asNightjarError, NightjarError } from '../errors/index.ts'
import type { Json } from '../rpc/index.ts'
import { minute, type Timer } from '../runtime.ts'
import type { Address } from '../wallet/index.ts'
import { AccountWatch } from './accountWatch.ts'
import { Changes } from './changes.ts'
import type { AccountsContext } from './context.ts'
import { atStake, Heads } from './heads.ts'
import { isObject } from './json.ts'
import { patience } from './later.ts'
import type { LocalQuestion } from './local.ts'
import { Nonces } from './nonces.ts'
import { readProven } from './reading.ts'
import { placeOf } from './receiptProof.ts'
import { type KnownReceipt, ReceiptWatch, unknownReceipt } from './receiptWatch.ts'
import { Schedule } from './schedule.ts'
import type { State } from './state.ts'
import type { Trust } from './trust.ts'

/** Accounts, and transactions, that are watched at once. */
const mostAccounts = 100
const mostTransactions = 64
/** Slots for which a call waits for a block that is not there yet. */
const patientSlots = 2
/** The heads end within this after the last watch, at a time of their own. */
const longestAfter = 2 * minute

export interface ChainWatchesOptions {
  readonly context: AccountsContext
  readonly chain: number
  readonly trust: Trust
  /** The block of that number is another one now, and what was known of an account there is dropped. */
  onReplaced(number: number): void
  /** Nothing is watched any more. */
  onOver(): void
}

/** Who asks for accounts. */
export interface Asker {
  readonly site: string
  /** Accounts of one chain that are watched because of that site: none can fill the places of all others with strangers. */
  readonly watchable: number
}

export class ChainWatches {
  readonly heads: Heads
  readonly #options: ChainWatchesOptions
  readonly #changes: Changes
  readonly #accounts = new Map<Address, Schedule>()
  readonly #receipts = new Map<string, ReceiptWatch>()
  /** Transactions whose watch waits for the grid. */
  readonly #awaited = new Set<string>()
  readonly #nonces = new Nonces()
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
  }

  /** How many accounts are watched, and for how many of them no value comes yet, or again. */
  get counts(): { readonly watched: number; readonly cold: number } {
    const watched = this.#accounts.size
    return { watched, cold: watched - this.#live().length }
  }

  /** The newest block of the grid that heads are known of. */
  async newestOnGrid(): Promise<number | undefined> {
    await this.heads.known()
    return this.heads.newestOn(await this.heads.grid())
  }

  /**
   * The newest block for which every account that was read by then can be answered, or should be by now; undefined where that
   * is none of the last few. Those that come back from an outage have such a block before it, too.
   *
   * When its own gateway tells of a block shows in no other's: what the wallet is told it names in its calls for all accounts, and
   * two gateways that work together would find out which belong together. Where there is one account, it is waited for.
   */
  get head(): number | undefined {
    const isAlone = this.#accounts.size === 1
    const watches = isAlone ? this.#live() : this.#watches()
    const isPast = (watch: AccountWatch, number: number) =>
      (watch.numbers.at(-1) ?? 0) > number || (isAlone ? watch.at(number) !== undefined : watch.isPast(number))
    return watches[0]?.recent.find((number) => watches.every((watch) => isPast(watch, number)))
  }

  /** The wallet asks for the account, which is watched from some time soon on. @returns whether it is, or will be */
  touch(account: Address, { site, watchable }: Asker): boolean {
    const known = this.#accounts.get(account)
    known?.touch()
    if (known !== undefined) return true
    const ofSite = [...this.#accounts.values()].filter((schedule) => schedule.site === site).length
    if (ofSite >= watchable || this.#accounts.size >= mostAccounts) return false
    this.#end?.cancel()
    const { context } = this.#options
    const begin = () => this.#watch(account)
    const onEnd = () => {
      this.#accounts.delete(account)
      this.#changes.notify()
      this.#endIfIdle()
    }
    this.#accounts.set(account, new Schedule({ context, site, begin, onEnd }))
    return true
  }

  /**
   * The account at the block that is asked for, as its watch has it; undefined where that has none and will have none soon.
   * @param isAlone it was asked for by itself: then its first value is not waited for, as there may be a direct way
   * @throws NightjarError `answer-refuted`
   */
  async watched({ account, block }: LocalQuestion, isAlone: boolean, isAtStake: boolean): Promise<State | undefined> {
    const watch = await this.#known(account, isAlone ? 0 : patience)
    if (watch === undefined) return undefined
    const newest = watch.numbers[0] ?? 0
    if (block === 'latest') {
      const latest = await this.#latest(account, watch, isAtStake)
      if (latest !== undefined) watch.told = latest.number
      return this.#atStake(account, latest, isAtStake)
    }
    if (block > newest && watch.isLive) {
      const { slot } = await this.heads.grid()
      const isThere = () => (watch.numbers[0] ?? 0) >= block || !watch.isLive
      await this.#changes.until(isThere, patientSlots * slot)
    }
    return this.#atStake(account, watch.at(block), isAtStake)
  }

  /** Never older than what was told before. What a watch knew when it was lost is not the latest for long. */
  async #latest(account: Address, watch: AccountWatch, isAtStake: boolean): Promise<State | undefined> {
    const head = this.head ?? (await this.newestOnGrid())
    const newest = watch.isLive ? watch.at(watch.numbers[0] ?? 0) : undefined
    const atHead = head === undefined || head < watch.told ? undefined : watch.at(head)
    // An older nonce would be used twice; where none is new enough its gateway is asked.
    const latest = isAtStake ? (newest ?? atHead) : (atHead ?? newest)
    if (!isAtStake || latest === undefined) return latest
    const { stride } = await this.heads.grid()
    const ahead = Math.max(this.heads.newest ?? 0, latest.number) + stride
    return this.#nonces.isOld(account, latest, ahead) ? undefined : latest
  }

  /** Its gateway was asked for the account's nonce, and said that. @returns what may be told: a gateway may be behind */
  toldNonce({ account, block }: LocalQuestion, nonce: number): number {
    if (block === 'latest') this.#nonces.told(account, nonce)
    return Math.max(nonce, this.#nonces.leastAt(account, block === 'latest' ? (this.heads.newest ?? 0) : block))
  }

  /**
   * Somebody was told the receipt. It counts where the transaction's watch knows of it, or where it is what the gateway of the
   * account says: others would have any account's nonce asked of that one's gateway alone.
   * @param asked whose gateway said so
   * @returns who sent it, where it counts and none of a later block did
   */
  toldReceipt(receipt: Json, asked: Address | undefined): Address | undefined {
    const place = placeOf(receipt)
    if (place === undefined || !isObject(receipt)) return undefined
    const watch = this.#receipts.get(place.transaction)
    const known = placeOf(watch?.known?.receipt ?? null)
    const from = typeof receipt.from === 'string' ? receipt.from.toLowerCase() : undefined
    const said = from === asked ? asked : undefined
    const sender = known === undefined ? said : watch?.account
    return sender !== undefined && this.#nonces.mined(sender, known ?? place) ? sender : undefined
  }

  /**
   * When, in the clock's elapsed milliseconds, its watch, which cannot say it now, may have come to say it; undefined where
   * it may never: it is not watched, or knows of later blocks and not of that one, or nothing has come of it for long.
   */
  async comesAt({ account, block }: LocalQuestion): Promise<number | undefined> {
    const schedule = this.#accounts.get(account)
    if (schedule === undefined || schedule.watch?.isOut === true) return undefined
    const { beginsAt, watch } = schedule
    const newest = watch?.numbers[0]
    if (block !== 'latest' && newest !== undefined && block <= newest) return undefined
    const comesAt = Math.max(beginsAt, watch?.dueAt ?? 0) + (await this.heads.grid()).slot
    return comesAt < this.#options.context.clock.elapsed() ? undefined : comesAt
  }

  /**
   * The same as its gateway proves it when asked; undefined where it cannot.
   * @throws NightjarError `answer-refuted`, and what keeps the gateway from answering
   */
  async proven({ account, block }: LocalQuestion, isAtStake: boolean): Promise<State | undefined> {
    // Of the genesis block nothing is proved: see `Heads.newestOn`.
    if (block === 'latest' || block === 0) return undefined
    const { context, chain, trust } = this.#options
    const read = () => readProven({ context, chain, account, heads: this.heads, trust }, block)
    const state = await read().catch((error: unknown) => {
      if (asNightjarError(error).code !== 'answer-refuted') throw error
      // That gateway is left by now; the next one may be right.
      return read()
    })
    return this.#atStake(account, state, isAtStake)
  }

  /** From now on the receipt is watched. */
  async watchReceipt(hash: string, account: Address): Promise<void> {
    if (this.#receipts.has(hash)) return
    this.#end?.cancel()
    const { context, chain, trust } = this.#options
    this.#awaited.add(hash)
    const grid = await this.heads.grid()
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

  #watches(): readonly AccountWatch[] {
    return [...this.#accounts.values()].flatMap(({ watch }) => watch ?? [])
  }

  #live(): readonly AccountWatch[] {
    return this.#watches().filter(({ isLive }) => isLive)
  }

  async #watch(account: Address): Promise<AccountWatch> {
    const { context, chain, trust } = this.#options
    const onChange = () => this.#changes.notify()
    return new AccountWatch({
      context,
      chain,
      account,
      grid: await this.heads.grid(),
      heads: this.heads,
      trust,
      onChange,
    })
  }

  /** Its watch, once that has a value; undefined where none comes within `wait` milliseconds. */
  async #known(account: Address, wait: number): Promise<AccountWatch | undefined> {
    const schedule = () => this.#accounts.get(account)
    const hasValue = () => (schedule()?.watch?.numbers.length ?? 0) > 0
    const begins = schedule()?.beginsAt ?? 0
    const isSoon = begins - this.#options.context.clock.elapsed() < wait
    const isSettled = () => hasValue() || schedule()?.watch?.isOut === true || schedule() === undefined
    if (isSoon) await this.#changes.until(isSettled, wait)
    return hasValue() ? schedule()?.watch : undefined
  }

  async #atStake(account: Address, state: State | undefined, isAtStake: boolean): Promise<State | undefined> {
    if (state === undefined || !isAtStake) return state
    // Its gateway proves nothing; what it says when it is asked is compared, too.
    const isRefuted = state.trust === 'unverified' && Number(state.nonce) < this.#nonces.leastAt(account, state.number)
    if (isRefuted) return undefined
    const agreement = await this.heads.agree(state.number, state.hash, true)
    if (agreement.kind === 'disputed') throw new NightjarError('answer-refuted')
    const isOther = agreement.kind !== 'unconfirmed' && agreement.hash !== state.hash
    if (isOther) throw new NightjarError('answer-refuted')
    const isSure = agreement.kind === 'agreed' && agreement.operators >= atStake
    if (!isSure) return { ...state, trust: 'unverified' }
    if (state.trust === 'verified') this.#nonces.toldVerified(account, state)
    return state
  }

  #replaced(number: number, hash: string): void {
    const dropped = this.#watches().filter((watch) => watch.onReplaced(number, hash))
    this.#nonces.onReplaced(number, hash)
    for (const watch of this.#receipts.values()) watch.onReplaced(number, hash)
    if (dropped.length > 0) this.#options.onReplaced(number)
    this.#changes.notify()
  }

  #endIfIdle(): void {
    if (this.#accounts.size > 0) return
    if (this.#receipts.size > 0) return
    const { context, onOver } = this.#options
    this.#end = context.clock.after(context.random() * longestAfter, () => {
      this.stop()
      onOver()
    })
  }
}
