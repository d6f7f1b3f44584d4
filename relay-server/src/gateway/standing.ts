/**
 * How a provider stands with the gateway, from how it answers. After failures in a row it is ejected for a time that
 * doubles; when that is over it is half open: one question of the gateway's own decides whether it comes back.
 */
import { type Clock, minute, second, type Timer } from '@nightjar/shared/runtime'

export interface StandingOptions {
  readonly clock: Clock
  /** Asks the provider one thing; whether it answered well. */
  probe(): Promise<boolean>
  onEjected(): void
}

const failuresInRow = 3
const shortestEjection = 5 * second
const longestEjection = 5 * minute
/** One that fails again this soon after it came back is ejected for longer. */
const settled = 1 * minute

export class Standing {
  readonly #options: StandingOptions
  #failures = 0
  #ejection = shortestEjection
  /** The end of the ejection, or the probe that decides. */
  #return: Timer | undefined
  #isEjected = false
  #returnedAt = Number.NEGATIVE_INFINITY
  #isClosed = false

  constructor(options: StandingOptions) {
    this.#options = options
  }

  get isEjected(): boolean {
    return this.#isEjected
  }

  succeeded(): void {
    this.#failures = 0
  }

  failed(): void {
    this.#failures += 1
    if (this.#failures < failuresInRow || this.#isEjected) return
    const isFlapping = this.#options.clock.elapsed() - this.#returnedAt < settled
    this.#eject(isFlapping ? this.#ejection * 2 : shortestEjection)
  }

  close(): void {
    this.#isClosed = true
    this.#return?.cancel()
  }

  #eject(duration: number): void {
    if (this.#isClosed) return
    this.#isEjected = true
    this.#ejection = Math.min(duration, longestEjection)
    this.#options.onEjected()
    this.#return = this.#options.clock.after(this.#ejection, () => void this.#tryAgain())
  }

  async #tryAgain(): Promise<void> {
    if (!(await this.#options.probe())) return this.#eject(this.#ejection * 2)
    this.#isEjected = false
    this.#failures = 0
    this.#returnedAt = this.#options.clock.elapsed()
  }
}
