/**
 * The questions of one circuit that have not come whole, and their bytes. One of which nothing comes for long is given up,
 * so that nobody holds memory with questions that never end.
 */
import type { Budget, Stream, StreamHandler } from '@nightjar/shared/circuit'
import { limits as protocol } from '@nightjar/shared/limits'
import type { Clock, Timer } from '@nightjar/shared/runtime'
import { limits } from '../limits/limits.ts'
import type { OnRefused } from '../limits/refusal.ts'
import type { CircuitMemory } from './answerMemory.ts'

interface Coming {
  readonly handler: StreamHandler
  /** Since the last look at it. */
  isMoving: boolean
}

export class Unfinished {
  readonly #clock: Clock
  readonly #onRefused: OnRefused
  readonly #coming = new Map<Stream, Coming>()
  #look: Timer | undefined

  constructor(clock: Clock, onRefused: OnRefused) {
    this.#clock = clock
    this.#onRefused = onRefused
  }

  /** `handler`, which takes the question on `stream`, and is told `timed-out` where that stands still. */
  watched(stream: Stream, handler: StreamHandler): StreamHandler {
    const coming = { handler, isMoving: true }
    this.#coming.set(stream, coming)
    this.#look ??= this.#clock.after(limits.questionStall, () => this.#giveUpStalled())
    return {
      ...handler,
      onData(data) {
        coming.isMoving = true
        handler.onData(data)
      },
      onEnd: (code) => {
        this.forget(stream)
        handler.onEnd(code)
      },
    }
  }

  /** It is over, whole or not. */
  forget(stream: Stream): void {
    this.#coming.delete(stream)
    if (this.#coming.size > 0) return
    this.#look?.cancel()
    this.#look = undefined
  }

  #giveUpStalled(): void {
    this.#look = undefined
    for (const [stream, coming] of [...this.#coming]) {
      if (!coming.isMoving) {
        this.#onRefused('stalled-question')
        this.forget(stream)
        stream.reset('timed-out')
        coming.handler.onEnd('timed-out')
      }
      coming.isMoving = false
    }
    if (this.#coming.size > 0) this.#look = this.#clock.after(limits.questionStall, () => this.#giveUpStalled())
  }
}

/** Bytes that the questions of a circuit may hold until they are answered: its own bound, and its share of the process. */
export class QuestionBudget implements Budget {
  readonly #memory: CircuitMemory
  #held = 0

  constructor(memory: CircuitMemory) {
    this.#memory = memory
  }

  get left(): number {
    return Math.max(0, Math.min(protocol.questionBytesPerBranch - this.#held, this.#memory.room))
  }

  set left(left: number) {
    const taken = this.left - left
    this.#held += taken
    this.#memory.hold(taken)
  }
}
