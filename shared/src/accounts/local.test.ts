import { describe, expect, it, test } from 'vitest'
import { emptyCodeHash, type Hex } from '../proofs/index.ts'
import { answerOf, localQuestionOf } from './local.ts'
import { balancesAnswer, balancesCall, checker } from './testing/stage.ts'

const a: Hex = `0x${'ab'.repeat(20)}`
const state = {
  number: 16,
  hash: '0x',
  balance: '0x1f4',
  nonce: '0x5',
  codeHash: emptyCodeHash,
  trust: 'verified',
} as const
const [message] = balancesCall([a], '0x10').params as readonly { readonly to: string; readonly data: string }[]
const data = message?.data ?? ''
const call = (fields: object, block: string | undefined = '0x10', chain = 1) =>
  localQuestionOf(chain, { method: 'eth_call', params: [fields as never, ...(block === undefined ? [] : [block])] })

test.each([
  ['eth_getBalance', { result: '0x1f4' }],
  ['eth_getTransactionCount', { result: '0x5' }],
  ['eth_getCode', { result: '0x' }],
])('%s is answered', (method, answer) => {
  const question = localQuestionOf(1, { method, params: [a.replace('a', 'A'), '0x10'] })
  expect(question).toMatchObject({ account: a, block: 16 })
  expect(question && answerOf(question, state)).toEqual(answer)
  expect(localQuestionOf(1, { method, params: [a] })).toMatchObject({ block: 'latest' })
})

test('code is answered only where there is none', () => {
  const question = localQuestionOf(1, { method: 'eth_getCode', params: [a, 'latest'] })
  expect(question && answerOf(question, { ...state, codeHash: `0x${'11'.repeat(32)}` })).toBeUndefined()
})

describe('the balance checker', () => {
  it('is answered for the ether of one account', () => {
    for (const fields of [
      { to: checker, data },
      { to: checker.toUpperCase().replace('X', 'x'), input: data },
    ]) {
      const question = call(fields)
      expect(question).toEqual({ account: a, what: 'checked-balance', block: 16 })
      expect(question && answerOf(question, state)).toEqual(balancesAnswer([500n]))
    }
  })

  it.each([
    [56, '0x2352c63a83f9fd126af8676146721fa00924d7e4'],
    [59144, '0xf62e6a41561b3650a69bb03199c735e3e3328c0d'],
    [1313161554, '0x1286415d333855237f89df27d388127181448538'],
  ])('is known on chain %d', (chain, to) => {
    expect(call({ to, data }, '0x10', chain)).toMatchObject({ account: a, what: 'checked-balance' })
  })

  it.each([
    ['a token', { to: checker, data: `${data.slice(0, -2)}01` }, '0x10', 1],
    [
      'two accounts',
      { to: checker, data: (balancesCall([a, a], '0x10').params as (typeof message)[])[0]?.data },
      '0x10',
      1,
    ],
    ['another contract', { to: a, data }, '0x10', 1],
    ['the checker of another chain', { to: checker, data }, '0x10', 56],
    ['a chain that has none', { to: checker, data }, '0x10', 11155111],
    ['somebody’s name', { to: checker, data, from: a }, '0x10', 1],
    ['an unclear calldata', { to: checker, data, input: '0x' }, '0x10', 1],
    ['trailing bytes', { to: checker, data: `${data}00` }, '0x10', 1],
    ['a block that is no number', { to: checker, data }, 'pending', 1],
  ])('is not answered for %s', (_what, fields, block, chain) => {
    expect(call(fields, block, chain)).toBeUndefined()
  })
})

it.each([
  ['eth_getBalance', [a, 'pending']],
  ['eth_getBalance', [a, '0x010']],
  ['eth_getBalance', [a, { blockHash: '0x' }]],
  ['eth_getBalance', [a, '0x10', {}]],
  ['eth_getBalance', []],
  ['eth_getBalance', ['0x12', '0x10']],
  ['eth_getStorageAt', [a, '0x10']],
])('%s of %j is not answered', (method, params) => {
  expect(localQuestionOf(1, { method, params: params as never })).toBeUndefined()
})
