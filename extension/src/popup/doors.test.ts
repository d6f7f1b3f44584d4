import { expect, test } from 'vitest'
import { fixtures, fixtureTime } from '../ui/testing/fixtures.ts'
import { doorsOf } from './doors.ts'

test.each([
  ['private', 'open', 'open', 'open'],
  ['private-unseen', 'open', 'waiting', 'open'],
  ['private-quiet', 'open', 'waiting', 'open'],
  ['private-sites', 'open', 'direct', 'open'],
  ['failed-shield', 'open', 'open', 'direct'],
  ['failed-wallet', 'open', 'direct', 'open'],
  ['failed-watch', 'open', 'waiting', 'open'],
  ['degraded-endpoint', 'open', 'closed', 'open'],
  ['blocked-network', 'closed', 'closed', 'closed'],
  ['blocked-host', 'closed', 'closed', 'closed'],
] as const)('when %s, sites are %s, the wallet is %s and its servers are %s', (name, sites, wallet, servers) => {
  const states = doorsOf(fixtures[name].snapshot, fixtureTime).map(({ id, state }) => [id, state])
  expect(Object.fromEntries(states)).toEqual({ sites, wallet, servers })
})

test('an open wallet door says when the last request came', () => {
  expect(doorsOf(fixtures.private.snapshot, fixtureTime)[1]?.detail).toContain('4 s ago')
})

test('the shield says how much went through it today, and what it cannot see', () => {
  expect(doorsOf(fixtures.private.snapshot, fixtureTime)[2]).toMatchObject({
    detail: expect.stringContaining('2,280 connections today'),
    note: expect.stringContaining('cannot be seen'),
  })
})
