import { encodeFunctionData, parseAbi } from 'viem'
import { describe, expect, test } from 'vitest'
import { type Address, type Call, type Outcome, paramOf } from './call.ts'
import { takeApart } from './index.ts'
import { learntFrom } from './learnt.ts'
import { OwnAccounts } from './own.ts'
import { balanceChecker, abi as contracts, multicall3 } from './testing/node.ts'
import { signed, signer } from './testing/transactions.ts'

const [a, b, c] = ['a1', 'b2', 'c3'].map((byte): Address => `0x${byte.repeat(20)}`) as [Address, Address, Address]
const zero: Address = `0x${'0'.repeat(40)}`
const hash = `0x${'ab'.repeat(32)}`
const balances = encodeFunctionData({
  abi: contracts,
  functionName: 'balances',
  args: [
    [a, b],
    [zero, c],
  ],
})
const getEthBalance = (user: Address): Address =>
  encodeFunctionData({
    abi: parseAbi(['function getEthBalance(address)']),
    functionName: 'getEthBalance',
    args: [user],
  })
const batch = encodeFunctionData({
  abi: contracts,
  functionName: 'aggregate3',
  args: [
    [
      { target: multicall3, allowFailure: true, callData: getEthBalance(a) },
      { target: balanceChecker, allowFailure: true, callData: balances },
      { target: c, allowFailure: true, callData: `0x70a08231${c.slice(2).padStart(64, '0')}` },
    ],
  ],
})

describe('learnt as seen', () => {
  test.each<[string, Call, readonly Address[]]>([
    ['whose balance is asked for', { method: 'eth_getBalance', params: [a, '0x1'] }, [a]],
    ['whose nonce is asked for', { method: 'eth_getTransactionCount', params: [a, '0x1'] }, [a]],
    ['who calls', { method: 'eth_call', params: [{ from: a, to: b }] }, [a]],
    ['who would send', { method: 'eth_estimateGas', params: [{ from: a, to: b }] }, [a]],
    ['who sends', { method: 'eth_sendTransaction', params: [{ from: a, to: b }] }, [a]],
    [
      'the users of a balance checker, not its tokens',
      { method: 'eth_call', params: [{ to: c, data: balances }] },
      [a, b],
    ],
    ['the users in a batch', { method: 'eth_call', params: [{ to: multicall3, input: batch }] }, [a, a, b]],
    ['not the contract that is called', { method: 'eth_call', params: [{ to: c }] }, []],
    ['not the zero address, nor a small number', { method: 'eth_call', params: [{ from: zero, to: c }] }, []],
    ['not whose code is asked for', { method: 'eth_getCode', params: [a, '0x1'] }, []],
    ['nothing of what is malformed', { method: 'eth_getBalance', params: { 0: a } }, []],
  ])('%s', (_, call, seen) => {
    expect(learntFrom(call)).toEqual({ listed: [], seen })
  })
})

test.each(['eth_accounts', 'eth_requestAccounts'])('%s lists the wallet’s own', (method) => {
  const result = [a, `0x${b.slice(2).toUpperCase()}`, 'x', null, zero]
  expect(learntFrom({ method }, { result })).toEqual({ listed: [a, b], seen: [] })
  for (const odd of [undefined, { result: null }, { error: { code: 4001, message: 'no' } }] as (Outcome | undefined)[])
    expect(learntFrom({ method }, odd)).toEqual({ listed: [], seen: [] })
})

test('a transaction belongs to who sent it, by the wallet or raw', async () => {
  const call = { method: 'eth_sendTransaction', params: [{ from: a, to: b }] }
  expect(learntFrom(call, { result: hash })).toEqual({ listed: [], seen: [a], transaction: { hash, account: a } })
  expect(learntFrom(call, { result: '0x1' })).toEqual({ listed: [], seen: [a] })
  const raw = { method: 'eth_sendRawTransaction', params: [(await signed.legacy?.()) as string] }
  const account = signer.address.toLowerCase()
  expect(learntFrom(raw)).toMatchObject({ seen: [account], transaction: { account } })
})

test('a wallet’s first poll teaches its accounts, and is taken apart', () => {
  const own = new OwnAccounts()
  const call = { method: 'eth_call', params: [{ to: balanceChecker, data: balances }, '0x1'] }
  expect(takeApart(call, own).kind).toBe('whole')
  own.learnFrom(call)
  const apart = takeApart(call, own)
  expect(apart.kind === 'parts' && apart.parts.map(({ account }) => account)).toEqual([a, b])
  expect(paramOf(call, 1)).toBe('0x1')
})
