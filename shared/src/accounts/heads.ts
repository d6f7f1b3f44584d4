/**
 * What a chain's blocks are, as far as gateways of different operators agree. Two are followed; a third is asked where
 * they do not agree, or where there is value at stake.
 */
import { type Header, type Hex, type Receipt, verifyHeader } from '../proofs/index.ts'
import { second } from '../runtime.ts'
import { BlockLists } from './blockLists.ts'
import { Changes } from './changes.ts'
import type { AccountsContext } from './context.ts'
import { type Grid, gridOf, knownBlockTime, measuredBlockTime, onGrid, usualBlockTime } from './grid.ts'
import { type Block, HeadFollower } from './headFollower.ts'
import type { Trust } from './trust.ts'

/** How long one waits for a gateway that has not got as far as another. */
const patience = 6 * second
/** Blocks over which the time from one to the next is measured. */
const measured = 100
/** Checked headers that are remembered. */
const remembered = 256
const usual = 2
const atStake = 3

export type Agreement =
  /** `header` is missing where its form is not known (another kind of chain): then nothing can be checked against it. */
  | { readonly kind: 'agreed'; readonly hash: string; readonly header: Header | undefined }
  /** There were not enough gateways to ask. */
  | { readonly kind: 'alone'; readonly hash: string | undefined }
  | { readonly kind: 'disputed' }

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
  readonly #lists = new BlockLists((method, params) => this.#ask(method, params))
  #blockTime: number | undefined
  /** How often a block was replaced by another. */
  #replacements = 0
  /** Numbers of blocks about which followers differ. */
  readonly #suspected = new Set<number>()
  #isStopped = false

  constructor(options: HeadsOptions) {
    this.#options = options
    this.#changes = new Changes(options.context.clock)
    this.#blockTime = knownBlockTime(options.chain)
  }

  start(): void {
    while (this.#followers.length < usual) this.#add()
  }

  stop(): void {
    this.#isStopped = true
    for (const follower of this.#followers.splice(0)) follower.stop()
    this.#headers.clear()
  }

  /** How the chain is read; found out first, on a chain whose rhythm is not known. */
  async grid(): Promise<Grid> {
    this.#blockTime ??= await this.#measure()
    return gridOf(this.#blockTime, this.#options.context.settings().freshness)
  }

  /**
   * The newest block of the grid that all who are followed have reached. The genesis block is none: on development chains
   * its root is not that of its state, and whoever proves anything of it would be taken for a liar.
   */
  newestOn(grid: Grid): number | undefined {
    const numbers = this.#followers.flatMap(({ newest }) => (newest === undefined ? [] : [newest.number]))
    const number = numbers.length === 0 ? 0 : onGrid(Math.min(...numbers), grid)
    return number === 0 ? undefined : number
  }

  /** Resolves once any head is known, or none came in time. */
  async known(): Promise<void> {
    await this.#changes.until(() => this.#followers.some(({ newest }) => newest !== undefined), patience)
  }

  /**
   * What block `number` is. Where somebody says that it is `expected`, the others are given time to come round to that:
   * gateways learn of a reorganisation one after the other.
   * @param isAtStake three must agree
   */
  async agree(number: number, expected?: string, isAtStake = false): Promise<Agreement> {
    const need = isAtStake ? atStake : usual
    while (this.#followers.length < need && !this.#isStopped) this.#add()
    const agreement = await this.#settle(number, need, expected)
    if (agreement.kind === 'agreed' || this.#followers.length >= atStake || this.#isStopped) return agreement
    this.#add()
    return this.#judge(number, need)
  }

  /** All receipts of the block with this verified header; undefined where they cannot be had or checked. */
  receipts(header: Header): Promise<readonly Receipt[] | undefined> {
    return this.#lists.receipts(header)
  }

  /** Data of the whole chain, from the first of those that are followed who has it. */
  async #ask(method: string, params: readonly (string | boolean)[]): Promise<unknown> {
    for (const follower of this.#followers) {
      const result = await follower.ask({ method, params })
      if (result !== undefined && result !== null) return result
    }
    return undefined
  }

  #add(): void {
    const { context, chain, onHead } = this.#options
    const follower = new HeadFollower({
      context,
      chain,
      index: this.#followers.length,
      onHead: () => {
        this.#changes.notify()
        onHead()
      },
      onReplaced: (number) => void this.#replaced(number),
    })
    this.#followers.push(follower)
    follower.start()
  }

  /** The judgement that fits, or the last one within the time that they have. */
  async #settle(number: number, need: number, expected?: string): Promise<Agreement> {
    const { clock } = this.#options.context
    const until = clock.now() + patience
    for (;;) {
      const seen = this.#replacements
      const agreement = await this.#judge(number, need)
      if (fits(agreement, expected)) return agreement
      if (!(await this.#changes.until(() => this.#replacements > seen, until - clock.now()))) return agreement
    }
  }

  async #judge(number: number, need: number): Promise<Agreement> {
    const blocks = await Promise.all(this.#followers.map((follower) => this.#trueBlock(follower, number)))
    const said = blocks.filter((block) => block !== undefined)
    const [first] = said
    if (first === undefined) return { kind: 'alone', hash: undefined }
    const believers = (hash: string) => said.filter((block) => block.hash === hash).length
    // Of two that differ neither is right; of three, two are.
    const best = said.find(({ hash }) => believers(hash) >= need && believers(hash) > said.length / 2)
    if (said.some(({ hash }) => hash !== first.hash)) this.#suspect(number)
    else if (best === undefined) return { kind: 'alone', hash: first.hash }
    return best === undefined
      ? { kind: 'disputed' }
      : { kind: 'agreed', hash: best.hash, header: this.#headers.get(best.hash) }
  }

  /** The block as the follower has it, unless its header does not make its hash. */
  async #trueBlock(follower: HeadFollower, number: number): Promise<Block | undefined> {
    const block = await follower.block(number, patience)
    if (block === undefined || this.#headers.has(block.hash)) return block
    const { chain, trust } = this.#options
    const verdict = await verifyHeader(block.header, block.hash as Hex)
    if (verdict.kind === 'lie') {
      const { group, gateway } = follower
      trust.lie({ group, gateway, chain, what: verdict.reason, evidence: block.header })
      follower.distrust(number)
      return undefined
    }
    this.#headers.set(block.hash, verdict.kind === 'verified' ? verdict.value : undefined)
    for (const hash of this.#headers.keys()) {
      if (this.#headers.size <= remembered) break
      this.#headers.delete(hash)
    }
    return block
  }

  /** They differ. Those who differ still when all have had time to come round, and a third to speak, are reported. */
  #suspect(number: number): void {
    if (this.#suspected.has(number)) return
    this.#suspected.add(number)
    const { context, chain, trust } = this.#options
    context.clock.after(2 * patience, () => {
      this.#suspected.delete(number)
      const hashes = this.#followers.map((follower) => follower.hashOf(number))
      const believers = (hash: string | undefined) => hashes.filter((each) => each === hash).length
      const isOdd = (hash: string | undefined) => hash !== undefined && believers(hash) <= hashes.length / 2
      const odd = this.#followers.filter((follower) => isOdd(follower.hashOf(number)))
      if (new Set(hashes.filter((hash) => hash !== undefined)).size < 2) return
      trust.disagree({ chain, what: 'block', number, gateways: odd.map(({ gateway }) => gateway) })
    })
  }

  async #replaced(number: number): Promise<void> {
    this.#replacements += 1
    this.#changes.notify()
    const agreement = await this.#settle(number, usual)
    if (agreement.kind === 'disputed' || this.#isStopped) return
    // The chain may be shorter for a while: then nobody has that block.
    this.#options.onReplaced(number, agreement.hash ?? '')
  }

  async #measure(): Promise<number> {
    await this.known()
    const follower = this.#followers.find(({ newest }) => newest !== undefined)
    const newest = follower?.newest
    if (follower === undefined || newest === undefined) return usualBlockTime
    const earlier = await follower.block(Math.max(newest.number - measured, 1), 0)
    return earlier === undefined ? usualBlockTime : measuredBlockTime(earlier, newest)
  }
}

function fits(agreement: Agreement, expected: string | undefined): boolean {
  if (agreement.kind === 'disputed') return false
  return expected === undefined || agreement.hash === expected
}
