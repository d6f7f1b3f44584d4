import { createDecipheriv } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat, hex, readU32, readU64, u32, utf8, writeU64 } from '../bytes/index.ts'
import { nobleCrypto } from '../crypto/noble.ts'
import { limits } from '../limits.ts'
import { codeOf, flipBit, pattern } from '../testing/index.ts'
import { EnvelopeSession, recordOverhead, recordSize } from './index.ts'

const keys = () => ({ forward: pattern(32, 1), backward: pattern(32, 2) })

function pair() {
  return {
    client: new EnvelopeSession(nobleCrypto, keys(), 'client'),
    gateway: new EnvelopeSession(nobleCrypto, keys(), 'gateway'),
  }
}

/** A copy, as `open` works in place. */
const copy = (record: Uint8Array) => Uint8Array.from(record)

/** A record whose plaintext is anything at all, sealed with the right key by a client that lies. */
function forged(plaintext: Uint8Array, counter = 0): Uint8Array {
  const record = concat(new Uint8Array(24), plaintext)
  writeU64(record, 0, counter)
  const nonce = concat(new Uint8Array(4), record.slice(0, 8))
  nobleCrypto.aead.seal(keys().forward, nonce, Uint8Array.of(0, 2), record.subarray(24), record.subarray(8, 24))
  return record
}

describe('a record', () => {
  test('comes back as it was, in either direction, and fills its class', () => {
    const aClass = fc.constantFrom(1, 2, 4, 8)
    fc.assert(
      fc.property(aClass, fc.nat(1000), fc.boolean(), (cells, permille, fromClient) => {
        const { client, gateway } = pair()
        const text = pattern(Math.floor(((recordSize(cells) - recordOverhead) * permille) / 1000))
        const [sender, receiver, about] = fromClient ? [client, gateway, undefined] : [gateway, client, permille]
        const record = sender.seal(text, cells, about)
        expect(record.length).toBe(recordSize(cells))
        expect(receiver.open(record, about)).toEqual(text)
      }),
    )
  })

  test('has the layout of docs/protocol.md', () => {
    const { client, gateway } = pair()
    const answered = 0x0102030405
    for (const [session, key, about, associated] of [
      [client, keys().forward, undefined, [0, 2]],
      [gateway, keys().backward, answered, [1, 2, 0, 0, 0, 1, 2, 3, 4, 5]],
    ] as const) {
      session.seal(utf8('first'), 1)
      const record = session.seal(utf8('second'), 1, about)
      expect(readU64(record, 0)).toBe(1)
      const nonce = concat(new Uint8Array(4), record.subarray(0, 8))
      const decipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 })
      decipher.setAuthTag(record.subarray(8, 24))
      decipher.setAAD(Uint8Array.from(associated), { plaintextLength: record.length - 24 })
      const plain = Uint8Array.from(Buffer.concat([decipher.update(record.subarray(24)), decipher.final()]))
      expect(readU32(plain, 0)).toBe(6)
      expect(plain).toEqual(concat(u32(6), utf8('second'), new Uint8Array(928 - 24 - 4 - 6)))
    }
  })

  test('that answers one question does not open as the answer to another, nor as a question', () => {
    const { client, gateway } = pair()
    const record = gateway.seal(utf8('x'), 1, 7)
    for (const other of [undefined, 0, 6, 8, 7 + 2 ** 32]) {
      expect(codeOf(() => client.open(copy(record), other))).toBe('envelope-rejected')
    }
    expect(client.open(record, 7)).toEqual(utf8('x'))
  })

  test('that is larger than its class is never cut', () => {
    const { client } = pair()
    expect(() => client.seal(pattern(recordSize(1) - recordOverhead + 1), 1)).toThrow(RangeError)
    expect(client.seal(pattern(recordSize(1) - recordOverhead), 1).length).toBe(928)
  })

  test('is new each time, also for the same text', () => {
    const { client } = pair()
    const records = Array.from({ length: 50 }, () => hex(client.seal(utf8('same'), 1).subarray(24)))
    expect(new Set(records).size).toBe(50)
  })

  test('of any size down to its overhead may be empty', () => {
    const { gateway } = pair()
    expect(gateway.open(forged(u32(0)))).toEqual(new Uint8Array(0))
  })
})

