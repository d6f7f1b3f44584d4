import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Address, Call, Json, JsonObject, Outcome } from '../call.ts'
import { OwnAccounts } from '../own.ts'
import { createNode } from '../testing/node.ts'
import { misfit, takeApart } from './apart.ts'
import { atBlock } from './block.ts'

const accounts = ['a1', 'b2', 'c3'].map((byte): Address => `0x${byte.repeat(20)}`)
const [a, b] = accounts as [Address, Address]
const stranger: Address = `0x${'51'.repeat(20)}`
const transfer = `0x${'dd'.repeat(32)}`
const topic = (address: Address): string => `0x${'0'.repeat(24)}${address.slice(2)}`
const own = new OwnAccounts()
for (const account of accounts) own.learn(account)

const getLogs = (filter: JsonObject): Call => ({ method: 'eth_getLogs', params: [filter] })
const range = { fromBlock: '0x1', toBlock: '0x20' }

test('each account gets a filter of its own, with all else as it was', () => {
  const filter = { ...range, address: stranger, topics: [transfer, null, [topic(a), topic(b), topic(stranger)]] }
  const apart = takeApart(getLogs(filter), own)
  if (apart.kind !== 'parts') throw new Error(apart.kind)
  const part = (account: Address | undefined, named: Address): object => ({
    account,
    call: getLogs({ ...filter, topics: [transfer, null, [topic(named)]] }),
  })
  expect(apart.parts).toEqual([part(a, a), part(b, b), part(undefined, stranger)])
  expect(apart.needsSameBlock).toBe(false)
})

test('the answer is the node’s, in its order, for accounts at any place', () => {
  const someone = fc.constantFrom(...accounts, stranger)
  const log = fc.record({ address: someone, from: someone, to: someone, transaction: fc.nat(2), isNew: fc.boolean() })
  const many = fc.uniqueArray(someone, { minLength: 2 })
  const alternatives = fc.oneof(fc.constant(null), someone, fc.constant<Address[]>([stranger]), many)
  let parts = 0
  fc.assert(
    fc.property(fc.array(log), fc.tuple(alternatives, alternatives, alternatives), (made, [address, from, to]) => {
      const logs = chainOf(made)
      const padded = (value: typeof from): Json => (Array.isArray(value) ? value.map(topic) : value && topic(value))
      const call = getLogs({ ...range, ...(address && { address }), topics: [transfer, padded(from), padded(to)] })
      const node = createNode({ logs })
      const apart = takeApart(call, own)
      if (apart.kind !== 'parts') {
        // Only accounts at one place can be dealt out.
        if (apart.kind === 'linking') expect(apart.reason).toBe('logs')
        return
      }
      parts += 1
      for (const { account, call } of apart.parts) expect(own.namedIn(call)).toEqual(account ? [account] : [])
      const joined = apart.join(apart.parts.map(({ call }) => node.answer(call)))
      expect(JSON.stringify(joined)).toBe(JSON.stringify(node.answer(call)))
    }),
    { numRuns: 500 },
  )
  expect(parts).toBeGreaterThan(30)
})

/** Logs in the order of a chain: past block 16 and log 16, where the order of texts is another than that of numbers. */
function chainOf(
  made: readonly { address: Address; from: Address; to: Address; transaction: number; isNew: boolean }[],
): JsonObject[] {
  let [block, transaction, index] = [14, 0, 8]
  return made.map((one) => {
    if (one.isNew) [block, transaction, index] = [block + 1, 0, 0]
    else [transaction, index] = [transaction + one.transaction * 9, index + 1]
    return {
      address: one.address,
      topics: [transfer, topic(one.from), topic(one.to)],
      blockNumber: `0x${block.toString(16)}`,
      blockHash: `0x${block.toString(16).padStart(64, '0')}`,
      transactionIndex: `0x${transaction.toString(16)}`,
      logIndex: `0x${index.toString(16)}`,
    }
  })
}

test.each<[string, JsonObject]>([
  ['accounts at two places', { ...range, topics: [null, [topic(a), topic(b)], [topic(a)]] }],
  ['one account as sender and another as receiver', { ...range, topics: [null, topic(a), topic(b)] }],
  ['a null among the alternatives', { ...range, topics: [[topic(a), topic(b), null]] }],
  ['no number of its own', { fromBlock: '0x1', toBlock: 'finalized', topics: [[topic(a), topic(b)]] }],
])('a filter with %s is linking', (_, filter) => {
  expect(takeApart(getLogs(filter), own)).toEqual({ kind: 'linking', accounts: [a, b], reason: 'logs' })
})

test('up to the latest block the number has to be fixed first, which keeps what is fixed', () => {
  const filter = { fromBlock: '0x1', topics: [[topic(a), topic(b)]] }
  expect(takeApart(getLogs(filter), own)).toMatchObject({ kind: 'parts', needsSameBlock: true })
  const fixed = atBlock(getLogs(filter), '0x99')
  expect(fixed).toEqual(getLogs({ ...filter, toBlock: '0x99' }))
  expect(takeApart(fixed, own)).toMatchObject({ kind: 'parts', needsSameBlock: false })
  expect(atBlock(fixed, '0xaa')).toBe(fixed)
})

test('the same log in two parts counts once, and what is no log does not fit', () => {
  const apart = takeApart(getLogs({ ...range, topics: [[topic(a), topic(b)]] }), own)
  if (apart.kind !== 'parts') throw new Error(apart.kind)
  const [log] = chainOf([{ address: a, from: a, to: b, transaction: 0, isNew: true }]) as [JsonObject]
  const outcome = (...result: Json[]): Outcome => ({ result })
  expect(apart.join([outcome(log), outcome(log)])).toEqual({ result: [log] })
  for (const odd of [null, 7, {}, { ...log, logIndex: null }, { ...log, blockNumber: 'x' }]) {
    expect(apart.join([outcome(log), outcome(odd)])).toBe(misfit)
    expect(apart.join([outcome(log), { result: odd }])).toBe(misfit)
  }
})
