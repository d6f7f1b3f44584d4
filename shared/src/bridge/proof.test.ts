import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fromHex, hex } from '../bytes/index.ts'
import { nobleCrypto } from '../crypto/noble.ts'
import { flipBit, pattern } from '../testing/index.ts'
import { challengeBytes, endpointProof } from './index.ts'

const { hmac } = nobleCrypto.hash
const key = fromHex('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f')
const challenge = fromHex('fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0efeeedecebeae9e8e7e6e5e4e3e2e1e0')

describe('the proof of the endpoint', () => {
  // Made with Node's `createHmac('sha256', key)` over the layout of proof.ts, and once more with Python's `hmac`.
  test('of a fixed key, port and challenge', () => {
    const proof = endpointProof(hmac, key, 8645, challenge)
    expect(hex(proof)).toBe('b75ef6704e0bd55d4186625e59852a184adc8239900af8a49d84b7a181004c6f')
  })

  test('is an HMAC-SHA256 over label, port and challenge', () => {
    const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 })
    fc.assert(
      fc.property(bytes, fc.integer({ min: 0, max: 65535 }), bytes, (anyKey, port, anyChallenge) => {
        const portBytes = Uint8Array.of(port >> 8, port & 0xff)
        const expected = createHmac('sha256', anyKey)
        for (const part of ['nightjar-1 endpoint\0', portBytes, anyChallenge]) expected.update(part)
        expect(hex(endpointProof(hmac, anyKey, port, anyChallenge))).toBe(expected.digest('hex'))
      }),
    )
  })

  test('depends on each of them', () => {
    const proofs = [
      endpointProof(hmac, key, 8645, challenge),
      endpointProof(hmac, key, 8646, challenge),
      endpointProof(hmac, key, 8645 ^ 0x100, challenge),
      endpointProof(hmac, flipBit(key, 255), 8645, challenge),
      endpointProof(hmac, key, 8645, flipBit(challenge, 0)),
      endpointProof(hmac, key, 8645, flipBit(challenge, 255)),
    ]
    expect(new Set(proofs.map(hex)).size).toBe(proofs.length)
  })

  test('is for challenges of 32 bytes', () => {
    expect(challengeBytes).toBe(32)
    expect(endpointProof(hmac, key, 1, pattern(challengeBytes))).toHaveLength(32)
  })
})
