/** The handshake with fixed randomness: recorded answers, and its derivation written down a second time. */
import { createHash, createHmac, createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto'
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import { describe, expect, test } from 'vitest'
import { concat, hex, utf8 } from '../bytes/index.ts'
import { seededCrypto } from '../testing/index.ts'
import { answerHandshake, type Purpose, purpose, startHandshake } from './index.ts'
import { document, responder, secrets } from './testing/responder.ts'

describe('known answers', () => {
  /** Client and responder with fixed randomness. */
  async function fixed(kind: Purpose, depth: number) {
    const client = await startHandshake(seededCrypto('client'), { purpose: kind, depth, responder })
    const answer = await answerHandshake(seededCrypto('server'), client.hello, secrets)
    const { keys } = await client.finish(answer.reply)
    expect(keys).toEqual(answer.keys)
    return { hello: client.hello, reply: answer.reply, keys }
  }

  // SHA-256 of hello and reply, then the keys. Recorded from this implementation once the derivation written down again
  // below had given the same; a change here is a new protocol version.
  test.each([
    [
      purpose.hop,
      1,
      '568dc935cfdb200515bc879f2538d64fb0c7b18e05dd7d571930886a0aec8968',
      '750ff5db79807d33edc978766d723447ba93434d073c938ed0b1af8465a36de7',
      '103c8aa8c80f202a8b62b46eb2de046d75cdde60d0b09a49933d19ad0ce76611',
      'e98b2fa5ff30ca9c1dc473a3374d8e4d5b5fbb7d76a9ce6b700e0a8f627e3f55',
    ],
    [
      purpose.hop,
      3,
      '715c07f02a05f290d851784187618c1d7936c36dcae698a903522454c165c409',
      '7df68518e83417eccdcc9a10756ed7fe62eb82b51ea57c8fd651e8e25caad7de',
      'bbfd216cb37c8affb018abac087af1f0c31a1d3018e7a0058f0b283f4b6786e6',
      '927e8693e7e744a936287c1482e743b6b117b3c7f6c1425de9ab7c0df4623517',
    ],
    [
      purpose.envelope,
      0,
      'de0a86d203cb1346c613f634d300c6ae7dde2525364ae30394ad053f3bb65b48',
      'c0815401ced9d4dee27bb92f3aac8f4067ff6aa117e3d5929aebfbad0025126e',
      '7bd30a3773fa1678b912ac78532b1f4aad6cbcc0ee30bb3afd06f9d8d87c3854',
      '3e7c34496cb2293f68b1509726269c7aa3ebbef2197dc696eda39810b5449630',
    ],
  ] as const)('purpose %i, depth %i', async (kind, depth, hello, reply, forward, backward) => {
    const result = await fixed(kind, depth)
    expect([
      hex(sha256(result.hello)),
      hex(sha256(result.reply)),
      hex(result.keys.forward),
      hex(result.keys.backward),
    ]).toEqual([hello, reply, forward, backward])
  })

  test.each([
    [purpose.hop, 2],
    [purpose.envelope, 0],
  ])('purpose %i: the derivation of docs/protocol.md, written down again on node:crypto', async (kind, depth) => {
    // The secrets, drawn as seededCrypto draws them: x from block 0, (d, z) from blocks 1 and 2, and y from block 0.
    const draw = (seed: string, block: number) => sha256(concat(utf8(seed), Uint8Array.of(0, 0, 0, block)))
    const { hello, reply, keys } = await fixed(kind, depth)
    const x = draw('client', 0)
    const kem = ml_kem768.keygen(concat(draw('client', 1), draw('client', 2)))
    const [y, ct] = [reply.subarray(0, 32), reply.subarray(32, 1120)]

    const transcript = sha256(
      concat(hello, responder.identity, responder.key, y, ct, Uint8Array.of(1, 2, 3, 4), document.hash),
    )
    const secret = concat(x25519(x, y), x25519(x, responder.key), ml_kem768.decapsulate(ct, kem.secretKey), transcript)
    const seed = hmac(utf8('nightjar-1 hybrid-ntor'), secret)
    const key = (label: string) =>
      hmac(seed, concat(utf8('nightjar-1 '), Uint8Array.of(kind), utf8(label), Uint8Array.of(1)))
    expect(hex(hello.subarray(43))).toBe(hex(kem.publicKey))
    expect(hex(keys.forward)).toBe(hex(key('forward')))
    expect(hex(keys.backward)).toBe(hex(key('backward')))
    expect(hex(reply.subarray(1156))).toBe(hex(hmac(key('auth'), transcript)))
    expect(hex(x25519(draw('server', 0), hello.subarray(11, 43)))).toBe(hex(x25519(x, y)))
  })
})

function sha256(data: Uint8Array): Uint8Array {
  return Uint8Array.from(createHash('sha256').update(data).digest())
}

function hmac(key: Uint8Array, data: Uint8Array): Uint8Array {
  return Uint8Array.from(createHmac('sha256', key).update(data).digest())
}

function x25519(secret: Uint8Array, point: Uint8Array): Uint8Array {
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), secret])
  const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  const spki = Buffer.concat([Buffer.from('302a300506032b656e032100', 'hex'), point])
  const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' })
  return Uint8Array.from(diffieHellman({ privateKey, publicKey }))
}
