import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat, u16, utf8 } from '../bytes/index.ts'
import { limits } from '../limits.ts'
import { second } from '../runtime.ts'
import { codeOf, pattern } from '../testing/index.ts'
import {
  decodeBegin,
  decodeBranchClosed,
  decodeExtend,
  decodeExtended,
  decodeKeep,
  decodeMessage,
  decodeU16,
  encodeBegin,
  encodeBranchClosed,
  encodeExtend,
  encodeExtended,
  encodeKeep,
  layerCapacity,
  messageHeaderSize,
  messageType,
  pingSize,
  writeMessage,
} from './index.ts'

const capacity = layerCapacity(3)

/** Every decoder here: arbitrary bytes give a value or a violation, and whatever they give encodes to the same bytes. */
function survivesAnything<T>(decode: (bytes: Uint8Array) => T, encode: (value: T) => Uint8Array): void {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 700 }), (bytes) => {
      const code = codeOf(() => expect(encode(decode(bytes))).toEqual(bytes))
      expect([undefined, 'protocol-violation']).toContain(code)
    }),
  )
}

test('types and sizes are those of docs/protocol.md', () => {
  expect(messageType).toEqual({
    extend: 1,
    extended: 2,
    truncate: 3,
    branchClosed: 4,
    begin: 5,
    connected: 6,
    data: 7,
    credit: 8,
    end: 9,
    drop: 10,
    ping: 11,
    pong: 12,
    shape: 13,
    branchGoaway: 14,
    keep: 15,
  })
  expect([messageHeaderSize, pingSize]).toEqual([5, 8])
})

describe('a relay message', () => {
  const write = (type: number, stream: number, data: Uint8Array) => {
    const inner = new Uint8Array(capacity).fill(0xaa)
    writeMessage(inner, 0, type, stream, data)
    return inner
  }

  test('comes back as it was, with zero fill whatever stood there before', () => {
    const data = fc.uint8Array({ maxLength: capacity - messageHeaderSize })
    fc.assert(
      fc.property(fc.nat(255), fc.nat(0xffff), data, (type, stream, bytes) => {
        const inner = write(type, stream, bytes)
        expect(decodeMessage(inner)).toEqual({ type, stream, data: bytes })
        expect(inner.subarray(messageHeaderSize + bytes.length).every((byte) => byte === 0)).toBe(true)
      }),
    )
  })

  test('is written behind what stands before it', () => {
    const cell = new Uint8Array(100).fill(0xaa)
    writeMessage(cell, 62, messageType.ping, 0, pattern(8))
    expect(cell.subarray(0, 62)).toEqual(new Uint8Array(62).fill(0xaa))
    expect(decodeMessage(cell.subarray(62)).data).toEqual(pattern(8))
  })

  test('that does not fit is never cut', () => {
    expect(() => write(messageType.data, 1, pattern(capacity - messageHeaderSize + 1))).toThrow(RangeError)
  })

  test('whose length goes beyond its cell is refused', () => {
    for (const length of [capacity - messageHeaderSize + 1, 0xffff]) {
      const inner = concat(Uint8Array.of(7), u16(1), u16(length), new Uint8Array(capacity - messageHeaderSize))
      expect(codeOf(() => decodeMessage(inner))).toBe('protocol-violation')
    }
  })

  test('with a bit in its fill is refused, wherever it is', () => {
    for (let index = messageHeaderSize + 3; index < capacity; index++) {
      const inner = write(messageType.data, 1, pattern(3))
      inner[index] = 1
      expect(codeOf(() => decodeMessage(inner))).toBe('protocol-violation')
    }
  })

  test('with a length that is too short leaves data in the fill and is refused', () => {
    const inner = write(messageType.data, 1, pattern(3))
    inner.set(u16(2), 3)
    expect(codeOf(() => decodeMessage(inner))).toBe('protocol-violation')
  })

  test('shorter than its header is refused', () => {
    for (let length = 0; length < messageHeaderSize; length++) {
      expect(codeOf(() => decodeMessage(new Uint8Array(length)))).toBe('protocol-violation')
    }
  })

  test('from arbitrary bytes is a message or a violation', () => {
    const inner = fc.uint8Array({ minLength: 0, maxLength: capacity })
    const plausible = fc
      .tuple(fc.uint8Array({ minLength: 3, maxLength: 3 }), fc.nat(12), fc.uint8Array({ maxLength: 12 }))
      .map(([head, length, rest]) => concat(head, u16(length), rest, new Uint8Array(20)))
    fc.assert(
      fc.property(fc.oneof(inner, plausible), (bytes) => {
        const code = codeOf(() => {
          const { type, stream, data } = decodeMessage(bytes)
          const again = new Uint8Array(bytes.length)
          writeMessage(again, 0, type, stream, data)
          expect(again).toEqual(bytes)
        })
        expect([undefined, 'protocol-violation']).toContain(code)
      }),
    )
  })
})

