import { limits } from '@nightjar/shared/limits'
import type { Json } from '@nightjar/shared/rpc'
import { codeOf } from '@nightjar/shared/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { account, transaction } from './testing/scriptedChain.ts'
import { parseWatch } from './watchQuestion.ts'

const secret = '0f'.repeat(16)
const schedule = { stride: 5, delay: 1000, secret }

describe('a watch is asked for', () => {
  test('by an account, however it is written', () => {
    const parsed = { subject: 'account', id: account, ...schedule }
    expect(parseWatch([{ account, ...schedule }])).toEqual(parsed)
    expect(parseWatch([{ secret, delay: 1000, account: `0x${account.slice(2).toUpperCase()}`, stride: 5 }])).toEqual(
      parsed,
    )
  })

  test('by a transaction', () => {
    expect(parseWatch([{ transaction, ...schedule }])).toEqual({ subject: 'transaction', id: transaction, ...schedule })
  })

  test('with the least and the most of stride and delay', () => {
    for (const edge of [
      { stride: 1, delay: 0 },
      { stride: limits.watchStride, delay: limits.watchDelay },
    ]) {
      expect(parseWatch([{ account, secret, ...edge }])).toMatchObject(edge)
    }
  })
})

test.each<[string, Json | undefined]>([
  ['nothing', undefined],
  ['no param', []],
  ['two', [{ account, ...schedule }, {}]],
  ['an object', { account, ...schedule }],
  ['a list', [[account, 5, 1000, secret]]],
  ['null', [null]],
  ['a text', [account]],
  ['neither account nor transaction', [schedule]],
  ['both', [{ account, transaction, ...schedule }]],
  ['an unknown key', [{ account, ...schedule, resume: true }]],
  ['another subject', [{ logs: account, ...schedule }]],
  ['a hash for an account', [{ account: transaction, ...schedule }]],
  ['an address for a transaction', [{ transaction: account, ...schedule }]],
  ['an account that is no text', [{ account: [account], ...schedule }]],
  ['an account with a line after it', [{ account: `${account}\n`, ...schedule }]],
  ['no stride', [{ account, delay: 0, secret }]],
  ['a stride of 0', [{ account, ...schedule, stride: 0 }]],
  ['a stride too large', [{ account, ...schedule, stride: 1001 }]],
  ['a stride in text', [{ account, ...schedule, stride: '5' }]],
  ['half a stride', [{ account, ...schedule, stride: 1.5 }]],
  ['no delay', [{ account, stride: 5, secret }]],
  ['a delay below 0', [{ account, ...schedule, delay: -1 }]],
  ['a delay too large', [{ account, ...schedule, delay: 120_001 }]],
  ['a delay that is none', [{ account, ...schedule, delay: null }]],
  ['no secret', [{ account, stride: 5, delay: 0 }]],
  ['a secret too short', [{ account, ...schedule, secret: secret.slice(1) }]],
  ['a secret in capitals', [{ account, ...schedule, secret: secret.toUpperCase() }]],
  ['a secret and a line', [{ account, ...schedule, secret: `${secret}\n` }]],
  ['a secret that is a number', [{ account, ...schedule, secret: 7 }]],
  ['the prototype', [{ ['__proto__']: account, ...schedule }]],
])('%s is refused', (_, params) => {
  expect(codeOf(() => parseWatch(params))).toBe('bad-request')
})

test('whatever the params, they are a watch within the bounds or refused', () => {
  const fields = fc.record(
    {
      account: fc.oneof(fc.constant(account), fc.jsonValue()),
      transaction: fc.oneof(fc.constant(transaction), fc.jsonValue()),
      stride: fc.oneof(fc.integer({ min: -2, max: 1100 }), fc.jsonValue()),
      delay: fc.oneof(fc.integer({ min: -2, max: 121_000 }), fc.double(), fc.jsonValue()),
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(fc.oneof(fc.tuple(fields), fc.jsonValue()), (params) => {
      const code = codeOf(() => parseWatch(params))
      if (code !== undefined) return void expect(code).toBe('bad-request')
      const { id, stride, delay } = parseWatch(params)
      expect([account, transaction]).toContain(id)
      expect(Number.isInteger(stride) && stride >= 1 && stride <= 1000).toBe(true)
      expect(Number.isInteger(delay) && delay >= 0 && delay <= 120_000).toBe(true)
    }),
    { numRuns: 2000 },
  )
})
