import { expect, it } from 'vitest'
import { second } from '../runtime.ts'
import { FakeClock } from '../testing/index.ts'
import { Newest } from './newest.ts'

function told(...lists: readonly (readonly number[])[]): number | undefined {
  const newest = new Newest(new FakeClock())
  for (const numbers of lists) newest.take(numbers, false)
  return newest.number
}

it('is what two operators have, or one where there is nobody else', () => {
  expect([told(), told([9]), told([9, 7]), told([9, 7, 8])]).toEqual([undefined, undefined, 7, 8])
  const newest = new Newest(new FakeClock())
  newest.take([9], true)
  expect(newest.number).toBe(9)
})

it('goes back where nobody tells of it any more, and not by the word of some', () => {
  expect(told([9, 9], [9, 2])).toBe(9)
  expect(told([9, 9], [9, 2, 8])).toBe(9)
  expect(told([9, 9], [9])).toBe(9)
  expect(told([9, 9], [2, 10], [2, 10, 10])).toBe(10)
  expect(told([9, 9], [5, 9], [5, 5])).toBe(5)
})

it('is remembered as it was at earlier times, as far as there is room', async () => {
  const clock = new FakeClock()
  const newest = new Newest(clock)
  for (let number = 1; number <= 1100; number++) {
    newest.take([number, number], false)
    await clock.elapse(second)
  }
  const start = clock.elapsed() - 1100 * second
  expect(newest.at(start + 70 * second)).toBeUndefined()
  expect(newest.at(start + 500.5 * second)).toBe(501)
  expect(newest.at(clock.elapsed())).toBe(1100)
})
