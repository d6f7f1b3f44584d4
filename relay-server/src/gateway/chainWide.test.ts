import { type Call, catalogue, type Json, type Outcome } from '@nightjar/shared/rpc'
import { minute, second } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import { createGateway, type Gateway } from './gateway.ts'
import { block } from './testing/blocks.ts'
import { passing } from './testing/context.ts'
import { account, ScriptedChain } from './testing/scriptedChain.ts'

const poll = 1 * second
const { signal } = new AbortController()
const elsewhere: Call = { method: 'eth_getBalance', params: [account, 'latest'] }

let clock: FakeClock
let chain: ScriptedChain
let gateway: Gateway

function begin(): void {
  clock = new FakeClock()
  chain = new ScriptedChain(clock)
  chain.head = 100
  gateway = createGateway(new Map([[1, { upstreams: chain, headsEvery: poll }]]), {
    clock,
    random: () => 0.5,
    ...passing,
  })
}
beforeEach(begin)

async function ask(call: Call): Promise<Outcome> {
  const answer = gateway.answer({ chain: 1, cells: 4, ...call }, signal)
  await clock.elapse(0)
  return answer
}

/** How often the upstream was asked while `run` ran, the follower's polls aside. */
async function askedDuring(run: () => Promise<unknown>): Promise<number> {
  const others = () => chain.asked.filter(({ params }) => params[0] !== 'latest').length
  const before = others()
  await run()
  return others() - before
}

/** What is the same for all, as wallets ask for it while the head is block 100. */
const chainWide: readonly Call[] = [
  { method: 'eth_chainId' },
  { method: 'net_version', params: [] },
  { method: 'web3_clientVersion' },
  { method: 'eth_gasPrice', params: [] },
  { method: 'eth_maxPriorityFeePerGas' },
  { method: 'eth_blobBaseFee' },
  { method: 'eth_feeHistory', params: ['0x5', 'latest', [10, 20, 30]] },
  { method: 'eth_feeHistory', params: ['0x5', '0x64', [10, 20, 30]] },
  { method: 'eth_feeHistory', params: ['0x4', 'latest', [25, 50, 75]] },
  { method: 'eth_blockNumber', params: [] },
  { method: 'eth_getBlockByNumber', params: ['latest', false] },
  { method: 'eth_getBlockByNumber', params: ['0x64', false] },
]
const nobodysFirst: readonly Call[] = [
  elsewhere,
  { method: 'eth_call', params: [{ to: account }, '0x64'] },
  { method: 'eth_getTransactionReceipt', params: [`0x${'7e'.repeat(32)}`] },
  { method: 'eth_getBlockByNumber', params: ['latest', true] },
  { method: 'eth_getBlockByNumber', params: ['0x32', false] },
  { method: 'eth_getBlockByNumber', params: ['latest', false, 1] },
  { method: 'eth_getBlockByNumber', params: ['finalized', false] },
  { method: 'eth_feeHistory', params: ['0x6', 'latest', [10, 20, 30]] },
  { method: 'eth_feeHistory', params: ['0x5', '0x63', [10, 20, 30]] },
  { method: 'eth_gasPrice', params: ['0x64'] },
  { method: 'eth_blockNumber', params: [1] },
]

