/**
 * The answers of one circuit that its client has not taken yet. They leave in pieces, so that one that stands still is known
 * from one that is slow: of which nothing is taken for long is given up.
 */
import { partSize, type Stream } from '@nightjar/shared/circuit'
import { limits } from '@nightjar/shared/limits'
import type { Clock, Timer } from '@nightjar/shared/runtime'
import type { OnRefused, Refusal } from '../limits/refusal.ts'
import type { AnswerMemory } from './answerMemory.ts'

export interface UntakenOptions {
  readonly clock: Clock
  /** Of the process. */
  readonly memory: AnswerMemory
  readonly onRefused: OnRefused
  /** There may be room again. */
  onRoom(): void
}

interface Leaving {
  readonly stream: Stream
  readonly record: Uint8Array
  given: number
  /** Since the last look at it. */
  isMoving: boolean
}

const pieceBytes = limits.creditStep * partSize

export class Untaken {
  readonly #options: UntakenOptions
  readonly #leaving = new Map<Stream, Leaving>()
  #held = 0
  #look: Timer | undefined

  constructor(options: UntakenOptions) {
    this.#options = options
  }

  /** Whether more may be asked: the other half is for the answers to what is asked already. */
  get hasRoom(): boolean {
    return this.#held <= limits.answerBytesPerBranch / 2
  }

  /** Why an answer of `bytes` may not be held too. */
  refusalOf(bytes: number): Refusal | undefined {
    if (this.#held + bytes > limits.answerBytesPerBranch) return 'untaken-answers'
    return this.#options.memory.isFull ? 'answer-memory' : undefined
  }

  /** Sends `record`, and nothing after it. */
  send(stream: Stream, record: Uint8Array): void {
    const leaving = { stream, record, given: 0, isMoving: true }
    this.#leaving.set(stream, leaving)
    this.#hold(record.length)
    this.#give(leaving)
    if (this.#leaving.size > 0)
      this.#look ??= this.#options.clock.after(limits.answerStall, () => this.#giveUpStalled())
  }

  /** A piece has left. */
  goOn(stream: Stream): void {
    const leaving = this.#leaving.get(stream)
    if (leaving === undefined) return
    leaving.isMoving = true
    this.#give(leaving)
  }

  /** All of it has left, or the stream is over. */
  forget(stream: Stream): void {
    const leaving = this.#leaving.get(stream)
    if (leaving === undefined) return
    this.#leaving.delete(stream)
    this.#hold(-leaving.record.length)
    if (this.#leaving.size === 0) this.#stopLooking()
  }

  #give(leaving: Leaving): void {
    const { stream, record, given } = leaving
    leaving.given += pieceBytes
    stream.send(record.subarray(given, leaving.given), leaving.given >= record.length)
  }

  #giveUpStalled(): void {
    this.#look = undefined
    for (const leaving of [...this.#leaving.values()]) {
      if (!leaving.isMoving) {
        this.#options.onRefused('stalled-answer')
        leaving.stream.reset('timed-out')
        this.forget(leaving.stream)
      }
      leaving.isMoving = false
    }
    if (this.#leaving.size > 0) this.#look = this.#options.clock.after(limits.answerStall, () => this.#giveUpStalled())
    this.#options.onRoom()
  }

  #stopLooking(): void {
    this.#look?.cancel()
    this.#look = undefined
  }

  #hold(bytes: number): void {
    this.#held += bytes
    this.#options.memory.held += bytes
  }
}
