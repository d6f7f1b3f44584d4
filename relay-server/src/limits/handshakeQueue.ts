/**
 * Handshakes that were admitted wait here for their turn. One takes some tenths of a millisecond, so a burst of them
 * answered at once would hold up the cells of everybody: in each turn of the event loop a few are answered, and cells go
 * in between. Sources take turns, so that a flood of one of them delays only itself.
 */
import { limits } from './limits.ts'
import type { OnRefused } from './refusal.ts'
import type { Source } from './sources.ts'

/** Calls `action` once, when the event loop has looked at everything else: `setImmediate`. */
export type NextTurn = (action: () => void) => void

export interface WaitingHandshake {
  /** False where nobody waits for it any more, which costs no turn. */
  answer(): boolean
  /** Too many wait. */
  refuse(): void
}

export class HandshakeQueue {
  readonly #nextTurn: NextTurn
  readonly #onRefused: OnRefused
  /** In the order in which sources have their turns. */
  readonly #waiting = new Map<Source, WaitingHandshake[]>()
  #length = 0
  #isScheduled = false

  constructor(nextTurn: NextTurn, onRefused: OnRefused) {
    this.#nextTurn = nextTurn
    this.#onRefused = onRefused
  }

  add(source: Source, handshake: WaitingHandshake): void {
    const own = this.#waiting.get(source) ?? []
    this.#waiting.set(source, own)
    own.push(handshake)
    this.#length += 1
    if (this.#length > limits.waitingHandshakes) this.#refuseOne()
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled || this.#length === 0) return
    this.#isScheduled = true
    this.#nextTurn(() => {
      this.#isScheduled = false
      this.#answerSome()
      this.#schedule()
    })
  }

  #answerSome(): void {
    let left = limits.handshakesPerTurn
    // One that is put back at the end comes again where others leave room: a relay has many clients behind it.
    for (const [source, own] of this.#waiting) {
      this.#waiting.delete(source)
      if (this.#answerFirst(own)) left -= 1
      if (own.length > 0) this.#waiting.set(source, own)
      if (left === 0) return
    }
  }

  /** False where nobody waits any more for any of them. */
  #answerFirst(own: WaitingHandshake[]): boolean {
    for (let first = own.shift(); first !== undefined; first = own.shift()) {
      this.#length -= 1
      if (first.answer()) return true
    }
    return false
  }

  /** The last of the source that has most. */
  #refuseOne(): void {
    let longest: [Source, WaitingHandshake[]] | undefined
    for (const each of this.#waiting) if (each[1].length > (longest?.[1].length ?? 0)) longest = each
    if (longest === undefined) return
    const [source, own] = longest
    const last = own.pop()
    if (own.length === 0) this.#waiting.delete(source)
    this.#length -= 1
    this.#onRefused('handshake-queue')
    last?.refuse()
  }
}
