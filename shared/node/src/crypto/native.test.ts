import { type Crypto, size } from '@nightjar/shared/crypto'
import { nobleCrypto } from '@nightjar/shared/crypto/noble'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cryptoSuite } from '../../../src/crypto/testing/suite.ts'
import { nativeCrypto } from './native.ts'

cryptoSuite(nativeCrypto)

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const anyBytes = fc.uint8Array({ maxLength: 2000 })

describe('native and noble interoperate', () => {
  it('seal the same and open what the other sealed', () => {
    fc.assert(
      fc.property(bytes(size.key), bytes(size.nonce), anyBytes, anyBytes, (key, nonce, associated, plaintext) => {
        const [byNative, byNoble] = [Uint8Array.from(plaintext), Uint8Array.from(plaintext)]
        const [nativeTag, nobleTag] = [new Uint8Array(size.tag), new Uint8Array(size.tag)]
        nativeCrypto.aead.seal(key, nonce, associated, byNative, nativeTag)
        nobleCrypto.aead.seal(key, nonce, associated, byNoble, nobleTag)
        expect([byNative, nativeTag]).toEqual([byNoble, nobleTag])
        expect(nobleCrypto.aead.open(key, nonce, associated, byNative, nativeTag)).toBe(true)
        expect(nativeCrypto.aead.open(key, nonce, associated, byNoble, nobleTag)).toBe(true)
        expect([byNative, byNoble]).toEqual([plaintext, plaintext])
      }),
    )
  })

  it('hash the same', () => {
    fc.assert(
      fc.property(anyBytes, anyBytes, (key, data) => {
        expect(nativeCrypto.hash.sha256(data)).toEqual(nobleCrypto.hash.sha256(data))
        expect(nativeCrypto.hash.hmac(key, data)).toEqual(nobleCrypto.hash.hmac(key, data))
      }),
    )
  })

  const pairs: [string, Crypto, Crypto][] = [
    ['native with noble', nativeCrypto, nobleCrypto],
    ['noble with native', nobleCrypto, nativeCrypto],
  ]

  it.each(pairs)('X25519, %s', async (_, one, other) => {
    for (let round = 0; round < 20; round++) {
      const [alice, bob] = [await one.dh.generate(), await other.dh.fromSecret(other.randomBytes(size.key))]
      expect(await alice.agree(bob.publicKey)).toEqual(await bob.agree(alice.publicKey))
    }
  })

  it.each(pairs)('ML-KEM-768, %s', async (_, one, other) => {
    for (let round = 0; round < 20; round++) {
      const pair = await one.kem.generate()
      const { ciphertext, secret } = await other.kem.encapsulate(pair.publicKey)
      expect(await pair.decapsulate(ciphertext)).toEqual(secret)
    }
  })

  it.each(pairs)('Ed25519, %s', async (_, one, other) => {
    for (let round = 0; round < 20; round++) {
      const [seed, message] = [one.randomBytes(size.key), one.randomBytes(round * 10)]
      const key = await one.sign.fromSeed(seed)
      const signature = await key.sign(message)
      expect(key.publicKey).toEqual((await other.sign.fromSeed(seed)).publicKey)
      expect(await other.sign.verify(key.publicKey, message, signature)).toBe(true)
    }
  })
})

describe('native', () => {
  it('returns values, not promises', async () => {
    const pair = nativeCrypto.dh.generate()
    expect(pair).not.toBeInstanceOf(Promise)
    expect((await pair).agree((await pair).publicKey)).toBeInstanceOf(Uint8Array)
    expect(nativeCrypto.kem.generate()).not.toBeInstanceOf(Promise)
    expect(nativeCrypto.sign.fromSeed(new Uint8Array(32))).not.toBeInstanceOf(Promise)
  })

  it('takes ML-KEM from node:crypto where that has it, and from noble elsewhere', () => {
    const [major, minor] = process.versions.node.split('.').map(Number) as [number, number]
    const inNode = major > 24 || (major === 24 && minor >= 7)
    expect(nativeCrypto.kem === nobleCrypto.kem).toBe(!inNode)
  })

  it('does not take a wrong size for a wrong tag', () => {
    const [key, nonce, data, tag] = [new Uint8Array(32), new Uint8Array(12), new Uint8Array(8), new Uint8Array(16)]
    const { open } = nativeCrypto.aead
    expect(open(key, nonce, data, data, tag)).toBe(false)
    expect(() => open(key.subarray(1), nonce, data, data, tag)).toThrow('KEYBYTES')
    expect(() => open(key, nonce.subarray(1), data, data, tag)).toThrow('NPUBBYTES')
    expect(() => open(key, nonce, data, data, tag.subarray(1))).toThrow('ABYTES')
  })

  it('refuses to use a destroyed key', async () => {
    const [dh, kem] = [await nativeCrypto.dh.generate(), await nativeCrypto.kem.generate()]
    const { ciphertext } = await nativeCrypto.kem.encapsulate(kem.publicKey)
    dh.destroy()
    kem.destroy()
    expect(() => dh.agree(dh.publicKey)).toThrow('after its destruction')
    expect(() => kem.decapsulate(ciphertext)).toThrow()
  })
})
