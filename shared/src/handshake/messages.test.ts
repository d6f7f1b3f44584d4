import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat } from '../bytes/index.ts'
import { size } from '../crypto/index.ts'
import { codeOf, pattern } from '../testing/index.ts'
import { protocolVersion } from '../version.ts'
import {
  decodeHello,
  decodeReply,
  encodeHello,
  encodeReply,
  helloSize,
  maxDepth,
  type Purpose,
  purpose,
  replySize,
} from './index.ts'

// Not shrunk: a failure with 1184 bytes of zeros tells no more than one with any others.
const exactly = (length: number) => fc.noShrink(fc.uint8Array({ minLength: length, maxLength: length }))

const aHello = fc
  .record({
    purpose: fc.constantFrom<Purpose>(1, 2, 3),
    hopDepth: fc.integer({ min: 1, max: maxDepth }),
    keyId: exactly(size.keyId),
    dhPublic: exactly(32),
    kemPublic: exactly(1184),
  })
  .map(({ hopDepth, ...hello }) => ({ ...hello, depth: hello.purpose === purpose.hop ? hopDepth : 0 }))

const aReply = fc.record({
  dhPublic: exactly(32),
  kemCiphertext: exactly(1088),
  document: fc.record({ version: fc.nat(0xffffffff), hash: exactly(32) }),
  auth: exactly(32),
})

test('sizes are those of docs/protocol.md', () => {
  expect([protocolVersion, helloSize, replySize]).toEqual([1, 1227, 1188])
})

describe('hello', () => {
  const hello = encodeHello({
    purpose: purpose.hop,
    depth: 2,
    keyId: pattern(8, 1),
    dhPublic: pattern(32, 2),
    kemPublic: pattern(1184, 3),
  })

  test('has the layout of docs/protocol.md', () => {
    expect(hello).toEqual(concat(Uint8Array.of(1, 1, 2), pattern(8, 1), pattern(32, 2), pattern(1184, 3)))
  })

  test('comes back as it was', () => {
    fc.assert(
      fc.property(aHello, (value) => {
        expect(decodeHello(encodeHello(value))).toEqual(value)
      }),
    )
  })

  test('cut off anywhere is refused', () => {
    for (let length = 0; length < helloSize; length++) {
      expect(codeOf(() => decodeHello(hello.subarray(0, length)))).toBe('protocol-violation')
    }
  })

  test('with trailing bytes is refused, zeros too', () => {
    expect(codeOf(() => decodeHello(concat(hello, Uint8Array.of(0))))).toBe('protocol-violation')
    expect(codeOf(() => decodeHello(concat(hello, hello)))).toBe('protocol-violation')
  })

  test('of every other version, purpose, or depth is refused', () => {
    for (let first = 0; first < 256; first++) {
      for (const [index, legal] of [
        [0, [1]],
        [1, [1]],
        [2, [1, 2, 3, 4]],
      ] as const) {
        const other = Uint8Array.from(hello)
        other[index] = first
        const expected = (legal as readonly number[]).includes(first) ? undefined : 'protocol-violation'
        expect(codeOf(() => decodeHello(other))).toBe(expected)
      }
    }
  })

  test('for an envelope or a mesh has depth 0 and no other', () => {
    for (const kind of [purpose.envelope, purpose.mesh]) {
      for (let depth = 0; depth < 256; depth++) {
        const other = Uint8Array.from(hello)
        other[1] = kind
        other[2] = depth
        expect(codeOf(() => decodeHello(other))).toBe(depth === 0 ? undefined : 'protocol-violation')
      }
    }
  })

  test('from arbitrary bytes of any length is a value that encodes to them, or a violation', () => {
    const headed = fc
      .tuple(fc.constantFrom(1, 2), fc.nat(4), fc.nat(5), exactly(helloSize - 3))
      .map(([version, kind, depth, rest]) => concat(Uint8Array.of(version, kind, depth), rest))
    fc.assert(
      fc.property(fc.oneof(headed, fc.uint8Array({ maxLength: 1300 })), (bytes) => {
        const code = codeOf(() => expect(encodeHello(decodeHello(bytes))).toEqual(bytes))
        expect([undefined, 'protocol-violation']).toContain(code)
      }),
    )
  })
})

describe('reply', () => {
  const reply = encodeReply({
    dhPublic: pattern(32, 1),
    kemCiphertext: pattern(1088, 2),
    document: { version: 0xfffefdfc, hash: pattern(32, 3) },
    auth: pattern(32, 4),
  })

  test('has the layout of docs/protocol.md', () => {
    expect(reply).toEqual(
      concat(pattern(32, 1), pattern(1088, 2), Uint8Array.of(0xff, 0xfe, 0xfd, 0xfc), pattern(32, 3), pattern(32, 4)),
    )
  })

  test('comes back as it was', () => {
    fc.assert(
      fc.property(aReply, (value) => {
        expect(decodeReply(encodeReply(value))).toEqual(value)
      }),
    )
  })

  test('of any other length is refused', () => {
    for (let length = 0; length < replySize; length++) {
      expect(codeOf(() => decodeReply(reply.subarray(0, length)))).toBe('protocol-violation')
    }
    expect(codeOf(() => decodeReply(concat(reply, Uint8Array.of(0))))).toBe('protocol-violation')
  })
})
