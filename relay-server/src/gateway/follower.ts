/**
 * Looks at one chain for its newest block, on behalf of all who follow it, and only while one does. Upstreams are polled:
 * plain HTTP is all that they have to speak, and they do not learn how many follow. Where one pushes its blocks, polls
 * become rare and only check that it still does.
 */
import type { ErrorCode } from '@nightjar/shared/errors'
import type { Call, Outcome } from '@nightjar/shared/rpc'
import { type Clock, second, type Timer } from '@nightjar/shared/runtime'
import type { Chain } from './broadcasts.ts'
import { type Head, headOf } from './header.ts'
import type { PushedHeads } from './headsSocket.ts'

export interface HeadListener {
  onHead(head: Head): void
  /** Nothing more comes. */
  onEnd(code: ErrorCode): void
}

/** The chain's newest blocks, for those who follow them. */
export interface Heads {
  /** Tells `listener` the newest head, at once where it is known, and then each new one. */
  follow(listener: HeadListener): void
  unfollow(listener: HeadListener): void
  /** The last few heads, from old to new without a gap: each is the parent of the next. */
  readonly recent: readonly Head[]
  /** The hash of block `number` on the chain of the newest head, where the heads since then had no gap. */
  hashAt(number: bigint): string | undefined
}

export interface FollowerOptions {
  readonly upstreams: Pick<Chain, 'read'>
  readonly clock: Clock
  /** Milliseconds from an answer to the next question. */
  readonly every: number
  /** Where heads come from before they are asked for, if the operator has named such a place. */
  readonly pushed?: PushedHeads | undefined
}

const newest: Call = { method: 'eth_getBlockByNumber', params: ['latest', false] }
/** Without a head for this long, followers are told to look elsewhere. */
const patience = 30 * second
/** Three minutes of Ethereum's: wallets ask for no older block by its number, and few enough to keep them whole. */
const recentHeads = 16
/** So much rarer are polls while heads are pushed. */
const rarer = 5
/** More than the widest grid's last block is behind. */
const knownHashes = 2048

export class HeadFollower implements Heads {
  readonly #options: FollowerOptions
  readonly #listeners = new Set<HeadListener>()
  #polling = new AbortController()
  #next: Timer | undefined
  #deadline: Timer | undefined
  #recent: readonly Head[] = []
  /** By number, ascending. */
  readonly #hashes = new Map<bigint, string>()
  #hasDoubts = false
  #failures = 0
  /** The newest head that was pushed; undefined while none is. */
  #pushed: bigint | undefined
  /** The newest head that was polled while heads were pushed. */
  #polled: bigint | undefined

  constructor(options: FollowerOptions) {
    this.#options = options
  }

  /** Polls, since it was made, that gave no head. */
  get failures(): number {
    return this.#failures
  }

  get recent(): readonly Head[] {
    return this.#recent
  }

  hashAt(number: bigint): string | undefined {
    return this.#hashes.get(number)
  }

  follow(listener: HeadListener): void {
    this.#listeners.add(listener)
    const head = this.#recent.at(-1)
    if (this.#listeners.size === 1) this.#start()
    else if (head !== undefined) listener.onHead(head)
  }

  unfollow(listener: HeadListener): void {
    if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#stop()
  }

  #start(): void {
    this.#polling = new AbortController()
    this.#waitForHead()
    void this.#poll(this.#polling.signal)
    this.#options.pushed?.start({ onBlock: (outcome) => this.#takePushed(outcome), onLost: () => this.#losePushed() })
  }

  #stop(): void {
    this.#polling.abort()
    this.#options.pushed?.stop()
    this.#pushed = undefined
    this.#next?.cancel()
    this.#deadline?.cancel()
    this.#recent = []
    this.#hashes.clear()
  }

  #waitForHead(): void {
    this.#deadline?.cancel()
    this.#deadline = this.#options.clock.after(patience, () => {
      const listeners = [...this.#listeners]
      this.#listeners.clear()
      this.#stop()
      for (const listener of listeners) listener.onEnd('upstream-failed')
    })
  }

  async #poll(signal: AbortSignal): Promise<void> {
    this.#next = undefined
    const head = await this.#look(signal)
    if (signal.aborted) return
    if (head !== undefined) {
      this.#compare(head)
      this.#learn(head)
    } else this.#failures += 1
    // The last listener may have left on hearing of it.
    if (!signal.aborted) this.#awaitPoll(signal)
  }

  #awaitPoll(signal: AbortSignal): void {
    const { clock, every } = this.#options
    this.#next?.cancel()
    this.#next = clock.after(this.#pushed === undefined ? every : rarer * every, () => void this.#poll(signal))
  }

  #takePushed(outcome: Outcome): void {
    let head: Head
    try {
      head = headOf(outcome)
    } catch {
      // The block of a header may be gone again by the time that it is asked for; the next poll tells what is there.
      return
    }
    this.#pushed = head.number
    const last = this.#recent.at(-1)
    // A chain that has gone back is for the polls to find: one place that is behind says nothing.
    if (last === undefined || head.number >= last.number) this.#learn(head)
  }

  #losePushed(): void {
    if (this.#pushed === undefined) return
    this.#pushed = undefined
    this.#polled = undefined
    // While a poll is under way, the next is set when it ends.
    if (this.#next !== undefined) this.#awaitPoll(this.#polling.signal)
  }

  /** What a poll had found is pushed by the time of the next, or it is not pushed at all any more. */
  #compare({ number }: Head): void {
    if (this.#pushed === undefined) return
    if (this.#polled !== undefined && this.#polled > this.#pushed) this.#options.pushed?.doubt()
    else this.#polled = number
  }

  async #look(signal: AbortSignal): Promise<Head | undefined> {
    try {
      return headOf(await this.#options.upstreams.read(newest, signal))
    } catch {
      // Counted by the caller; whatever it was, the next poll may do better.
      return undefined
    }
  }

  #learn(head: Head): void {
    this.#waitForHead()
    const last = this.#recent.at(-1)
    if (this.#isDoubtful(head, last) || head.hash === last?.hash) return
    this.#remember(head, last)
    for (const listener of this.#listeners) listener.onHead(head)
  }

  #remember(head: Head, last: Head | undefined): void {
    const isNext = last?.number === head.number - 1n && last.hash === head.parentHash
    if (isNext) {
      this.#recent = [...this.#recent.slice(1 - recentHeads), head]
    } else {
      // After a gap or a reorganisation, what was known may be of another branch of the chain.
      this.#recent = [head]
      this.#hashes.clear()
      this.#hashes.set(head.number - 1n, head.parentHash)
    }
    this.#hashes.set(head.number, head.hash)
    if (this.#hashes.size > knownHashes) this.#hashes.delete(head.number - BigInt(knownHashes))
  }

  /**
   * One of several upstreams may be a block behind, and the next poll reach another: a lower head is believed once two
   * polls in a row gave one, or everybody would be shown reorganisations that never were.
   */
  #isDoubtful(head: Head, last: Head | undefined): boolean {
    const isLower = last !== undefined && head.number < last.number
    this.#hasDoubts = isLower && !this.#hasDoubts
    return this.#hasDoubts
  }
}
