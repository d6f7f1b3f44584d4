import fc from 'fast-check'
import { encodeFunctionData, parseAbi } from 'viem'
import { describe, expect, test } from 'vitest'
import { addressesIn, senderOf } from './addresses.ts'
import { type Address, type Call, type Json, textsIn } from './call.ts'
import { anyCall, anyMessage } from './testing/hostile.ts'
import { authority, signed, signer, to } from './testing/transactions.ts'

const abi = parseAbi(['function transferFrom(address, address, uint256)', 'function many(address[], bytes)'])
const [a, b, c] = ['a1', 'b2', 'c3'].map((byte): Address => `0x${byte.repeat(20)}`) as [Address, Address, Address]
const topic = `0x${'0'.repeat(24)}${a.slice(2)}`
const upper: Address = `0x${a.slice(2).toUpperCase()}`

describe('the addresses in', () => {
  test.each<[string, Call, readonly Address[]]>([
    ['a parameter, in either case', { method: 'eth_getBalance', params: [upper, 'latest'] }, [a]],
    ['fields', { method: 'eth_call', params: [{ from: a, to: b, value: '0x1' }, '0x1'] }, [a, b]],
    ['parameters by name', { method: 'x', params: { account: a } }, [a]],
    [
      'calldata',
      {
        method: 'eth_call',
        params: [{ data: encodeFunctionData({ abi, functionName: 'transferFrom', args: [a, b, 10n ** 24n] }) }],
      },
      [a, b],
    ],
    [
      'words of an array',
      {
        method: 'eth_call',
        params: [{ input: encodeFunctionData({ abi, functionName: 'many', args: [[a, b], '0x'] }) }],
      },
      [a, b],
    ],
    ['words without a selector', { method: 'x', params: [`${topic}${topic.slice(2)}`] }, [a]],
    [
      'topics and address of a filter',
      { method: 'eth_getLogs', params: [{ address: [b, c], topics: [null, [topic]] }] },
      [a, b, c],
    ],
    ['keys of state overrides', { method: 'eth_call', params: [{}, '0x1', { [a]: { balance: '0x1' } }] }, [a]],
    ['access lists', { method: 'eth_call', params: [{ accessList: [{ address: a, storageKeys: [] }] }] }, [a]],
    ['a proof', { method: 'eth_getProof', params: [a, ['0x0'], '0x1'] }, [a]],
    [
      'simulated blocks',
      {
        method: 'eth_simulateV1',
        params: [{ blockStateCalls: [{ calls: [{ from: a }], stateOverrides: { [b]: {} } }] }],
      },
      [a, b],
    ],
  ])('%s', (_, call, expected) => {
    expect([...addressesIn(call)].sort()).toEqual(expected)
  })

  test('amounts, hashes, and short numbers are none', () => {
    const words = [10n ** 27n, 2n ** 128n - 1n, 7n, 2n ** 255n].map((value) => value.toString(16).padStart(64, '0'))
    expect(
      addressesIn({ method: 'x', params: [`0x12345678${words.join('')}`, `0x${'12'.repeat(32)}`, '0x1', 7] }).size,
    ).toBe(0)
  })

  test.each(Object.keys(signed))('a raw transaction: %s', async (name) => {
    const call = { method: 'eth_sendRawTransaction', params: [(await signed[name]?.()) as string] }
    const found = addressesIn(call)
    const expected = [signer.address, to, `0x${'44'.repeat(20)}`, ...(name === 'EIP-7702' ? [authority.address] : [])]
    expect([...found]).toEqual(expect.arrayContaining(expected.map((one) => one.toLowerCase())))
    expect(senderOf(call)).toBe(signer.address.toLowerCase())
  })
})

test('who acts is the caller of a message, or nobody', () => {
  expect(senderOf({ method: 'eth_call', params: [{ from: upper, to: b }] })).toBe(a)
  expect(senderOf({ method: 'eth_call', params: [{ to: b }] })).toBeUndefined()
  expect(senderOf({ method: 'eth_sendRawTransaction', params: ['0x02'] })).toBeUndefined()
})

test('texts are found however deep they are, past what is missing, and keys with them', () => {
  let deep: Json = [undefined as never, a]
  for (let level = 0; level < 100_000; level++) deep = level % 2 ? [deep] : { key: deep }
  expect(addressesIn({ method: 'x', params: [deep] })).toEqual(new Set([a]))
  expect([...textsIn([['p', { k: 'v' }, null, 7, true]])].sort()).toEqual(['k', 'p', 'v'])
})

test('of any call are addresses, and nothing is thrown', () => {
  fc.assert(
    fc.property(fc.oneof(anyCall, anyMessage), (call) => {
      for (const address of addressesIn(call)) expect(address).toMatch(/^0x[0-9a-f]{40}$/)
    }),
    { numRuns: 1000 },
  )
})
