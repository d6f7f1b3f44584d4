import fc from 'fast-check'
import { expect, test } from 'vitest'
import { concat, equalBytes, readU16, readU32, readU64, u16, u32, writeU16, writeU32, writeU64 } from './index.ts'

const largest = Number.MAX_SAFE_INTEGER

test('integers are big-endian', () => {
  expect(u16(0x0102)).toEqual(Uint8Array.of(1, 2))
  expect(u32(0xfffefdfc)).toEqual(Uint8Array.of(0xff, 0xfe, 0xfd, 0xfc))
  const eight = new Uint8Array(8)
  writeU64(eight, 0, 0x0001_0203_0405_0607)
  expect(eight).toEqual(Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7))
})

test('integers come back as they were written, and nothing around them is touched', () => {
  const anU64 = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, largest))
  fc.assert(
    fc.property(fc.nat(0xffff), fc.nat(0xffffffff), anU64, fc.nat(5), (small, middle, large, offset) => {
      const target = new Uint8Array(offset + 14 + 3).fill(0xaa)
      writeU16(target, offset, small)
      writeU32(target, offset + 2, middle)
      writeU64(target, offset + 6, large)
      expect(readU16(target, offset)).toBe(small)
      expect(readU32(target, offset + 2)).toBe(middle)
      expect(readU64(target, offset + 6)).toBe(large)
      expect(new DataView(target.buffer).getBigUint64(offset + 6)).toBe(BigInt(large))
      expect(target.subarray(0, offset).every((byte) => byte === 0xaa)).toBe(true)
      expect(target.subarray(offset + 14).every((byte) => byte === 0xaa)).toBe(true)
    }),
  )
})

test('a 64-bit integer beyond 2^53 never reads as a safe one', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }), (value) => {
      const bytes = new Uint8Array(8)
      new DataView(bytes.buffer).setBigUint64(0, value)
      expect(Number.isSafeInteger(readU64(bytes, 0))).toBe(false)
    }),
  )
})

test('concat joins copies', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array()), (parts) => {
      expect([...concat(...parts)]).toEqual(parts.flatMap((part) => [...part]))
    }),
  )
  const part = Uint8Array.of(1, 2)
  const whole = concat(part)
  part.fill(9)
  expect(whole).toEqual(Uint8Array.of(1, 2))
})

test('equalBytes compares all bytes and the length', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
      expect(equalBytes(a, b)).toBe(a.join() === b.join())
      expect(equalBytes(a, Uint8Array.from(a))).toBe(true)
    }),
  )
  expect(equalBytes(Uint8Array.of(1, 2, 3), Uint8Array.of(1, 2, 4))).toBe(false)
  expect(equalBytes(Uint8Array.of(0, 2, 3), Uint8Array.of(1, 2, 3))).toBe(false)
  expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 0))).toBe(false)
})
