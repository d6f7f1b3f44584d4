import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { base64, concat, utf8 } from '../bytes/index.ts'
import { limits } from '../limits.ts'
import { codeOf, pattern } from '../testing/index.ts'
import { encodeFrames, FrameDecoder, PartsJoiner, toParts } from './index.ts'

// A sixteenth of the real bound on a whole message: base64 of 64 MiB takes seconds and shows nothing more.
const sixteenth = limits.localMessageBytes / 16
beforeAll(() => void vi.spyOn(limits, 'localMessageBytes', 'get').mockReturnValue(sixteenth))
afterAll(() => void vi.restoreAllMocks())

function decoding() {
  const messages: unknown[] = []
  const decoder = new FrameDecoder((message) => messages.push(message))
  return { messages, push: (bytes: Uint8Array) => codeOf(() => decoder.push(bytes)) }
}

/** A frame of any text, which need not be JSON. */
function frame(text: string | Uint8Array, length?: number): Uint8Array {
  const bytes = typeof text === 'string' ? utf8(text) : text
  const header = new Uint8Array(4)
  new DataView(header.buffer).setUint32(0, length ?? bytes.length, true)
  return concat(header, bytes)
}

const part = (fields: object) => frame(JSON.stringify(fields))
const aMessage = fc.jsonValue().map((value) => ({ value: JSON.parse(JSON.stringify(value)) as unknown }))

describe('a message', () => {
  test('is one frame: its length little-endian, as browsers want it, then JSON', () => {
    const frames = encodeFrames({ a: 'ä' })
    expect(frames).toEqual([concat(Uint8Array.of(10, 0, 0, 0), utf8('{"a":"ä"}'))])
  })

  test('comes back as it was, with others before and behind it', () => {
    fc.assert(
      fc.property(fc.array(aMessage, { maxLength: 5 }), (values) => {
        const { messages, push } = decoding()
        expect(push(concat(...values.flatMap(encodeFrames)))).toBeUndefined()
        expect(messages).toEqual(values)
      }),
    )
  })

  test('comes back wherever the stream of bytes is split', () => {
    const values = [{ n: 1 }, { text: 'zwölf Boxkämpfer' }, {}, { list: [1, 2, [3]] }]
    const bytes = concat(...values.flatMap(encodeFrames))
    for (let at = 0; at <= bytes.length; at++) {
      const { messages, push } = decoding()
      push(bytes.slice(0, at))
      push(bytes.slice(at))
      expect(messages).toEqual(values)
    }
    const { messages, push } = decoding()
    for (const byte of bytes) push(Uint8Array.of(byte))
    expect(messages).toEqual(values)
  })

  test('comes back from any pieces, views into larger buffers too', () => {
    fc.assert(
      fc.property(fc.array(aMessage, { maxLength: 5 }), fc.array(fc.nat(40)), (values, sizes) => {
        const { messages, push } = decoding()
        const around = concat(pattern(7), ...values.flatMap(encodeFrames))
        let at = 7
        for (const size of [...sizes, around.length]) {
          push(around.subarray(at, at + size))
          at = Math.min(at + size, around.length)
        }
        expect(messages).toEqual(values)
      }),
    )
  })

  test('is given once it is whole, and not before', () => {
    const { messages, push } = decoding()
    const bytes = frame('{"a":1}')
    push(bytes.slice(0, -1))
    expect(messages).toEqual([])
    push(bytes.slice(-1))
    expect(messages).toEqual([{ a: 1 }])
  })
})

