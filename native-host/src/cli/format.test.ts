import type { Status } from '@nightjar/shared/bridge'
import { describe, expect, test } from 'vitest'
import { formatStatus } from './format.ts'

const party = (name: string) => ({ name, operator: `op-${name}`, region: 'eu' })

const status: Status = {
  state: 'private',
  trunks: [
    { entry: party('a'), middle: party('b') },
    { entry: party('a'), middle: party('c') },
  ],
  branches: 3,
  gateways: [party('g'), party('h')],
  requests: { ok: 12, failed: 1 },
  divergingRelays: 0,
  failingGuards: [],
  lastError: null,
  profile: 'fast',
  endpoint: 'http://127.0.0.1:8645/0123/1',
  chains: [1],
  callers: [],
  shield: {
    port: 41000,
    sinkPort: 41001,
    running: true,
    streams: 0,
    refused: 0,
    today: {},
    hosts: [],
    lastError: null,
  },
  accounts: {
    watched: 0,
    cold: 0,
    freshnessSeconds: 12,
    verified: 0,
    compared: 0,
    unverified: 0,
    refuted: 0,
    linking: [],
    lies: [],
    disputes: [],
  },
  version: '0.1.0',
}

test('a whole status', () => {
  expect(formatStatus(status)).toBe(
    [
      'Nightjar 0.1.0  private: all paths stand',
      '  path      a (op-a, eu)  →  b (op-b, eu)',
      '  path      a (op-a, eu)  →  c (op-c, eu)',
      '  gateways  g (op-g, eu), h (op-h, eu)',
      '  branches  3',
      '  requests  12 answered, 1 failed',
      '  endpoint  http://127.0.0.1:8645/0123/1',
      '  shield    socks5h://127.0.0.1:41000  0 open',
      '  today     nothing yet',
      '  accounts  0 watched, no older than 12 s',
      '  answers   0 verified, 0 compared, 0 unverified, 0 refuted',
      '',
    ].join('\n'),
  )
})

describe('each state says what it means', () => {
  test.each<[Status['state'], string]>([
    ['connecting', 'connecting: no path yet'],
    ['private', 'private: all paths stand'],
    ['degraded', 'private, with one path less than usual'],
    ['blocked', 'blocked: the network cannot be reached; requests fail, nothing goes direct'],
  ])('%s', (state, words) => {
    expect(formatStatus({ ...status, state }).split('\n')[0]).toBe(`Nightjar 0.1.0  ${words}`)
  })

  test('only what is private says so', () => {
    for (const state of ['connecting', 'blocked'] as const) {
      const text = formatStatus({ ...status, state, trunks: [], gateways: [], branches: 0 })
      expect(text).not.toMatch(/private/)
      expect(text).not.toMatch(/path {3}/)
      expect(text).toContain('gateways  none in use')
    }
  })
})

test('what went through the shield today, by category', () => {
  const today = { rpc: { shielded: 12, blocked: 0 }, price: { shielded: 1, blocked: 3 } }
  const text = formatStatus({ ...status, shield: { ...status.shield, streams: 4, refused: 2, today } })
  expect(text).toContain('  shield    socks5h://127.0.0.1:41000  4 open\n')
  expect(text).toContain('  today     rpc 12, price 1 (3 blocked), not listed 2 (refused)\n')
})

test('how accounts are kept apart, and what gateways were found out to have said', () => {
  const at = Date.UTC(2026, 0, 1)
  const linking = [
    { reason: 'transfer', count: 2, at, sent: true },
    { reason: 'other', count: 3, at, sent: false },
    { reason: 'other', count: 3, at, sent: false },
  ]
  const lies = [{ gateway: 'petrel', what: 'balance', at }]
  const disputes = [
    { gateways: ['dunlin'], what: 'block', at },
    { gateways: [], what: 'call', at },
  ]
  const text = formatStatus({
    ...status,
    accounts: { ...status.accounts, watched: 9, cold: 2, linking, lies, disputes },
  })
  expect(text).toContain('  accounts  9 watched, 2 not read yet, no older than 12 s\n')
  expect(text).toContain('  linking   3 calls named several accounts: 1 sent, 2 refused\n')
  expect(text).toContain('  warning   petrel gave a false balance at 2026-01-01T00:00:00.000Z; it is avoided\n')
  expect(text).toContain('  warning   gateways disagreed about a block at 2026-01-01T00:00:00.000Z: dunlin\n')
  expect(text).toContain('  warning   gateways disagreed about a call at 2026-01-01T00:00:00.000Z: not known which\n')
})

test('warnings and the last error, where there are any', () => {
  expect(formatStatus(status)).not.toMatch(/warning|error/)
  const text = formatStatus({
    ...status,
    divergingRelays: 2,
    failingGuards: [party('a'), party('z')],
    lastError: 'connect-failed',
  })
  expect(text).toContain('  warning   2 handshakes showed another network document than ours\n')
  expect(text).toContain('  warning   fails again and again: a (op-a, eu), z (op-z, eu)\n')
  expect(text).toContain('  last error  A relay could not be reached.')
})
