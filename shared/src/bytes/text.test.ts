import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { codeOf } from '../testing/index.ts'
import { base64, fromBase64, fromHex, fromUtf8, hex, utf8 } from './index.ts'

describe('UTF-8', () => {
  test('text comes back as it was', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(fromUtf8(utf8(text))).toBe(text)
      }),
    )
  })

  test('a byte order mark is text like any other: two byte strings are never one text', () => {
    expect(fromUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe('\uFEFFa')
  })

  test.each([
    ['a lone continuation byte', [0x80]],
    ['a sequence cut off', [0xe2, 0x82]],
    ['an overlong encoding', [0xc0, 0xaf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['beyond U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
    ['a byte that never occurs', [0x61, 0xff]],
  ])('%s is refused', (_, bytes) => {
    expect(codeOf(() => fromUtf8(Uint8Array.from(bytes)))).toBe('protocol-violation')
  })

  test('arbitrary bytes are text that encodes to the same bytes, or a violation', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        let text = ''
        if (codeOf(() => (text = fromUtf8(bytes))) === undefined) expect(utf8(text)).toEqual(bytes)
      }),
    )
  })
})

describe('base64', () => {
  test('bytes come back as they were', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(fromBase64(base64(bytes))).toEqual(bytes)
        expect(base64(bytes)).toBe(Buffer.from(bytes).toString('base64'))
      }),
    )
  })

  test.each(['A', 'AA', 'AAA', 'AA=', 'AB==', 'AAB=', 'AA==AA==', 'AA\n==', ' AAAA', 'AA-_', 'AAAA=', '====', 'ÄÄÄÄ'])(
    '%j is not canonical and is refused',
    (text) => {
      expect(codeOf(() => fromBase64(text))).toBe('protocol-violation')
    },
  )

  test('arbitrary text is canonical or a violation', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.base64String()), (text) => {
        let bytes = new Uint8Array(0)
        if (codeOf(() => (bytes = Uint8Array.from(fromBase64(text)))) === undefined) expect(base64(bytes)).toBe(text)
      }),
    )
  })
})

describe('hexadecimal', () => {
  test('bytes come back as they were, from either case', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(fromHex(hex(bytes))).toEqual(bytes)
        expect(fromHex(hex(bytes).toUpperCase())).toEqual(bytes)
        expect(hex(bytes)).toBe(Buffer.from(bytes).toString('hex'))
      }),
    )
  })

  test.each(['0', '0g', '0x00', ' 00', '00 ', '０0', '000'])('%j is refused', (text) => {
    expect(codeOf(() => fromHex(text))).toBe('protocol-violation')
  })

  test('arbitrary text is hexadecimal or a violation', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        let bytes = new Uint8Array(0)
        if (codeOf(() => (bytes = Uint8Array.from(fromHex(text)))) === undefined)
          expect(hex(bytes)).toBe(text.toLowerCase())
      }),
    )
  })
})
