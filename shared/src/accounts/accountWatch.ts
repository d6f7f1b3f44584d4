/**
 * One account of one chain, watched at its own gateway: registered once, told at each block of the grid after a delay
 * that nobody else knows. What it was told is checked and remembered by block.
 *
 * When it registers it also reads the account once, so that its first value does not wait for the chain's next block; not
 * where its gateway says that the same watch goes on there since before a restart, or a loss. Where the settings give another
 * grid, it registers anew at a time of its own.
 */
import { NightjarError } from '../errors/index.ts'
import { type Outcome, watchMethod } from '../rpc/index.ts'
import { pause, second, type Timer } from '../runtime.ts'
import type { Address } from '../wallet/index.ts'
import { type AccountsContext, accountGroup, watchCells } from './context.ts'
import { type Grid, secretDelay, secretSchedule } from './grid.ts'
import type { Heads } from './heads.ts'
import { namesIn, readParts, readProven } from './reading.ts'
import { Registration } from './registration.ts'
import { type Checked, type Claim, check, claimOf, fitsItself, isJoined, type State } from './state.ts'
import type { Trust } from './trust.ts'

/** The shortest that the longest pause of a registration may be set to. */
const leastPause = 30 * second
const statesKept = 64
/** How soon a gateway says that a watch was there before. */
const joinedWithin = 2 * second
/** Slots without a value after which the gateway counts as silent. */
const patientSlots = 3
/** Blocks of the grid that it may be behind the heads: more, and it has nothing to say about what is new. */
const mostBehind = 2
/** The same for a block that all accounts have: each may have missed one. */
const recent = 4
/** How long after its delay its gateway may tell of a block before nobody waits for that: it reads, and the path takes time. */
const allowance = 2 * second

export interface AccountWatchOptions {
  readonly context: AccountsContext
  readonly chain: number
  readonly account: Address
  readonly grid: Grid
  readonly heads: Heads
  readonly trust: Trust
  /** It has a value that it had not, or is silent. */
  onChange(): void
}

export class AccountWatch {
  readonly #options: AccountWatchOptions
  #grid: Grid
  #delay: number
  #registration: Registration
  /** By number of the block. */
  readonly #states = new Map<number, State>()
  /** Its keys in order, until they change. */
  #numbers: readonly number[] | undefined
  /** Gateways that were caught and left. What they said before is judged after that. */
  readonly #liars = new Set<string>()
  /** Of the block that its latest value was told of. */
  told = 0
  /** From which number on blocks were replaced last, and when, in the clock's elapsed milliseconds. */
  #replaced = { from: Number.POSITIVE_INFINITY, at: 0 }
  #silentSlots = 0
  #isSilent = false
  #isStopped = false
  #look: Timer | undefined
  #renewal: Timer | undefined
  /** Its gateway says that the watch was there before. */
  #hasJoined = false
  /** Its gateway is asked to prove what did not fit. */
  #isProving = false

  constructor(options: AccountWatchOptions) {
    this.#options = options
    this.#grid = options.grid
    this.#delay = this.#delayIn(options.grid)
    this.#registration = this.#registrationFor(options.grid)
  }

  start(): void {
    this.#registration.start()
    this.#lookLater()
  }

  stop(): void {
    this.#isStopped = true
    this.#look?.cancel()
    this.#renewal?.cancel()
    this.#registration.stop()
  }

  /** It has a value, and the next will come: others wait for it. */
  get isLive(): boolean {
    return this.#states.size > 0 && !this.#isSilent && !this.#isFarBehind && this.#registration.isStanding
  }

  /** Nothing comes of it now. */
  get isOut(): boolean {
    return this.#isSilent || this.#registration.isFailing
  }

  /** When it was last registered again or will be, in the clock's elapsed milliseconds; 0 where it was not lost. */
  get dueAt(): number {
    return this.#registration.dueAt
  }

  /** Blocks of which it has a value, the newest first. Asked for by each account for each other one. */
  get numbers(): readonly number[] {
    this.#numbers ??= [...this.#states.keys()].sort((a, b) => b - a)
    return this.#numbers
  }

