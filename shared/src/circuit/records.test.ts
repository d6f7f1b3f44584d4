import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat } from '../bytes/index.ts'
import type { ErrorCode } from '../errors/index.ts'
import { pattern } from '../testing/index.ts'
import { cutRecords, type Stream } from './index.ts'

const size = 100

function cutting() {
  const seen = { records: [] as Uint8Array[], ends: [] as ErrorCode[], consumed: 0 }
  const stream: Stream = {
    id: 1,
    send() {},
    connected() {},
    reset() {},
    consumed() {
      seen.consumed += 1
    },
  }
  const handler = cutRecords({
    stream: () => stream,
    size,
    onRecord: (record) => void seen.records.push(record),
    onEnd: (code) => void seen.ends.push(code),
  })
  /** As a mux does: the view is worthless after the call. */
  const give = (bytes: Uint8Array) => {
    const view = Uint8Array.from(bytes)
    handler.onData(view)
    view.fill(0xdb)
  }
  return { seen, handler, give }
}

/** Three records that differ. */
const records = [1, 2, 3].map((seed) => pattern(size, seed))

describe('cutRecords', () => {
  test('gives the same records however the bytes are parted, each to keep, and consumes each cell', () => {
    const cuts = fc.array(fc.nat(records.length * size), { maxLength: 12 })
    fc.assert(
      fc.property(cuts, (list) => {
        const { seen, handler, give } = cutting()
        const all = concat(...records)
        const places = [0, ...list.toSorted((a, b) => a - b), all.length]
        for (const [index, place] of places.slice(1).entries()) give(all.subarray(places[index], place))
        expect(seen.records).toEqual(records)
        expect(seen.consumed).toBe(places.length - 1)
        handler.onEnd('done')
        expect(seen.ends).toEqual(['done'])
      }),
    )
  })

  test('gives a record as soon as it is whole, not before', () => {
    const { seen, give } = cutting()
    give(pattern(size).subarray(0, size - 1))
    expect(seen.records).toEqual([])
    give(pattern(size).subarray(size - 1))
    expect(seen.records).toEqual([pattern(size)])
  })

  test.each([
    ['nothing', 0, 'done'],
    ['one byte', 1, 'protocol-violation'],
    ['two records', 2 * size, 'done'],
    ['a record but for a byte', size - 1, 'protocol-violation'],
    ['a record and a byte', size + 1, 'protocol-violation'],
  ] as const)('after %s an end is told as it should be', (_, bytes, code) => {
    const { seen, handler, give } = cutting()
    give(pattern(bytes))
    handler.onEnd('done')
    expect(seen.ends).toEqual([code])
    expect(seen.records).toHaveLength(Math.floor(bytes / size))
  })

  test.each<ErrorCode>(['cancelled', 'link-lost', 'upstream-failed'])('an end with %s is told as it is', (code) => {
    const { seen, handler, give } = cutting()
    give(pattern(size + 1))
    handler.onEnd(code)
    expect(seen.ends).toEqual([code])
  })
})
