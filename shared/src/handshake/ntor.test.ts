import { describe, expect, test } from 'vitest'
import { concat, hex } from '../bytes/index.ts'
import type { Crypto, DhKeyPair } from '../crypto/index.ts'
import { nobleCrypto as crypto } from '../crypto/noble.ts'
import type { ErrorCode } from '../errors/index.ts'
import { codeOfAsync, flipBit, pattern } from '../testing/index.ts'
import {
  answerHandshake,
  helloSize,
  type Purpose,
  purpose,
  type ResponderSecrets,
  replySize,
  type SessionKeys,
  startHandshake,
} from './index.ts'
import { document, onion, responder, secrets } from './testing/responder.ts'

interface Attempt {
  purpose?: Purpose
  depth?: number
  client?: Partial<typeof responder>
  server?: Partial<ResponderSecrets>
  onHello?(hello: Uint8Array): Uint8Array
  onReply?(reply: Uint8Array): Uint8Array
}

/** A handshake with someone on the wire. */
async function attempt(options: Attempt): Promise<{ client: SessionKeys; server: SessionKeys }> {
  const kind = options.purpose ?? purpose.hop
  const client = await startHandshake(crypto, {
    purpose: kind,
    depth: options.depth ?? (kind === purpose.hop ? 3 : 0),
    responder: { ...responder, ...options.client },
  })
  const hello = options.onHello?.(client.hello) ?? client.hello
  const answer = await answerHandshake(crypto, hello, { ...secrets, ...options.server })
  const result = await client.finish(options.onReply?.(answer.reply) ?? answer.reply)
  expect(result.document).toEqual(document)
  return { client: result.keys, server: answer.keys }
}

describe('both sides agree', () => {
  test.each([
    ['a hop', purpose.hop, 1],
    ['a hop', purpose.hop, 4],
    ['an envelope', purpose.envelope, 0],
    ['a mesh', purpose.mesh, 0],
  ])('on the keys of %s (purpose %i, depth %i)', async (_, kind, depth) => {
    const { client, server } = await attempt({ purpose: kind, depth })
    expect(client).toEqual(server)
    expect([client.forward.length, client.backward.length]).toEqual([32, 32])
    expect(client.forward).not.toEqual(client.backward)
  })

  test('on other keys each time', async () => {
    const all = await Promise.all([attempt({}), attempt({})])
    const keys = all.flatMap(({ client }) => [hex(client.forward), hex(client.backward)])
    expect(new Set(keys).size).toBe(4)
  })

  test('and the messages have their fixed sizes', async () => {
    await attempt({
      onHello(hello) {
        expect(hello.length).toBe(helloSize)
        return hello
      },
      onReply(reply) {
        expect(reply.length).toBe(replySize)
        return reply
      },
    })
  })

  test('also where the hello is only a view into a cell that is overwritten later', async () => {
    const client = await startHandshake(crypto, { purpose: purpose.hop, depth: 1, responder })
    const cell = concat(pattern(5), client.hello)
    const answering = answerHandshake(crypto, cell.subarray(5), secrets)
    const answer = await answering
    cell.fill(0)
    expect((await client.finish(answer.reply)).keys).toEqual(answer.keys)
  })
})