describe('while a chain is in use', () => {
  beforeEach(async () => {
    await ask(elsewhere)
    await clock.elapse(poll)
  })

  test.each(chainWide)('$method $params is answered as the upstream would, which is not asked', async (call) => {
    let outcome: Outcome | undefined
    expect(await askedDuring(async () => (outcome = await ask(call)))).toBe(0)
    if (call.method === 'eth_blockNumber') return expect(outcome).toEqual({ result: '0x64' })
    const asLatest = (call.params as readonly Json[] | undefined)?.map((param) =>
      call.method === 'eth_feeHistory' && param === 'latest' ? '0x64' : param,
    )
    expect(outcome).toEqual(await chain.read({ ...call, params: asLatest ?? [] }, signal))
  })

  test.each(nobodysFirst)('$method $params is asked for each time', async (call) => {
    expect(await askedDuring(() => ask(call))).toBeLessThanOrEqual(1)
    const before = chain.asked.length
    for (let times = 1; times <= 3; times++) {
      await ask(call)
      expect(chain.asked.length).toBe(before + times)
      expect(chain.asked.at(-1)).toMatchObject({ method: call.method, params: call.params })
    }
  })

  test('each new head brings new answers, asked for once whoever wants them', async () => {
    const before = await ask({ method: 'eth_gasPrice' })
    chain.head = 101
    expect(await askedDuring(() => clock.elapse(poll))).toBe(5)
    expect(await askedDuring(() => clock.elapse(10 * poll))).toBe(0)
    expect(await ask({ method: 'eth_gasPrice' })).toEqual({ result: 'eth_gasPrice [] at 101' })
    expect(before).toEqual({ result: 'eth_gasPrice [] at 100' })
    expect(await ask({ method: 'eth_blockNumber' })).toEqual({ result: '0x65' })
  })

  test('blocks of a few heads ago are known by their number, until the chain is another', async () => {
    const byNumber = (number: number): Call => ({
      method: 'eth_getBlockByNumber',
      params: [`0x${number.toString(16)}`, false],
    })
    for (chain.head = 101; chain.head < 120; chain.head++) await clock.elapse(poll)
    chain.head = 119
    expect(await askedDuring(() => ask(byNumber(110)))).toBe(0)
    expect(await askedDuring(() => ask(byNumber(102)))).toBe(1)
    chain.fork(110, 3)
    chain.head = 120
    await clock.elapse(poll)
    expect(await askedDuring(() => ask(byNumber(110)))).toBe(1)
    expect(await ask(byNumber(110))).toMatchObject({ result: { hash: chain.hash(110) } })
  })

  test('what could not be had is asked for by whoever wants it, and again at the next head', async () => {
    chain.instead.set('eth_gasPrice', 'upstream-failed')
    chain.instead.set('eth_blobBaseFee', { error: { code: -32601, message: 'none here' } })
    chain.head = 101
    await clock.elapse(poll)
    expect(await ask({ method: 'eth_gasPrice' })).toMatchObject({ error: { data: { nightjar: 'upstream-failed' } } })
    expect(await ask({ method: 'eth_blobBaseFee' })).toEqual({ error: { code: -32601, message: 'none here' } })
    chain.instead.clear()
    expect(await askedDuring(() => ask({ method: 'eth_gasPrice' }))).toBe(1)
    chain.head = 102
    await clock.elapse(poll)
    expect(await askedDuring(() => ask({ method: 'eth_gasPrice' }))).toBe(0)
  })

  test('it is no longer after five quiet minutes: nothing is asked or known any more', async () => {
    await clock.elapse(4 * minute)
    await ask({ method: 'eth_chainId' })
    await clock.elapse(5 * minute - 1)
    expect(clock.pending).toBeGreaterThan(0)
    await clock.elapse(1)
    expect(clock.pending).toBe(0)
    expect(await askedDuring(() => ask({ method: 'eth_chainId' }))).toBeGreaterThan(0)
    expect(clock.pending).toBeGreaterThan(0)
    gateway.close()
    expect(clock.pending).toBe(0)
  })

  test('and its upstreams are dead, nothing is known any more; the next request begins anew', async () => {
    chain.instead.set('eth_getBlockByNumber', 'upstream-failed')
    await clock.elapse(30 * second)
    expect(clock.pending).toBe(0)
    chain.instead.clear()
    expect(await askedDuring(() => ask({ method: 'eth_blockNumber' }))).toBeGreaterThan(0)
    await clock.elapse(poll)
    expect(await askedDuring(() => ask({ method: 'eth_blockNumber' }))).toBe(0)
  })
})

test('constants that could not be had are asked for at the next head, and those that were, once', async () => {
  chain.instead.set('net_version', { error: { code: -32601, message: '' } })
  await ask(elsewhere)
  for (chain.head = 101; chain.head < 104; chain.head++) await clock.elapse(poll)
  chain.instead.clear()
  for (; chain.head < 108; chain.head++) await clock.elapse(poll)
  expect(chain.askedFor('eth_chainId')).toHaveLength(1)
  expect(chain.askedFor('net_version').length).toBeGreaterThan(2)
  const asked = chain.askedFor('net_version').length
  await clock.elapse(10 * poll)
  expect(chain.askedFor('net_version')).toHaveLength(asked)
})

test('the first request is answered before any head is known', async () => {
  chain.instead.set('eth_getBlockByNumber', 'upstream-failed')
  expect(await ask({ method: 'eth_blockNumber' })).toEqual({ result: 'eth_blockNumber [] at 100' })
  expect(await ask({ method: 'eth_chainId' })).toEqual({ result: 'eth_chainId [] at 100' })
})

test('a chain whose newest block holds rubbish has no block in common', async () => {
  chain.instead.set('eth_getBlockByNumber', { result: { ...block(100), hash: 'none' } })
  await ask(elsewhere)
  await clock.elapse(poll)
  expect(await askedDuring(() => ask({ method: 'eth_getBlockByNumber', params: ['0x64', false] }))).toBe(1)
})

describe('the time of an answer does not tell what another client asked before:', () => {
  const latency = 100

  /** How long `call` takes for one client after another asked `before`, `gap` milliseconds earlier. */
  async function timeOf(call: Call, before: Call, gap: number): Promise<number> {
    begin()
    chain.latency = () => latency
    void ask(elsewhere)
    await clock.elapse(10 * second)
    // A head comes shortly before, so that what is asked for at each is still on its way.
    chain.head += gap > 1000 ? 0 : 1
    await clock.elapse(poll + latency - 20)
    void gateway.answer({ chain: 1, cells: 4, ...before }, signal)
    await clock.elapse(gap)
    const begun = clock.now()
    let ended: number | undefined
    void gateway.answer({ chain: 1, cells: 4, ...call }, signal).then(() => (ended = clock.now()))
    await clock.elapse(5 * second)
    return (ended as number) - begun
  }

  const everyMethod = [...catalogue]
    .filter(([, { kind }]) => kind === 'read')
    .map(([method]): Call => ({ method, params: [account, '0x64'] }))

  test.each([...chainWide, ...nobodysFirst, ...everyMethod])('$method $params', async (call) => {
    for (const gap of [0, 30, 90, 5000]) {
      const other: Call = { method: 'eth_getStorageAt', params: [account, '0x9', '0x1'] }
      expect([gap, await timeOf(call, call, gap)]).toEqual([gap, await timeOf(call, other, gap)])
    }
  })

  test('where it is the same for all, it is there at once; where not, it takes its time', async () => {
    for (const call of chainWide) expect(await timeOf(call, elsewhere, 5000)).toBe(0)
    for (const call of nobodysFirst) expect(await timeOf(call, call, 5000)).toBe(latency)
  })
})
