/** A document of two relays, of which three directories are trusted, two at a time; a fourth is a stranger. */
import { base64 } from '../../bytes/index.ts'
import type { SigningKey } from '../../crypto/index.ts'
import { nobleCrypto as crypto } from '../../crypto/noble.ts'
import { hour } from '../../runtime.ts'
import {
  type DescriptorInput,
  encodePayload,
  type PayloadInput,
  signDescriptor,
  signPayload,
  type Trust,
  verifyDocument,
} from '../index.ts'

export const now = 1_760_000_000_000
export const text = (length: number, fill: number) => base64(new Uint8Array(length).fill(fill))

const keyOf = (fill: number) => crypto.sign.fromSeed(new Uint8Array(32).fill(fill))
export const directories = await Promise.all([1, 2, 3, 4].map(keyOf))
export const identities = [await keyOf(11), await keyOf(12)] as const
export const trust: Trust = { keys: directories.slice(0, 3).map((key) => key.publicKey), threshold: 2 }
export const payload: PayloadInput = {
  version: 7,
  validAfter: now - hour,
  validUntil: now + hour,
  previousHash: text(32, 0),
  minimumProtocol: 1,
  relays: await Promise.all(identities.map((identity, index) => entry(identity, { name: `relay-${index}` }))),
}

export function descriptor(identity: SigningKey, change: Record<string, unknown> = {}): DescriptorInput {
  return {
    version: 1,
    identity: base64(identity.publicKey),
    name: 'relay',
    onionKeys: [{ id: text(8, 1), key: text(32, 1), validAfter: now - hour, validUntil: now + hour }],
    envelopeKeys: [],
    addresses: [{ url: 'wss://relay.example.org/relay' }],
    roles: ['relay'],
    region: 'eu-west',
    chains: [],
    capacity: 1000,
    software: 'test',
    published: now,
    ...change,
  }
}

export async function entry(identity: SigningKey, change: Record<string, unknown> = {}) {
  const signed = await signDescriptor(identity, descriptor(identity, change))
  return { descriptor: signed, operator: 'alice', networks: ['192.0.0.0/16'] }
}

/** A document with `payload` changed, signed by the directories with these indexes. */
export async function document(signers: readonly number[], change: Record<string, unknown> = {}): Promise<string> {
  return signed(encodePayload({ ...payload, ...change }), signers)
}

export async function signed(bytes: Uint8Array, signers: readonly number[]): Promise<string> {
  const signatures = await Promise.all(signers.map((index) => signPayload(directories[index] as SigningKey, bytes)))
  return JSON.stringify({ payload: base64(bytes), signatures })
}

export const verify = (
  file: string,
  options: { now?: number; trust?: Trust; seen?: { version: number; hash: Uint8Array } } = {},
) => verifyDocument(crypto, file, { trust, now, ...options })
