/**
 * When a second provider is asked as well: after the time within which nearly all answers of late have come, and for a
 * small share of the questions only, so that a slow moment of the providers does not double what they are asked.
 */

const remembered = 200
/** Before so many answers nothing is known of what is usual. */
const leastKnown = 20
/** Latencies are put in order once in so many answers. */
const sortedEvery = 20
const usual = 0.95
/** Of the questions that may be asked twice. */
const share = 0.05
/** Second questions that may come at once, where there was none for long. */
const burst = 10

export class Hedges {
  readonly #latencies: number[] = []
  #count = 0
  #patience: number | undefined
  #budget = 0

  /** An answer came after `latency` milliseconds. */
  learn(latency: number): void {
    this.#latencies[this.#count % remembered] = latency
    this.#count += 1
    if (this.#count >= leastKnown && this.#count % sortedEvery === 0) {
      const sorted = [...this.#latencies].sort((one, other) => one - other)
      this.#patience = sorted[Math.floor(sorted.length * usual)]
    }
  }

  /** A question is asked: milliseconds after which it may be asked of another, where what is usual is known. */
  begin(): number | undefined {
    this.#budget = Math.min(this.#budget + share, burst)
    return this.#patience
  }

  /** Whether it may be asked of another now. */
  spend(): boolean {
    // Shares add up with rounding errors.
    if (this.#budget < 1 - share / 2) return false
    this.#budget -= 1
    return true
  }
}
