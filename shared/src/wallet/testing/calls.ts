/** The accounts and calls of the tests that take calls apart. Calldata is made by viem. */
import { encodeFunctionData, type Hex, parseAbi } from 'viem'
import { expect } from 'vitest'
import { type Apart, takeApart } from '../apart/apart.ts'
import type { Address, Call, Outcome } from '../call.ts'
import { OwnAccounts } from '../own.ts'
import { abi } from './node.ts'

export const accounts = ['a1', 'b2', 'c3', 'd4'].map((byte): Address => `0x${byte.repeat(20)}`)
export const [a, b, c] = accounts as [Address, Address, Address]
export const strangers = ['51', '62'].map((byte): Address => `0x${byte.repeat(20)}`)
export const [stranger] = strangers as [Address]
export const tokens: readonly Address[] = [`0x${'00'.repeat(20)}`, `0x${'77'.repeat(20)}`, `0x${'88'.repeat(20)}`]
export const token = tokens[1] as Address

export const own = new OwnAccounts()
for (const account of accounts) own.learn(account)

export const views = parseAbi([
  'function balanceOf(address) view returns (uint256)',
  'function allowance(address, address) view returns (uint256)',
  'function getEthBalance(address) view returns (uint256)',
  'function symbol() view returns (string)',
  'function transfer(address, uint256)',
])
export const balanceOf = (user: Address): Hex =>
  encodeFunctionData({ abi: views, functionName: 'balanceOf', args: [user] })
export const balances = (users: readonly Address[], of = tokens): Hex =>
  encodeFunctionData({ abi, functionName: 'balances', args: [users, of] })

/** A call in a batch. */
export type Sub = readonly [target: Address, data: Hex, mayFail?: boolean]
export const aggregate3 = (subs: readonly Sub[]): Hex =>
  encodeFunctionData({
    abi,
    functionName: 'aggregate3',
    args: [subs.map(([target, callData, allowFailure = true]) => ({ target, allowFailure, callData }))],
  })
export const others = ['aggregate', 'tryAggregate', 'blockAndAggregate', 'tryBlockAndAggregate'] as const
export function otherBatch(functionName: (typeof others)[number], requireSuccess: boolean, subs: readonly Sub[]): Hex {
  const calls = subs.map(([target, callData]) => ({ target, callData }))
  if (functionName === 'aggregate' || functionName === 'blockAndAggregate')
    return encodeFunctionData({ abi, functionName, args: [calls] })
  return encodeFunctionData({ abi, functionName, args: [requireSuccess, calls] })
}

export const ethCall = (to: Address, data: Hex, more: object = {}): Call => ({
  method: 'eth_call',
  params: [{ to, data, ...more }, '0x1234'],
})

type Parts = Extract<Apart, { kind: 'parts' }>
export function partsOf(call: Call): Parts {
  const apart = takeApart(call, own)
  if (apart.kind !== 'parts') throw new Error(`not in parts: ${JSON.stringify(apart)}`)
  return apart
}

/** What the whole says, put together from the parts; each part is checked to name its own account only. */
export function inParts(call: Call, node: { answer(call: Call): Outcome }): Outcome {
  const apart = takeApart(call, own)
  if (apart.kind === 'linking') throw new Error(`linking: ${apart.reason}`)
  if (apart.kind === 'whole') {
    expect(own.namedIn(call).length).toBeLessThan(2)
    return node.answer(call)
  }
  for (const part of apart.parts) {
    expect(own.namedIn(part.call)).toEqual(part.account === undefined ? [] : [part.account])
  }
  return apart.join(apart.parts.map((part) => node.answer(part.call)))
}
