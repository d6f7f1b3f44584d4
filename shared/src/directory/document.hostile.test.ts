/** Documents of any form, also of directories that are wrong themselves: refused with a typed error, or right. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { base64, hex, utf8 } from '../bytes/index.ts'
import { NightjarError } from '../errors/index.ts'
import { parseSignedDocument } from './index.ts'
import { descriptor, document, entry, identities, payload, signed, verify } from './testing/document.ts'

describe('never throws anything but a NightjarError', () => {
  /** True where `file` is refused properly, or accepted. */
  async function behaves(file: string): Promise<boolean> {
    try {
      parseSignedDocument(file)
    } catch (error) {
      if (!(error instanceof NightjarError)) return false
    }
    try {
      await verify(file)
      return true
    } catch (error) {
      return error instanceof NightjarError
    }
  }

  test('on arbitrary text and JSON', async () => {
    const anything = fc.oneof(fc.string({ unit: 'binary' }), fc.json(), fc.string())
    await fc.assert(fc.asyncProperty(anything, behaves), { numRuns: 500 })
  })

  test('on arbitrary outer fields', async () => {
    const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length }).map(base64)
    const outer = fc.record(
      {
        payload: fc.oneof(fc.string(), fc.uint8Array().map(base64), fc.jsonValue()),
        signatures: fc.oneof(
          fc.array(
            fc.record({ key: fc.oneof(bytes(32), fc.jsonValue()), signature: fc.oneof(bytes(64), fc.jsonValue()) }),
          ),
          fc.jsonValue(),
        ),
      },
      { requiredKeys: [] },
    )
    await fc.assert(
      fc.asyncProperty(
        outer.map((value) => JSON.stringify(value)),
        behaves,
      ),
      { numRuns: 300 },
    )
  })

  test('on a good document with characters changed: and then it never passes as another one', async () => {
    const good = await document([0, 1])
    const { hash } = await verify(good)
    const change = fc.tuple(fc.nat(good.length - 1), fc.nat(3), fc.string({ maxLength: 3 }))
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        let file = good
        for (const [at, remove, insert] of changes) file = file.slice(0, at) + insert + file.slice(at + remove)
        expect(await behaves(file)).toBe(true)
        const network = await verify(file).catch(() => undefined)
        if (network !== undefined) expect(hex(network.hash)).toBe(hex(hash))
      }),
      { numRuns: 300 },
    )
  })

  test('on signed payloads of any form: directories may be wrong too', async () => {
    // Any value, at any of the places that a payload has.
    const key = fc.constantFrom(
      'version',
      'validAfter',
      'validUntil',
      'previousHash',
      'minimumProtocol',
      'relays',
      '__proto__',
    )
    const changed = fc.oneof(
      fc.json().map(utf8),
      fc.uint8Array({ maxLength: 64 }),
      fc.tuple(key, fc.jsonValue()).map(([name, value]) => utf8(JSON.stringify({ ...payload, [name]: value }))),
      fc.tuple(fc.constantFrom('descriptor', 'operator', 'networks'), fc.jsonValue()).map(([name, value]) => {
        return utf8(JSON.stringify({ ...payload, relays: [{ ...payload.relays[0], [name]: value }] }))
      }),
    )
    await fc.assert(
      fc.asyncProperty(changed, async (bytes) => behaves(await signed(bytes, [0, 1]))),
      { numRuns: 300 },
    )
  })

  test('on signed descriptors of any form', async () => {
    const [identity] = identities
    const fields = Object.keys(descriptor(identity))
    const change = fc.tuple(fc.constantFrom(...fields, 'pin', '__proto__'), fc.jsonValue())
    await fc.assert(
      fc.asyncProperty(change, async ([name, value]) => {
        return behaves(await document([0, 1], { relays: [await entry(identity, { [name]: value })] }))
      }),
      { numRuns: 200 },
    )
  })
})
