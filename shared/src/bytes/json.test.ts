import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { limits } from '../limits.ts'
import { codeOf } from '../testing/index.ts'
import { fromJson, utf8 } from './index.ts'

const parse = (text: string) => fromJson(utf8(text))

describe('fromJson', () => {
  test('gives what JSON.parse gives', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 10 }), (text) => {
        expect(parse(text)).toEqual(JSON.parse(text))
      }),
    )
  })

  test.each(['', ' ', '{', '[1,]', '{"a":1}{', 'undefined', "'a'", '"a', '"\\', '\uFEFF{}', ']', '01'])(
    'refuses %j',
    (text) => {
      expect(codeOf(() => parse(text))).toBe('protocol-violation')
    },
  )

  test('refuses what is not UTF-8', () => {
    expect(codeOf(() => fromJson(Uint8Array.of(0x22, 0xff, 0x22)))).toBe('protocol-violation')
  })

  test.each([
    ['lists', '[', ']'],
    ['objects', '{"a":[', ']}'],
  ])('takes %s within each other up to the limit, and refuses one more', (_, open, close) => {
    const levels = limits.jsonDepth / (open.length === 1 ? 1 : 2)
    const nested = (count: number) => `${open.repeat(count)}${close.repeat(count)}`
    expect(codeOf(() => parse(nested(levels)))).toBeUndefined()
    expect(codeOf(() => parse(nested(levels + 1)))).toBe('protocol-violation')
    expect(codeOf(() => parse(nested(1_000_000)))).toBe('protocol-violation')
    expect(codeOf(() => parse(open.repeat(1_000_000)))).toBe('protocol-violation')
  })

  test('does not count brackets in strings, whatever is escaped there, nor those that were closed', () => {
    const brackets = '[{'.repeat(limits.jsonDepth)
    for (const text of [brackets, `\\${brackets}`, `"${brackets}`, `\\"${brackets}`, `${brackets}\\`, `é${brackets}`]) {
      expect(parse(JSON.stringify({ [text]: [text, text] }))).toEqual({ [text]: [text, text] })
    }
    expect(parse(`[${'[],'.repeat(10_000)}{}]`)).toHaveLength(10_001)
    // An escaped quote must not hide what comes behind the string.
    expect(codeOf(() => parse(`["\\\\",${'['.repeat(limits.jsonDepth)}${']'.repeat(limits.jsonDepth)}]`))).toBe(
      'protocol-violation',
    )
  })

  test('what it gives can be written again', () => {
    const deepest = `${'['.repeat(limits.jsonDepth)}${']'.repeat(limits.jsonDepth)}`
    expect(JSON.stringify(parse(deepest))).toBe(deepest)
  })

  test('any bytes give a value or a violation', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect([undefined, 'protocol-violation']).toContain(codeOf(() => fromJson(bytes)))
      }),
    )
  })
})
