import fc from 'fast-check'
import { encodeFunctionData, type Hex } from 'viem'
import { describe, expect, test } from 'vitest'
import type { Call, Outcome } from '../call.ts'
import { a, b, balanceOf, balances, c, ethCall, own, partsOf, token, views } from '../testing/calls.ts'
import { balanceChecker, createNode } from '../testing/node.ts'
import { misfit, takeApart } from './apart.ts'

describe('what is kept together', () => {
  test.each<[string, (data: Hex) => string]>([
    ['bytes behind the end', (data) => `${data}00`],
    ['a word behind the end', (data) => `${data}${'0'.repeat(64)}`],
    ['an offset that leaves a gap', (data) => data.replace(`${'0'.repeat(62)}40`, `${'0'.repeat(62)}60`)],
    ['a dirty address', (data) => data.replace(`${'0'.repeat(24)}${a.slice(2)}`, `${'0'.repeat(23)}1${a.slice(2)}`)],
    ['half a byte', (data) => data.slice(0, -1)],
  ])('calldata with %s', (_, change) => {
    const call = ethCall(balanceChecker, change(balances([a, b])) as Hex)
    expect(takeApart(call, own)).toEqual({ kind: 'linking', accounts: [a, b], reason: 'multicall' })
  })

  test.each<[string, object]>([
    ['a caller that is an account', { from: c }],
    ['data beside input', { input: '0x' }],
  ])('a call with %s', (_, more) => {
    expect(takeApart(ethCall(balanceChecker, balances([a, b]), more), own).kind).toBe('linking')
  })

  test('an account among the tokens or in the overrides', () => {
    expect(takeApart(ethCall(balanceChecker, balances([a, b], [c])), own).kind).toBe('linking')
    const call = { method: 'eth_call', params: [{ to: balanceChecker, data: balances([a, b]) }, '0x1', { [c]: {} }] }
    expect(takeApart(call, own).kind).toBe('linking')
  })

  test.each<[string, Call, string]>([
    ['ether', { method: 'eth_estimateGas', params: [{ from: a, to: b, value: '0x1' }] }, 'transfer'],
    [
      'a token',
      ethCall(token, encodeFunctionData({ abi: views, functionName: 'transfer', args: [b, 1n] }), { from: a }),
      'transfer',
    ],
    ['a call in the name of one for another', ethCall(token, balanceOf(b), { from: a }), 'other'],
    [
      'a raw transaction that names two',
      { method: 'eth_sendRawTransaction', params: [`0x${a.slice(2)}${b.slice(2)}`] },
      'transfer',
    ],
    [
      'a gas estimate of many balances',
      { method: 'eth_estimateGas', params: [{ to: balanceChecker, data: balances([a, b]) }] },
      'multicall',
    ],
    [
      'simulated blocks',
      { method: 'eth_simulateV1', params: [{ blockStateCalls: [{ calls: [{ from: a, to: b }] }] }] },
      'other',
    ],
  ])('%s', (_, call, reason) => {
    expect(takeApart(call, own)).toEqual({ kind: 'linking', accounts: [a, b], reason })
  })
})

describe('the block', () => {
  const data = balances([a, b])
  test.each([[[]], [['latest']], [[null]]])('of %j has to be fixed first', (rest) => {
    expect(partsOf({ method: 'eth_call', params: [{ to: balanceChecker, data }, ...rest] }).needsSameBlock).toBe(true)
  })

  test.each([['0x1'], ['earliest'], [{ blockHash: '0x12' }], [{ blockNumber: '0x1' }]])('%j is fixed', (block) => {
    expect(partsOf({ method: 'eth_call', params: [{ to: balanceChecker, data }, block] }).needsSameBlock).toBe(false)
  })

  test.each([['pending'], ['safe'], ['finalized'], [7], [{}], ['x']])(
    '%j has no number, so the call is linking',
    (block) => {
      expect(takeApart({ method: 'eth_call', params: [{ to: balanceChecker, data }, block] }, own).kind).toBe('linking')
    },
  )
})

describe('joining', () => {
  const apart = partsOf(ethCall(balanceChecker, balances([a, b, c])))
  const outcomes = apart.parts.map(({ call }) => createNode().answer(call))
  const error = (message: string): Outcome => ({ error: { code: -32000, message } })

  test('the first error decides', () => {
    expect(apart.join([outcomes[0] as Outcome, error('one'), error('two')])).toEqual(error('one'))
  })

  test.each<[string, Outcome]>([
    ['null', { result: null }],
    ['a number', { result: 7 }],
    ['nothing among something', { result: '0x' }],
    ['a balance too many', { result: `${(outcomes[0] as { result: string }).result}${'0'.repeat(64)}` }],
    ['no hexadecimal', { result: '0xzz' }],
  ])('%s in the place of a balance does not fit', (_, odd) => {
    expect(apart.join([odd, ...outcomes.slice(1)])).toBe(misfit)
  })

  test('a part too few or too many does not fit', () => {
    expect(apart.join(outcomes.slice(1))).toBe(misfit)
    expect(apart.join([...outcomes, outcomes[0] as Outcome])).toBe(misfit)
  })

  test('of anything at all throws nothing', () => {
    const outcome = fc.oneof(
      fc.constantFrom(...outcomes),
      fc.record({ result: fc.jsonValue() }),
    ) as fc.Arbitrary<Outcome>
    fc.assert(
      fc.property(fc.array(outcome, { minLength: 3, maxLength: 3 }), (some) => {
        expect(apart.join(some)).toBeTypeOf('object')
      }),
    )
  })
})
