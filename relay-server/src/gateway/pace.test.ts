import { second } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Pace } from './pace.ts'

/** Takes records of `cells` whenever it may, which leave at once. */
class Taker {
  taken = 0
  readonly #pace: Pace
  readonly #cells: number

  constructor(pace: Pace, cells: number) {
    this.#pace = pace
    this.#cells = cells
    this.#take()
  }

  #take(): void {
    const send = () => {
      this.taken += this.#cells
      this.#pace.leave(send)
      this.#take()
    }
    this.#pace.enter(this.#cells, send)
  }
}

test('lets three records of 8 cells leave at once, then eight a second', () => {
  const clock = new FakeClock()
  const taker = new Taker(new Pace(clock), 8)
  expect(taker.taken).toBe(24)
  clock.advance(0.1 * second)
  expect(taker.taken).toBe(24)
  clock.advance(0.025 * second)
  expect(taker.taken).toBe(32)
  clock.advance(2.375 * second)
  expect(taker.taken).toBe(184)
})

test('saves no more than that for later', () => {
  const clock = new FakeClock()
  const pace = new Pace(clock)
  clock.advance(1000 * second)
  expect(new Taker(pace, 8).taken).toBe(24)
})

test('lets the largest record leave too, which is then paid for', () => {
  const clock = new FakeClock()
  const taker = new Taker(new Pace(clock), 256)
  expect(taker.taken).toBe(256)
  clock.advance(3.7 * second)
  expect(taker.taken).toBe(256)
  clock.advance(0.05 * second)
  expect(taker.taken).toBe(512)
})

test('gives all who share it their turn', () => {
  const clock = new FakeClock()
  const pace = new Pace(clock)
  const takers = Array.from({ length: 16 }, () => new Taker(pace, 16))
  for (let i = 0; i < 160; i++) clock.advance(second / 4)
  const taken = takers.map((taker) => taker.taken)
  expect(taken.reduce((sum, cells) => sum + cells)).toBe(162 * 16)
  // The first was alone when it began.
  expect(Math.max(...taken) - Math.min(...taken)).toBeLessThanOrEqual(2 * 16)
})

test('lets one leave after the other, in the order in which they asked, but for those that have left', () => {
  const clock = new FakeClock()
  const pace = new Pace(clock)
  const sent: string[] = []
  const sends = ['one', 'two', 'three', 'four'].map((name) => () => void sent.push(name))
  const [one, two, three, four] = sends as [() => void, () => void, () => void, () => void]
  for (const send of sends) pace.enter(32, send)
  clock.advance(100 * second)
  // The link is behind: nothing gathers there.
  expect([sent, clock.pending]).toEqual([['one'], 0])
  pace.leave(two)
  pace.leave(one)
  expect(sent).toEqual(['one', 'three'])
  pace.leave(three)
  expect([sent, clock.pending]).toEqual([['one', 'three'], 1])
  pace.leave(four)
  pace.leave(four)
  expect(clock.pending).toBe(0)
})

test('in no stretch of time more leaves than the rate allows, and one record', () => {
  const steps = fc.array(fc.record({ wait: fc.nat(5000), cells: fc.constantFrom(1, 4, 16, 256) }))
  fc.assert(
    fc.property(steps, (list) => {
      const clock = new FakeClock()
      const pace = new Pace(clock)
      let taken = 0
      let elapsed = 0
      for (const { wait, cells } of list) {
        clock.advance(wait)
        elapsed += wait
        const send = () => {
          taken += cells
        }
        pace.enter(cells, send)
        pace.leave(send)
        expect(taken).toBeLessThanOrEqual(16 + (64 * elapsed) / second + 256)
      }
      expect(clock.pending).toBe(0)
    }),
  )
})