describe('the responder refuses', () => {
  // Bit counts within the hello: version, purpose, depth, onionKeyId 8, X 32, ek 1184.
  const ekStart = 43

  test.each<[string, number, ErrorCode]>([
    ['another version', 0, 'protocol-violation'],
    ['another purpose with the depth of a hop', 1 * 8 + 1, 'protocol-violation'],
    ['depth out of bounds', 2 * 8 + 3, 'protocol-violation'],
    ['an unknown key', 3 * 8, 'unknown-key'],
    // The twelve bits of each coefficient must be below q = 3329 (FIPS 203, section 7.2).
    ['an ek with a coefficient beyond q', -1, 'handshake-failed'],
  ])('%s', async (_, bit, code) => {
    const onHello = (hello: Uint8Array) => {
      if (bit >= 0) return flipBit(hello, bit)
      const other = Uint8Array.from(hello)
      other.fill(0xff, ekStart, ekStart + 2)
      return other
    }
    expect(await codeOfAsync(() => attempt({ onHello }))).toBe(code)
  })

  test('an all-zero X, and the other points of small order', async () => {
    for (const point of [
      new Uint8Array(32),
      Uint8Array.of(1, ...new Uint8Array(31)),
      // 2^255 - 20 = -1, of order 4.
      Uint8Array.of(0xec, ...new Uint8Array(30).fill(0xff), 0x7f),
    ]) {
      const onHello = (hello: Uint8Array) => {
        const other = Uint8Array.from(hello)
        other.set(point, 11)
        return other
      }
      expect(await codeOfAsync(() => attempt({ onHello }))).toBe('handshake-failed')
    }
  })

  test('a hello cut off or with something behind it', async () => {
    for (const onHello of [
      (hello: Uint8Array) => hello.subarray(0, -1),
      (hello: Uint8Array) => concat(hello, Uint8Array.of(0)),
    ]) {
      expect(await codeOfAsync(() => attempt({ onHello }))).toBe('protocol-violation')
    }
  })

  test('a key that is not for this purpose', async () => {
    const server = { findKey: (_: Uint8Array, kind: Purpose) => (kind === purpose.envelope ? onion : undefined) }
    expect(await codeOfAsync(() => attempt({ purpose: purpose.hop, server }))).toBe('unknown-key')
    expect(await codeOfAsync(() => attempt({ purpose: purpose.envelope, server }))).toBeUndefined()
  })

  test('before it spends work on keys where the key id is unknown', async () => {
    let generated = 0
    const counting: Crypto = {
      ...crypto,
      dh: {
        ...crypto.dh,
        generate: () => {
          generated += 1
          return crypto.dh.generate()
        },
      },
    }
    const { hello } = await startHandshake(crypto, {
      purpose: purpose.hop,
      depth: 1,
      responder: { ...responder, keyId: pattern(8, 99) },
    })
    expect(await codeOfAsync(() => answerHandshake(counting, hello, secrets))).toBe('unknown-key')
    expect(generated).toBe(0)
  })
})

describe('the client refuses', () => {
  test('a hello that was changed on the way, where the responder took it', async () => {
    for (const bit of [
      2 * 8 + 1, // depth 3 → 1
      11 * 8, // X
      42 * 8 + 7, // X, the top bit, which X25519 ignores
      (helloSize - 1) * 8, // ek, rho
      (helloSize - 1) * 8 + 7,
    ]) {
      const onHello = (hello: Uint8Array) => flipBit(hello, bit)
      expect(await codeOfAsync(() => attempt({ onHello })), `bit ${bit}`).toBe('handshake-failed')
    }
  })

  test('another purpose, where the responder took it', async () => {
    const onHello = (hello: Uint8Array) => {
      const other = Uint8Array.from(hello)
      other[1] = purpose.mesh
      return other
    }
    expect(await codeOfAsync(() => attempt({ purpose: purpose.envelope, onHello }))).toBe('handshake-failed')
  })

  // Y 32 ‖ ct 1088 ‖ documentVersion 4 ‖ documentHash 32 ‖ auth 32
  test.each([
    ['Y', 0, 32],
    ['ct', 32, 1120],
    ['documentVersion', 1120, 1124],
    ['documentHash', 1124, 1156],
    ['auth', 1156, 1188],
  ])('a reply with another %s, whichever bit', async (_, start, end) => {
    const length = end - start
    for (const bit of [0, 7, Math.floor(length / 2) * 8 + 3, length * 8 - 8, length * 8 - 1]) {
      const onReply = (reply: Uint8Array) => flipBit(reply, start * 8 + bit)
      expect(await codeOfAsync(() => attempt({ onReply })), `bit ${bit}`).toBe('handshake-failed')
    }
  })

  test('an all-zero Y', async () => {
    const onReply = (reply: Uint8Array) => concat(new Uint8Array(32), reply.subarray(32))
    expect(await codeOfAsync(() => attempt({ onReply }))).toBe('handshake-failed')
  })

  test('a reply of another length', async () => {
    for (const onReply of [
      () => new Uint8Array(0),
      (reply: Uint8Array) => reply.subarray(0, -1),
      (reply: Uint8Array) => concat(reply, Uint8Array.of(0)),
    ]) {
      expect(await codeOfAsync(() => attempt({ onReply }))).toBe('protocol-violation')
    }
  })

  test('a reply to another hello', async () => {
    const other = await startHandshake(crypto, { purpose: purpose.hop, depth: 3, responder })
    const { reply } = await answerHandshake(crypto, other.hello, secrets)
    expect(await codeOfAsync(() => attempt({ onReply: () => reply }))).toBe('handshake-failed')
  })

  test('its own hello sent back', async () => {
    const client = await startHandshake(crypto, { purpose: purpose.hop, depth: 1, responder })
    expect(await codeOfAsync(() => client.finish(client.hello.subarray(0, replySize)))).toBe('handshake-failed')
  })

  test('a responder of another identity', async () => {
    expect(await codeOfAsync(() => attempt({ client: { identity: pattern(32, 70) } }))).toBe('handshake-failed')
    expect(await codeOfAsync(() => attempt({ server: { identity: pattern(32, 70) } }))).toBe('handshake-failed')
  })

  test('a responder that does not hold the onion key', async () => {
    const other = await crypto.dh.generate()
    expect(await codeOfAsync(() => attempt({ client: { key: other.publicKey } }))).toBe('handshake-failed')
    expect(await codeOfAsync(() => attempt({ server: { findKey: () => other } }))).toBe('handshake-failed')
  })
})