describe('is refused as not authentic', () => {
  test('with any bit turned over', () => {
    const { client, gateway } = pair()
    const record = client.seal(utf8('x'), 1)
    // Every bit of counter, tag and length; then one in each byte.
    const bits = Array.from({ length: 28 * 8 }, (_, bit) => bit)
    for (let index = 28; index < record.length; index += 5) bits.push(index * 8 + (index % 8))
    for (const bit of bits) expect(codeOf(() => gateway.open(flipBit(record, bit)))).toBe('envelope-rejected')
    expect(gateway.open(record)).toEqual(utf8('x'))
  })

  test('cut off or with something behind it', () => {
    const { client, gateway } = pair()
    const record = client.seal(utf8('x'), 1)
    for (const length of [0, 1, 7, 8, 24, 27, 28, 500, 927]) {
      expect(codeOf(() => gateway.open(copy(record.subarray(0, length))))).toBe('envelope-rejected')
    }
    expect(codeOf(() => gateway.open(concat(record, Uint8Array.of(0))))).toBe('envelope-rejected')
    expect(codeOf(() => gateway.open(concat(record, record)))).toBe('envelope-rejected')
  })

  test('when it is sent back to its sender, or the keys are exchanged', () => {
    const { client, gateway } = pair()
    const record = client.seal(utf8('x'), 1)
    expect(codeOf(() => client.open(copy(record)))).toBe('envelope-rejected')
    const exchanged = { forward: keys().backward, backward: keys().forward }
    const twisted = new EnvelopeSession(nobleCrypto, exchanged, 'client')
    // Same key as the gateway expects, other direction in the associated data.
    expect(codeOf(() => twisted.open(copy(record)))).toBe('envelope-rejected')
    expect(gateway.open(record)).toEqual(utf8('x'))
  })

  test('when it was sealed for another purpose', () => {
    const { gateway } = pair()
    for (const purpose of [0, 1, 3]) {
      const record = concat(new Uint8Array(24), u32(0))
      const seal = nobleCrypto.aead.seal
      const associated = Uint8Array.of(0, purpose)
      seal(keys().forward, new Uint8Array(12), associated, record.subarray(24), record.subarray(8, 24))
      expect(codeOf(() => gateway.open(record))).toBe('envelope-rejected')
    }
  })

  test('when it belongs to another session', () => {
    const { client } = pair()
    const other = new EnvelopeSession(nobleCrypto, { forward: pattern(32, 9), backward: pattern(32, 8) }, 'gateway')
    expect(codeOf(() => other.open(client.seal(utf8('x'), 1)))).toBe('envelope-rejected')
  })

  test('arbitrary bytes are, whatever their length', () => {
    const { gateway } = pair()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(codeOf(() => gateway.open(bytes))).toBe('envelope-rejected')
      }),
    )
  })

  test('and a forgery does not use up its counter', () => {
    const { client, gateway } = pair()
    const record = client.seal(utf8('x'), 1)
    for (let i = 0; i < 3; i++) codeOf(() => gateway.open(flipBit(record, 999)))
    // Nor does one with a counter far ahead push the window on.
    const ahead = copy(record)
    writeU64(ahead, 0, 2 ** 50)
    expect(codeOf(() => gateway.open(ahead))).toBe('envelope-rejected')
    expect(gateway.open(record)).toEqual(utf8('x'))
  })
})

describe('a length that lies', () => {
  test.each([
    ['one byte more than there is', u32(101)],
    ['as much as can be said', u32(0xffffffff)],
    ['a negative number, to those who read it so', u32(0x80000000)],
  ])('%s is refused, though it is authentic', (_, length) => {
    const { gateway } = pair()
    expect(codeOf(() => gateway.open(forged(concat(length, pattern(100)))))).toBe('envelope-rejected')
  })

  test('that is shorter gives the shorter text: padding is never looked at', () => {
    const { gateway } = pair()
    expect(gateway.open(forged(concat(u32(3), pattern(100))))).toEqual(pattern(3))
  })

  test('in authentic plaintext of any kind gives a text within it, or is refused', () => {
    const { gateway } = pair()
    let counter = 0
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (plaintext) => {
        let text: Uint8Array | undefined
        const record = forged(plaintext, counter++)
        expect([undefined, 'envelope-rejected']).toContain(codeOf(() => (text = gateway.open(record))))
        if (text !== undefined) expect(text.length).toBeLessThanOrEqual(plaintext.length - 4)
      }),
    )
  })
})

describe('order', () => {
  test('does not matter within the window; each record is accepted once', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(Array.from({ length: 40 }, (_, index) => index)), (order) => {
        const { client, gateway } = pair()
        const records = Array.from({ length: 40 }, (_, index) => client.seal(u32(index), 1))
        for (const index of order) {
          expect(gateway.open(copy(records[index] as Uint8Array))).toEqual(u32(index))
          expect(codeOf(() => gateway.open(copy(records[index] as Uint8Array)))).toBe('replayed')
        }
      }),
      { numRuns: 10 },
    )
  })

  test('matters beyond it: 2048 records back is the first that is too old', () => {
    const { gateway } = pair()
    const at = (counter: number) => codeOf(() => gateway.open(forged(u32(0), counter)))
    expect(at(10_000)).toBeUndefined()
    expect(at(10_000 - limits.replayWindow + 1)).toBeUndefined()
    expect(at(10_000 - limits.replayWindow)).toBe('replayed')
    expect(at(0)).toBe('replayed')
    expect(at(10_000)).toBe('replayed')
    expect(at(10_001)).toBeUndefined()
    expect(at(10_001 - limits.replayWindow + 1)).toBeUndefined()
    expect(at(10_001 - limits.replayWindow)).toBe('replayed')
  })

  test('counters that cannot be told apart as numbers are refused', () => {
    const { gateway } = pair()
    expect(codeOf(() => gateway.open(forged(u32(0), Number.MAX_SAFE_INTEGER)))).toBeUndefined()
    for (const counter of [2n ** 53n, 2n ** 53n + 1n, 2n ** 64n - 1n]) {
      const record = forged(u32(0))
      new DataView(record.buffer).setBigUint64(0, counter)
      expect(codeOf(() => gateway.open(record))).toBe('envelope-rejected')
    }
  })
})

test('destroy wipes both keys, after which nothing opens', () => {
  const held = keys()
  const session = new EnvelopeSession(nobleCrypto, held, 'gateway')
  const record = pair().client.seal(utf8('x'), 1)
  session.destroy()
  expect([held.forward, held.backward]).toEqual([new Uint8Array(32), new Uint8Array(32)])
  expect(codeOf(() => session.open(record))).toBe('envelope-rejected')
  // Not even what is sealed with the keys that are left, which everybody knows.
  const zeros = { forward: new Uint8Array(32), backward: new Uint8Array(32) }
  const forged = new EnvelopeSession(nobleCrypto, zeros, 'client').seal(utf8('forged'), 1)
  expect(codeOf(() => session.open(forged))).toBe('envelope-rejected')
  expect(codeOf(() => session.seal(utf8('x'), 1, 0))).toBe('envelope-rejected')
})
