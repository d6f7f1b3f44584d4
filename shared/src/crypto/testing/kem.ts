/** ML-KEM-768: ACVP, the Go standard library and Wycheproof. */
import { shake128, shake256 } from '@noble/hashes/sha3.js'
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import { expect, it } from 'vitest'
import { concat, fromHex, hex } from '../../bytes/index.ts'
import { type Crypto, size } from '../crypto.ts'
import { bytes, counting, failure, flipped, type Named, type Numbered, vectors } from './vectors.ts'

const mlKem = vectors<{
  keyGen: { d: string; z: string; public: string }
  decapsulation: Named<'seed' | 'public' | 'ciphertext' | 'secret'>[]
  modulus: { base: string; cases: (Numbered<'bytes'> & { offset: number })[] }
  accumulated: { rounds: number; hash: string }
}>('ml-kem-768')

export function kemSuite({ kem, randomBytes }: Crypto): void {
  it('ACVP ML-KEM-keyGen-FIPS203, test 26', async () => {
    const { d, z, public: expected } = mlKem.keyGen
    expect(hex((await kem.fromSeed(bytes(d + z))).publicKey)).toBe(expected)
  })

  it.each(mlKem.decapsulation)('decapsulates: $name', async (vector) => {
    const pair = await kem.fromSeed(bytes(vector.seed))
    expect(hex(pair.publicKey)).toBe(vector.public)
    expect(hex(await pair.decapsulate(bytes(vector.ciphertext)))).toBe(vector.secret)
  })

  it('accumulated vectors of the Go standard library', async () => {
    const draw = shake128.create({})
    const accumulated = shake128.create({})
    for (let round = 0; round < mlKem.accumulated.rounds; round++) {
      const pair = await kem.fromSeed(draw.xof(size.kemSeed))
      // The interface takes no randomness to encapsulate with; noble does.
      const { cipherText, sharedSecret } = ml_kem768.encapsulate(pair.publicKey, draw.xof(32))
      const secret = await pair.decapsulate(cipherText)
      expect(secret).toEqual(sharedSecret)
      const rejected = await pair.decapsulate(draw.xof(size.kemCiphertext))
      accumulated.update(pair.publicKey).update(cipherText).update(secret).update(rejected)
    }
    expect(hex(accumulated.xof(32))).toBe(mlKem.accumulated.hash)
  })

  it('accepts the key that the Wycheproof modulus tests alter', async () => {
    const { ciphertext, secret } = await kem.encapsulate(bytes(mlKem.modulus.base))
    expect([ciphertext.length, secret.length]).toEqual([size.kemCiphertext, 32])
  })

  it.each(mlKem.modulus.cases)('Wycheproof $tcId: refuses a coefficient beyond the modulus', async (vector) => {
    const key = bytes(mlKem.modulus.base)
    key.set(fromHex(vector.bytes), vector.offset)
    expect(await failure(() => kem.encapsulate(key))).toBe('handshake-failed')
  })

  it.each([0, 1183, 1185])('refuses a public key of %i bytes', async (length) => {
    expect(await failure(() => kem.encapsulate(new Uint8Array(length)))).toBe('handshake-failed')
  })

  it.each([0, 1087, 1089])('refuses a ciphertext of %i bytes', async (length) => {
    const pair = await kem.generate()
    expect(await failure(() => pair.decapsulate(new Uint8Array(length)))).toBe('handshake-failed')
  })

  it.each([0, 32, 63, 65])('refuses a seed of %i bytes', async (length) => {
    await expect(async () => kem.fromSeed(counting(length))).rejects.toThrow()
  })

  it('encapsulates to generated keys, each time another secret', async () => {
    const pair = await kem.generate()
    const [first, second] = [await kem.encapsulate(pair.publicKey), await kem.encapsulate(pair.publicKey)]
    expect(pair.publicKey).not.toEqual((await kem.generate()).publicKey)
    expect(first.secret).not.toEqual(second.secret)
    expect(await pair.decapsulate(first.ciphertext)).toEqual(first.secret)
    expect(await pair.decapsulate(second.ciphertext)).toEqual(second.secret)
  })

  it('rejects an altered ciphertext implicitly: with SHAKE256(z ‖ ciphertext), FIPS 203, algorithm 18', async () => {
    const seed = randomBytes(size.kemSeed)
    const pair = await kem.fromSeed(seed)
    const { ciphertext, secret } = await kem.encapsulate(pair.publicKey)
    for (const index of [0, 1, 500, 959, 960, 1000, 1087]) {
      const altered = flipped(ciphertext, index)
      const rejected = await pair.decapsulate(altered)
      expect(rejected).not.toEqual(secret)
      expect(rejected).toEqual(shake256(concat(seed.subarray(32), altered), { dkLen: 32 }))
    }
  })

  it('keeps its own copy of the seed', async () => {
    const seed = randomBytes(size.kemSeed)
    const pair = await kem.fromSeed(seed)
    const { ciphertext, secret } = await kem.encapsulate(pair.publicKey)
    const altered = await pair.decapsulate(flipped(ciphertext, 0))
    seed.fill(0)
    expect(await pair.decapsulate(ciphertext)).toEqual(secret)
    expect(await pair.decapsulate(flipped(ciphertext, 0))).toEqual(altered)
    pair.destroy()
  })
}
