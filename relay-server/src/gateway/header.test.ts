import { utf8 } from '@nightjar/shared/bytes'
import { recordOverhead, recordSize } from '@nightjar/shared/envelope'
import { limits } from '@nightjar/shared/limits'
import { decodeAnswer, type Json, type Outcome } from '@nightjar/shared/rpc'
import { codeOf } from '@nightjar/shared/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { headOf } from './header.ts'
import { block, header } from './testing/blocks.ts'

function shown(outcome: Outcome): Json {
  const answer = decodeAnswer(headOf(outcome).text)
  if ('error' in answer) throw new Error('a head is never an error')
  return answer.result
}

describe('headOf', () => {
  test('takes the header of a block, and nothing else', () => {
    expect(shown({ result: block(7) })).toEqual(header(7))
    const { number, hash } = headOf({ result: block(7) })
    expect([number, hash]).toEqual([7n, header(7).hash])
  })

  test('leaves out what an older chain or another one does not have', () => {
    const { baseFeePerGas, withdrawalsRoot, ...older } = block(7)
    const { baseFeePerGas: _, withdrawalsRoot: __, nonce, ...expected } = header(7)
    expect(shown({ result: { ...older, nonce: null } })).toEqual(expected)
  })

  test('tells blocks apart by their hash, however it is written', () => {
    const upper = `0x${'AB'.repeat(32)}`
    expect(headOf({ result: { ...block(7), hash: upper } }).hash).toBe(upper.toLowerCase())
  })

  test('fits the class that polls have, with room to spare', () => {
    expect(headOf({ result: block(20_000_000) }).text.length + recordOverhead + 500).toBeLessThan(recordSize(4))
  })

  const { hash: _, ...withoutHash } = block(7)
  test.each<[string, Outcome]>([
    ['an error', { error: { code: -32000, message: 'no' } }],
    ['null, as for a block that is unknown', { result: null }],
    ['a text', { result: '0x1' }],
    ['a list', { result: [block(7)] }],
    ['an empty object', { result: {} }],
    ['without a hash', { result: withoutHash }],
    ['with a hash of null, as of the pending block', { result: { ...block(7), hash: null } }],
    ['with a hash that is too short', { result: { ...block(7), hash: '0xab' } }],
    ['with a number that is one of JSON', { result: { ...block(7), number: 7 } }],
    ['with a number of no digits', { result: { ...block(7), number: '0x' } }],
    ['with a number that is too long', { result: { ...block(7), number: `0x${'f'.repeat(65)}` } }],
    ['with text among its fields', { result: { ...block(7), extraData: 'Titan' } }],
    ['with an object among its fields', { result: { ...block(7), miner: { secret: 1 } } }],
    ['with a field of no bytes at all', { result: { ...block(7), stateRoot: '' } }],
    ['that is huge', { result: { ...block(7), extraData: `0x${'00'.repeat(2_000_000)}` } }],
    ['one byte larger than the largest class', { result: withExtraOf(largestExtra + 2) }],
  ])('refuses %s', (_, outcome) => {
    expect(codeOf(() => headOf(outcome))).toBe('upstream-failed')
  })

  test('takes one that fills the largest class', () => {
    const length = headOf({ result: withExtraOf(largestExtra) }).text.length
    expect(recordSize(limits.paddedAnswerCells) - recordOverhead - length).toBeLessThan(2)
  })

  test('shows only known fields, all hexadecimal, whatever the upstream says', () => {
    const known = Object.keys(header(1))
    const anything = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom('0x1', '0xAb', `0x${'ab'.repeat(32)}`, null),
    ) as fc.Arbitrary<Json>
    const changes = fc.dictionary(fc.constantFrom(...known, 'transactions', '__proto__', 'constructor'), anything)
    let accepted = 0
    fc.assert(
      fc.property(changes, (change) => {
        const outcome = { result: { ...block(7), ...change } }
        const code = codeOf(() => headOf(outcome))
        expect([undefined, 'upstream-failed']).toContain(code)
        if (code !== undefined) return
        accepted += 1
        for (const [name, value] of Object.entries(shown(outcome) as object)) {
          expect(known).toContain(name)
          expect(value).toMatch(/^0x[0-9a-f]*$/i)
        }
      }),
      { seed: 1, numRuns: 500 },
    )
    expect(accepted).toBeGreaterThan(20)
  })
})

const emptyExtra = utf8(JSON.stringify({ result: { ...header(7), extraData: '0x' } })).length
const largestExtra = recordSize(limits.paddedAnswerCells) - recordOverhead - emptyExtra

/** A block whose `extraData` has that many digits. */
function withExtraOf(digits: number): { readonly [key: string]: Json } {
  return { ...block(7), extraData: `0x${'0'.repeat(digits)}` }
}
