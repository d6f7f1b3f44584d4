import { NightjarError } from '@nightjar/shared/errors'
import type { Order } from '@nightjar/shared/requests'
import { codeOfAsync, FakeClock } from '@nightjar/shared/testing'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { expect, test } from 'vitest'
import { openAccounts } from './accounts.ts'
import type { Config } from './config.ts'

const [a, b] = [`0x${'a1'.repeat(20)}`, `0x${'b2'.repeat(20)}`] as const
const defaults: Config['accounts'] = {
  apart: true,
  linking: 'refuse',
  freshness_seconds: 12,
  cold_spread_seconds: 1800,
  compare_calls: false,
}

/** A client that answers everything, and what it was asked. */
function start(settings: Partial<Config['accounts']> = {}) {
  const asked: Order[] = []
  let changes = 0
  const accounts = openAccounts({
    crypto: nativeCrypto,
    clock: new FakeClock(),
    keyed: () => new Uint8Array(32),
    client: {
      async ready(_group, chain) {
        if (chain === 404) throw new NightjarError('chain-not-served')
      },
      async request(order) {
        asked.push(order)
        return { result: '0x1' }
      },
      follow: async () => ({ stop() {} }),
      distrust: () => 'petrel',
      nameOf: () => 'petrel',
      operatorOf: () => 'operator',
    },
    settings: { ...defaults, ...settings },
    onChange() {
      changes += 1
    },
  })
  const ask = (method: string, params: readonly (string | object)[] = [], chain = 1) =>
    accounts.request({ group: 'caller', chain, call: { method, params: params as Order['call']['params'] & object } })
  return { accounts, asked, ask, changes: () => changes }
}

/** Both are known from then on. */
const linking = ['eth_call', [{ from: a, to: b }]] as const

test('what names nobody goes with its caller, what names an account with that', async () => {
  const { ask, asked, accounts } = start()
  await ask('eth_gasPrice')
  await ask('eth_estimateGas', [{ from: a, to: `0x${'00'.repeat(20)}` }])
  expect(asked.map(({ group }) => group)).toEqual(['caller', `account ${a}`])
  accounts.stop()
})

test('what links accounts is refused, or sent alone, as the user said; the status tells how many and not which', async () => {
  for (const [setting, sent] of [
    ['refuse', false],
    ['alone', true],
  ] as const) {
    const { ask, asked, accounts, changes } = start({ linking: setting })
    await ask('eth_estimateGas', [{ from: b }])
    const code = await codeOfAsync(() => ask(...linking))
    expect(code).toBe(sent ? undefined : 'would-link')
    expect(asked.filter(({ group }) => group.startsWith('once '))).toHaveLength(sent ? 1 : 0)
    expect(accounts.status.linking).toEqual([{ reason: 'transfer', count: 2, at: expect.any(Number), sent }])
    expect(changes()).toBe(1)
    expect(JSON.stringify(accounts.status)).not.toMatch(/a1a1|b2b2|eth_/)
    accounts.stop()
  }
})

test('a chain that nobody serves is said at once, and nothing of it is watched', async () => {
  const { ask, accounts } = start()
  expect(await codeOfAsync(() => ask('eth_getBalance', [a, 'latest'], 404))).toBe('chain-not-served')
  expect(accounts.status).toMatchObject({ watched: 0, freshnessSeconds: 12 })
})

test('a wallet may have more accounts watched than a site', async () => {
  const { ask, accounts } = start()
  for (let each = 0; each < 30; each++) {
    await codeOfAsync(() =>
      ask('eth_getBalance', [`0x${(each + 1).toString(16).padStart(2, '0').repeat(20)}`, 'latest']),
    )
  }
  expect(accounts.status.watched).toBe(30)
  accounts.stop()
})

test('only the newest reports are shown', async () => {
  const { ask, accounts } = start()
  await ask('eth_estimateGas', [{ from: b }])
  for (let each = 0; each < 30; each++) await codeOfAsync(() => ask(...linking))
  expect(accounts.status.linking).toHaveLength(20)
})
