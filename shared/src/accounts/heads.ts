/**
 * What a chain's blocks are, as far as gateways of different operators agree. Two are followed; a third is asked where
 * they do not agree, where one of them stays behind, or where there is value at stake. What one says alone counts only
 * where the network has nobody else to ask.
 */
import { type Header, type Hex, type Receipt, verifyHeader } from '../proofs/index.ts'
import { second, type Timer } from '../runtime.ts'
import { type Agreement, fits } from './agreement.ts'
import { BlockLists, type ListsPlace } from './blockLists.ts'
import { Changes } from './changes.ts'
import type { AccountsContext } from './context.ts'
import { type Grid, gridOf, knownBlockTime, measuredBlockTime, onGrid, usualBlockTime } from './grid.ts'
import { type Block, HeadFollower } from './headFollower.ts'
import { Newest } from './newest.ts'
import type { Trust } from './trust.ts'

/** How long one waits for a gateway that has not got as far as another. */
const patience = 6 * second
/** Blocks over which the time from one to the next is measured. */
const measured = 100
/** Checked headers that are remembered. */
const remembered = 256
const usual = 2
/** Operators that have to agree where there is value at stake. */
export const atStake = 3

export interface HeadsOptions {
  readonly context: AccountsContext
  readonly chain: number
  readonly trust: Trust
  onHead(): void
  /** `number` is another block now; '' where there is none of that number. */
  onReplaced(number: number, hash: string): void
}

export class Heads {
  readonly #options: HeadsOptions
  readonly #changes: Changes
  readonly #followers: HeadFollower[] = []
  readonly #headers = new Map<string, Header | undefined>()
  readonly #lists = new BlockLists()
  readonly #newest: Newest
  /** Milliseconds from block to block; undefined until it is measured where it is not known. */
  #blockTime: number | undefined
  #isMeasuring = false
  /** When it should be measured, in the clock's elapsed milliseconds. */
  #measuredBy = 0
  /** How often a block was replaced by another. */
  #replacements = 0
  /** Numbers of blocks about which followers differ. */
  readonly #suspected = new Set<number>()
  /** Numbers of blocks that one follower took back and another may still have, or has another one of. */
  readonly #contested = new Set<number>()
  #look: Timer | undefined
  #isStopped = false

  constructor(options: HeadsOptions) {
    this.#options = options
    this.#changes = new Changes(options.context.clock)
    this.#newest = new Newest(options.context.clock)
    this.#blockTime = knownBlockTime(options.chain)
  }