test('the client destroys its ephemerals whether the handshake succeeds or not', async () => {
  for (const spoil of [false, true]) {
    const destroyed: string[] = []
    const watched: Crypto = {
      ...crypto,
      dh: {
        ...crypto.dh,
        async generate() {
          const pair = await crypto.dh.generate()
          return { ...pair, destroy: () => void destroyed.push('dh') }
        },
      },
      kem: {
        ...crypto.kem,
        async generate() {
          const pair = await crypto.kem.generate()
          return { ...pair, destroy: () => void destroyed.push('kem') }
        },
      },
    }
    const client = await startHandshake(watched, { purpose: purpose.hop, depth: 1, responder })
    const { reply } = await answerHandshake(watched, client.hello, secrets)
    expect(destroyed).toEqual(['dh'])
    const code = await codeOfAsync(() => client.finish(spoil ? reply.subarray(1) : reply))
    expect(code).toBe(spoil ? 'protocol-violation' : undefined)
    expect(destroyed).toEqual(['dh', 'dh', 'kem'])
  }
})

test('the responder wipes the secrets that it derived from, and destroys its ephemeral when it refuses too', async () => {
  const shared: Uint8Array[] = []
  let destroyed = 0
  const watch = (pair: DhKeyPair): DhKeyPair => ({
    publicKey: pair.publicKey,
    async agree(peer) {
      const secret = await pair.agree(peer)
      shared.push(secret)
      return secret
    },
    destroy: () => {
      destroyed += 1
    },
  })
  const watched: Crypto = {
    ...crypto,
    dh: { ...crypto.dh, generate: async () => watch(await crypto.dh.generate()) },
    kem: {
      ...crypto.kem,
      async encapsulate(publicKey) {
        const result = await crypto.kem.encapsulate(publicKey)
        shared.push(result.secret)
        return result
      },
    },
  }
  const options = { purpose: purpose.hop, depth: 1, responder }
  const { hello } = await startHandshake(crypto, options)
  await answerHandshake(watched, hello, { ...secrets, findKey: () => watch(onion) })
  expect(shared.length).toBe(3)
  expect(shared.every((secret) => secret.every((byte) => byte === 0))).toBe(true)
  expect(destroyed).toBe(1)
  const bad = concat(hello.subarray(0, 11), new Uint8Array(32), hello.subarray(43))
  expect(await codeOfAsync(() => answerHandshake(watched, bad, secrets))).toBe('handshake-failed')
  expect(destroyed).toBe(2)
})
