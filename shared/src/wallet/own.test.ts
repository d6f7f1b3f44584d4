import fc from 'fast-check'
import { encodeFunctionData, namehash, parseAbi, toHex } from 'viem'
import { packetToBytes } from 'viem/ens'
import { describe, expect, test } from 'vitest'
import { takeApart } from './apart/apart.ts'
import type { Address, Call, Json } from './call.ts'
import { cacheability, groupOf } from './group.ts'
import { OwnAccounts } from './own.ts'
import { anyCall, anyJson, anyMessage } from './testing/hostile.ts'
import { authority, signed, signer } from './testing/transactions.ts'

const account = (index: number): Address => `0x${'fa'.repeat(16)}${index.toString(16).padStart(8, '0')}`
const [a, b] = [account(1), account(2)]

function ownOf(...accounts: readonly Address[]): OwnAccounts {
  const own = new OwnAccounts()
  for (const one of accounts) own.learn(one)
  return own
}

/** Of those that these tests have it learn. */
function countIn(own: OwnAccounts): number {
  return Array.from({ length: 4000 }, (_, index) => account(index)).filter((one) => own.has(one)).length
}

describe('an own account is found', () => {
  test('anywhere in the text of a call: aligned or not, in either case, as key or value, however deep', () => {
    const own = ownOf(a, b)
    const digits = fc.string({ unit: fc.constantFrom(...'0123456789abcdefABCDEF') })
    const place = fc.constantFrom<(text: string) => Json>(
      (text) => text,
      (text) => [null, [text]],
      (text) => ({ data: text }),
      (text) => ({ x: [{ [text]: 1 }] }),
    )
    fc.assert(
      fc.property(digits, digits, fc.boolean(), fc.boolean(), place, (before, after, isUpper, hasPrefix, place) => {
        const name = isUpper ? a.slice(2).toUpperCase() : a.slice(2)
        const call = { method: 'm', params: [place(`${hasPrefix ? '0x' : ''}${before}${name}${after}`)] }
        expect(own.namedIn(call)).toContain(a)
      }),
      { numRuns: 500 },
    )
  })

  test('by its ENS reverse name: the node, and the name as it stands in calldata', () => {
    const own = ownOf(a)
    const name = `${a.slice(2)}.addr.reverse`
    const abi = parseAbi(['function name(bytes32)', 'function reverse(bytes)'])
    const node = encodeFunctionData({ abi, functionName: 'name', args: [namehash(name)] })
    const text = encodeFunctionData({ abi, functionName: 'reverse', args: [toHex(packetToBytes(name))] })
    for (const data of [node, text]) expect(own.namedIn({ method: 'eth_call', params: [{ data }] })).toEqual([a])
  })

  test.each(Object.keys(signed))('as signer of a raw transaction, and by its hash from then on: %s', async (name) => {
    const own = new OwnAccounts()
    const raw = (await signed[name]?.()) as string
    const call = { method: 'eth_sendRawTransaction', params: [raw] }
    expect(own.namedIn(call)).toEqual([])
    own.learnFrom(call)
    const signers = name === 'EIP-7702' ? [signer, authority] : [signer]
    expect(own.namedIn(call)).toEqual(signers.map(({ address }) => address.toLowerCase()).sort())
    const { keccak256 } = await import('viem')
    if (name.includes('sidecar')) return
    const receipt = { method: 'eth_getTransactionReceipt', params: [keccak256(raw as Address)] }
    expect(own.namedIn(receipt)).toEqual([signer.address.toLowerCase()])
  })

  test('not in digits that something else interrupts', () => {
    const own = ownOf(a)
    expect(own.namedIn({ method: 'm', params: [`${a.slice(0, 20)} ${a.slice(20)}`, a.slice(0, -1)] })).toEqual([])
  })

  test('whatever the case it was learnt in', () => {
    const own = new OwnAccounts()
    own.learn(`0x${a.slice(2).toUpperCase()}`, 'wallet')
    expect(own.namedIn({ method: 'm', params: [a] })).toEqual([a])
  })

  test('in ascending order, whatever the order in the call', () => {
    const own = ownOf(b, a)
    for (const params of [
      [a, b],
      [b, a],
    ])
      expect(own.namedIn({ method: 'm', params })).toEqual([a, b])
  })
})

describe('the accounts that are known', () => {
  test('are a thousand at most; what was seen first goes first, and what the wallet listed stays', () => {
    const own = new OwnAccounts()
    own.learn(account(0), 'wallet')
    for (let index = 1; index < 1000; index++) own.learn(account(index))
    own.learn(account(1))
    own.learn(account(1000))
    own.learn(account(1001))
    expect(countIn(own)).toBe(1000)
    expect([0, 1, 2, 3, 4, 1001].map((index) => own.has(account(index)))).toEqual([
      true,
      true,
      false,
      false,
      true,
      true,
    ])
    expect(own.namedIn({ method: 'm', params: [account(2), account(4)] })).toEqual([account(4)])
    for (let index = 2000; index < 3500; index++) own.learn(account(index), 'wallet')
    expect(countIn(own)).toBe(1000)
    expect([0, 2499, 2500, 3499].map((index) => own.has(account(index)))).toEqual([false, false, true, true])
  })

  test('and their transactions are too', () => {
    const own = ownOf(a)
    const hash = (index: number): string => `0x${'bc'.repeat(28)}${index.toString(16).padStart(8, '0')}`
    for (let index = 0; index <= 1000; index++) own.learnTransaction(hash(index), a)
    expect(own.namedIn({ method: 'm', params: [hash(0)] })).toEqual([])
    for (const index of [1, 1000]) expect(own.namedIn({ method: 'm', params: [hash(index)] })).toEqual([a])
  })

  test('are searched for in one pass, whatever text is sent to slow it down', () => {
    const own = new OwnAccounts()
    // All end alike, so that their common ending is met at every digit.
    for (let index = 0; index < 1000; index++) own.learn(`0x${index.toString(16).padStart(4, 'b')}${'c'.repeat(36)}`)
    const call = { method: 'm', params: ['c'.repeat(200_000)] }
    expect(own.namedIn(call)).toEqual([])
  })
})

test('no call makes anything throw', () => {
  const own = ownOf(a, b)
  const named = anyJson.map((value): Call => ({ method: 'eth_call', params: [{ from: a, data: b, to: value }, value] }))
  fc.assert(
    fc.property(fc.oneof(anyCall, anyMessage, named), anyJson, (call, result) => {
      own.learnFrom(call, { result })
      const group = groupOf(call, own)
      const apart = takeApart(call, own)
      expect(apart.kind === 'whole').toBe(group.kind !== 'several')
      if (group.kind !== 'none') expect(cacheability(call)).toBe('never')
    }),
    { numRuns: 2000 },
  )
})
