/**
 * What workers that are gone have counted, so that sums never go down: Prometheus would take that for a start of the relay,
 * and see all of it come once more. What a worker counted after it was asked last is lost with it.
 */
import { countsOf, type Reading, sumOf } from '../admin/reading.ts'

export class Tally {
  #total: Promise<Reading> = Promise.resolve({ families: [], steps: {} })

  /** Of all that are gone now. */
  get total(): Promise<Reading> {
    return this.#total
  }

  bury(last: Reading | undefined): void {
    if (last === undefined) return
    this.#total = this.#total.then((total) => sumOf([total, countsOf(last)]))
  }
}
