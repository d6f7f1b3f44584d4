/**
 * The newest blocks of a chain as one gateway tells them, in a group of their own: chain-wide data that names nobody.
 * What was not pushed is asked for by its number, in the same group.
 */
import type { Json, Outcome } from '../rpc/index.ts'
import { second } from '../runtime.ts'
import { Changes } from './changes.ts'
import { type AccountsContext, headsGroup } from './context.ts'
import { isHash, isObject, isSafeQuantity, quantityOf } from './json.ts'
import { askNamed } from './reading.ts'
import { Registration } from './registration.ts'

/** Cells of each pushed header. */
const headCells = 4
const longestPause = 5 * second
/** The same after many failures: whatever was away, nothing can be checked until heads are back. */
const longPause = 30 * second
/** Blocks that are remembered. */
const remembered = 256
/** How often it is looked whether blocks before a gap are still the chain's. */
const recheckEvery = 10 * second

export interface Block {
  readonly number: number
  readonly hash: string
  readonly parentHash: string
  /** In seconds since the Unix epoch. */
  readonly timestamp: number
  /** As the gateway gave it; not checked. */
  readonly header: Json
  /** Identity of the one that said so. */
  readonly gateway: string
}

export interface HeadFollowerOptions {
  readonly context: AccountsContext
  readonly chain: number
  /** Which of the independent ones this is. */
  readonly index: number
  onHead(): void
  /** It tells of heads again. */
  onBack(): void
  /** No gateway can be followed now. */
  onFailed(): void
  /** The block of that number is another one than was said before. */
  onReplaced(number: number): void
}

export class HeadFollower {
  readonly #options: HeadFollowerOptions
  readonly #registration: Registration
  readonly #changes: Changes
  readonly #blocks = new Map<number, Block>()
  #newest: Block | undefined
  /** Blocks before which there is a gap, or another block than was said: what is known before them is in doubt. */
  readonly #doubted = new Set<number>()
  #isChecking = false
  #nextCheck = 0

