/** HKDF with SHA-256 (RFC 5869), on the HMAC of either implementation. */
import { concat } from '../bytes/index.ts'
import { type Hash, size } from './crypto.ts'

/** HKDF-Extract (RFC 5869, section 2.2): a 32-byte pseudorandom key. */
export function hkdfExtract(hash: Hash, salt: Uint8Array, secret: Uint8Array): Uint8Array {
  return hash.hmac(salt, secret)
}

/** HKDF-Expand (RFC 5869, section 2.3): `length` bytes, at most 255 * 32. */
export function hkdfExpand(hash: Hash, key: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  if (length > 255 * size.hash) throw new RangeError('HKDF-Expand gives at most 255 blocks')
  const output = new Uint8Array(Math.ceil(length / size.hash) * size.hash)
  let block: Uint8Array = new Uint8Array(0)
  for (let counter = 1; (counter - 1) * size.hash < length; counter++) {
    block = hash.hmac(key, concat(block, info, Uint8Array.of(counter)))
    output.set(block, (counter - 1) * size.hash)
  }
  return output.subarray(0, length)
}