  /** Others do not wait for one whose gateway tells of old blocks, be they true. */
  get #isFarBehind(): boolean {
    const [newest = 0] = this.numbers
    return newest < (this.#options.heads.newestOn(this.#grid) ?? 0) - mostBehind * this.#grid.stride
  }

  at(number: number): State | undefined {
    return this.#states.get(number)
  }

  /** The last few blocks of the grid, the newest first. */
  get recent(): readonly number[] {
    const newest = this.#options.heads.newestOn(this.#grid) ?? 0
    const numbers = Array.from({ length: recent + 1 }, (_, index) => newest - index * this.#grid.stride)
    return numbers.filter((number) => number > 0)
  }

  /**
   * Whether others need not wait for it at that block: its gateway has told of it, or should have by now, as far as its delay
   * and the time when heads came say. Nothing but that is left to the gateway, be it early or late, but for the allowance.
   */
  isPast(number: number): boolean {
    const { context, heads } = this.#options
    const { stride, slot } = this.#grid
    const begun = context.clock.elapsed() - this.#delay
    const ended = begun - Math.min(allowance, slot)
    const { from, at } = this.#replaced
    const wasKnown = (time: number) => number <= (heads.newestAt(time) ?? 0) && (number < from || time >= at)
    if (this.#states.has(number)) return wasKnown(begun)
    return number % stride === 0 && wasKnown(ended)
  }

  /** Drops what was said of a block that is no longer the chain's. @returns whether anything was */
  onReplaced(number: number, hash: string): boolean {
    this.#noteReplaced(number)
    if (this.#states.get(number)?.hash === hash) return false
    if (this.told >= number) this.told = 0
    if (!this.#states.delete(number)) return false
    this.#numbers = undefined
    this.#options.onChange()
    return true
  }

  /** What was replaced is read again, as late as before, whether its gateway had told of it or not. */
  #noteReplaced(number: number): void {
    const now = this.#options.context.clock.elapsed()
    const { from, at } = this.#replaced
    const isGoingOn = now - at <= this.#delay + allowance
    this.#replaced = { from: isGoingOn ? Math.min(from, number) : number, at: now }
  }

  #onPush(outcome: Outcome, gateway: string): boolean {
    // No value yet: whoever says so and never tells one has not done what was asked for.
    if (isJoined(outcome)) this.#hasJoined = true
    const claim = claimOf(outcome)
    if (claim === undefined) return false
    void this.#take(claim, gateway, outcome)
    return true
  }

  async #take(claim: Claim, gateway: string, evidence: unknown): Promise<void> {
    const { context, chain, account, trust } = this.#options
    let checked = await this.#check(claim)
    if (checked.kind === 'unconfirmed') {
      // Those whose heads are followed may hear of its block later.
      await pause(context.clock, this.#grid.slot)
      checked = await this.#check(claim)
    }
    if (this.#isStopped) return
    if (checked.kind === 'state') {
      this.#remember(checked.state)
      if (this.#isFarBehind) return
      this.#silentSlots = 0
      this.#isSilent = false
    } else if (checked.kind === 'lie' && !(await fitsItself(account, claim))) {
      if (this.#liars.has(gateway)) return
      this.#liars.add(gateway)
      const { what } = checked
      trust.lie({ group: accountGroup(account), gateway, chain, what, evidence: { claim: evidence } })
      this.#registration.again()
    } else if (checked.kind === 'lie') {
      // Its gateway looked up the block and read the account one after the other: the chain may have changed in between.
      if (!this.#isProving) await this.#read(claim.number)
    } else if (checked.kind === 'elsewhere') {
      trust.disagree({ chain, what: 'watch', number: claim.number, gateways: namesIn(gateway) })
    }
  }

  async #check(claim: Claim): Promise<Checked> {
    return check(this.#options.account, claim, await this.#options.heads.agree(claim.number, claim.hash))
  }

  #remember(state: State): void {
    this.#states.set(state.number, state)
    if (this.#states.size > statesKept) this.#states.delete(Math.min(...this.#states.keys()))
    this.#numbers = undefined
    this.#options.onChange()
  }

  /**
   * Once, and not where it has joined: a client that comes back is not to be told from one that renews its branch, unless
   * its user chose that all come back at once.
   */
  async #readFirst(): Promise<void> {
    const { clock, settings } = this.#options.context
    if (this.#states.size > 0) return
    if (settings().coldSpread > 0) await pause(clock, joinedWithin)
    if (this.#states.size === 0 && !this.#hasJoined) await this.#readNow()
  }

  /** Reads the account at the newest block of the grid, in its own group. */
  async #readNow(): Promise<void> {
    const { heads } = this.#options
    await heads.known()
    const number = heads.newestOn(this.#grid)
    if (number === undefined || this.#isStopped || this.#states.has(number)) return
    await this.#read(number)
  }

  async #read(number: number): Promise<void> {
    this.#isProving = true
    try {
      const state = (await readProven(this.#options, number)) ?? (await readParts(this.#options, number))
      if (state !== undefined && !this.#isStopped) this.#remember(state)
    } catch (error) {
      // The path is gone, and the registration finds out too. Else it is a bug of ours.
      if (!(error instanceof NightjarError)) throw error
      // Reported by now: what the same gateway tells is not waited for.
      if (error.code === 'answer-refuted' && !this.#isStopped) this.#registration.again()
    } finally {
      this.#isProving = false
    }
  }

  /** Looks once in a slot whether the chain has gone on without a value having come, and whether the grid is still that. */
  #lookLater(): void {
    this.#look = this.#options.context.clock.after(this.#grid.slot, () => {
      this.#lookLater()
      void this.#renewLater()
      // While it waits to register again, its gateway has nothing to say.
      if (!this.#registration.isStanding) return
      const [newest = -1] = this.numbers
      const isBehind = (this.#options.heads.newestOn(this.#grid) ?? -1) > newest
      this.#silentSlots = isBehind ? this.#silentSlots + 1 : 0
      if (this.#silentSlots < patientSlots) return
      this.#silentSlots = 0
      this.#isSilent = true
      // Where the gateway is gone the question finds that out: nothing else is asked on the branch.
      void this.#readNow()
      this.#registration.again()
      this.#options.onChange()
    })
  }

  /** The settings may have changed: accounts that all took that up at once would show that they belong together. */
  async #renewLater(): Promise<void> {
    const { context, heads } = this.#options
    const grid = await heads.grid()
    if (this.#isStopped || this.#renewal !== undefined || isSame(grid, this.#grid)) return
    this.#renewal = context.clock.after(context.random() * context.settings().coldSpread, () => {
      this.#renewal = undefined
      this.#registration.stop()
      this.#grid = grid
      this.#delay = this.#delayIn(grid)
      this.#registration = this.#registrationFor(grid)
      this.#registration.start()
    })
  }

  #delayIn(grid: Grid): number {
    const { context, chain, account } = this.#options
    return secretDelay(context, grid, { chain, subject: account })
  }

  #registrationFor(grid: Grid): Registration {
    const { context, chain, account } = this.#options
    const scheduleAt = secretSchedule(context, grid, { chain, subject: account })
    const questionFor = (gateway: string) => {
      const params = [{ account, ...scheduleAt(gateway) }]
      return { chain, cells: watchCells, method: watchMethod, params }
    }
    return new Registration({
      context,
      order: { group: accountGroup(account), chain, questionFor },
      get longestPause() {
        return Math.max(context.settings().coldSpread, Math.min(leastPause, 3 * grid.slot))
      },
      onOutcome: (outcome, gateway) => this.#onPush(outcome, gateway),
      onRegistered: () => void this.#readFirst(),
    })
  }
}

function isSame(one: Grid, other: Grid): boolean {
  return one.stride === other.stride && one.slot === other.slot && one.longestDelay === other.longestDelay
}
