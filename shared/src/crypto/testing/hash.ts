/** SHA-256, HMAC (RFC 4231) and HKDF (RFC 5869), which is made of them. */
import { expect, it } from 'vitest'
import { hex } from '../../bytes/index.ts'
import { type Crypto, size } from '../crypto.ts'
import { hkdfExpand, hkdfExtract } from '../hkdf.ts'
import { bytes, counting, type Named, vectors } from './vectors.ts'

const sha256 = vectors<{ tests: (Named<'data' | 'hash'> & { repeat: number })[] }>('sha256')
const hmac = vectors<{ tests: Named<'key' | 'data' | 'mac'>[] }>('hmac')
const hkdf = vectors<{ tests: (Named<'ikm' | 'salt' | 'info' | 'prk' | 'okm'> & { length: number })[] }>('hkdf')

export function hashSuite({ hash }: Crypto): void {
  it.each(sha256.tests)('SHA-256, $name', ({ data, repeat, hash: expected }) => {
    expect(hex(hash.sha256(bytes(data.repeat(repeat))))).toBe(expected)
  })

  it.each(hmac.tests)('HMAC, RFC 4231, test case $name', ({ key, data, mac }) => {
    const computed = hash.hmac(bytes(key), bytes(data))
    expect(computed).toHaveLength(size.hash)
    expect(hex(computed).slice(0, mac.length)).toBe(mac)
  })

  it.each(hkdf.tests)('HKDF, RFC 5869, test case $name', ({ ikm, salt, info, length, prk, okm }) => {
    expect(hex(hkdfExtract(hash, bytes(salt), bytes(ikm)))).toBe(prk)
    expect(hex(hkdfExpand(hash, bytes(prk), bytes(info), length))).toBe(okm)
  })

  it('HKDF-Expand gives any length up to 255 blocks, each a prefix of the longer ones', () => {
    const longest = hkdfExpand(hash, counting(32), counting(3), 255 * size.hash)
    for (const length of [0, 1, 31, 32, 33, 64, 255 * size.hash]) {
      expect(hkdfExpand(hash, counting(32), counting(3), length)).toEqual(longest.subarray(0, length))
    }
    expect(() => hkdfExpand(hash, counting(32), counting(3), 255 * size.hash + 1)).toThrow(RangeError)
  })
}
