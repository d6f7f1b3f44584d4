import { describe, expect, it } from 'vitest'
import { size } from './crypto.ts'
import { nobleCrypto } from './noble.ts'
import { cryptoSuite } from './testing/suite.ts'

cryptoSuite(nobleCrypto)

// The secrets cannot be looked at, but what a destroyed key computes shows that they are zero.
describe('destroy', () => {
  it('makes the X25519 secret zero', async () => {
    const peer = await nobleCrypto.dh.generate()
    const zero = await nobleCrypto.dh.fromSecret(new Uint8Array(size.key))
    for (const pair of [
      await nobleCrypto.dh.generate(),
      await nobleCrypto.dh.fromSecret(nobleCrypto.randomBytes(size.key)),
    ]) {
      expect(await pair.agree(peer.publicKey)).not.toEqual(await zero.agree(peer.publicKey))
      pair.destroy()
      expect(await pair.agree(peer.publicKey)).toEqual(await zero.agree(peer.publicKey))
    }
  })

  it('makes the ML-KEM secret zero', async () => {
    for (const pair of [
      await nobleCrypto.kem.generate(),
      await nobleCrypto.kem.fromSeed(nobleCrypto.randomBytes(size.kemSeed)),
    ]) {
      const { ciphertext, secret } = await nobleCrypto.kem.encapsulate(pair.publicKey)
      expect(await pair.decapsulate(ciphertext)).toEqual(secret)
      pair.destroy()
      // A zeroed key no longer matches the hash of its public part (FIPS 203, section 7.3).
      expect(() => pair.decapsulate(ciphertext)).toThrow('hash check failed')
    }
  })
})
