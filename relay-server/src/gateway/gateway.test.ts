import { NightjarError } from '@nightjar/shared/errors'
import type { Call, Outcome, Question } from '@nightjar/shared/rpc'
import { catalogue } from '@nightjar/shared/rpc'
import { second } from '@nightjar/shared/runtime'
import { codeOf, FakeClock } from '@nightjar/shared/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import type { Chain } from './broadcasts.ts'
import { createGateway, type Gateway } from './gateway.ts'
import type { Asker } from './provider.ts'
import { passing } from './testing/context.ts'
import { account } from './testing/scriptedChain.ts'

const { signal } = new AbortController()

/** Logs what clients have it asked; the gateway's own looks for a head are never answered. */
class RecordedChain implements Chain {
  readonly reads: { call: Call; signal: AbortSignal; asker: Asker | undefined }[] = []
  readonly sent: Call[] = []
  answer: () => Promise<Outcome> = () => Promise.resolve({ result: '0x1' })

  read(call: Call, readSignal: AbortSignal, asker?: Asker): Promise<Outcome> {
    if (Array.isArray(call.params) && call.params[0] === 'latest') return new Promise(() => {})
    this.reads.push({ call, signal: readSignal, asker })
    return this.answer()
  }

  once(call: Call): Promise<Outcome> {
    this.sent.push(call)
    return this.answer()
  }
}

let first: RecordedChain
let other: RecordedChain
let clock: FakeClock
let gateway: Gateway
beforeEach(() => {
  first = new RecordedChain()
  other = new RecordedChain()
  clock = new FakeClock()
  gateway = createGateway(
    new Map([
      [1, { upstreams: first, headsEvery: 2 * second }],
      [31337, { upstreams: other, headsEvery: 2 * second }],
    ]),
    { clock, random: () => 0.5, ...passing },
  )
})

function ask(method: string, options: { chain?: number; params?: Call['params'] } = {}): Promise<Outcome> {
  const { chain = 1, params } = options
  return gateway.answer({ chain, cells: 4, method, ...(params === undefined ? {} : { params }) }, signal)
}

test('a read goes to its chain as a client’s, with method and params and the signal of its circuit', async () => {
  expect(await ask('eth_getBalance', { chain: 31337, params: ['0xabc', 'latest'] })).toEqual({ result: '0x1' })
  expect(await ask('eth_blockNumber', { chain: 31337 })).toEqual({ result: '0x1' })
  expect(other.reads).toEqual([
    { call: { method: 'eth_getBalance', params: ['0xabc', 'latest'] }, signal, asker: signal },
    { call: { method: 'eth_blockNumber' }, signal, asker: signal },
  ])
  expect(first.reads).toEqual([])
})

test('every method of the catalogue is forwarded, broadcasts once and reads as such', async () => {
  for (const [method, { kind }] of catalogue) {
    expect(await ask(method, { params: ['0x01'] })).toEqual({ result: '0x1' })
    const calls = kind === 'read' ? first.reads.map(({ call }) => call) : first.sent
    expect(calls.at(-1)?.method).toBe(method)
  }
  expect(first.sent.map(({ method }) => method)).toEqual(['eth_sendRawTransaction'])
})

test('each chain remembers its own broadcasts', async () => {
  const params = ['0x0102']
  for (const chain of [1, 31337, 1]) await ask('eth_sendRawTransaction', { chain, params })
  expect([first.sent.length, other.sent.length]).toEqual([1, 1])
})

