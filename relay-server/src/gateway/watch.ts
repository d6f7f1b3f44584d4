/**
 * One watch: reads an account or a receipt at slots that follow from the chain and from a delay of its own, and from
 * nothing that its client does later. When the head reaches a block of the grid it waits for its delay, then reads at the
 * newest block of the grid. It tells what it read whether or not anything has changed.
 */
import { asNightjarError, type ErrorCode } from '@nightjar/shared/errors'
import { type Json, toRpcError } from '@nightjar/shared/rpc'
import type { Clock, Timer } from '@nightjar/shared/runtime'
import { hexadecimal } from './fields.ts'
import type { HeadListener, Heads } from './follower.ts'

/** Reads what is watched. */
export interface Reader {
  /** What to tell of block `number`. @throws NightjarError where it cannot be read */
  read(number: bigint, signal: AbortSignal): Promise<Reading>
}

export interface Reading {
  readonly answers: readonly Json[]
  /** There is nothing to tell any more. */
  readonly isLast: boolean
}

export interface WatchListener {
  onAnswers(answers: readonly Json[]): void
  onEnd(code: ErrorCode): void
}

export interface WatchOptions {
  readonly heads: Heads
  readonly clock: Clock
  readonly reader: Reader
  /** Blocks from one of the grid to the next. */
  readonly stride: number
  /** Milliseconds from a grid block to the slot. */
  readonly delay: number
  /** Milliseconds after which it ends by itself; without it never. */
  readonly lifetime?: number
}

export class Watch {
  readonly #options: WatchOptions
  readonly #stride: bigint
  readonly #stopped = new AbortController()
  readonly #followed: HeadListener
  readonly #listener: WatchListener
  /** Newest grid block at or below the head. */
  #newest = 0n
  /** The grid block of the last slot; at first the one that was there before the watch. */
  #taken: bigint | undefined
  #isBusy = false
  #slot: Timer | undefined
  #end: Timer | undefined

  constructor(options: WatchOptions, listener: WatchListener) {
    this.#options = options
    this.#stride = BigInt(options.stride)
    this.#listener = listener
    this.#followed = {
      onHead: ({ number }) => this.#learn(number),
      onEnd: (code) => this.#over(code),
    }
  }

  start(): void {
    const { heads, clock, lifetime } = this.#options
    if (lifetime !== undefined) this.#end = clock.after(lifetime, () => this.#over('done'))
    heads.follow(this.#followed)
  }

  stop(): void {
    this.#stopped.abort()
    this.#slot?.cancel()
    this.#end?.cancel()
    this.#options.heads.unfollow(this.#followed)
  }

  #over(code: ErrorCode): void {
    this.stop()
    this.#listener.onEnd(code)
  }

  #learn(head: bigint): void {
    this.#newest = head - (head % this.#stride)
    // Where the chain has gone back behind the last slot, its block has yet to come again.
    if (this.#taken === undefined || head < this.#taken) this.#taken = this.#newest
    this.#awaitSlot()
  }

  #awaitSlot(): void {
    if (this.#isBusy || this.#taken === undefined || this.#newest <= this.#taken) return
    this.#isBusy = true
    this.#slot = this.#options.clock.after(this.#options.delay, () => void this.#take())
  }

  async #take(): Promise<void> {
    const number = this.#newest
    this.#taken = number
    const { answers, isLast } = await this.#read(number)
    if (this.#stopped.signal.aborted) return
    this.#isBusy = false
    if (answers.length > 0) this.#listener.onAnswers(answers)
    if (isLast) this.#over('done')
    // Being told, the listener may have ended it.
    else if (!this.#stopped.signal.aborted) this.#awaitSlot()
  }

  async #read(number: bigint): Promise<Reading> {
    try {
      return await this.#options.reader.read(number, this.#stopped.signal)
    } catch (error) {
      return { answers: [failureAt(number, error)], isLast: false }
    }
  }
}

/** What is told of block `number` where it could not be read: silence would show on the wire. */
export function failureAt(number: bigint, error: unknown): Json {
  const { code, message, data } = toRpcError(asNightjarError(error))
  return { number: hexadecimal(number), error: { code, message, ...(data === undefined ? {} : { data }) } }
}
