/**
 * A token bucket: so much per second, and so much at once. What is taken beyond is a debt; whoever may not lose anything
 * waits until it is paid, whoever may asks `take`.
 */
import { type Clock, second } from '@nightjar/shared/runtime'

export interface Rate {
  readonly perSecond: number
  readonly atOnce: number
}

export class TokenBucket {
  readonly #clock: Clock
  readonly #rate: Rate
  #tokens: number
  /** In milliseconds of `Clock.elapsed`. */
  #filledAt: number

  constructor(clock: Clock, rate: Rate) {
    this.#clock = clock
    this.#rate = rate
    this.#tokens = rate.atOnce
    this.#filledAt = clock.elapsed()
  }

  /** Whether `count` are there. */
  has(count: number): boolean {
    this.#fill()
    return this.#tokens >= count
  }

  /** Takes `count` if they are there. */
  take(count: number): boolean {
    if (!this.has(count)) return false
    this.#tokens -= count
    return true
  }

  /** Takes `count` whether they are there or not. */
  owe(count: number): void {
    this.#fill()
    this.#tokens -= count
  }

  /** Milliseconds until all debt is paid. */
  get debt(): number {
    if (this.#tokens >= 0) return 0
    this.#fill()
    return Math.max(0, (-this.#tokens / this.#rate.perSecond) * second)
  }

  #fill(): void {
    const now = this.#clock.elapsed()
    const passed = now - this.#filledAt
    this.#filledAt = now
    this.#tokens = Math.min(this.#rate.atOnce, this.#tokens + (passed / second) * this.#rate.perSecond)
  }
}
