import type { Json } from '@nightjar/shared/rpc'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { refusalOf } from './callLimits.ts'

const limits = { logBlocks: 100, callGas: 30_000 }
const head = 1000
const hex = (value: number) => `0x${value.toString(16)}`

async function messageOf(method: string, params: Json | undefined): Promise<string | undefined> {
  const call = params === undefined ? { method } : { method, params: params as readonly Json[] }
  const refusal = await refusalOf(call, limits, async () => BigInt(head))
  if (refusal === undefined) return undefined
  if (!('error' in refusal)) throw new Error('a refusal is an error')
  expect(refusal.error.code).toBe(-32005)
  return refusal.error.message
}

test.each<[string, Json]>([
  ['as many blocks as allowed', { fromBlock: hex(1), toBlock: hex(100) }],
  ['the newest alone', {}],
  ['the newest by name', { fromBlock: 'latest', toBlock: 'latest' }],
  ['the last hundred', { fromBlock: hex(head - 99) }],
  ['from the last final one', { fromBlock: 'finalized', toBlock: 'latest' }],
  ['one block by its hash', { blockHash: `0x${'ab'.repeat(32)}` }],
  ['the first alone', { fromBlock: 'earliest', toBlock: 'earliest' }],
  ['backwards, which is for the provider to refuse', { fromBlock: hex(900), toBlock: hex(1) }],
  ['no filter, which is too', 'latest'],
])('eth_getLogs may ask for %s', async (_, filter) => {
  expect(await messageOf('eth_getLogs', [filter])).toBeUndefined()
})

test.each<[string, Json, number]>([
  ['one block more', { fromBlock: hex(1), toBlock: hex(101) }, 101],
  ['all', { fromBlock: 'earliest', toBlock: 'latest' }, head + 1],
  ['all to the newest, not named', { fromBlock: '0x0' }, head + 1],
  ['the last hundred and one', { fromBlock: hex(head - 100), toBlock: 'pending' }, 101],
  ['more than there are', { fromBlock: hex(1), toBlock: hex(9000) }, 9000],
])('eth_getLogs for %s is told to ask for less', async (_, filter, asked) => {
  expect(await messageOf('eth_getLogs', [filter])).toBe(
    `Ask eth_getLogs for at most 100 blocks at once: this filter spans ${asked}.`,
  )
})

const tooMuch = 'Give a call at most 30000 gas, or leave gas out: this one names 30001.'

test.each(['eth_call', 'eth_estimateGas', 'eth_createAccessList'])('%s has so much gas and no more', async (method) => {
  for (const gas of [undefined, hex(30_000), 30_000, 'a lot', null]) {
    expect(await messageOf(method, [{ to: '0xabc', ...(gas === undefined ? {} : { gas }) }, 'latest'])).toBeUndefined()
  }
  for (const gas of [hex(30_001), 30_001]) expect(await messageOf(method, [{ gas }])).toBe(tooMuch)
})

test('eth_simulateV1 has it for all of its calls together', async () => {
  const blocks = (...gas: number[][]) => [
    { blockStateCalls: gas.map((calls) => ({ calls: calls.map((each) => ({ gas: hex(each) })) })) },
  ]
  expect(await messageOf('eth_simulateV1', blocks([10_000, 10_000], [10_000]))).toBeUndefined()
  expect(await messageOf('eth_simulateV1', blocks([10_000, 10_000], [10_001]))).toBe(tooMuch)
})

test('other methods are not looked at', async () => {
  expect(await messageOf('eth_getBalance', [{ fromBlock: '0x0', gas: hex(1_000_000) }])).toBeUndefined()
})

test('the newest block is asked for only where the filter hangs on it', async () => {
  const call = { method: 'eth_getLogs', params: [{ fromBlock: '0x1', toBlock: '0x2' }] }
  await refusalOf(call, limits, () => Promise.reject(new Error('asked')))
})

test('whatever the params, the call passes or is refused', async () => {
  const methods = fc.constantFrom('eth_getLogs', 'eth_call', 'eth_simulateV1')
  const anything = fc.oneof(
    fc.jsonValue(),
    fc.record({
      fromBlock: fc.jsonValue(),
      toBlock: fc.jsonValue(),
      gas: fc.jsonValue(),
      blockStateCalls: fc.jsonValue(),
    }),
    fc.record({ blockStateCalls: fc.array(fc.record({ calls: fc.array(fc.jsonValue()) })) }),
  )
  await fc.assert(
    fc.asyncProperty(methods, anything, async (method, value) => {
      expect(['string', 'undefined']).toContain(typeof (await messageOf(method, [value as Json])))
    }),
  )
})
