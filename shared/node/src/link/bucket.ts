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
  /** In the clock's milliseconds. */
  #filledAt: number

  constructor(clock: Clock, rate: Rate) {
    this.#clock = clock
    this.#rate = rate
    this.#tokens = rate.atOnce
    this.#filledAt = clock.now()
  }

  /** Takes `count` if they are there. */
  take(count: number): boolean {
    this.#fill()
    if (this.#tokens < count) return false
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
    const now = this.#clock.now()
    // A clock that was set back gives nothing, and takes nothing away.
    const passed = Math.max(0, now - this.#filledAt)
    this.#filledAt = now
    this.#tokens = Math.min(this.#rate.atOnce, this.#tokens + (passed / second) * this.#rate.perSecond)
  }
}
