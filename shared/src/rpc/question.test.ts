import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fromUtf8, utf8 } from '../bytes/index.ts'
import { limits } from '../limits.ts'
import { codeOf } from '../testing/index.ts'
import {
  decodeAnswer,
  decodeQuestion,
  encodeAnswer,
  encodeQuestion,
  type Json,
  type Outcome,
  type Question,
} from './index.ts'

const json = (value: unknown) => utf8(JSON.stringify(value))

/** JSON without -0, which JSON.stringify writes as 0. */
const aJson = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as Json)

const aQuestion = fc.record(
  {
    chain: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    cells: fc.constantFrom(1, 2, 4, 8, 16, 32, 64, 128, 256),
    method: fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }),
    params: fc.array(aJson, { maxLength: 3 }),
  },
  { requiredKeys: ['chain', 'cells', 'method'] },
) as fc.Arbitrary<Question>

describe('a question', () => {
  test('comes back as it was', () => {
    fc.assert(
      fc.property(aQuestion, (question) => {
        expect(decodeQuestion(encodeQuestion(question))).toEqual(question)
      }),
    )
  })

  test('has no id and nothing else that is not its own', () => {
    const call = { chain: 1, cells: 4, method: 'eth_call', params: [], id: 7, origin: 'https://dapp.example' }
    expect(fromUtf8(encodeQuestion(call))).toBe('{"chain":1,"cells":4,"method":"eth_call","params":[]}')
  })

  const good = { chain: 1, cells: 4, method: 'eth_call', params: [] }
  test.each<[string, unknown]>([
    ['null', null],
    ['an array', [good]],
    ['a text', 'eth_call'],
    ['a number', 7],
    ['no chain', { ...good, chain: undefined }],
    ['chain 0', { ...good, chain: 0 }],
    ['a negative chain', { ...good, chain: -1 }],
    ['half a chain', { ...good, chain: 1.5 }],
    ['a chain beyond 2^53', { ...good, chain: 2 ** 53 }],
    ['a chain as text', { ...good, chain: '1' }],
    ['no cells', { ...good, cells: undefined }],
    ['0 cells', { ...good, cells: 0 }],
    ['3 cells', { ...good, cells: 3 }],
    ['-4 cells', { ...good, cells: -4 }],
    ['half a cell', { ...good, cells: 0.5 }],
    ['cells as text', { ...good, cells: '4' }],
    ['the class above the largest', { ...good, cells: 2 * limits.paddedAnswerCells }],
    ['the largest class there is at all', { ...good, cells: limits.answerCells }],
    ['no method', { ...good, method: undefined }],
    ['a long method', { ...good, method: 'm'.repeat(129) }],
    ['params as text', { ...good, params: 'x' }],
  ])('with %s is refused', (_, value) => {
    expect(codeOf(() => decodeQuestion(json(value)))).toBe('bad-request')
  })

  test.each([
    ['nothing', ''],
    ['half an object', '{"chain":1'],
    ['an object and more', '{"chain":1,"cells":4,"method":"m"}{}'],
    ['a number that JSON has not', '{"chain":NaN,"cells":4,"method":"m"}'],
    ['an infinite chain', '{"chain":1e999,"cells":4,"method":"m"}'],
    ['a byte order mark', '\uFEFF{"chain":1,"cells":4,"method":"m"}'],
  ])('of %s is refused', (_, text) => {
    expect(codeOf(() => decodeQuestion(utf8(text)))).toBe('bad-request')
  })

  test('that is not UTF-8 is refused', () => {
    expect(codeOf(() => decodeQuestion(Uint8Array.of(0x22, 0xff, 0x22)))).toBe('bad-request')
  })

  test('or an answer within lists as deep as it is long is refused: it could not be written again', () => {
    const deep = `${'['.repeat(400_000)}${']'.repeat(400_000)}`
    expect(codeOf(() => decodeQuestion(utf8(`{"chain":1,"cells":4,"method":"m","params":${deep}}`)))).toBe(
      'bad-request',
    )
    expect(codeOf(() => decodeAnswer(utf8(`{"result":${deep}}`)))).toBe('bad-request')
  })

  test('of any bytes or any JSON is a question or a bad request', () => {
    const near = fc.record(
      {
        chain: fc.oneof(fc.integer(), fc.jsonValue()),
        cells: fc.oneof(fc.nat(300), fc.jsonValue()),
        method: fc.oneof(fc.string(), fc.jsonValue()),
        params: fc.jsonValue(),
      },
      { requiredKeys: [] },
    )
    const bytes = fc.oneof(fc.uint8Array(), fc.jsonValue().map(json), near.map(json))
    fc.assert(
      fc.property(bytes, (text) => {
        expect([undefined, 'bad-request']).toContain(codeOf(() => decodeQuestion(text)))
        expect([undefined, 'bad-request']).toContain(codeOf(() => decodeAnswer(text)))
      }),
      { numRuns: 1000 },
    )
  })
})

describe('an answer', () => {
  test('comes back as it was', () => {
    const anOutcome: fc.Arbitrary<Outcome> = fc.oneof(
      fc.record({ result: aJson }),
      fc.record({
        error: fc.record(
          { code: fc.integer(), message: fc.string({ unit: 'binary' }), data: aJson },
          { requiredKeys: ['code', 'message'] },
        ),
      }) as fc.Arbitrary<Outcome>,
    )
    fc.assert(
      fc.property(anOutcome, (outcome) => {
        expect(decodeAnswer(encodeAnswer(outcome))).toEqual(outcome)
      }),
    )
  })

  test.each(['', 'null', '[]', '{}', '{"error":{"code":1}}', '{"result":1', '"result"'])('of %j is refused', (text) => {
    expect(codeOf(() => decodeAnswer(utf8(text)))).toBe('bad-request')
  })
})
