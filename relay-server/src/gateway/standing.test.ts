import { minute, second } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import { beforeEach, expect, test } from 'vitest'
import { Standing } from './standing.ts'

let clock: FakeClock
let standing: Standing
/** What the next probes find. */
let isWell: boolean
let probes: number[]
let ejections: number
let begun: number
beforeEach(() => {
  clock = new FakeClock()
  begun = clock.now()
  isWell = false
  probes = []
  ejections = 0
  standing = new Standing({
    clock,
    async probe() {
      probes.push(clock.now() - begun)
      return isWell
    },
    onEjected: () => {
      ejections += 1
    },
  })
})

function fail(times: number): void {
  for (let i = 0; i < times; i++) standing.failed()
}

test('failures in a row eject; an answer in between begins the count anew', () => {
  fail(2)
  standing.succeeded()
  fail(2)
  expect(standing.isEjected).toBe(false)
  fail(1)
  expect([standing.isEjected, ejections]).toEqual([true, 1])
})

test('one that stays ill is probed once after each ejection, and these double up to five minutes', async () => {
  fail(3)
  await clock.elapse(20 * minute)
  const between = probes.map((at, index) => (at - (probes[index - 1] ?? 0)) / second)
  expect(between).toEqual([5, 10, 20, 40, 80, 160, 300, 300])
  expect(standing.isEjected).toBe(true)
  expect(clock.pending).toBe(1)
})

test('a probe that is answered brings it back', async () => {
  fail(3)
  isWell = true
  await clock.elapse(5 * second - 1)
  expect(standing.isEjected).toBe(true)
  await clock.elapse(1)
  expect([standing.isEjected, probes, clock.pending]).toEqual([false, [5 * second], 0])
  fail(2)
  expect(standing.isEjected).toBe(false)
})

test('one that fails again soon after is ejected for longer, one that was well for a minute is not', async () => {
  isWell = true
  fail(3)
  await clock.elapse(5 * second)
  fail(3)
  await clock.elapse(10 * second - 1)
  expect(standing.isEjected).toBe(true)
  await clock.elapse(1)
  expect(standing.isEjected).toBe(false)
  await clock.elapse(1 * minute)
  fail(3)
  await clock.elapse(5 * second)
  expect(standing.isEjected).toBe(false)
})

test('failures during an ejection change nothing; answers do not end it', async () => {
  fail(3)
  fail(30)
  standing.succeeded()
  expect([standing.isEjected, ejections, clock.pending]).toEqual([true, 1, 1])
})

test('nothing is left once it is closed', async () => {
  fail(3)
  standing.close()
  fail(3)
  expect(clock.pending).toBe(0)
})