  constructor(options: HeadFollowerOptions) {
    const { context, chain, index } = options
    const question = { chain, cells: headCells, method: 'eth_subscribe', params: ['newHeads'] }
    this.#options = options
    this.#changes = new Changes(context.clock)
    this.#registration = new Registration({
      context,
      order: { group: headsGroup(index, chain), chain, questionFor: () => question },
      longestPause,
      longPause,
      onBack: () => options.onBack(),
      onFailed: () => {
        this.#changes.notify()
        options.onFailed()
      },
      onOutcome: (outcome, gateway) => this.#onOutcome(outcome, gateway),
    })
  }

  /** The newest block that was pushed. */
  get newest(): Block | undefined {
    return this.#newest
  }

  get group(): string {
    return headsGroup(this.#options.index, this.#options.chain)
  }

  /** Whether the network has a gateway for it, as far as is known: an operator of whom no other follower is. */
  get isThere(): boolean {
    return this.#registration.failedWith !== 'no-path'
  }

  start(): void {
    this.#registration.start()
  }

  stop(): void {
    this.#registration.stop()
  }

  /** Another one is back. Heads name nobody: they may well come back together. */
  hurry(): void {
    this.#registration.hurry()
  }

  /** The block of that number, once there is one; undefined where there is none within `patience` milliseconds. */
  async block(number: number, patience: number): Promise<Block | undefined> {
    const isReached = () => this.#newest !== undefined && this.#newest.number >= number
    const isHopeless = () => !this.isThere || (this.#newest === undefined && this.#registration.isFailing)
    await this.#changes.until(() => isReached() || isHopeless(), patience)
    if (!isReached()) return undefined
    return this.#blocks.get(number) ?? this.#read(number)
  }

  /** What it says of that block, of which it said something, when it is asked again. */
  async saysNow(number: number): Promise<Block | undefined> {
    const said = this.#blocks.get(number)
    return said && ((await this.#read(number)) ?? said)
  }

  /** That gateway is left, and what it said forgotten. */
  leave(gateway: string): void {
    for (const { number } of [...this.#blocks.values()].filter((block) => block.gateway === gateway))
      this.#forget(number)
    if (this.#newest?.gateway === gateway) this.#newest = undefined
    this.#registration.again()
  }

  #onOutcome(outcome: Outcome, gateway: string): boolean {
    const block = 'result' in outcome ? blockOf(outcome.result, gateway) : undefined
    if (block === undefined) return false
    const known = this.#blocks.get(block.number)
    const isBehind = this.#newest !== undefined && block.number < this.#newest.number
    // A gateway that is behind for a while is no reorganisation.
    if (known?.hash === block.hash && isBehind) return true
    if (known !== undefined && known.hash !== block.hash) this.#forgetAbove(block.number)
    this.#newest = block
    this.#remember(block)
    this.#doubt(block)
    void this.#check()
    this.#changes.notify()
    this.#options.onHead()
    return true
  }

  #remember(block: Block): void {
    const known = this.#blocks.get(block.number)
    this.#blocks.set(block.number, block)
    for (const number of this.#blocks.keys()) {
      if (this.#blocks.size <= remembered) break
      this.#forget(number)
    }
    if (known !== undefined && known.hash !== block.hash) this.#options.onReplaced(block.number)
  }

  /** They were built on a block that is no longer there. */
  #forgetAbove(number: number): void {
    for (const later of [...this.#blocks.keys()].filter((each) => each > number)) {
      this.#forget(later)
      this.#options.onReplaced(later)
    }
  }

  /** A doubt goes with its block, which bounds them. */
  #forget(number: number): void {
    this.#blocks.delete(number)
    this.#doubted.delete(number)
  }

  #doubt(head: Block): void {
    const parent = this.#blocks.get(head.number - 1)
    if (parent?.hash === head.parentHash) return
    this.#doubted.add(head.number)
    // After a gap nothing speaks for a reorganisation; one is looked for now and then.
    if (parent !== undefined) this.#nextCheck = 0
  }

  /** Looks back as far as blocks have been replaced, before each that is in doubt. */
  async #check(): Promise<void> {
    const now = this.#options.context.clock.elapsed()
    if (this.#isChecking || this.#doubted.size === 0 || now < this.#nextCheck) return
    this.#nextCheck = now + recheckEvery
    this.#isChecking = true
    const doubted = [...this.#doubted]
    if (await this.#lookBack(doubted)) for (const number of doubted) this.#doubted.delete(number)
    this.#isChecking = false
    this.#changes.notify()
  }

  /** @returns whether all could be asked for */
  async #lookBack(doubted: readonly number[]): Promise<boolean> {
    let above = Math.max(...doubted)
    for (;;) {
      const number = Math.max(-1, ...[...this.#blocks.keys()].filter((each) => each < above))
      const known = this.#blocks.get(number)
      if (known === undefined) return true
      const block = await this.#fetch(number)
      if (block === undefined) return false
      above = number
      if (block.hash !== known.hash) this.#remember(block)
      // Each is the parent of the next, back to where there is a doubt again.
      else above = Math.max(-1, ...doubted.filter((each) => each <= number))
    }
  }

  async #read(number: number): Promise<Block | undefined> {
    const block = await this.#fetch(number)
    if (block !== undefined) this.#remember(block)
    return block
  }

  async #fetch(number: number): Promise<Block | undefined> {
    const { context, chain } = this.#options
    const call = { method: 'eth_getBlockByNumber', params: [quantityOf(number), false] }
    try {
      const { outcome, gateway } = await askNamed(context, { group: this.group, chain, call })
      const block = 'result' in outcome ? blockOf(outcome.result, gateway) : undefined
      return block?.number === number ? block : undefined
    } catch {
      // Whoever asked does without: what needs it counts as not checked.
      return undefined
    }
  }
}

function blockOf(value: Json | undefined, gateway: string): Block | undefined {
  if (!isObject(value)) return undefined
  const { number, hash, parentHash, timestamp } = value
  if (!isSafeQuantity(number) || !isSafeQuantity(timestamp) || !isHash(hash) || !isHash(parentHash)) return undefined
  return {
    number: Number(number),
    hash: hash.toLowerCase(),
    parentHash: parentHash.toLowerCase(),
    timestamp: Number(timestamp),
    header: value,
    gateway,
  }
}
