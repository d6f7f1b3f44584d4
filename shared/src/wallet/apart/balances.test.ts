import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Address, Call } from '../call.ts'
import {
  a,
  accounts,
  aggregate3,
  b,
  balances,
  ethCall,
  inParts,
  own,
  partsOf,
  type Sub,
  stranger,
  strangers,
  tokens,
} from '../testing/calls.ts'
import { balanceChecker, createNode, multicall3 } from '../testing/node.ts'
import { takeApart } from './apart.ts'

describe('the balance checker', () => {
  test('each account gets a call of its own, and the answer is in the order that was asked', () => {
    const call = ethCall(balanceChecker, balances([b, a, stranger]))
    const apart = partsOf(call)
    expect(apart.parts).toEqual([
      { account: b, call: ethCall(balanceChecker, balances([b])) },
      { account: a, call: ethCall(balanceChecker, balances([a])) },
      { account: undefined, call: ethCall(balanceChecker, balances([stranger])) },
    ])
    expect(apart.needsSameBlock).toBe(false)
    expect(inParts(call, createNode())).toEqual(createNode().answer(call))
  })

  test('at any address, in `input` too, with gas, block and overrides as they were', () => {
    const call: Call = {
      method: 'eth_call',
      params: [{ to: stranger, input: balances([a, b]), gas: '0x5208', from: stranger }, { blockHash: '0x12' }, {}],
    }
    expect(partsOf(call).parts.map(({ call }) => call)).toEqual([
      {
        ...call,
        params: [{ to: stranger, input: balances([a]), gas: '0x5208', from: stranger }, { blockHash: '0x12' }, {}],
      },
      {
        ...call,
        params: [{ to: stranger, input: balances([b]), gas: '0x5208', from: stranger }, { blockHash: '0x12' }, {}],
      },
    ])
  })

  test('of one own account is left whole', () => {
    expect(takeApart(ethCall(balanceChecker, balances([a, stranger])), own)).toEqual({ kind: 'whole' })
  })

  test('that is not there returns nothing, in one piece and in parts', () => {
    const node = createNode({ isAbsent: () => true })
    expect(inParts(ethCall(balanceChecker, balances([a, b])), node)).toEqual({ result: '0x' })
  })

  test('of any users and tokens, some of which revert, answers as the node does', () => {
    const users = fc.shuffledSubarray([...accounts, ...strangers])
    const failing = fc.uniqueArray(fc.tuple(fc.constantFrom(...tokens), fc.constantFrom(...accounts, ...strangers)), {
      maxLength: 3,
    })
    fc.assert(
      fc.property(users, fc.subarray([...tokens]), failing, (users, tokens, failing) => {
        const node = createNode({
          fails: (token, user) => failing.some(([one, other]) => one === token && other === user),
        })
        const call = ethCall(balanceChecker, balances(users, tokens))
        expect(JSON.stringify(inParts(call, node))).toBe(JSON.stringify(node.answer(call)))
      }),
      { numRuns: 300 },
    )
  })

  test('is not taken apart where an account is listed twice, or the parts would be too many or grow too large', () => {
    const some = (length: number): Address[] =>
      Array.from({ length }, (_, index): Address => `0x${'e'.repeat(32)}${index.toString(16).padStart(8, '0')}`)
    expect(takeApart(ethCall(balanceChecker, balances([a, b, a])), own).kind).toBe('linking')
    expect(takeApart(ethCall(balanceChecker, balances([a, b, ...some(250)])), own).kind).toBe('parts')
    expect(takeApart(ethCall(balanceChecker, balances([a, b, ...some(300)])), own).kind).toBe('linking')
    const large = balances([a, b, ...some(250)], some(300))
    expect(takeApart(ethCall(balanceChecker, large), own).kind).toBe('linking')
    const half: Sub = [balanceChecker, balances([a, b, ...some(100)], some(400))]
    expect(takeApart(ethCall(multicall3, aggregate3([half])), own).kind).toBe('parts')
    expect(takeApart(ethCall(multicall3, aggregate3([half, half])), own).kind).toBe('linking')
  })
})
