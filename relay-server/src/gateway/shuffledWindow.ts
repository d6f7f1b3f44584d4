/**
 * Holds what leaves for the providers until the end of a window, then lets all of it go at once in random order: which of
 * the questions came in first is lost. A window begins with the first question. Of 0 milliseconds, nothing waits.
 */
import type { Clock } from '@nightjar/shared/runtime'

export interface ShuffledWindowOptions {
  readonly clock: Clock
  /** Milliseconds. */
  readonly window: number
  /** A number in [0, 1). */
  random(): number
}

export class ShuffledWindow {
  readonly #options: ShuffledWindowOptions
  #waiting: (() => void)[] = []

  constructor(options: ShuffledWindowOptions) {
    this.#options = options
  }

  leave<T>(send: () => Promise<T>): Promise<T> {
    const { clock, window } = this.#options
    if (window === 0) return send()
    return new Promise((resolve) => {
      if (this.#waiting.length === 0) clock.after(window, () => this.#release())
      this.#waiting.push(() => resolve(send()))
    })
  }

  #release(): void {
    const leaving = this.#waiting
    this.#waiting = []
    // Fisher and Yates: each order is as likely as any other.
    for (let last = leaving.length - 1; last > 0; last--) {
      const other = Math.floor(this.#options.random() * (last + 1))
      ;[leaving[last], leaving[other]] = [leaving[other] as () => void, leaving[last] as () => void]
    }
    for (const send of leaving) send()
  }
}
