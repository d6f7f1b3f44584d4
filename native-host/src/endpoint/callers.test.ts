import { FakeClock } from '@nightjar/shared/testing'
import { expect, test } from 'vitest'
import { Callers } from './callers.ts'

const wallet = 'chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn'

test('each origin and chain is counted by itself, the latest first', () => {
  const clock = new FakeClock(1000)
  const callers = new Callers(clock)
  expect(callers.all).toEqual([])
  callers.note(wallet, 1)
  clock.advance(10)
  callers.note('local', 1)
  clock.advance(10)
  callers.note(wallet, 31337)
  clock.advance(10)
  callers.note(wallet, 1)
  expect(callers.all).toEqual([
    { origin: wallet, chain: 1, requests: 2, last: 1030 },
    { origin: wallet, chain: 31337, requests: 1, last: 1020 },
    { origin: 'local', chain: 1, requests: 1, last: 1010 },
  ])
})

test('what was read before does not change with later calls', () => {
  const callers = new Callers(new FakeClock(1000))
  callers.note(wallet, 1)
  const before = callers.all
  callers.note(wallet, 1)
  expect(before).toEqual([{ origin: wallet, chain: 1, requests: 1, last: 1000 }])
})

test('ever new chain ids push out the oldest callers, not the one who goes on calling', () => {
  const callers = new Callers(new FakeClock(1000))
  for (let chain = 1; chain <= 1000; chain++) {
    callers.note(wallet, 1)
    callers.note('local', chain)
  }
  expect(callers.all).toHaveLength(64)
  expect(callers.all.find(({ origin }) => origin === wallet)?.requests).toBe(1000)
  expect(callers.all[0]?.chain).toBe(1000)
})
