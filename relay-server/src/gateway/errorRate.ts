/** How many of the questions of the last minutes were answered, in whole minutes: coarse enough to tell nothing about one. */
import { type Clock, minute } from '@nightjar/shared/runtime'

const minutes = 5

interface Count {
  readonly minute: number
  asked: number
  failed: number
}

export class ErrorRate {
  readonly #clock: Clock
  #counts: Count[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  note(isFailure: boolean): void {
    const now = Math.floor(this.#clock.elapsed() / minute)
    let count = this.#counts.at(-1)
    if (count?.minute !== now) {
      count = { minute: now, asked: 0, failed: 0 }
      this.#counts = [...this.#counts.slice(1 - minutes), count]
    }
    count.asked += 1
    if (isFailure) count.failed += 1
  }

  /** Of this minute and those before it. */
  get recent(): { readonly asked: number; readonly failed: number } {
    const since = this.#clock.elapsed() / minute - minutes
    const recent = this.#counts.filter((count) => count.minute > since)
    const sum = (of: (count: Count) => number) => recent.reduce((total, count) => total + of(count), 0)
    return { asked: sum(({ asked }) => asked), failed: sum(({ failed }) => failed) }
  }
}