describe('a large message', () => {
  const large = { text: 'x'.repeat(1_500_000), end: true }

  test('travels in parts, each a frame that browsers take, and comes back', () => {
    const frames = encodeFrames(large)
    expect(frames.length).toBe(3)
    for (const each of frames) expect(each.length).toBeLessThanOrEqual(limits.localFrameBytes)
    const { messages, push } = decoding()
    for (const [index, each] of frames.entries()) {
      expect(messages).toEqual([])
      // In the pieces that a pipe gives.
      for (let at = 0; at < each.length; at += 65_536) expect(push(each.slice(at, at + 65_536))).toBeUndefined()
      if (index < 2) expect(messages).toEqual([])
    }
    expect(messages[0]).toEqual(large)
    push(frame('{"next":1}'))
    expect(messages.length).toBe(2)
  })

  test('of any size near the border comes back, also where a character is cut in two', () => {
    for (const length of [-12, -11, -10, -9, 0, 640 * 1024]) {
      const value = { t: 'é'.repeat((640 * 1024 + length) / 2) }
      const { messages, push } = decoding()
      for (const each of encodeFrames(value)) push(each)
      expect(messages).toEqual([value])
    }
  })

  test('of the largest size there is comes back, and one that is larger is refused', () => {
    const largest = 'x'.repeat(limits.localMessageBytes - 2)
    const { messages, push } = decoding()
    for (const each of encodeFrames(largest)) push(each)
    expect(messages[0] === largest).toBe(true)
    const codes = encodeFrames(`${largest}x`).map(push)
    expect(codes.at(-1)).toBe('malformed-frame')
  })

  test.each<[string, (frames: Uint8Array[]) => Uint8Array[]]>([
    ['a part twice', ([a, b, c]) => [a, a, b, c] as Uint8Array[]],
    ['parts exchanged', ([a, b, c]) => [a, c, b] as Uint8Array[]],
    ['a part left out', ([a, , c]) => [a, c] as Uint8Array[]],
    ['no beginning', ([, b, c]) => [b, c] as Uint8Array[]],
    ['another message in between', ([a, b, c]) => [a, frame('{}'), b, c] as Uint8Array[]],
    ['another message beginning in between', ([a, b]) => [a, b, a] as Uint8Array[]],
  ])('with %s is refused, and nothing of it is given', (_, change) => {
    const { messages, push } = decoding()
    const frames = change(encodeFrames(large))
    let code: string | undefined
    while (code === undefined && frames.length > 0) code = push(frames.shift() as Uint8Array)
    expect(code).toBe('malformed-frame')
    expect(messages.length).toBe(0)
  })

  test('whose number of parts changes on the way is refused', () => {
    for (const of of [1, 2, 4]) {
      const { push } = decoding()
      expect(push(part({ part: 1, of: 3, bytes: base64(pattern(9)) }))).toBeUndefined()
      expect(push(part({ part: 2, of, bytes: base64(pattern(9)) }))).toBe('malformed-frame')
    }
  })

  test('that is not JSON when it is whole is refused', () => {
    const { messages, push } = decoding()
    push(part({ part: 1, of: 2, bytes: base64(utf8('{"a"')) }))
    expect(push(part({ part: 2, of: 2, bytes: base64(utf8(':')) }))).toBe('malformed-frame')
    expect(messages).toEqual([])
  })

  test('may look like a part when it is whole: it is not unpacked again', () => {
    const inner = { part: 1, of: 1, bytes: base64(utf8('{}')) }
    const { messages, push } = decoding()
    push(part({ part: 1, of: 1, bytes: base64(utf8(JSON.stringify(inner))) }))
    expect(messages).toEqual([inner])
  })
})

describe('a frame', () => {
  test.each([
    ['one byte longer than the limit', limits.localFrameBytes + 1],
    ['as long as can be said', 0xffffffff],
    ['so long that it looks like big-endian', 0x0a000000],
  ])('%s is refused at its header', (_, length) => {
    const { push } = decoding()
    expect(push(frame('', length).slice(0, 3))).toBeUndefined()
    expect(push(frame('', length).slice(3))).toBe('malformed-frame')
  })

  test.each([
    ['nothing', ''],
    ['half of an object', '{"a":'],
    ['two objects', '{}{}'],
    ['a byte order mark', '\uFEFF{}'],
    ['a bare word', 'undefined'],
  ])('of %s is refused', (_, text) => {
    expect(decoding().push(frame(text))).toBe('malformed-frame')
  })

  test('that is not UTF-8 is refused', () => {
    expect(decoding().push(frame(Uint8Array.of(0x22, 0xff, 0x22)))).toBe('malformed-frame')
  })

  test.each<[string, object]>([
    ['part 0', { part: 0, of: 2, bytes: 'AAAA' }],
    ['a negative part', { part: -1, of: 2, bytes: 'AAAA' }],
    ['part 2 first', { part: 2, of: 2, bytes: 'AAAA' }],
    ['a part beyond the last', { part: 1, of: 0, bytes: 'AAAA' }],
    ['half a part', { part: 0.5, of: 2, bytes: 'AAAA' }],
    ['half a part more than one', { part: 1, of: 1.5, bytes: 'AAAA' }],
    ['a part as text', { part: '1', of: 2, bytes: 'AAAA' }],
    ['a part of null', { part: null, of: 2, bytes: 'AAAA' }],
    ['no number of parts', { part: 1, bytes: 'AAAA' }],
    ['more parts than any message has', { part: 1, of: 1000, bytes: 'AAAA' }],
    ['parts without end', { part: 1, of: Number.MAX_VALUE, bytes: 'AAAA' }],
    ['no bytes', { part: 1, of: 2 }],
    ['bytes that are a list', { part: 1, of: 2, bytes: [1, 2] }],
    ['bytes that are empty', { part: 1, of: 2, bytes: '' }],
    ['bytes that are not base64', { part: 1, of: 2, bytes: 'A===' }],
    ['bytes in the base64 of URLs', { part: 1, of: 2, bytes: '-_-_' }],
  ])('with %s is refused', (_, fields) => {
    expect(decoding().push(part(fields))).toBe('malformed-frame')
  })

  test('of infinitely many parts is refused', () => {
    expect(decoding().push(frame('{"part":1,"of":1e999,"bytes":"AAAA"}'))).toBe('malformed-frame')
  })

  test('or any bytes at all end in messages or in `malformed-frame`', () => {
    const some = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.jsonValue().map((value) => frame(JSON.stringify(value))),
      fc.record({ part: fc.nat(3), of: fc.nat(3), bytes: fc.oneof(fc.base64String(), fc.string()) }).map(part),
    )
    fc.assert(
      fc.property(fc.array(some, { maxLength: 6 }), (pieces) => {
        const { push } = decoding()
        for (const piece of pieces) {
          const code = push(piece)
          expect([undefined, 'malformed-frame']).toContain(code)
          if (code !== undefined) return
        }
      }),
      { numRuns: 500 },
    )
  })
})

