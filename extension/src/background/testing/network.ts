/** A small network with real keys, and its document as the directories sign it. */
import { base64, hex, utf8 } from '@nightjar/shared/bytes'
import type { DhKeyPair, SigningKey } from '@nightjar/shared/crypto'
import { nobleCrypto as crypto } from '@nightjar/shared/crypto/noble'
import {
  encodePayload,
  type Role,
  type SignedDescriptor,
  signDescriptor,
  signPayload,
} from '@nightjar/shared/directory'
import { day, hour } from '@nightjar/shared/runtime'
import type { Directory } from '../store.ts'

/** A relay, with what only it has. */
export interface TestRelay {
  readonly name: string
  readonly role: Role
  readonly chains: readonly number[]
  /** Its identity in hexadecimal. */
  readonly id: string
  readonly identity: Uint8Array
  readonly envelopeKey: DhKeyPair
  readonly envelopeKeyId: Uint8Array
  readonly descriptor: SignedDescriptor
}

export interface DocumentChanges {
  readonly version?: number
  readonly validAfter?: number
  readonly validUntil?: number
  /** Which of the directories sign it. */
  readonly signers?: readonly number[]
  /** Which of the relays are in it. */
  readonly relays?: readonly TestRelay[]
}

export interface TestNetwork {
  /** Three keys, of which two have to sign. */
  readonly directory: Directory
  readonly relays: readonly TestRelay[]
  relay(name: string): TestRelay
  /** Signed by the first two directories unless `changes` says otherwise. */
  document(now: number, changes?: DocumentChanges): Promise<string>
}

/**
 * @param gateways the chains of each gateway, by its name
 * @param relays the same of relays that say they serve chains, and are no gateways
 * @param seed makes other directories
 */
export async function createNetwork(
  gateways: Readonly<Record<string, readonly number[]>>,
  { seed = 'directory', relays: plain = {} as Readonly<Record<string, readonly number[]>> } = {},
): Promise<TestNetwork> {
  const directories = await Promise.all([0, 1, 2].map((index) => keyOf(`${seed} ${index}`)))
  const relays = await Promise.all([
    ...Object.entries(gateways).map(([name, chains]) => createRelay(name, chains)),
    ...Object.entries(plain).map(([name, chains]) => createRelay(name, chains, 'relay')),
  ])
  return {
    directory: { keys: directories.map(({ publicKey }) => base64(publicKey)), threshold: 2 },
    relays,
    relay(name) {
      const found = relays.find((each) => each.name === name)
      if (found === undefined) throw new Error(`no relay ${name}`)
      return found
    },
    async document(now, changes = {}) {
      const { version = 1, validAfter = now - hour, validUntil = now + day, signers = [0, 1] } = changes
      const bytes = encodePayload({
        version,
        validAfter,
        validUntil,
        previousHash: base64(new Uint8Array(32)),
        minimumProtocol: 1,
        relays: (changes.relays ?? relays).map(({ name, descriptor }) => ({
          descriptor,
          operator: `operator-${name}`,
          networks: ['127.0.0.0/16'],
        })),
      })
      const signatures = signers.map((index) => signPayload(directories[index] as SigningKey, bytes))
      return JSON.stringify({ payload: base64(bytes), signatures: await Promise.all(signatures) })
    },
  }
}

export async function createRelay(name: string, chains: readonly number[], role: Role = 'gateway'): Promise<TestRelay> {
  const identity = await keyOf(name)
  const envelopeKey = await crypto.dh.generate()
  const envelopeKeyId = crypto.hash.sha256(envelopeKey.publicKey).subarray(0, 8)
  const key = {
    id: base64(envelopeKeyId),
    key: base64(envelopeKey.publicKey),
    validAfter: 0,
    validUntil: Number.MAX_SAFE_INTEGER,
  }
  const descriptor = await signDescriptor(identity, {
    version: 1,
    identity: base64(identity.publicKey),
    name,
    onionKeys: [key],
    envelopeKeys: [key],
    addresses: [{ url: `wss://${name}.example.org/relay` }],
    roles: [role],
    region: 'test',
    chains: [...chains],
    capacity: 1000,
    software: 'test',
    published: 0,
  })
  return {
    name,
    role,
    chains,
    id: hex(identity.publicKey),
    identity: identity.publicKey,
    envelopeKey,
    envelopeKeyId,
    descriptor,
  }
}

async function keyOf(seed: string): Promise<SigningKey> {
  return crypto.sign.fromSeed(crypto.hash.sha256(utf8(seed)))
}
