import { describe, expect, test } from 'vitest'
import type { Address, Call } from './call.ts'
import { cacheability, groupOf } from './group.ts'
import { OwnAccounts } from './own.ts'

const [a, b, stranger] = ['a1', 'b2', '51'].map((byte): Address => `0x${byte.repeat(20)}`) as [
  Address,
  Address,
  Address,
]
const hash = `0x${'ab'.repeat(32)}`
const own = new OwnAccounts()
own.learn(a)
own.learn(b)

test.each<[Call, object]>([
  [{ method: 'eth_blockNumber' }, { kind: 'none' }],
  [{ method: 'eth_getBalance', params: [stranger, '0x1'] }, { kind: 'none' }],
  [
    { method: 'eth_getBalance', params: [a, '0x1'] },
    { kind: 'account', account: a },
  ],
  [
    { method: 'eth_call', params: [{ from: a, to: stranger, data: a }] },
    { kind: 'account', account: a },
  ],
  [
    { method: 'eth_call', params: [{ from: b, to: a }] },
    { kind: 'several', accounts: [a, b] },
  ],
])('%j is of group %j', (call, group) => {
  expect(groupOf(call, own)).toEqual(group)
})

describe('an answer may serve all', () => {
  test.each<[string, Call['params']?]>([
    ['eth_chainId'],
    ['eth_gasPrice', []],
    ['eth_blockNumber', []],
    ['eth_feeHistory', ['0x5', 'latest', [10, 90]]],
    ['eth_feeHistory', [5, '0x12', null]],
    ['eth_blobBaseFee', []],
    ['eth_getBlockByNumber', ['latest', false]],
    ['eth_getBlockByNumber', ['0x12', false]],
    ['eth_getBlockByHash', [hash, false]],
  ])('%s %j', (method, params) => {
    expect(cacheability(params === undefined ? { method } : { method, params })).toBe('chain-wide')
  })

  test.each<[string, Call['params']?]>([
    ['eth_getBlockByNumber', ['latest', true]],
    ['eth_getBlockByNumber', ['latest']],
    ['eth_getBlockByNumber', ['pending', false]],
    ['eth_getBlockByNumber', ['latest', false, stranger]],
    ['eth_getBlockByNumber', { 0: 'latest', 1: false }],
    ['eth_getBlockByHash', [stranger, false]],
    ['eth_chainId', [stranger]],
    ['eth_feeHistory', ['0x5', 'latest', [stranger]]],
    ['eth_getTransactionReceipt', [hash]],
    ['eth_getBalance', [stranger, '0x1']],
    ['eth_getCode', [stranger, '0x1']],
    ['eth_call', [{ to: stranger }, '0x1']],
    ['toString', []],
  ])('but not %s %j', (method, params) => {
    expect(cacheability(params === undefined ? { method } : { method, params })).toBe('never')
  })
})
