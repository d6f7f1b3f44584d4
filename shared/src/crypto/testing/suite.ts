/**
 * What every implementation of `Crypto` must do: one suite of published vectors, and of properties where there are no
 * vectors. The vectors are in `vectors/*.json`; each says where it comes from and, where it is a selection, of what.
 */
import { readFileSync } from 'node:fs'
import { shake128, shake256 } from '@noble/hashes/sha3.js'
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import { describe, expect, it } from 'vitest'
import { concat, fromHex, hex } from '../../bytes/index.ts'
import { NightjarError } from '../../errors/index.ts'
import { type Awaitable, type Crypto, size } from '../crypto.ts'
import { hkdfExpand, hkdfExtract } from '../hkdf.ts'

function vectors<T>(file: string): T {
  return JSON.parse(readFileSync(new URL(`./vectors/${file}.json`, import.meta.url), 'utf8')) as T
}

/** Fields that are not numbers or names are bytes in hexadecimal. */
type Named<Field extends string> = { readonly name: string } & Readonly<Record<Field, string>>
type Numbered<Field extends string> = { readonly tcId: number } & Readonly<Record<Field, string>>
type Sealed = 'key' | 'nonce' | 'associated' | 'plaintext' | 'ciphertext' | 'tag'

const sha256 = vectors<{ tests: (Named<'data' | 'hash'> & { repeat: number })[] }>('sha256')
const hmac = vectors<{ tests: Named<'key' | 'data' | 'mac'>[] }>('hmac')
const hkdf = vectors<{ tests: (Named<'ikm' | 'salt' | 'info' | 'prk' | 'okm'> & { length: number })[] }>('hkdf')
const aead = vectors<{ tests: Named<Sealed>[] }>('aead')
const wycheproofAead = vectors<{
  valid: Numbered<Sealed>[]
  forged: (Readonly<Record<Sealed, string>> & { firstTcId: number; modified: string[] })[]
  nonces: { key: string; lengths: number[] }
}>('wycheproof-chacha20-poly1305')
const x25519 = vectors<{
  multiplications: Named<'secret' | 'public' | 'shared'>[]
  iterated: { start: string; after1: string; after1000: string }
  agreement: Record<'aliceSecret' | 'alicePublic' | 'bobSecret' | 'bobPublic' | 'shared', string>
}>('x25519')
const wycheproofX25519 = vectors<{
  agreed: Numbered<'public' | 'secret' | 'shared'>[]
  refused: Numbered<'public' | 'secret'>[]
}>('wycheproof-x25519')
const ed25519 = vectors<{ tests: Named<'seed' | 'public' | 'message' | 'signature'>[] }>('ed25519')
const wycheproofEd25519 = vectors<{
  valid: Numbered<'public' | 'message' | 'signature'>[]
  invalid: (Numbered<'public' | 'message' | 'signature'> & { why: string })[]
}>('wycheproof-ed25519')
const mlKem = vectors<{
  keyGen: { d: string; z: string; public: string }
  decapsulation: Named<'seed' | 'public' | 'ciphertext' | 'secret'>[]
  modulus: { base: string; cases: (Numbered<'bytes'> & { offset: number })[] }
  accumulated: { rounds: number; hash: string }
}>('ml-kem-768')

/** As a view into a larger buffer, because that is what callers pass, and an offset is easily forgotten. */
function bytes(text: string): Uint8Array {
  const content = fromHex(text)
  const around = new Uint8Array(content.length + 16).fill(0xa5)
  around.set(content, 8)
  return around.subarray(8, 8 + content.length)
}

function counting(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => index)
}

function flipped(source: Uint8Array, index: number): Uint8Array {
  const copy = Uint8Array.from(source)
  copy[index] = (copy[index] as number) ^ (1 << (index % 8))
  return copy
}

/** The code of the NightjarError that `run` fails with; `undefined` where it does not fail. */
async function failure(run: () => Awaitable<unknown>): Promise<string | undefined> {
  try {
    await run()
    return undefined
  } catch (error) {
    return error instanceof NightjarError ? error.code : `not typed: ${error}`
  }
}

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

