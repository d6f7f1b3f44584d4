import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { limits } from '../limits.ts'
import { ReplayWindow } from './index.ts'

const window = limits.replayWindow

/** What ReplayWindow promises, as slowly and plainly as it can be said. */
class Naive {
  readonly #seen = new Set<number>()
  #highest = -1

  accept(counter: number): boolean {
    if (counter <= this.#highest - window || this.#seen.has(counter)) return false
    this.#seen.add(counter)
    this.#highest = Math.max(this.#highest, counter)
    return true
  }
}

function sameAsNaive(counters: Iterable<number>): void {
  const naive = new Naive()
  const real = new ReplayWindow()
  const answers: [number, boolean, boolean][] = []
  for (const counter of counters) answers.push([counter, naive.accept(counter), real.accept(counter)])
  expect(answers.filter(([, expected, got]) => expected !== got)).toEqual([])
}

describe('ReplayWindow does the same as a set of all counters', () => {
  test('for counters near each other', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3 * window), { maxLength: 300 }), (counters) => {
        sameAsNaive(counters)
      }),
    )
  })

  test('for steps forward and back of any size', () => {
    const step = fc.oneof(
      fc.integer({ min: -80, max: 80 }),
      fc.integer({ min: -window - 70, max: window + 70 }),
      fc.constantFrom(-window, 1 - window, -1 - window, -31, -32, -33, 31, 32, 33, window - 1, window, window + 1),
      fc.integer({ min: 0, max: 2 ** 45 }),
    )
    fc.assert(
      fc.property(fc.nat(100_000), fc.array(step, { maxLength: 300 }), (start, steps) => {
        let at = start
        sameAsNaive(steps.map((by) => (at = Math.max(0, at + by))))
      }),
      { numRuns: 300 },
    )
  })

  test('for every counter in order, backwards, and each twice', () => {
    const forward = Array.from({ length: 3 * window }, (_, index) => index)
    sameAsNaive(forward)
    sameAsNaive([...forward].reverse())
    sameAsNaive(forward.flatMap((counter) => [counter, counter]))
    sameAsNaive(forward.map((counter) => counter ^ 0x3f))
  })

  test('at the largest counters there are', () => {
    const top = Number.MAX_SAFE_INTEGER
    sameAsNaive([0, top, top, top - 1, top - window + 1, top - window, top - 1, 5])
    sameAsNaive([top - 70, top - 2 * window, top - 3, top])
  })
})

test('a jump of any size forgets everything at once, in little time', () => {
  const seen = new ReplayWindow()
  for (let counter = 1; counter < 2 ** 52; counter *= 2) expect(seen.accept(counter)).toBe(true)
  expect(seen.accept(1)).toBe(false)
})
