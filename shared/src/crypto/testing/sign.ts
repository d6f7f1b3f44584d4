/** Ed25519: RFC 8032 and Wycheproof, and keys of small order. */
import { expect, it } from 'vitest'
import { hex } from '../../bytes/index.ts'
import type { Crypto } from '../crypto.ts'
import { bytes, counting, flipped, type Named, type Numbered, vectors } from './vectors.ts'

const ed25519 = vectors<{ tests: Named<'seed' | 'public' | 'message' | 'signature'>[] }>('ed25519')
const wycheproofEd25519 = vectors<{
  valid: Numbered<'public' | 'message' | 'signature'>[]
  invalid: (Numbered<'public' | 'message' | 'signature'> & { why: string })[]
}>('wycheproof-ed25519')

export function signSuite({ sign }: Crypto): void {
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
