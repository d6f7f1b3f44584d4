/**
 * The protocol as somebody writes it who has only docs/protocol.md: handshakes, layers and records made by hand, so that
 * each can be made wrong. Node's own crypto, none of the product's code.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPublicKey,
  decapsulate,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto'
import { readFile } from 'node:fs/promises'

export const bodySize = 1019
export const layerSize = 19
export const partSize = 928
const tagSize = 16
export const helloSize = 1227
export const replySize = 1188

export const message = {
  ...{ extend: 1, extended: 2, truncate: 3, branchClosed: 4, begin: 5, connected: 6, data: 7, credit: 8 },
  ...{ end: 9, drop: 10, ping: 11, pong: 12 },
} as const

/** Commands of cells. */
export const command = { padding: 0, create: 1, created: 2, relay: 3, destroy: 4, goaway: 5, puzzle: 6 } as const

/** The numbers that closes carry (shared/src/errors/codes.ts), as far as relays answer hostile clients with them. */
const codes: Readonly<Record<number, string>> = {
  ...{ 0: 'done', 1: 'protocol-violation', 2: 'cell-rejected', 3: 'overflow', 4: 'limit-reached', 5: 'unknown-relay' },
  ...{ 6: 'connect-failed', 7: 'link-lost', 9: 'unknown-key', 10: 'timed-out', 11: 'draining', 13: 'refused' },
  ...{ 17: 'request-too-large', 24: 'idle', 30: 'busy' },
}

export function codeName(code: number): string {
  return codes[code] ?? `code ${code}`
}

export interface PublicKey {
  readonly id: Buffer
  readonly key: Buffer
}

/** A relay, as the network document lists it. */
export interface Party {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly identity: Buffer
  readonly onion: PublicKey
  /** Gateways have one. */
  readonly envelope: PublicKey | undefined
}

interface Descriptor {
  readonly name: string
  readonly identity: string
  readonly addresses: readonly { readonly url: string }[]
  readonly onionKeys: readonly StoredKey[]
  readonly envelopeKeys: readonly StoredKey[]
}

interface StoredKey {
  readonly id: string
  readonly key: string
  readonly validAfter: number
  readonly validUntil: number
}

export async function partiesIn(documentFile: string): Promise<readonly Party[]> {
  const decode = (payload: string): unknown => JSON.parse(Buffer.from(payload, 'base64').toString('utf8'))
  const { payload } = JSON.parse(await readFile(documentFile, 'utf8')) as { payload: string }
  const { relays } = decode(payload) as { relays: readonly { descriptor: { payload: string } }[] }
  return relays.map((entry) => {
    const { name, identity, addresses, onionKeys, envelopeKeys } = decode(entry.descriptor.payload) as Descriptor
    const { hostname, port } = new URL(addresses[0]?.url ?? '')
    const onion = present(onionKeys)
    if (onion === undefined) throw new Error(`no onion key of ${name}`)
    const [host, number] = [hostname, Number(port)]
    return { name, host, port: number, identity: base64(identity), onion, envelope: present(envelopeKeys) }
  })
}

function present(keys: readonly StoredKey[]): PublicKey | undefined {
  const now = Date.now()
  const found = keys.find(({ validAfter, validUntil }) => validAfter <= now && now < validUntil)
  return found && { id: base64(found.id), key: base64(found.key) }
}

function base64(text: string): Buffer {
  return Buffer.from(text, 'base64')
}

export interface Keys {
  readonly forward: Buffer
  readonly backward: Buffer
}

export interface Handshake {
  readonly hello: Buffer
  finish(reply: Buffer): Keys
}

export const purpose = { hop: 1, envelope: 2 } as const