describe('nothing is asked and the error says why', () => {
  test.each([
    'eth_accounts',
    'eth_sendTransaction',
    'eth_sign',
    'personal_unlockAccount',
    'debug_traceTransaction',
    'admin_addPeer',
    'wallet_addEthereumChain',
    'eth_newFilter',
    'eth_subscribe',
    'toString',
    '__proto__',
    'constructor',
  ])('where the method is %s, which is named', async (method) => {
    const outcome = await ask(method)
    expect(outcome).toMatchObject({
      error: {
        code: -32601,
        message: expect.stringContaining(method),
        data: { nightjar: 'method-not-allowed', method },
      },
    })
    expect([first.reads, first.sent]).toEqual([[], []])
  })

  test('where the chain is not served, which is named', async () => {
    expect(await ask('eth_blockNumber', { chain: 5 })).toMatchObject({
      error: {
        code: 4901,
        message: expect.stringContaining('chain: 5'),
        data: { nightjar: 'chain-not-served', chain: 5 },
      },
    })
  })

  test.each([[undefined], [[]], [[1]], [['no hexadecimal']], [{ raw: '0x01' }]])(
    'where a broadcast has params %j',
    async (params) => {
      expect(await ask('eth_sendRawTransaction', { params: params as Call['params'] })).toMatchObject({
        error: { code: -32600, data: { nightjar: 'bad-request' } },
      })
      expect(first.sent).toEqual([])
    },
  )
})

describe('raw transactions', () => {
  test('go to the service for them where the chain has one, and what it answers is passed on', async () => {
    gateway = createGateway(new Map([[1, { upstreams: first, transactions: other, headsEvery: 2 * second }]]), {
      clock,
      random: () => 0.5,
      ...passing,
    })
    const error = { code: -32000, message: 'reverted in simulation' }
    other.answer = () => Promise.resolve({ error })
    expect(await ask('eth_sendRawTransaction', { params: ['0x0102'] })).toEqual({ error })
    other.answer = () => Promise.resolve({ result: '0xhash' })
    for (let times = 0; times < 3; times++) {
      expect(await ask('eth_sendRawTransaction', { params: ['0x0102'] })).toEqual({ result: '0xhash' })
    }
    expect([first.sent.length, other.sent.length, other.reads.length]).toEqual([0, 2, 0])
  })

  test('of unknown fate are looked for at the upstreams', async () => {
    gateway = createGateway(new Map([[1, { upstreams: first, transactions: other, headsEvery: 2 * second }]]), {
      clock,
      random: () => 0.5,
      ...passing,
    })
    other.answer = () => Promise.reject(new NightjarError('upstream-failed'))
    expect(await ask('eth_sendRawTransaction', { params: ['0x0102'] })).toMatchObject({
      error: { data: { nightjar: 'upstream-failed' } },
    })
    first.answer = () => Promise.resolve({ result: null })
    other.answer = () => Promise.resolve({ result: '0xhash' })
    expect(await ask('eth_sendRawTransaction', { params: ['0x0102'] })).toEqual({ result: '0xhash' })
    expect(first.reads.map(({ call }) => call.method)).toEqual(['eth_getTransactionByHash'])
    expect([first.sent.length, other.sent.length]).toEqual([0, 2])
  })
})

describe('what can be followed', () => {
  const heads = { chain: 1, cells: 4, method: 'eth_subscribe', params: ['newHeads'] }

  test('is asked for upstream only once it is', () => {
    gateway.follow(heads)
    gateway.follow({
      ...heads,
      method: 'nightjar_watch',
      params: [{ account, stride: 1, delay: 0, secret: '00'.repeat(16) }],
    })
    expect([first.reads, clock.pending]).toEqual([[], 0])
  })

  test.each<[string, Partial<Question>, string]>([
    ['a chain that is not served', { chain: 5 }, 'chain-not-served'],
    ['another method', { method: 'eth_getBlockByNumber', params: ['latest', false] }, 'method-not-allowed'],
    ['logs, whose filter would stay here', { params: ['logs', { address: '0xabc' }] }, 'bad-request'],
    ['pending transactions', { params: ['newPendingTransactions'] }, 'bad-request'],
    ['heads with more than their name', { params: ['newHeads', {}] }, 'bad-request'],
    ['heads without their name', { params: [] }, 'bad-request'],
    ['heads with params by name', { params: { 0: 'newHeads', length: 1 } }, 'bad-request'],
    ['a watch of nothing', { method: 'nightjar_watch', params: [{}] }, 'bad-request'],
    ['a watch on a chain that is not served', { chain: 5, method: 'nightjar_watch', params: [] }, 'chain-not-served'],
  ])('is not %s', (_, change, code) => {
    expect(codeOf(() => gateway.follow({ ...heads, ...change }))).toBe(code)
  })

  test('cannot be asked for like other things', async () => {
    expect(
      await ask('nightjar_watch', { params: [{ account, stride: 1, delay: 0, secret: '00'.repeat(16) }] }),
    ).toMatchObject({
      error: { data: { nightjar: 'method-not-allowed' } },
    })
  })
})