  start(): void {
    this.#measuredBy = this.#options.context.clock.elapsed() + patience
    while (this.#followers.length < usual) this.#add()
  }

  stop(): void {
    this.#isStopped = true
    this.#look?.cancel()
    for (const follower of this.#followers.splice(0)) follower.stop()
    this.#headers.clear()
  }

  /**
   * How the chain is read, as the settings are now. Where its rhythm is not known that is measured first; where heads are
   * not there in time it is taken for the usual one until they are.
   */
  async grid(): Promise<Grid> {
    const { clock, settings } = this.#options.context
    await this.#changes.until(() => this.#blockTime !== undefined, this.#measuredBy - clock.elapsed())
    return gridOf(this.#blockTime ?? usualBlockTime, settings().freshness)
  }

  /** Number of the newest block that two operators have; that one has, where there is no other. */
  get newest(): number | undefined {
    return this.#newest.number
  }

  /** The same at that time, in the clock's elapsed milliseconds; undefined where that is not known. */
  newestAt(time: number): number | undefined {
    return this.#newest.at(time)
  }

  /**
   * The newest block of the grid that is not newer than that. The genesis block is none: on development chains its root
   * is not that of its state, and whoever proves anything of it would be taken for a liar.
   */
  newestOn(grid: Grid): number | undefined {
    const number = onGrid(this.newest ?? 0, grid)
    return number === 0 ? undefined : number
  }

  /** Resolves once the newest block is known, or none was in time. */
  async known(): Promise<void> {
    await this.#changes.until(() => this.newest !== undefined, patience)
  }

  /**
   * What block `number` is. Where somebody says that it is `expected`, the others are given time to come round to that:
   * gateways learn of a reorganisation one after the other.
   * @param isAtStake three are asked; how many agree, the answer says
   */
  async agree(number: number, expected?: string, isAtStake = false): Promise<Agreement> {
    if (isAtStake) this.#addThird()
    const asked = this.#followers.length
    const agreement = await this.#settle(number, (judged) => fits(judged, expected))
    if (agreement.kind === 'agreed' || asked >= atStake || this.#isStopped) return agreement
    this.#addThird()
    return this.#judge(number)
  }

  /** All receipts of the block with this verified header; undefined where they cannot be had or checked. */
  receipts(header: Header, place: ListsPlace): Promise<readonly Receipt[] | undefined> {
    return this.#lists.receipts(header, place)
  }

  #addThird(): void {
    if (this.#followers.length < atStake && !this.#isStopped) this.#add()
  }

  #add(): void {
    const { context, chain } = this.#options
    const follower = new HeadFollower({
      context,
      chain,
      index: this.#followers.length,
      onHead: () => this.#onHead(follower),
      onBack: () => {
        for (const other of this.#followers) other.hurry()
      },
      onFailed: () => {
        this.#noteNewest()
        this.#changes.notify()
        if (!follower.isThere) this.#addThird()
      },
      onReplaced: (number) => void this.#replaced(number),
    })
    this.#followers.push(follower)
    follower.start()
  }

  #onHead(follower: HeadFollower): void {
    void this.#measure(follower)
    this.#noteNewest()
    this.#judgeContested()
    this.#changes.notify()
    this.#options.onHead()
    const furthest = Math.max(...this.#followers.map(({ newest }) => newest?.number ?? 0))
    if (this.#followers.length >= atStake || this.#look !== undefined || furthest <= (this.newest ?? 0)) return
    // One is behind, or another claims too much: whichever it is, a third has what is the chain's.
    this.#look = this.#options.context.clock.after(2 * patience, () => {
      this.#look = undefined
      if (furthest > (this.newest ?? 0)) this.#addThird()
    })
  }

  #noteNewest(): void {
    const numbers = new Map<string | undefined, number>()
    for (const { newest, isThere } of this.#followers) {
      if (newest === undefined || !isThere) continue
      const operator = this.#options.context.operatorOf(newest.gateway)
      numbers.set(operator, Math.max(newest.number, numbers.get(operator) ?? 0))
    }
    this.#newest.take([...numbers.values()], this.#isOneAlone)
  }

  /** The first judgement that is enough, or the last one within the time that they have. */
  async #settle(number: number, isEnough: (judged: Agreement) => boolean): Promise<Agreement> {
    const { clock } = this.#options.context
    const until = clock.elapsed() + patience
    for (;;) {
      const seen = this.#replacements
      const agreement = await this.#judge(number)
      // However often blocks are said to be replaced: one gateway can say so for ever.
      if (isEnough(agreement) || clock.elapsed() >= until) return agreement
      if (!(await this.#changes.until(() => this.#replacements > seen, until - clock.elapsed()))) return agreement
    }
  }

  async #judge(number: number): Promise<Agreement> {
    const blocks = await Promise.all(this.#followers.map((follower) => this.#trueBlock(follower, number)))
    const said = blocks.filter((block) => block !== undefined)
    if (hashesIn(said).size > 1) this.#suspect(number)
    const best = this.#majorityOf(said)
    if (best !== undefined) return { kind: 'agreed', ...best, header: this.#headers.get(best.hash) }
    const [hash, ...others] = hashesIn(said)
    if (others.length > 0) return { kind: 'disputed' }
    return hash !== undefined && this.#isOneAlone ? { kind: 'alone', hash } : { kind: 'unconfirmed' }
  }

  /** What two operators at least say, and more than half of those who say anything: of two that differ neither is right. */
  #majorityOf(said: readonly Block[]): { readonly hash: string; readonly operators: number } | undefined {
    const all = this.#operatorsOf(said).size
    for (const hash of hashesIn(said)) {
      const operators = this.#operatorsOf(said.filter((block) => block.hash === hash)).size
      if (operators >= usual && operators > all / 2) return { hash, operators }
    }
    return undefined
  }

  /** Whoever is not known counts as one: nothing says that two such are apart. */
  #operatorsOf(blocks: readonly Block[]): ReadonlySet<string | undefined> {
    return new Set(blocks.map(({ gateway }) => this.#options.context.operatorOf(gateway)))
  }

  /** The network has nobody else to ask. */
  get #isOneAlone(): boolean {
    return this.#followers.length >= atStake && this.#followers.filter(({ isThere }) => isThere).length < 2
  }

  /** The block as the follower has it, unless its header does not make its hash. */
  async #trueBlock(follower: HeadFollower, number: number): Promise<Block | undefined> {
    const block = await follower.block(number, patience)
    if (block === undefined || this.#headers.has(block.hash)) return block
    const { chain, trust } = this.#options
    const verdict = await verifyHeader(block.header, block.hash as Hex)
    if (verdict.kind === 'lie') {
      const { gateway } = block
      trust.lie({ group: follower.group, gateway, chain, what: verdict.reason, evidence: block.header })
      follower.leave(gateway)
      return undefined
    }
    this.#headers.set(block.hash, verdict.kind === 'verified' ? verdict.value : undefined)
    for (const hash of this.#headers.keys()) {
      if (this.#headers.size <= remembered) break
      this.#headers.delete(hash)
    }
    return block
  }

  /** They differ: looked at again when all have had time to come round, and a third to speak. */
  #suspect(number: number): void {
    if (this.#suspected.has(number)) return
    this.#suspected.add(number)
    this.#options.context.clock.after(2 * patience, () => void this.#accuse(number))
  }

  /** Those who differ still are reported, and whom two others contradict is left. */
  async #accuse(number: number): Promise<void> {
    const { chain, trust } = this.#options
    const answers = this.#followers.map(async (follower) => ({ follower, block: await follower.saysNow(number) }))
    const said = (await Promise.all(answers)).flatMap(({ follower, block }) => (block ? [{ ...block, follower }] : []))
    this.#suspected.delete(number)
    if (this.#isStopped || hashesIn(said).size < 2) return
    const best = this.#majorityOf(said)
    const odd = said.filter(({ hash }) => hash !== best?.hash)
    const gateways = odd.map(({ gateway }) => gateway)
    const outvoted = odd.map(({ follower: { group }, gateway }) => ({ group, gateway }))
    trust.disagree({ chain, what: 'block', number, gateways, ...(best === undefined ? {} : { outvoted }) })
    if (best !== undefined) for (const { follower, gateway } of odd) follower.leave(gateway)
  }

  /** One follower says so. The others hear of a reorganisation soon; where they do not, a third tells who is right. */
  async #replaced(number: number): Promise<void> {
    this.#replacements += 1
    this.#changes.notify()
    const agreement = await this.#settle(number, (judged) => this.#isDecided(number, judged))
    if (this.#isDecided(number, agreement)) return this.#conclude(number, agreement)
    this.#addThird()
    this.#conclude(number, await this.#judge(number))
  }

  #conclude(number: number, agreement: Agreement): void {
    if (this.#isStopped) return
    if (this.#isDecided(number, agreement)) {
      this.#options.onReplaced(number, agreement.kind === 'unconfirmed' ? '' : agreement.hash)
    } else if (number > (this.newest ?? 0) - remembered) {
      this.#contested.add(number)
    }
  }

  /** Whether it says what the block is. The chain may be shorter for a while: then nobody has it. */
  #isDecided(number: number, agreement: Agreement): agreement is Exclude<Agreement, { readonly kind: 'disputed' }> {
    return agreement.kind === 'unconfirmed' ? number > (this.newest ?? 0) : agreement.kind !== 'disputed'
  }

  /** Whoever took them back may have others in their place by now. */
  #judgeContested(): void {
    const contested = [...this.#contested]
    this.#contested.clear()
    for (const number of contested) void this.#judge(number).then((agreement) => this.#conclude(number, agreement))
  }

  /** Where the earlier block cannot be had the next head is another chance. */
  async #measure(follower: HeadFollower): Promise<void> {
    const { newest } = follower
    if (this.#blockTime !== undefined || this.#isMeasuring || newest === undefined) return
    this.#isMeasuring = true
    const earlier = await follower.block(Math.min(Math.max(newest.number - measured, 1), newest.number), 0)
    if (earlier !== undefined) this.#blockTime = measuredBlockTime(earlier, newest)
    this.#isMeasuring = false
    this.#changes.notify()
  }
}

function hashesIn(blocks: readonly Block[]): ReadonlySet<string> {
  return new Set(blocks.map(({ hash }) => hash))
}
