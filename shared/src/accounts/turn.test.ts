import { expect, it } from 'vitest'
import { minute, second } from '../runtime.ts'
import { FakeClock } from '../testing/index.ts'
import { accountOf } from './testing/stage.ts'
import { Turn } from './turn.ts'

const [a, b, c] = [accountOf(0), accountOf(1), accountOf(2)]

it('it is the turn of whoever is asked for first, and stays so while all are asked for one after the other', async () => {
  const clock = new FakeClock()
  const turn = new Turn(clock)
  for (let poll = 0; poll < 10; poll++) {
    const pauses: number[] = []
    for (const account of [a, b, c]) {
      pauses.push(turn.pauseOf(account))
      await clock.elapse(0.3 * second)
    }
    expect(pauses[0]).toBe(0)
    expect(pauses[1]).toBeGreaterThan(9 * second)
    expect(pauses[2]).toBeGreaterThan(9 * second)
    await clock.elapse(15 * second)
  }
})

it('it is another’s once nobody else was asked for in the last ten seconds, however often that one asks', async () => {
  const clock = new FakeClock()
  const turn = new Turn(clock)
  expect(turn.pauseOf(a)).toBe(0)
  await clock.elapse(1 * second)
  expect(turn.pauseOf(b)).toBe(9 * second)
  await clock.elapse(8 * second)
  expect(turn.pauseOf(b)).toBe(1 * second)
  await clock.elapse(1 * second)
  expect(turn.pauseOf(b)).toBe(0)
  expect(turn.pauseOf(a)).toBe(10 * second)
  await clock.elapse(1 * minute)
  expect(turn.pauseOf(a)).toBe(0)
})