test('the total of all parts is bounded, whatever each of them says', () => {
  const { messages, push } = decoding()
  // The most that fits a frame.
  const bytes = base64(new Uint8Array(780_000).fill(0x20))
  const frames = Math.ceil(limits.localMessageBytes / 780_000)
  const of = Math.ceil(limits.localMessageBytes / (640 * 1024))
  for (let index = 1; index < frames; index++) expect(push(part({ part: index, of, bytes }))).toBeUndefined()
  expect(push(part({ part: frames, of, bytes }))).toBe('malformed-frame')
  expect(messages).toEqual([])
})

describe('messages that are posted, not framed', () => {
  function joining() {
    const messages: unknown[] = []
    const joiner = new PartsJoiner((message) => messages.push(message))
    return { messages, take: (value: unknown) => codeOf(() => joiner.take(value)) }
  }
  /** As a browser hands it over. */
  const posted = (value: unknown): unknown => JSON.parse(JSON.stringify(value))
  const largest = 640 * 1024
  const ofSize = (bytes: number) => ({ t: 'x'.repeat(bytes - '{"t":""}'.length) })

  test('go as they are up to 640 KiB, in parts beyond', () => {
    const fits = ofSize(largest)
    expect(toParts(fits)).toEqual([fits])
    expect(toParts(fits)[0]).toBe(fits)
    expect(toParts(ofSize(largest + 1))).toMatchObject([
      { part: 1, of: 2 },
      { part: 2, of: 2 },
    ])
  })

  test('none is larger than what a browser takes from a program, and all but the last are full', () => {
    const parts = toParts({ text: 'ä'.repeat(1_000_000) }) as { part: number; of: number; bytes: string }[]
    expect(parts.map(({ part: number, of }) => [number, of])).toEqual([1, 2, 3, 4].map((number) => [number, 4]))
    for (const each of parts) expect(utf8(JSON.stringify(each)).length).toBeLessThan(1024 * 1024)
    for (const { bytes } of parts.slice(0, -1)) expect((bytes.length * 3) / 4).toBeGreaterThanOrEqual(largest)
  })

  test('come back, one after the other, given once they are whole', () => {
    const sent = [{ a: 1 }, { text: 'ö'.repeat(700_000) }, [], { text: 'x'.repeat(700_000) }, 'end']
    const { messages, take } = joining()
    for (const [index, message] of sent.entries()) {
      for (const each of toParts(message).map(posted)) {
        expect(messages).toHaveLength(index)
        expect(take(each)).toBeUndefined()
      }
    }
    expect(messages).toEqual(sent)
  })

  test('of more than is allowed are refused before the last part', () => {
    const { messages, take } = joining()
    const parts = toParts('x'.repeat(limits.localMessageBytes + largest))
    expect(parts.map(take).slice(0, -1)).toContain('malformed-frame')
    expect(messages).toEqual([])
  })

  test.each<[string, (parts: unknown[]) => unknown[]]>([
    ['a part twice', ([a, b]) => [a, a, b]],
    ['parts exchanged', ([a, b]) => [b, a]],
    ['another message in between', ([a, b]) => [a, { id: 1 }, b]],
    ['null in between', ([a, b]) => [a, null, b]],
  ])('with %s are refused, and nothing of them is given', (_, change) => {
    const { messages, take } = joining()
    const values = change(toParts(ofSize(largest + 1)))
    // The connection is closed at the first that is refused.
    const refused = values.findIndex((value) => take(value) !== undefined)
    expect(refused).toBeGreaterThanOrEqual(0)
    expect(messages).toHaveLength(0)
  })

  test('or anything else end in messages or in `malformed-frame`', () => {
    const some = fc.oneof(
      fc.jsonValue(),
      fc.record({ part: fc.jsonValue(), of: fc.jsonValue(), bytes: fc.jsonValue() }),
      fc.record({ part: fc.nat(3), of: fc.nat(3), bytes: fc.base64String() }),
    )
    fc.assert(
      fc.property(fc.array(some, { maxLength: 6 }), (values) => {
        const { take } = joining()
        for (const value of values) {
          const code = take(posted(value))
          expect([undefined, 'malformed-frame']).toContain(code)
          if (code !== undefined) return
        }
      }),
      { numRuns: 500 },
    )
  })
})
