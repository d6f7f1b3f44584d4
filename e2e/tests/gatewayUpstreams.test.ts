/** A gateway with two providers of one chain, of which one is ill in each way that providers are; and heads that are pushed. */
import { readFile, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  call,
  type Exchange,
  type LocalRelay,
  type Misbehaviour,
  type Provider,
  standardPlan,
  until,
} from '../src/network/index.ts'
import { startProvider } from '../src/network/provider.ts'
import { fundedAccount, receiptOf, signTransfer } from './support/chain.ts'
import { useNetwork } from './support/network.ts'
import { askedFor } from './support/provider.ts'
import { ask, codeOf } from './support/rpc.ts'

const chain = 31337
const shared = useNetwork({
  // One gateway: another would find out by itself, and only once it is asked.
  plan: standardPlan.filter(({ name }) => name !== 'dunlin' && name !== 'whimbrel'),
  upstreamTimeout: 1,
  chains: [chain],
  // Restarted at once.
  configure: (config) => ({ ...config, drain_timeout: 0 }),
})
const url = () => shared.network.daemon.url(chain)
const node = () => shared.network.nodes[chain] as string
const one = () => shared.network.providers[chain] as Provider
let other: Provider

beforeAll(async () => {
  other = await startProvider(node())
  await configure({ upstreams: [{ url: one().url }, { url: other.url }], strategy: 'round-robin', heads_poll_ms: 250 })
})
afterAll(() => other.close())

/** Restarts the gateway with `section` for the chain. */
async function configure(section: object): Promise<void> {
  const gateway = shared.network.relays.all.find(({ roles }) => roles.includes('gateway')) as LocalRelay
  const config = JSON.parse(await readFile(gateway.configFile, 'utf8')) as { gateway: object }
  config.gateway = { ...config.gateway, chains: { [chain]: section } }
  await writeFile(gateway.configFile, JSON.stringify(config))
  await gateway.process.stop()
  await gateway.restart()
  await until('it answers again', async () => 'result' in (await ask(url(), 'eth_getStorageAt', storage())))
}

let slots = 0
/** Nothing that a gateway asks by itself, and never the same. */
function storage(): unknown[] {
  slots += 1
  return [fundedAccount(0).address, `0x${slots.toString(16)}`, 'latest']
}

/** Reads that have to be answered, one after the other; how many reached `provider`. */
async function readsReaching(provider: Provider, times = 8): Promise<number> {
  const before = askedFor(provider, 'eth_getStorageAt').length
  for (let i = 0; i < times; i++) expect(await ask(url(), 'eth_getStorageAt', storage())).toHaveProperty('result')
  return askedFor(provider, 'eth_getStorageAt').length - before
}

async function untilLeftAlone(provider: Provider): Promise<void> {
  await until('it is asked nothing', async () => (await readsReaching(provider)) === 0)
}

async function untilAskedAgain(provider: Provider): Promise<void> {
  await until('it is asked again', async () => (await readsReaching(provider)) > 0)
}

test('both are asked in turn while both are well', async () => {
  // What the gateway asks by itself takes turns too.
  const reached = await readsReaching(one(), 40)
  expect([reached > 10, reached < 30]).toEqual([true, true])
})

const lies: readonly (readonly [kind: string, forge: (exchange: Exchange) => object])[] = [
  [
    'is on another chain',
    ({ method, response }) => (method === 'eth_chainId' ? { ...response, result: '0x5' } : response),
  ],
  [
    'has a stale head',
    ({ method, params, response }) => {
      if (method !== 'eth_getBlockByNumber' || params[0] !== 'latest') return response
      const { timestamp, ...rest } = response.result as { timestamp: string }
      return {
        ...response,
        result: { ...rest, number: '0x0', timestamp: `0x${(Number(timestamp) - 600).toString(16)}` },
      }
    },
  ],
]

test.each(lies)(
  'a provider that %s is asked nothing once it is found out, and again when it is well',
  async (_, forge) => {
    // Blocks to be behind of.
    for (let i = 0; i < 2; i++) await call(node(), 'evm_mine', [])
    one().forge = forge
    await untilLeftAlone(one())
    const { address } = fundedAccount(4)
    const nonce = Number((await ask(url(), 'eth_getTransactionCount', [address, 'latest'])).result)
    const raw = await signTransfer(fundedAccount(4), chain, nonce)
    expect((await ask(url(), 'eth_sendRawTransaction', [raw])).result).toMatch(/^0x/)
    expect(askedFor(one(), raw)).toEqual([])
    one().forge = undefined
    await untilAskedAgain(one())
  },
)

describe.each<Misbehaviour>(['error', 'hang', 'garbage', 'close'])('a provider that does this: %s', (misbehaviour) => {
  test('costs no read', async () => {
    one().misbehaviour = misbehaviour
    try {
      await untilLeftAlone(one())
      // Where nobody else is left, one that was ejected is better than none.
      one().misbehaviour = 'none'
      other.misbehaviour = misbehaviour
      await untilLeftAlone(other)
    } finally {
      one().misbehaviour = 'none'
      other.misbehaviour = 'none'
    }
  })
})

test('a provider that was ejected comes back', async () => {
  await Promise.all([untilAskedAgain(one()), untilAskedAgain(other)])
}, 300_000)

test('a transaction is sent to one provider, once, however slow it is', async () => {
  const sender = fundedAccount(5)
  const raw = await signTransfer(sender, chain, 0)
  await readsReaching(one(), 40)
  one().delay = 400
  other.delay = 400
  try {
    const { result } = await ask(url(), 'eth_sendRawTransaction', [raw])
    expect((await receiptOf(node(), result as `0x${string}`)).status).toBe('0x1')
  } finally {
    one().delay = 0
    other.delay = 0
  }
  expect(askedFor(one(), raw).length + askedFor(other, raw).length).toBe(1)
})

test('an eth_getLogs for too many blocks is told to ask for less, and no provider sees it', async () => {
  one().forget()
  other.forget()
  const answer = await ask(url(), 'eth_getLogs', [{ fromBlock: '0x0', toBlock: '0x7fffffff' }])
  expect(answer.error).toEqual({
    code: -32005,
    message: 'Ask eth_getLogs for at most 10000 blocks at once: this filter spans 2147483648.',
  })
  expect(codeOf(answer)).toBeUndefined()
  expect([askedFor(one(), 'eth_getLogs'), askedFor(other, 'eth_getLogs')]).toEqual([[], []])
})

test('a head that is pushed is known long before the next poll', async () => {
  await configure({
    upstreams: [{ url: one().url }],
    heads_poll_ms: 60_000,
    heads_url: node().replace('http:', 'ws:'),
  })
  const before = Number((await ask(url(), 'eth_blockNumber')).result)
  await until('a new block is told', async () => {
    await call(node(), 'evm_mine', [])
    return Number((await ask(url(), 'eth_blockNumber')).result) > before + 1
  })
})

test('a provider that refuses connections costs no read', async () => {
  await configure({ upstreams: [{ url: other.url }, { url: one().url }], strategy: 'round-robin', heads_poll_ms: 250 })
  expect(await readsReaching(other)).toBeGreaterThan(0)
  await other.close()
  expect(await readsReaching(one(), 8)).toBe(8)
  other = await startProvider(node())
})
