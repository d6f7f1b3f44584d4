/** ChaCha20-Poly1305: RFC 8439 and Wycheproof, and that no byte can be changed. */
import { expect, it } from 'vitest'
import { concat, hex } from '../../bytes/index.ts'
import { type Crypto, size } from '../crypto.ts'
import { bytes, counting, flipped, type Named, type Numbered, vectors } from './vectors.ts'

type Sealed = 'key' | 'nonce' | 'associated' | 'plaintext' | 'ciphertext' | 'tag'

const aead = vectors<{ tests: Named<Sealed>[] }>('aead')
const wycheproofAead = vectors<{
  valid: Numbered<Sealed>[]
  forged: (Readonly<Record<Sealed, string>> & { firstTcId: number; modified: string[] })[]
  nonces: { key: string; lengths: number[] }
}>('wycheproof-chacha20-poly1305')

export function aeadSuite({ aead: { seal, open } }: Crypto): void {
  function check(vector: Readonly<Record<Sealed, string>>): void {
    const [key, nonce, associated] = [bytes(vector.key), bytes(vector.nonce), bytes(vector.associated)]
    const data = bytes(vector.plaintext)
    const tag = new Uint8Array(size.tag)
    seal(key, nonce, associated, data, tag)
    expect(hex(data)).toBe(vector.ciphertext)
    expect(hex(tag)).toBe(vector.tag)
    expect(open(key, nonce, associated, data, tag)).toBe(true)
    expect(hex(data)).toBe(vector.plaintext)
  }

  /** Whether `open` says yes; throwing is a no. */
  function opens(...parts: Parameters<typeof open>): boolean {
    try {
      return open(...parts)
    } catch {
      return false
    }
  }

  it.each(aead.tests)('RFC 8439, $name', check)
  it.each(wycheproofAead.valid)('Wycheproof $tcId', check)

  it.each(wycheproofAead.forged)('Wycheproof $firstTcId and the 19 after it: refuses modified tags', (vector) => {
    check(vector)
    expect(vector.modified).toHaveLength(20)
    for (const tag of vector.modified) {
      const [key, nonce, associated] = [bytes(vector.key), bytes(vector.nonce), bytes(vector.associated)]
      expect(open(key, nonce, associated, bytes(vector.ciphertext), bytes(tag)), tag).toBe(false)
    }
  })

  it.each(wycheproofAead.nonces.lengths)('Wycheproof 317 to 325: refuses a nonce of %i bytes', (length) => {
    const [key, nonce, empty] = [bytes(wycheproofAead.nonces.key), counting(length), new Uint8Array(0)]
    expect(() => seal(key, nonce, empty, empty, new Uint8Array(size.tag))).toThrow()
    expect(opens(key, nonce, empty, empty, new Uint8Array(size.tag))).toBe(false)
  })

  it.each([0, 16, 31, 33])('refuses a key of %i bytes', (length) => {
    const [key, nonce, empty] = [counting(length), counting(size.nonce), new Uint8Array(0)]
    expect(() => seal(key, nonce, empty, empty, new Uint8Array(size.tag))).toThrow()
    expect(opens(key, nonce, empty, empty, new Uint8Array(size.tag))).toBe(false)
  })

  it('refuses a change of any byte of key, nonce, associated data, ciphertext and tag', () => {
    const sealed = {
      key: counting(size.key),
      nonce: counting(size.nonce),
      associated: counting(13),
      data: counting(130),
      tag: new Uint8Array(size.tag),
    }
    seal(sealed.key, sealed.nonce, sealed.associated, sealed.data, sealed.tag)
    const opensWith = (change: Partial<typeof sealed>): boolean => {
      const { key, nonce, associated, data, tag } = { ...sealed, ...change }
      return open(key, nonce, associated, Uint8Array.from(data), tag)
    }
    expect(opensWith({})).toBe(true)
    for (const part of ['key', 'nonce', 'associated', 'data', 'tag'] as const) {
      for (let index = 0; index < sealed[part].length; index++) {
        expect(opensWith({ [part]: flipped(sealed[part], index) }), `${part}, byte ${index}`).toBe(false)
      }
    }
    expect(opensWith({ data: sealed.data.subarray(0, 129) }), 'one byte less').toBe(false)
    expect(opensWith({ data: concat(sealed.data, Uint8Array.of(0)) }), 'one byte more').toBe(false)
    expect(opensWith({ associated: sealed.associated.subarray(0, 12) }), 'less associated data').toBe(false)
  })

  it.each([0, 1, 15, 16, 17, 63, 64, 65, 1024, 65_536])(
    'seals and opens %i bytes and touches nothing else',
    (length) => {
      const plaintext = Uint8Array.from({ length }, (_, index) => index * 7)
      const around = new Uint8Array(length + 64).fill(0x5c)
      const data = around.subarray(32, 32 + length)
      const tag = around.subarray(0, size.tag)
      const [key, nonce, associated] = [counting(size.key), counting(size.nonce), counting(5)]
      data.set(plaintext)
      seal(key, nonce, associated, data, tag)
      if (length > 8) expect(data).not.toEqual(plaintext)
      expect(open(key, nonce, associated, data, tag)).toBe(true)
      expect(data).toEqual(plaintext)
      expect([key, nonce, associated]).toEqual([counting(size.key), counting(size.nonce), counting(5)])
      expect(around.subarray(size.tag, 32)).toEqual(new Uint8Array(16).fill(0x5c))
      expect(around.subarray(32 + length)).toEqual(new Uint8Array(32).fill(0x5c))
    },
  )
}
