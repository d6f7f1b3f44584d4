/**
 * The answers of one circuit that its client has not taken yet. They leave in pieces, so that one that stands still is known
 * from one that is slow: of which nothing is taken for long is given up. The answers of a circuit leave in turns, so with
 * many of them each may be seen to stand still: none does while its circuit as a whole keeps pace.
 */
import { partSize, type Stream } from '@nightjar/shared/circuit'
import { limits } from '@nightjar/shared/limits'
import type { Clock, Timer } from '@nightjar/shared/runtime'
import type { OnRefused, Refusal } from '../limits/refusal.ts'
import type { CircuitMemory } from './answerMemory.ts'

export interface UntakenOptions {
  readonly clock: Clock
  readonly memory: CircuitMemory
  readonly onRefused: OnRefused
  /** There may be room again. */
  onRoom(): void
}

interface Leaving {
  readonly stream: Stream
  readonly record: Uint8Array
  given: number
  taken: number
  /** Since the last look at it. */
  isMoving: boolean
}

/** Cells within which all answers together are seen to move: the more there are, the smaller are their pieces. */
const roundCells = limits.creditStep
/** Each piece costs a call: no smaller ones, and with more than sixteen answers a longer round. */
const leastPieceCells = 4
/** A circuit keeps pace that takes this part of what is held for it between two looks: all in a quarter of an hour. */
const pace = 1 / 32

export class Untaken {
  readonly #options: UntakenOptions
  readonly #leaving = new Map<Stream, Leaving>()
  #held = 0
  /** Bytes that have left since the last look. */
  #taken = 0
  #look: Timer | undefined

  constructor(options: UntakenOptions) {
    this.#options = options
  }

  /** Whether more may be asked: the rest is for the answers to what is asked already. */
  get hasRoom(): boolean {
    if (this.#leaving.size === 0) return true
    return this.#held <= limits.answerBytesPerBranch / 2 && this.#options.memory.hasPlenty
  }

  /** Why an answer of `bytes` may not be held too. */
  refusalOf(bytes: number): Refusal | undefined {
    if (this.#held + bytes > limits.answerBytesPerBranch) return 'untaken-answers'
    return bytes > this.#options.memory.room ? 'answer-memory' : undefined
  }

  /** Sends `record`, and nothing after it. */
  send(stream: Stream, record: Uint8Array): void {
    const leaving = { stream, record, given: 0, taken: 0, isMoving: true }
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
    this.#noteTaken(leaving)
    this.#give(leaving)
  }

  /** All of it has left. */
  sent(stream: Stream): void {
    const leaving = this.#leaving.get(stream)
    if (leaving === undefined) return
    this.#noteTaken(leaving)
    this.forget(stream)
  }

  /** Nobody waits for it any more. */
  forget(stream: Stream): void {
    const leaving = this.#leaving.get(stream)
    if (leaving === undefined) return
    this.#leaving.delete(stream)
    this.#hold(-leaving.record.length)
    if (this.#leaving.size === 0) this.#stopLooking()
  }

  #give(leaving: Leaving): void {
    const { stream, record, given } = leaving
    const cells = Math.max(leastPieceCells, Math.floor(roundCells / this.#leaving.size))
    leaving.given = Math.min(given + cells * partSize, record.length)
    stream.send(record.subarray(given, leaving.given), leaving.given === record.length)
  }

  #noteTaken(leaving: Leaving): void {
    this.#taken += leaving.given - leaving.taken
    leaving.taken = leaving.given
  }

  #giveUpStalled(): void {
    this.#look = undefined
    const keepsPace = this.#taken > 0 && this.#taken >= this.#held * pace
    this.#taken = 0
    for (const leaving of [...this.#leaving.values()]) {
      if (!leaving.isMoving && !keepsPace) {
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
    this.#options.memory.hold(bytes)
  }
}
