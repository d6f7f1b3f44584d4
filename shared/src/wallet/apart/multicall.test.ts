import fc from 'fast-check'
import { encodeFunctionData, type Hex, parseAbi } from 'viem'
import { describe, expect, test } from 'vitest'
import type { Address, Call, Outcome } from '../call.ts'
import {
  a,
  accounts,
  aggregate3,
  b,
  balanceOf,
  balances,
  ethCall,
  inParts,
  otherBatch,
  others,
  own,
  partsOf,
  type Sub,
  stranger,
  strangers,
  token,
  tokens,
  views,
} from '../testing/calls.ts'
import { balanceChecker, createNode, multicall3 } from '../testing/node.ts'
import { misfit, takeApart } from './apart.ts'

describe('Multicall3', () => {
  const subs: readonly Sub[] = [
    [multicall3, encodeFunctionData({ abi: views, functionName: 'getEthBalance', args: [a] })],
    [token, balanceOf(b), false],
    [token, encodeFunctionData({ abi: views, functionName: 'symbol' })],
    [token, balanceOf(a)],
  ]

  test('is dealt out by account, calls that name none in a part without account', () => {
    const call = ethCall(multicall3, aggregate3(subs))
    const at = (...indices: number[]): Call =>
      ethCall(multicall3, aggregate3(indices.map((index) => subs[index] as Sub)))
    expect(partsOf(call).parts).toEqual([
      { account: a, call: at(0, 3) },
      { account: b, call: at(1) },
      { account: undefined, call: at(2) },
    ])
    expect(inParts(call, createNode())).toEqual(createNode().answer(call))
  })

  test('of one account and whatever names none is left whole', () => {
    const one = subs.filter((_, index) => index !== 1)
    expect(takeApart(ethCall(multicall3, aggregate3(one)), own)).toEqual({ kind: 'whole' })
  })

  test('with a call that is not known to only read is linking', () => {
    const transfer = encodeFunctionData({ abi: views, functionName: 'transfer', args: [stranger, 1n] })
    for (const extra of [
      [token, transfer],
      [token, '0x'],
      [multicall3, aggregate3([[token, transfer]])],
    ] as Sub[]) {
      const apart = takeApart(ethCall(multicall3, aggregate3([...subs, extra])), own)
      expect(apart).toEqual({ kind: 'linking', accounts: [a, b], reason: 'multicall' })
    }
  })

  test('with a call that names two accounts at once is linking', () => {
    const allowance = encodeFunctionData({ abi: views, functionName: 'allowance', args: [a, b] })
    expect(takeApart(ethCall(multicall3, aggregate3([[token, allowance]])), own).kind).toBe('linking')
  })

  test('elsewhere, or one that sends ether, is linking', () => {
    expect(takeApart(ethCall(stranger, aggregate3(subs)), own).kind).toBe('linking')
    const withValue = encodeFunctionData({
      abi: parseAbi(['function aggregate3Value((address, bool, uint256, bytes)[]) payable']),
      functionName: 'aggregate3Value',
      args: [[a, b].map((user) => [token, true, 0n, balanceOf(user)] as const)],
    })
    expect(takeApart(ethCall(multicall3, withValue), own)).toMatchObject({ kind: 'linking', reason: 'multicall' })
  })

  test('three deep is linking, two deep is taken apart', () => {
    const node = createNode()
    const inner = aggregate3([
      [token, balanceOf(a), false],
      [token, balanceOf(b), false],
    ])
    const two = ethCall(multicall3, aggregate3([[multicall3, inner]]))
    expect(inParts(two, node)).toEqual(node.answer(two))
    const three = ethCall(multicall3, aggregate3([[multicall3, aggregate3([[multicall3, inner]])]]))
    expect(takeApart(three, own).kind).toBe('linking')
  })

  /** A batch in the clear: what is asked of whom, batches among it. */
  const user = fc.constantFrom(...accounts, ...strangers)
  const read: fc.Arbitrary<Sub> = fc.oneof(
    fc.tuple(fc.constantFrom(...tokens), user.map(balanceOf), fc.boolean()),
    fc.tuple(
      fc.constantFrom<Address>(multicall3),
      user.map((one) => encodeFunctionData({ abi: views, functionName: 'getEthBalance', args: [one] })),
      fc.boolean(),
    ),
    fc.tuple(
      fc.constantFrom(...tokens),
      fc.constant(encodeFunctionData({ abi: views, functionName: 'symbol' })),
      fc.boolean(),
    ),
    fc.tuple(
      fc.constantFrom<Address>(balanceChecker),
      fc.uniqueArray(user, { maxLength: 4 }).map((users) => balances(users)),
      fc.boolean(),
    ),
  )
  const batch = (subs: fc.Arbitrary<Sub>): fc.Arbitrary<Hex> =>
    fc.oneof(
      fc.array(subs, { maxLength: 8 }).map(aggregate3),
      fc
        .tuple(fc.constantFrom(...others), fc.boolean(), fc.array(subs, { maxLength: 8 }))
        .map(([name, requireSuccess, subs]) => otherBatch(name, requireSuccess, subs)),
    )
  const nested: fc.Arbitrary<Sub> = fc.tuple(fc.constantFrom<Address>(multicall3), batch(read), fc.boolean())

  test('any batch of reads, with failures anywhere, answers as the node does, byte for byte', () => {
    const failing = fc.tuple(fc.constantFrom(...tokens, multicall3), fc.constantFrom(...accounts, ...strangers))
    let parts = 0
    let failures = 0
    fc.assert(
      fc.property(
        batch(fc.oneof({ weight: 4, arbitrary: read }, nested)),
        fc.array(failing, { maxLength: 2 }),
        (data, failing) => {
          const node = createNode({
            fails: (target, data) => failing.some(([token, user]) => token === target && data.includes(user.slice(2))),
          })
          const call = ethCall(multicall3, data)
          const direct = node.answer(call)
          if (takeApart(call, own).kind === 'parts') {
            parts += 1
            if ('error' in direct) failures += 1
          }
          expect(JSON.stringify(inParts(call, node))).toBe(JSON.stringify(direct))
        },
      ),
      { numRuns: 400 },
    )
    // The property says something: most were taken apart, and many of these failed.
    expect(parts).toBeGreaterThan(100)
    expect(failures).toBeGreaterThan(3)
  })

  test('parts that tell different blocks do not fit', () => {
    const apart = partsOf(
      ethCall(
        multicall3,
        otherBatch('aggregate', true, [
          [token, balanceOf(a)],
          [token, balanceOf(b)],
        ]),
      ),
    )
    const [first, second] = apart.parts.map((part) => createNode().answer(part.call)) as [Outcome, { result: string }]
    const other = { result: second.result.replace('1234', '1235') }
    expect(apart.join([first, second])).not.toBe(misfit)
    expect(apart.join([first, other])).toBe(misfit)
  })
})
