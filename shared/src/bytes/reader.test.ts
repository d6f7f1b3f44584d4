import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { codeOf, pattern } from '../testing/index.ts'
import { isZero, Reader } from './index.ts'

const bytes = Uint8Array.of(0xff, 0x80, 0x01, 0xfe, 0xdc, 0xba, 0x98, 7, 8, 9)

describe('Reader', () => {
  test('reads big-endian, in order, to the end', () => {
    const reader = new Reader(bytes, 'test')
    expect(reader.u8('a')).toBe(0xff)
    expect(reader.u16('b')).toBe(0x8001)
    expect(reader.u32('c')).toBe(0xfedcba98)
    expect(reader.remaining).toBe(3)
    expect(reader.bytes(2, 'd')).toEqual(Uint8Array.of(7, 8))
    expect(reader.rest()).toEqual(Uint8Array.of(9))
    expect(reader.rest()).toEqual(new Uint8Array(0))
    reader.zeros()
    reader.end()
  })

  test('works on a view into a larger buffer and sees nothing beyond it', () => {
    const view = pattern(32).subarray(8, 12)
    const reader = new Reader(view, 'test')
    expect(reader.u32('a')).toBe(new DataView(pattern(32).buffer).getUint32(8))
    expect(codeOf(() => reader.u8('b'))).toBe('protocol-violation')
  })

  test.each([
    ['u8', 0],
    ['u16', 1],
    ['u32', 3],
  ] as const)('%s of %i bytes is cut off, and says where', (method, length) => {
    const reader = new Reader(pattern(length), 'message')
    expect(() => reader[method]('field')).toThrow('message is cut off at field')
    expect(codeOf(() => reader[method]('field'))).toBe('protocol-violation')
    expect(reader.remaining).toBe(length)
  })

  test('a length beyond the end is refused before anything is read', () => {
    const reader = new Reader(bytes, 'test')
    expect(codeOf(() => reader.bytes(11, 'a'))).toBe('protocol-violation')
    expect(codeOf(() => reader.bytes(0xffffffff, 'a'))).toBe('protocol-violation')
    expect(reader.bytes(10, 'a')).toEqual(bytes)
  })

  test('trailing bytes are refused, and counted', () => {
    const reader = new Reader(bytes, 'message')
    reader.u8('a')
    expect(() => reader.end()).toThrow('message has 9 trailing bytes')
    expect(codeOf(() => reader.end())).toBe('protocol-violation')
  })

  test('fill that is not zero is refused, wherever it is', () => {
    for (let index = 0; index < 20; index++) {
      const fill = new Uint8Array(20)
      fill[index] = 1
      expect(codeOf(() => new Reader(fill, 'message').zeros())).toBe('protocol-violation')
    }
    expect(codeOf(() => new Reader(new Uint8Array(20), 'message').zeros())).toBeUndefined()
  })

  test('any sequence of reads gives back the bytes or a violation, and never passes the end', () => {
    const read = fc.oneof(fc.constantFrom(1, 2, 4), fc.nat(70_000))
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.array(read, { maxLength: 20 }), (source, lengths) => {
        const reader = new Reader(source, 'test')
        let at = 0
        for (const length of lengths) {
          const fits = at + length <= source.length
          let part: Uint8Array | undefined
          expect(codeOf(() => (part = reader.bytes(length, 'part')))).toBe(fits ? undefined : 'protocol-violation')
          if (fits) expect(part).toEqual(source.subarray(at, at + length))
          if (fits) at += length
          expect(reader.remaining).toBe(source.length - at)
        }
      }),
    )
  })
})

test('isZero', () => {
  expect(isZero(new Uint8Array(0))).toBe(true)
  expect(isZero(new Uint8Array(1019))).toBe(true)
  fc.assert(
    fc.property(fc.uint8Array(), (source) => {
      expect(isZero(source)).toBe(source.every((byte) => byte === 0))
    }),
  )
})
