/**
 * Follows the newest blocks of a chain over the private path, for all subscriptions of one isolation group. The gateway
 * pushes a header whenever its newest block changes; blocks in between are read here, and so is what became of a chain
 * that was reorganised. Blocks further back than `remembered`, and those that cannot be read, are told as missed.
 */
import type { Following, OutcomeHandler } from '@nightjar/shared/requests'
import type { Call, Json, Outcome } from '@nightjar/shared/rpc'
import { type Clock, second, type Timer } from '@nightjar/shared/runtime'

export interface Head {
  readonly hash: string
  readonly parentHash: string
  readonly number: number
  /** As the node gave it. */
  readonly header: Json
}

export interface HeadChange {
  /** Blocks that are no longer part of the chain, newest first. */
  readonly removed: readonly Head[]
  /** New blocks, oldest first. */
  readonly added: readonly Head[]
  /** Blocks before `added` that are new too, and not in it: from this number up to that one. */
  readonly missed?: { readonly from: number; readonly to: number }
}

export interface HeadsOptions {
  readonly clock: Clock
  follow(handler: OutcomeHandler): Promise<Following>
  read(call: Call): Promise<Outcome>
}

const remembered = 64
const firstPause = 1 * second
const longestPause = 30 * second

export class HeadFollower {
  readonly #options: HeadsOptions
  readonly #listeners = new Set<(change: HeadChange) => void>()
  /** The chain as far as it was told, oldest first. */
  #chain: Head[] = []
  #following: Following | undefined
  #retry: Timer | undefined
  #failures = 0
  /** The head to go to next. One that comes while blocks are read takes the place of another that waits. */
  #next: Head | undefined
  #isWorking = false
  #isRunning = false

  constructor(options: HeadsOptions) {
    this.#options = options
  }

  get isUsed(): boolean {
    return this.#listeners.size > 0
  }

  /** @returns what ends it; the follower ends with its last listener, for good */
  listen(listener: (change: HeadChange) => void): () => void {
    this.#listeners.add(listener)
    if (!this.#isRunning) {
      this.#isRunning = true
      void this.#start()
    }
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size === 0) this.#stop()
    }
  }

  async #start(): Promise<void> {
    try {
      const following = await this.#options.follow({
        onOutcome: (outcome) => this.#onOutcome(outcome),
        onEnd: () => this.#again(),
      })
      if (this.#isRunning) this.#following = following
      else following.stop()
    } catch {
      // The path is gone; every request says why. Subscriptions go on once it is there again.
      this.#again()
    }
  }

  #stop(): void {
    this.#isRunning = false
    this.#retry?.cancel()
    this.#following?.stop()
    this.#following = undefined
    this.#chain = []
  }

  #again(): void {
    this.#following = undefined
    if (!this.#isRunning) return
    const pause = Math.min(firstPause * 2 ** Math.min(this.#failures, 5), longestPause)
    this.#failures += 1
    this.#retry = this.#options.clock.after(pause, () => void this.#start())
  }

  #onOutcome(outcome: Outcome): void {
    if ('error' in outcome) return
    const head = asHead(outcome.result)
    if (head === undefined) return
    this.#failures = 0
    this.#next = head
    if (!this.#isWorking) void this.#work()
  }

  /** One head after the other: filling a gap takes requests. */
  async #work(): Promise<void> {
    this.#isWorking = true
    for (let head = this.#take(); head !== undefined; head = this.#take()) await this.#advance(head)
    this.#isWorking = false
  }

  #take(): Head | undefined {
    const head = this.#next
    this.#next = undefined
    return this.#isRunning ? head : undefined
  }

  async #advance(head: Head): Promise<void> {
    // The first one is where it begins: only what comes after it is new.
    if (this.#chain.length === 0) this.#chain = [head]
    // A gateway that is behind is no reorganisation: one that ends in a known block shows with the next new one.
    if (this.#chain.some(({ hash }) => hash === head.hash)) return
    const added = await this.#backToKnown(head)
    if (!this.#isRunning) return
    const first = added[0] as Head
    const parent = this.#chain.findIndex(({ hash }) => hash === first.parentHash)
    const isLinked = parent >= 0
    // Where it is not linked to what is known, the block before it is another than the known one too.
    const isKept = ({ number }: Head, index: number) => (isLinked ? index <= parent : number < first.number - 1)
    const kept = this.#chain.filter(isKept)
    const removed = this.#chain.slice(kept.length).reverse()
    const missed = isLinked ? undefined : this.#between(first)
    this.#chain = [...(isLinked ? kept : []), ...added].slice(-remembered)
    this.#tell({ removed, added, ...(missed === undefined ? {} : { missed }) })
  }

  /** Blocks before `first` that were not told, as far back as is known of the chain. */
  #between(first: Head): HeadChange['missed'] {
    const [oldest, last] = [this.#chain[0] as Head, this.#chain.at(-1) as Head]
    const to = first.number - 1
    const from = Math.max(oldest.number, Math.min(last.number + 1, to))
    return from <= to ? { from, to } : undefined
  }

  /** The blocks from the first after a known one to `head`, as far as they are remembered and can be had. */
  async #backToKnown(head: Head): Promise<Head[]> {
    const added = [head]
    const oldest = this.#chain[0] as Head
    while (added.length < remembered && this.#isRunning) {
      const { parentHash, number } = added[0] as Head
      if (number <= oldest.number || this.#chain.some(({ hash }) => hash === parentHash)) break
      const parent = await this.#block(parentHash)
      if (parent === undefined) break
      added.unshift(parent)
    }
    return added
  }

  async #block(hash: string): Promise<Head | undefined> {
    try {
      const outcome = await this.#options.read({ method: 'eth_getBlockByHash', params: [hash, false] })
      const head = 'result' in outcome ? asHead(outcome.result) : undefined
      return head?.hash === hash ? head : undefined
    } catch {
      // No answer: better to go on without it than not at all. Whoever needs it is told that it was missed.
      return undefined
    }
  }
  #tell(change: HeadChange): void {
    for (const listener of [...this.#listeners]) listener(change)
  }
}

/** What a header has that a block has too, and nothing else (execution-apis, newHeads). */
const bodyFields = ['transactions', 'uncles', 'withdrawals', 'size', 'totalDifficulty']

function asHead(value: Json): Head | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const block = value as { readonly [key: string]: Json }
  const { hash, parentHash, number } = block
  if (typeof hash !== 'string' || typeof parentHash !== 'string' || typeof number !== 'string') return undefined
  if (!/^0x[0-9a-f]{1,13}$/.test(number)) return undefined
  const header = Object.fromEntries(Object.entries(block).filter(([name]) => !bodyFields.includes(name)))
  return { hash, parentHash, number: Number(number), header }
}