/** Hybrid ntor as its client. `auth` is not checked: whoever means harm does not mind. */
export function startHandshake(kind: number, depth: number, identity: Buffer, responder: PublicKey): Handshake {
  const dh = generateKeyPairSync('x25519')
  const kem = generateKeyPairSync('ml-kem-768')
  const [x, ek] = [rawKey(dh.publicKey, 32), rawKey(kem.publicKey, 1184)]
  const hello = Buffer.concat([Buffer.of(1, kind, depth), responder.id, x, ek])
  return {
    hello,
    finish(reply) {
      const [y, ciphertext, document] = [reply.subarray(0, 32), reply.subarray(32, 1120), reply.subarray(1120, 1156)]
      const agree = (key: Buffer) => diffieHellman({ privateKey: dh.privateKey, publicKey: x25519(key) })
      const transcript = createHash('sha256')
      for (const part of [hello, identity, responder.key, y, ciphertext, document]) transcript.update(part)
      const shared = [agree(y), agree(responder.key), decapsulate(kem.privateKey, ciphertext), transcript.digest()]
      const derive = (label: string) => {
        const info = Buffer.concat([Buffer.from('nightjar-1 '), Buffer.of(kind), Buffer.from(label)])
        return Buffer.from(hkdfSync('sha256', Buffer.concat(shared), 'nightjar-1 hybrid-ntor', info, 32))
      }
      return { forward: derive('forward'), backward: derive('backward') }
    },
  }
}

/** The raw key at the end of its DER. */
function rawKey(key: KeyObject, length: number): Buffer {
  return key.export({ format: 'der', type: 'spki' }).subarray(-length)
}

function x25519(key: Buffer): KeyObject {
  const der = Buffer.concat([Buffer.from('302a300506032b656e032100', 'hex'), key])
  return createPublicKey({ key: der, format: 'der', type: 'spki' })
}

/** tag ‖ ct */
export function seal(key: Buffer, counter: number, plain: Buffer, associated?: Buffer): Buffer {
  const cipher = createCipheriv('chacha20-poly1305', key, nonceOf(counter), { authTagLength: tagSize })
  if (associated !== undefined) cipher.setAAD(associated, { plaintextLength: plain.length })
  const ct = Buffer.concat([cipher.update(plain), cipher.final()])
  return Buffer.concat([cipher.getAuthTag(), ct])
}

/** The plaintext of tag ‖ ct. @throws Error where it is not authentic */
export function open(key: Buffer, counter: number, sealed: Buffer, associated?: Buffer): Buffer {
  const cipher = createDecipheriv('chacha20-poly1305', key, nonceOf(counter), { authTagLength: tagSize })
  if (associated !== undefined) cipher.setAAD(associated, { plaintextLength: sealed.length - tagSize })
  cipher.setAuthTag(sealed.subarray(0, tagSize))
  return Buffer.concat([cipher.update(sealed.subarray(tagSize)), cipher.final()])
}

function nonceOf(counter: number): Buffer {
  const bytes = Buffer.alloc(12)
  bytes.writeBigUInt64BE(BigInt(counter), 4)
  return bytes
}

export function u16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 0xff)
}

/** The parts of a handshake message: `total u16 ‖ part`, each of `size` bytes at most. */
export function partsOf(whole: Buffer, size: number): Buffer[] {
  const parts: Buffer[] = []
  for (let at = 0; at < whole.length; at += size - 2) {
    parts.push(Buffer.concat([u16(whole.length), whole.subarray(at, at + size - 2)]))
  }
  return parts
}

export function encodeBegin(service: string, data: Buffer, whole = false): Buffer {
  const name = Buffer.from(service)
  return Buffer.concat([Buffer.of(whole ? 1 : 0, name.length), name, u16(0), data])
}

/** A sealed question of `text`: counter ‖ tag ‖ ct, in as many cells as it takes. */
export function sealRecord(key: Buffer, counter: number, text: string): Buffer {
  const body = Buffer.from(text)
  const overhead = 8 + tagSize + 4
  const cells = 2 ** Math.ceil(Math.log2(Math.ceil((overhead + body.length) / partSize)))
  const plain = Buffer.alloc(cells * partSize - 8 - tagSize)
  plain.writeUInt32BE(body.length)
  body.copy(plain, 4)
  const head = Buffer.alloc(8)
  head.writeBigUInt64BE(BigInt(counter))
  return Buffer.concat([head, seal(key, counter, plain, Buffer.of(0, purpose.envelope))])
}

/** The text of an answer to the question with `counter`. */
export function openRecord(key: Buffer, counter: number, record: Buffer): string {
  const asked = Buffer.alloc(8)
  asked.writeBigUInt64BE(BigInt(counter))
  const associated = Buffer.concat([Buffer.of(1, purpose.envelope), asked])
  const plain = open(key, Number(record.readBigUInt64BE()), record.subarray(8), associated)
  return plain.subarray(4, 4 + plain.readUInt32BE()).toString('utf8')
}
