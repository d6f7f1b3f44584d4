import { expect, test } from 'vitest'
import { senderOf, transactionOf } from './addresses.ts'
import { type Address, type Json, textsIn } from './call.ts'
import { authority, signed, signer } from './testing/transactions.ts'

const [a, b] = ['a1', 'b2'].map((byte): Address => `0x${byte.repeat(20)}`) as [Address, Address]

test('who acts is the caller of a message, or nobody', () => {
  expect(senderOf({ method: 'eth_call', params: [{ from: `0x${a.slice(2).toUpperCase()}`, to: b }] })).toBe(a)
  expect(senderOf({ method: 'eth_call', params: [{ to: b }] })).toBeUndefined()
  expect(senderOf({ method: 'eth_sendRawTransaction', params: ['0x02'] })).toBeUndefined()
})

test.each(Object.keys(signed))('who acts is the signer of a raw transaction: %s', async (name) => {
  const call = { method: 'eth_sendRawTransaction', params: [(await signed[name]?.()) as string] }
  expect(senderOf(call)).toBe(signer.address.toLowerCase())
  const authorities = name === 'EIP-7702' ? [authority.address.toLowerCase()] : []
  expect([...new Set(transactionOf(call)?.authorities)]).toEqual(authorities)
  expect(transactionOf({ ...call, method: 'eth_call' })).toBeUndefined()
})

test('texts are found however deep they are, past what is missing, and keys with them', () => {
  let deep: Json = [undefined as never, a]
  for (let level = 0; level < 100_000; level++) deep = level % 2 ? [deep] : { key: deep }
  expect(new Set(textsIn(deep))).toEqual(new Set(['key', a]))
  expect([...textsIn([['p', { k: 'v' }, null, 7, true]])].sort()).toEqual(['k', 'p', 'v'])
})