describe('BEGIN', () => {
  const begin = { service: 'tcp', argument: utf8('a.example:443'), whole: true, isFree: false, data: pattern(40) }

  test('comes back as it was', () => {
    const aBegin = fc.record({
      service: fc.string({ unit: 'binary', maxLength: 8 }),
      argument: fc.uint8Array({ maxLength: limits.argumentBytes }),
      whole: fc.boolean(),
      isFree: fc.boolean(),
      data: fc.uint8Array({ maxLength: 300 }),
    })
    fc.assert(
      fc.property(aBegin, (value) => {
        expect(decodeBegin(encodeBegin(value))).toEqual(value)
      }),
    )
  })

  test('has the layout of docs/protocol.md', () => {
    expect(encodeBegin(begin)).toEqual(
      concat(Uint8Array.of(1, 3), utf8('tcp'), u16(13), utf8('a.example:443'), pattern(40)),
    )
    expect(encodeBegin({ ...begin, whole: false, isFree: true })[0]).toBe(2)
    expect(encodeBegin({ ...begin, isFree: true })[0]).toBe(3)
  })

  test('cut off before its data is refused', () => {
    const bytes = encodeBegin({ ...begin, data: new Uint8Array(0) })
    for (let length = 0; length < bytes.length; length++) {
      expect(codeOf(() => decodeBegin(bytes.subarray(0, length)))).toBe('protocol-violation')
    }
  })

  test.each([
    ['an unknown flag', Uint8Array.of(4, 0, 0, 0)],
    ['all flags', Uint8Array.of(0xff, 0, 0, 0)],
    ['a service longer than the message', Uint8Array.of(0, 9, 1, 2, 3)],
    ['a service longer than the limit', concat(Uint8Array.of(0, 33), pattern(33), u16(0))],
    ['an argument longer than the message', concat(Uint8Array.of(0, 1, 97), u16(3), pattern(2))],
    ['an argument longer than the limit', concat(Uint8Array.of(0, 1, 97), u16(513), pattern(513))],
    ['the largest argument that can be said', concat(Uint8Array.of(0, 1, 97), u16(0xffff), pattern(900))],
    ['a service that is not UTF-8', concat(Uint8Array.of(0, 1, 0xff), u16(0))],
  ])('with %s is refused', (_, bytes) => {
    expect(codeOf(() => decodeBegin(bytes))).toBe('protocol-violation')
  })

  test('at its limits is taken', () => {
    const largest = { ...begin, service: 'x'.repeat(32), argument: pattern(512), data: new Uint8Array(0) }
    expect(decodeBegin(encodeBegin(largest))).toEqual(largest)
  })

  test('from arbitrary bytes is a value that encodes to them, or a violation', () => {
    survivesAnything(decodeBegin, encodeBegin)
    const plausible = fc
      .tuple(fc.nat(5), fc.nat(5), fc.uint8Array({ minLength: 5, maxLength: 5 }), fc.nat(600))
      .map(([flags, service, bytes, length]) => concat(Uint8Array.of(flags, service), bytes, u16(length), pattern(20)))
    fc.assert(
      fc.property(plausible, (bytes) => {
        const code = codeOf(() => expect(encodeBegin(decodeBegin(bytes))).toEqual(bytes))
        expect([undefined, 'protocol-violation']).toContain(code)
      }),
    )
  })
})

