/**
 * Bytes of questions and answers that a process holds: questions as they come and until they are answered, answers as
 * providers send them and until clients have taken them. A circuit gets no more once it holds its share of what is free;
 * the last part is kept for those who hold little, so that a few who ask and never take leave room for everybody else.
 */
import { limits } from '../limits/limits.ts'
import { isFair } from '../limits/share.ts'

export class AnswerMemory {
  held = 0
  readonly #most: number
  readonly #kept: number

  /** `most` in bytes. */
  constructor(most: number) {
    this.#most = Math.floor(most)
    this.#kept = Math.floor(most * limits.keptOfAnswers)
  }

  get free(): number {
    return this.#most - this.held
  }

  /** Without what is kept for those who hold little. */
  get freeForAll(): number {
    return this.free - this.#kept
  }
}

/** What one circuit holds of it. */
export class CircuitMemory {
  readonly #memory: AnswerMemory
  #held = 0

  constructor(memory: AnswerMemory) {
    this.#memory = memory
  }

  /** Bytes that it may hold more. */
  get room(): number {
    const { free, freeForAll } = this.#memory
    const shared = isFair(this.#held, freeForAll) ? freeForAll : 0
    return Math.max(shared, Math.min(limits.littleAnswer - this.#held, free), 0)
  }

  /** Whether it is so far from its share that what it has asked will find room too. */
  get hasPlenty(): boolean {
    return isFair(4 * this.#held, this.#memory.freeForAll)
  }

  /** Holds `bytes` more; less where that is negative. */
  hold(bytes: number): void {
    this.#held += bytes
    this.#memory.held += bytes
  }
}
