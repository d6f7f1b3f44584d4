import { hour, minute } from '@nightjar/shared/runtime'
import type { ListedHost } from '@nightjar/shared/shield'
import { FakeClock } from '@nightjar/shared/testing'
import { expect, test } from 'vitest'
import { Usage } from './usage.ts'

const infura: ListedHost = { suffix: 'infura.io', category: 'rpc' }
const alchemy: ListedHost = { suffix: 'alchemy.com', category: 'rpc' }
const prices: ListedHost = { suffix: 'coingecko.com', category: 'price' }

test('connections are counted by host and by category, the busiest host first', () => {
  const usage = new Usage(new FakeClock())
  usage.blocked(infura)
  for (let count = 0; count < 3; count++) usage.shielded(alchemy)
  usage.shielded(infura)
  usage.blocked(prices)
  usage.refused()
  expect(usage.status).toEqual({
    refused: 1,
    today: { rpc: { shielded: 4, blocked: 1 }, price: { shielded: 0, blocked: 1 } },
    hosts: [
      { ...alchemy, shielded: 3, blocked: 0 },
      { ...infura, shielded: 1, blocked: 1 },
      { ...prices, shielded: 0, blocked: 1 },
    ],
    lastError: null,
  })
})

test('a failure is told until a connection stands', () => {
  const usage = new Usage(new FakeClock())
  usage.failed(infura, 'name-not-found')
  expect(usage.status).toMatchObject({ hosts: [{ lastError: 'name-not-found' }], lastError: 'name-not-found' })
  usage.shielded(infura)
  expect(usage.status).toMatchObject({ lastError: null })
  expect(usage.status.hosts).toEqual([{ ...infura, shielded: 1, blocked: 0 }])
})

test('the counts begin anew at midnight of this place', () => {
  const clock = new FakeClock(new Date(2026, 10, 21, 22, 30).getTime())
  const usage = new Usage(clock)
  usage.shielded(infura)
  usage.refused()
  clock.advance(1 * hour + 29 * minute)
  expect(usage.status).toMatchObject({ refused: 1, today: { rpc: { shielded: 1 } } })
  clock.advance(1 * minute)
  expect(usage.status).toEqual({ refused: 0, today: {}, hosts: [], lastError: null })
  usage.blocked(infura)
  expect(usage.status.today).toEqual({ rpc: { shielded: 0, blocked: 1 } })
})

test('two hundred hosts are told at most', () => {
  const usage = new Usage(new FakeClock())
  for (let n = 0; n < 250; n++) usage.shielded({ suffix: `h${n}.example`, category: 'rpc' })
  expect(usage.status.hosts).toHaveLength(200)
  expect(usage.status.today).toEqual({ rpc: { shielded: 250, blocked: 0 } })
})