describe('EXTEND and EXTENDED', () => {
  test('come back as they were', () => {
    const hello = fc.uint8Array({ maxLength: 200 })
    const identity = fc.uint8Array({ minLength: 32, maxLength: 32 })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 0xffff }), identity, hello, (branch, id, bytes) => {
        expect(decodeExtend(encodeExtend({ branch, identity: id, hello: bytes }))).toEqual({
          branch,
          identity: id,
          hello: bytes,
        })
        expect(decodeExtended(encodeExtended(branch, bytes))).toEqual({ branch, reply: bytes })
      }),
    )
  })

  test('have the layout of docs/protocol.md', () => {
    const extend = encodeExtend({ branch: 0x0102, identity: pattern(32), hello: pattern(9) })
    expect(extend).toEqual(concat(Uint8Array.of(1, 2), pattern(32), pattern(9)))
    expect(encodeExtended(0x0102, pattern(9))).toEqual(concat(Uint8Array.of(1, 2), pattern(9)))
  })

  test('for branch 0, which is the hop itself, are refused', () => {
    const extend = encodeExtend({ branch: 0, identity: pattern(32), hello: pattern(9) })
    expect(codeOf(() => decodeExtend(extend))).toBe('protocol-violation')
    expect(codeOf(() => decodeExtended(encodeExtended(0, pattern(9))))).toBe('protocol-violation')
  })

  test('cut off are refused', () => {
    const extend = encodeExtend({ branch: 1, identity: pattern(32), hello: new Uint8Array(0) })
    for (let length = 0; length < extend.length; length++) {
      expect(codeOf(() => decodeExtend(extend.subarray(0, length)))).toBe('protocol-violation')
    }
    for (let length = 0; length < 2; length++) {
      expect(codeOf(() => decodeExtended(new Uint8Array(length)))).toBe('protocol-violation')
    }
  })

  test('from arbitrary bytes are a value that encodes to them, or a violation', () => {
    survivesAnything(decodeExtend, encodeExtend)
    survivesAnything(decodeExtended, ({ branch, reply }) => encodeExtended(branch, reply))
  })
})

describe('BRANCH_CLOSED', () => {
  test('comes back as it was', () => {
    fc.assert(
      fc.property(fc.nat(0xffff), fc.nat(255), (branch, code) => {
        expect(decodeBranchClosed(encodeBranchClosed(branch, code))).toEqual({ branch, code })
      }),
    )
  })

  test('of another length is refused', () => {
    for (const length of [0, 1, 2, 4, 100]) {
      expect(codeOf(() => decodeBranchClosed(new Uint8Array(length)))).toBe('protocol-violation')
    }
    survivesAnything(decodeBranchClosed, ({ branch, code }) => encodeBranchClosed(branch, code))
  })
})

describe('KEEP', () => {
  const longest = limits.keepLongest / second

  test('comes back as it was', () => {
    const aBranch = fc.integer({ min: 1, max: 0xffff })
    fc.assert(
      fc.property(aBranch, fc.integer({ min: 1, max: longest }), (branch, seconds) => {
        expect(decodeKeep(encodeKeep({ branch, seconds }))).toEqual({ branch, seconds })
      }),
    )
  })

  test('has the layout of docs/protocol.md', () => {
    expect(encodeKeep({ branch: 0x0102, seconds: 0x0304 })).toEqual(Uint8Array.of(1, 2, 3, 4))
  })

  test.each([
    ['branch 0', 0, 60],
    ['no time', 1, 0],
    ['a second more than the longest', 1, longest + 1],
    ['the most that can be said', 1, 0xffff],
  ])('with %s is refused', (_, branch, seconds) => {
    expect(codeOf(() => decodeKeep(encodeKeep({ branch, seconds })))).toBe('protocol-violation')
  })

  test('of another length is refused', () => {
    for (const length of [0, 1, 2, 3, 5, 100]) {
      expect(codeOf(() => decodeKeep(pattern(length)))).toBe('protocol-violation')
    }
    survivesAnything(decodeKeep, encodeKeep)
  })
})

test('the u16 of TRUNCATE and CREDIT has two bytes and no more', () => {
  fc.assert(
    fc.property(fc.nat(0xffff), (value) => {
      expect(decodeU16(u16(value), 'CREDIT')).toBe(value)
    }),
  )
  for (const length of [0, 1, 3, 957]) {
    expect(codeOf(() => decodeU16(new Uint8Array(length), 'CREDIT'))).toBe('protocol-violation')
  }
  survivesAnything((bytes) => decodeU16(bytes, 'CREDIT'), u16)
})
