/**
 * The newest block of a chain, and since when it is that. It goes back where nobody tells of it or of a later one any more:
 * one gateway that lies takes nothing back.
 */
import type { Clock } from '../runtime.ts'

/** Changes that are remembered: those of two minutes, the longest that a watch comes after its block, on the fastest chains. */
const remembered = 1024

export class Newest {
  readonly #clock: Clock
  /** Its changes in order, with the clock's elapsed milliseconds. */
  readonly #changes: { readonly number: number; readonly at: number }[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get number(): number | undefined {
    return this.#changes.at(-1)?.number
  }

  /** What it was at that time; undefined where that is not known. */
  at(time: number): number | undefined {
    return this.#changes.findLast(({ at }) => at <= time)?.number
  }

  /**
   * @param numbers of the newest block of each operator
   * @param isOneAlone the network has nobody else to ask
   */
  take(numbers: readonly number[], isOneAlone: boolean): void {
    const [first, second] = numbers.toSorted((one, other) => other - one)
    const number = second ?? (isOneAlone ? first : undefined)
    const known = this.number ?? 0
    if (number === undefined || number === known) return
    if (number < known && (first ?? 0) >= known) return
    this.#changes.push({ number, at: this.#clock.elapsed() })
    if (this.#changes.length > remembered) this.#changes.shift()
  }
}
