/**
 * What every implementation of `Crypto` must do: one suite of published vectors, and of properties where there are no
 * vectors. The vectors are in `vectors/*.json`; each says where it comes from and, where it is a selection, of what.
 */
import { describe, expect, it } from 'vitest'
import { hex } from '../../bytes/index.ts'
import type { Crypto } from '../crypto.ts'
import { aeadSuite } from './aead.ts'
import { dhSuite } from './dh.ts'
import { hashSuite } from './hash.ts'
import { kemSuite } from './kem.ts'
import { signSuite } from './sign.ts'
import { counting } from './vectors.ts'

export function cryptoSuite(crypto: Crypto): void {
  describe(`${crypto.name} crypto`, () => {
    describe('aead: ChaCha20-Poly1305', () => aeadSuite(crypto))
    describe('hash: SHA-256, HMAC, HKDF', () => hashSuite(crypto))
    describe('dh: X25519', () => dhSuite(crypto))
    describe('kem: ML-KEM-768', () => kemSuite(crypto))
    describe('sign: Ed25519', () => signSuite(crypto))

    it('draws random bytes', () => {
      expect(crypto.randomBytes(0)).toEqual(new Uint8Array(0))
      expect(crypto.randomBytes(32)).toHaveLength(32)
      expect(hex(crypto.randomBytes(32))).not.toBe(hex(crypto.randomBytes(32)))
    })

    it('gives plain Uint8Arrays, not Buffers, whose slice would share memory', async () => {
      const dh = await crypto.dh.generate()
      const kem = await crypto.kem.generate()
      const { ciphertext, secret } = await crypto.kem.encapsulate(kem.publicKey)
      const sign = await crypto.sign.fromSeed(crypto.randomBytes(32))
      const outputs = {
        random: crypto.randomBytes(8),
        sha256: crypto.hash.sha256(counting(8)),
        hmac: crypto.hash.hmac(counting(8), counting(8)),
        dhPublic: dh.publicKey,
        shared: await dh.agree(dh.publicKey),
        kemPublic: kem.publicKey,
        ciphertext,
        secret,
        decapsulated: await kem.decapsulate(ciphertext),
        signPublic: sign.publicKey,
        signature: await sign.sign(counting(8)),
      }
      for (const [name, output] of Object.entries(outputs)) {
        expect(Object.getPrototypeOf(output), name).toBe(Uint8Array.prototype)
      }
    })
  })
}