test('what goes wrong becomes the error of the answer, never an exception', async () => {
  first.answer = () => Promise.reject(new Error('secret detail: 10.0.0.7'))
  const outcome = await ask('eth_blockNumber')
  expect(outcome).toMatchObject({ error: { code: -32603, data: { nightjar: 'internal' } } })
  expect(JSON.stringify(outcome)).not.toContain('10.0.0.7')
  first.answer = () => {
    throw new Error('at once')
  }
  expect(await ask('eth_blockNumber')).toMatchObject({ error: { data: { nightjar: 'internal' } } })
})

test('the error of a node passes as it is', async () => {
  const error = { code: 3, message: 'execution reverted', data: '0x08c379a0' }
  first.answer = () => Promise.resolve({ error })
  expect(await ask('eth_call', { params: [] })).toEqual({ error })
})

describe('what asks for too much', () => {
  test('is refused with what to change, and no provider sees it', async () => {
    const params = [{ fromBlock: '0x1', toBlock: '0x2711' }]
    expect(await ask('eth_getLogs', { params })).toEqual({
      error: { code: -32005, message: 'Ask eth_getLogs for at most 10000 blocks at once: this filter spans 10001.' },
    })
    expect(await ask('eth_call', { params: [{ gas: '0x5f5e100' }] })).toMatchObject({ error: { code: -32005 } })
    expect(first.reads).toEqual([])
  })

  test('is measured from the newest block, which is asked for where it is not known', async () => {
    first.answer = () => Promise.resolve({ result: '0x2711' })
    expect(await ask('eth_getLogs', { params: [{ fromBlock: '0x1' }] })).toMatchObject({ error: { code: -32005 } })
    expect(await ask('eth_getLogs', { params: [{ fromBlock: '0x2' }] })).toEqual({ result: '0x2711' })
    expect(first.reads.map(({ call }) => call.method)).toEqual(['eth_blockNumber', 'eth_blockNumber', 'eth_getLogs'])
  })

  test('is refused where the newest block cannot be found out', async () => {
    first.answer = () => Promise.reject(new NightjarError('upstream-failed'))
    expect(await ask('eth_getLogs', { params: [{ fromBlock: '0x1' }] })).toMatchObject({
      error: { data: { nightjar: 'upstream-failed' } },
    })
  })
})

test('questions of all clients and chains leave together, in another order; transactions too', async () => {
  const chains = new Map([1, 31337].map((id) => [id, { upstreams: first, headsEvery: 2 * second }]))
  gateway = createGateway(chains, { ...passing, clock, random: () => 0.5, batchWindow: 100 })
  const left: string[] = []
  first.answer = async () => ({ result: '0x1' })
  const answers = [
    ask('eth_getBalance', { params: ['0x01'] }),
    ask('eth_getBalance', { chain: 31337, params: ['0x02'] }),
    ask('eth_sendRawTransaction', { params: ['0x0102'] }),
  ]
  await clock.elapse(99)
  expect([first.reads, first.sent]).toEqual([[], []])
  await clock.elapse(1)
  for (const { call } of first.reads) left.push(String(Array.isArray(call.params) && call.params[0]))
  expect(left).toEqual(['0x02', '0x01'])
  expect(first.sent).toHaveLength(1)
  expect(await Promise.all(answers)).toEqual(Array(3).fill({ result: '0x1' }))
})
