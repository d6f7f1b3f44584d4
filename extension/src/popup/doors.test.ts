import { expect, test } from 'vitest'
import { fixtures, fixtureTime } from '../ui/testing/fixtures.ts'
import { doorsOf } from './doors.ts'

test.each([
  ['private', 'open', 'open'],
  ['private-unseen', 'open', 'waiting'],
  ['private-quiet', 'open', 'waiting'],
  ['private-sites', 'open', 'direct'],
  ['failed-wallet', 'open', 'direct'],
  ['failed-watch', 'open', 'waiting'],
  ['degraded-endpoint', 'open', 'closed'],
  ['blocked-network', 'closed', 'closed'],
] as const)('when %s, sites are %s and the wallet is %s; its own servers are never covered', (name, sites, wallet) => {
  const states = doorsOf(fixtures[name].snapshot, fixtureTime).map(({ id, state }) => [id, state])
  expect(Object.fromEntries(states)).toEqual({ sites, wallet, servers: 'uncovered' })
})

test('an open wallet door says when the last request came', () => {
  expect(doorsOf(fixtures.private.snapshot, fixtureTime)[1]?.detail).toContain('4 s ago')
})
