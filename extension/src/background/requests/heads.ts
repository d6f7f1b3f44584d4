/**
 * Follows the newest blocks of a chain over the private path, for all subscriptions of one isolation group. The gateway
 * pushes a header whenever its newest block changes; blocks in between are read here, and so is what became of a chain
 * that was reorganised. Blocks further back than `remembered` are given up.
 */
import { NightjarError } from '@nightjar/shared/errors'
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
  #work: Promise<void> = Promise.resolve()
  #isRunning = false

  constructor(options: HeadsOptions) {
    this.#options = options
  }

  get isUsed(): boolean {
    return this.#listeners.size > 0
  }

  /** @returns what ends it */
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
    // One after the other: filling a gap takes requests.
    this.#work = this.#work.then(() => this.#advance(head)).catch(() => this.#goOnFrom(head))
  }

  /** Blocks in between cannot be had: better to go on from here than not at all. */
  #goOnFrom(head: Head): void {
    this.#chain = [head]
    this.#tell({ removed: [], added: [head] })
  }

  async #advance(head: Head): Promise<void> {
    const last = this.#chain.at(-1)
    if (last?.hash === head.hash || !this.#isRunning) return
    // The first one is where it begins: only what comes after it is new.
    if (last === undefined) {
      this.#chain = [head]
      return
    }
    const added = await this.#backToKnown(head)
    const first = added[0] as Head
    const parent = this.#chain.findIndex(({ hash }) => hash === first.parentHash)
    // Not linked to what is known: either a gap too long to fill, or everything known was replaced.
    const isGap = parent < 0 && first.number > last.number
    const removed = isGap ? [] : this.#chain.slice(parent + 1).reverse()
    this.#chain = [...(isGap ? [] : this.#chain.slice(0, parent + 1)), ...added].slice(-remembered)
    this.#tell({ removed, added })
  }

  /** The blocks from the first after a known one to `head`, as far as they are remembered. */
  async #backToKnown(head: Head): Promise<Head[]> {
    const added = [head]
    const oldest = this.#chain[0] as Head
    while (added.length < remembered) {
      const { parentHash, number } = added[0] as Head
      if (number <= oldest.number || this.#chain.some(({ hash }) => hash === parentHash)) break
      added.unshift(await this.#block(parentHash))
    }
    return added
  }

  async #block(hash: string): Promise<Head> {
    const outcome = await this.#options.read({ method: 'eth_getBlockByHash', params: [hash, false] })
    const head = 'result' in outcome ? asHead(outcome.result) : undefined
    if (head?.hash !== hash) throw new NightjarError('upstream-failed')
    return head
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
