import { expect, test } from 'vitest'
import { utf8 } from '../bytes/index.ts'
import { nobleCrypto } from '../crypto/noble.ts'
import { limits } from '../limits.ts'
import { day, minute, second } from '../runtime.ts'
import {
  blockOfRound,
  gridOf,
  knownBlockTime,
  measuredBlockTime,
  onGrid,
  secretSchedule,
  usualBlockTime,
} from './grid.ts'

test.each([
  [1, 1],
  [11155111, 1],
  [10, 6],
  [8453, 6],
  [137, 6],
  [42161, 48],
])('on chain %i a slot of 12 seconds is %i blocks', (chain, stride) => {
  const grid = gridOf(knownBlockTime(chain) ?? 0, 12 * second)
  expect(grid).toEqual({ stride, slot: 12 * second, longestDelay: 12 * second })
  expect(onGrid(1001, grid) % stride).toBe(0)
  expect(1001 - onGrid(1001, grid)).toBeLessThan(stride)
})

test('a slot has one block at least, and what gateways take at most', () => {
  expect(gridOf(12 * second, 5 * second)).toEqual({ stride: 1, slot: 12 * second, longestDelay: 5 * second })
  expect(gridOf(0.1 * second, 10 * minute).stride).toBe(limits.watchStride)
  expect(gridOf(12 * second, 10 * minute).longestDelay).toBe(limits.watchDelay)
  // Blocks on demand: nobody waits a day for the next.
  expect(gridOf(1 * day, 12 * second)).toEqual({ stride: 1, slot: 1 * minute, longestDelay: 12 * second })
})

test('the time from block to block is measured where it can be', () => {
  expect(measuredBlockTime({ number: 1, timestamp: 1000 }, { number: 101, timestamp: 1300 })).toBe(3 * second)
  expect(measuredBlockTime({ number: 1, timestamp: 1000 }, { number: 101, timestamp: 1000 })).toBe(usualBlockTime)
  expect(measuredBlockTime({ number: 1, timestamp: 1000 }, { number: 1, timestamp: 1000 })).toBe(usualBlockTime)
})

test('what is watched is watched so after a restart, and nothing else is', () => {
  const keyed = (key: string) => (name: string) => nobleCrypto.hash.hmac(utf8(key), utf8(name))
  const [mine, other] = [{ keyed: keyed('a') }, { keyed: keyed('b') }]
  const grid = gridOf(12 * second, 12 * second)
  const watched = { chain: 1, subject: '0xaa' }
  const schedule = secretSchedule(mine, grid, watched)('gateway')
  expect(secretSchedule(mine, grid, watched)('gateway')).toEqual(schedule)
  const others = [
    secretSchedule(other, grid, watched),
    secretSchedule(mine, { ...grid, longestDelay: 11 * second }, watched),
    secretSchedule(mine, grid, { ...watched, chain: 10 }),
    secretSchedule(mine, grid, { ...watched, subject: '0xab' }),
  ].map((scheduleAt) => scheduleAt('gateway'))
  expect(new Set([schedule, ...others].map(({ delay }) => delay)).size).toBe(5)
  expect(new Set([schedule, ...others].map(({ secret }) => secret)).size).toBe(5)
  const delays = Array.from(
    { length: 400 },
    (_, index) => secretSchedule(mine, grid, { chain: 1, subject: `${index}` })('gateway').delay,
  )
  const share = (from: number) =>
    delays.filter((delay) => delay >= from * second && delay < (from + 3) * second).length / 400
  for (const from of [0, 3, 6, 9]) expect(share(from)).toBeCloseTo(1 / 4, 1)
})

test('each gateway is told a secret of its own: none of them can ask another one whether the watch goes on there', () => {
  const keyed = (name: string) => nobleCrypto.hash.hmac(utf8('a'), utf8(name))
  const scheduleAt = secretSchedule({ keyed }, gridOf(12 * second, 12 * second), { chain: 1, subject: '0xaa' })
  const [one, other] = [scheduleAt('one'), scheduleAt('other')]
  expect(other.secret).not.toBe(one.secret)
  expect({ ...other, secret: one.secret }).toEqual(one)
  expect(one.secret).toMatch(/^[0-9a-f]{32}$/)
})

test('rounds of everybody, within about a quarter of an hour, are of the same block', () => {
  expect([648, 649, 711].map((newest) => blockOfRound(1, newest))).toEqual([640, 640, 640])
  // Never one that may still be replaced.
  expect([704, 712].map((newest) => blockOfRound(1, newest))).toEqual([640, 704])
  // A block every two seconds: 512 of them are 17 minutes.
  expect(blockOfRound(10, 5000)).toBe(4608)
  // Of a chain that has not as many blocks yet there is no crowd to hide in.
  expect(blockOfRound(1, 71)).toBe(71)
})
