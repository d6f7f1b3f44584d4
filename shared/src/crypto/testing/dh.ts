/** X25519: RFC 7748 and Wycheproof. */
import { expect, it } from 'vitest'
import { hex } from '../../bytes/index.ts'
import { type Crypto, size } from '../crypto.ts'
import { bytes, counting, failure, type Named, type Numbered, vectors } from './vectors.ts'

const x25519 = vectors<{
  multiplications: Named<'secret' | 'public' | 'shared'>[]
  iterated: { start: string; after1: string; after1000: string }
  agreement: Record<'aliceSecret' | 'alicePublic' | 'bobSecret' | 'bobPublic' | 'shared', string>
}>('x25519')
const wycheproofX25519 = vectors<{
  agreed: Numbered<'public' | 'secret' | 'shared'>[]
  refused: Numbered<'public' | 'secret'>[]
}>('wycheproof-x25519')

export function dhSuite({ dh, randomBytes }: Crypto): void {
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
