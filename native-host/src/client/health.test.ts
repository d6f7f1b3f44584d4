import { minute, second } from '@nightjar/shared/runtime'
import { describeRelay, FakeClock } from '@nightjar/shared/testing'
import { expect, test } from 'vitest'
import { RelayHealth } from './health.ts'

const a = describeRelay('a')
const b = describeRelay('b')
const c = describeRelay('c')

function start() {
  const clock = new FakeClock()
  return { clock, health: new RelayHealth(clock) }
}

test('a relay that never failed is not avoided', () => {
  const { health } = start()
  expect(health.isAvoided(a)).toBe(false)
  expect(health.failuresOf(a)).toBe(0)
  expect(health.sort([c, a, b])).toEqual([c, a, b])
})

test('each failure in a row doubles the pause, up to a minute', () => {
  const { clock, health } = start()
  for (const pause of [1, 2, 4, 8, 16, 32, 60, 60].map((seconds) => seconds * second)) {
    health.failed(a)
    clock.advance(pause - 1)
    expect(health.isAvoided(a)).toBe(true)
    clock.advance(1)
    expect(health.isAvoided(a)).toBe(false)
  }
  expect(health.failuresOf(a)).toBe(8)
})

test('time alone does not forget failures, success does', () => {
  const { clock, health } = start()
  health.failed(a)
  health.failed(a)
  clock.advance(10 * minute)
  expect(health.failuresOf(a)).toBe(2)
  health.worked(a)
  expect(health.failuresOf(a)).toBe(0)
  health.failed(a)
  clock.advance(1 * second)
  expect(health.isAvoided(a)).toBe(false)
})

test('relays are known by their identity, not by the object', () => {
  const { health } = start()
  health.failed(a)
  expect(health.isAvoided(describeRelay('a', { capacity: 1 }))).toBe(true)
  expect(health.isAvoided(b)).toBe(false)
})

test('those passed over come last, the one with the fewest failures first', () => {
  const { health } = start()
  health.failed(a)
  health.failed(a)
  health.failed(b)
  expect(health.sort([a, b, c])).toEqual([c, b, a])
  const relays = [a, b]
  health.sort(relays)
  expect(relays).toEqual([a, b])
})

test('one that drains comes last for a minute at most, whatever it says and however often', () => {
  const { clock, health } = start()
  health.drains(a, 65_535)
  health.drains(a, 0)
  expect(health.sort([a, b])).toEqual([b, a])
  clock.advance(1 * minute)
  expect(health.sort([a, b])).toEqual([a, b])
})
