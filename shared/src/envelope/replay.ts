/** Which record counters were seen: a sliding window of bits (the method of RFC 6479). */
import { limits } from '../limits.ts'

const wordBits = 32
/** One word more than the window, so that clearing whole words never forgets a counter inside it. */
const words = limits.replayWindow / wordBits + 1

export class ReplayWindow {
  readonly #bits = new Uint32Array(words)
  #highest = -1

  /** Whether `counter` is new; marks it as seen if so. Call it only for records that were authentic. */
  accept(counter: number): boolean {
    if (counter <= this.#highest - limits.replayWindow) return false
    this.#slideTo(counter)
    const index = Math.floor(counter / wordBits) % words
    const bit = 1 << (counter % wordBits)
    const word = this.#bits[index] as number
    if ((word & bit) !== 0) return false
    this.#bits[index] = word | bit
    return true
  }

  #slideTo(counter: number): void {
    if (counter <= this.#highest) return
    const from = Math.floor(this.#highest / wordBits)
    const to = Math.floor(counter / wordBits)
    const steps = Math.min(to - from, words)
    for (let step = 0; step < steps; step++) this.#bits[(to - step) % words] = 0
    this.#highest = counter
  }
}