function aeadSuite({ aead: { seal, open } }: Crypto): void {
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

function hashSuite({ hash }: Crypto): void {
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

function dhSuite({ dh, randomBytes }: Crypto): void {
  async function multiply(secret: Uint8Array, point: Uint8Array): Promise<Uint8Array> {
    return (await dh.fromSecret(secret)).agree(point)
  }

  it.each(x25519.multiplications)('RFC 7748, $name', async (vector) => {
    expect(hex(await multiply(bytes(vector.secret), bytes(vector.public)))).toBe(vector.shared)
  })

  it('RFC 7748, section 5.2, iterated 1 and 1000 times', async () => {
    let [k, u] = [bytes(x25519.iterated.start), bytes(x25519.iterated.start)]
    for (let round = 1; round <= 1000; round++) {
      const next = await multiply(k, u)
      ;[k, u] = [next, k]
      if (round === 1) expect(hex(k)).toBe(x25519.iterated.after1)
    }
    expect(hex(k)).toBe(x25519.iterated.after1000)
  })

  it('RFC 7748, section 6.1', async () => {
    const { aliceSecret, alicePublic, bobSecret, bobPublic, shared } = x25519.agreement
    const [alice, bob] = [await dh.fromSecret(bytes(aliceSecret)), await dh.fromSecret(bytes(bobSecret))]
    expect([hex(alice.publicKey), hex(bob.publicKey)]).toEqual([alicePublic, bobPublic])
    expect(hex(await alice.agree(bob.publicKey))).toBe(shared)
    expect(hex(await bob.agree(alice.publicKey))).toBe(shared)
  })

  it.each(wycheproofX25519.agreed)('Wycheproof $tcId', async (vector) => {
    expect(hex(await multiply(bytes(vector.secret), bytes(vector.public)))).toBe(vector.shared)
  })

  it.each(wycheproofX25519.refused)('Wycheproof $tcId: refuses an all-zero output', async (vector) => {
    expect(await failure(() => multiply(bytes(vector.secret), bytes(vector.public)))).toBe('handshake-failed')
  })

  it.each([0, 31, 33])('refuses a public key of %i bytes', async (length) => {
    const pair = await dh.generate()
    expect(await failure(() => pair.agree(counting(length)))).toBe('handshake-failed')
  })

  it.each([0, 31, 33])('refuses a secret of %i bytes', async (length) => {
    await expect(async () => dh.fromSecret(counting(length))).rejects.toThrow()
  })

  it('generates pairs that agree, each with another key', async () => {
    const [alice, bob] = [await dh.generate(), await dh.generate()]
    expect(alice.publicKey).toHaveLength(size.dhPublic)
    expect(alice.publicKey).not.toEqual(bob.publicKey)
    expect(await alice.agree(bob.publicKey)).toEqual(await bob.agree(alice.publicKey))
  })

  it('keeps its own copy of the secret', async () => {
    const [secret, peer] = [randomBytes(size.key), await dh.generate()]
    const pair = await dh.fromSecret(secret)
    const before = await pair.agree(peer.publicKey)
    secret.fill(0)
    expect(await pair.agree(peer.publicKey)).toEqual(before)
    pair.destroy()
    expect((await dh.fromSecret(counting(size.key))).publicKey).toHaveLength(size.dhPublic)
  })
}

function kemSuite({ kem, randomBytes }: Crypto): void {
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

function signSuite({ sign }: Crypto): void {
  it.each(ed25519.tests)('RFC 8032, section 7.1, $name', async (vector) => {
    const key = await sign.fromSeed(bytes(vector.seed))
    expect(hex(key.publicKey)).toBe(vector.public)
    expect(hex(await key.sign(bytes(vector.message)))).toBe(vector.signature)
    expect(await sign.verify(bytes(vector.public), bytes(vector.message), bytes(vector.signature))).toBe(true)
  })

  it.each(wycheproofEd25519.valid)('Wycheproof $tcId', async (vector) => {
    expect(await sign.verify(bytes(vector.public), bytes(vector.message), bytes(vector.signature))).toBe(true)
  })

  it.each(wycheproofEd25519.invalid)('Wycheproof $tcId: refuses $why', async (vector) => {
    expect(await sign.verify(bytes(vector.public), bytes(vector.message), bytes(vector.signature))).toBe(false)
  })

  it('refuses a change of any byte of key, message and signature', async () => {
    const key = await sign.fromSeed(counting(32))
    const signed = { publicKey: key.publicKey, message: counting(20), signature: await key.sign(counting(20)) }
    for (const part of ['publicKey', 'message', 'signature'] as const) {
      for (let index = 0; index < signed[part].length; index++) {
        const altered: Partial<typeof signed> = { [part]: flipped(signed[part], index) }
        const { publicKey, message, signature } = { ...signed, ...altered }
        expect(await sign.verify(publicKey, message, signature), `${part}, byte ${index}`).toBe(false)
      }
    }
  })

  it.each([0, 31, 33])('a public key of %i bytes is not valid', async (length) => {
    const { message, signature } = ed25519.tests[0] as (typeof ed25519.tests)[0]
    expect(await sign.verify(counting(length), bytes(message), bytes(signature))).toBe(false)
  })

  it.each([0, 31, 33])('refuses a seed of %i bytes', async (length) => {
    await expect(async () => sign.fromSeed(counting(length))).rejects.toThrow()
  })

  // All encodings, canonical or not, of the points whose order divides 8. With R the base point and s = 1, R = sB - kA
  // holds whenever kA = 0: for at least every eighth message.
  const smallOrder = [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ]
  it.each(smallOrder)('refuses the key of small order %s with either sign', async (text) => {
    const signature = bytes(`58${'66'.repeat(31)}01${'00'.repeat(31)}`)
    for (const sign255 of [0, 0x80]) {
      const key = bytes(text)
      key[31] = (key[31] as number) | sign255
      for (let message = 0; message < 64; message++) {
        expect(await sign.verify(key, Uint8Array.of(message), signature), `message ${message}`).toBe(false)
      }
    }
  })
}
