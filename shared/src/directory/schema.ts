/** The JSON inside a network document, as untrusted input: shapes, bounds, and unknown fields refused. */
import * as v from 'valibot'
import { fromBase64 } from '../bytes/index.ts'
import { size } from '../crypto/index.ts'
import { limits } from '../limits.ts'

/** Base64 of exactly `length` bytes, decoded. */
function bytes(length: number) {
  return v.pipe(
    v.string(),
    v.maxLength(4 * Math.ceil(length / 3)),
    v.rawTransform<string, Uint8Array>(({ dataset, addIssue, NEVER }) => {
      try {
        const decoded = fromBase64(dataset.value)
        if (decoded.length === length) return decoded
      } catch {
        // Reported below, like a wrong length.
      }
      addIssue({ message: `must be base64 of ${length} bytes` })
      return NEVER
    }),
  )
}

const name = v.pipe(v.string(), v.regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$/))
const time = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

export const roles = ['relay', 'gateway', 'exit', 'directory'] as const
export type Role = (typeof roles)[number]

const onionKey = v.strictObject({
  id: bytes(size.keyId),
  /** X25519. */
  key: bytes(size.dhPublic),
  /** Milliseconds since the Unix epoch. */
  validAfter: time,
  validUntil: time,
})

const address = v.strictObject({
  /** `wss://host:port/path`; `ws://` on loopback only. */
  url: v.pipe(v.string(), v.maxLength(256), v.url()),
  /** SHA-256 of the certificate's SubjectPublicKeyInfo where the operator pins it; WebPKI otherwise. */
  pin: v.optional(bytes(size.hash)),
})

/** What an exit carries of the published list of hosts (shield/exitPolicy.ts). */
const exitPolicy = v.strictObject({
  /** Digest of the list that it has. */
  list: bytes(size.hash),
  categories: v.pipe(v.array(name), v.maxLength(16)),
  /** Suffixes of hosts that it leaves out. */
  without: v.pipe(
    v.array(v.pipe(v.string(), v.regex(/^[a-z0-9-]+(?:\.[a-z0-9-]+)*$/), v.maxLength(253))),
    v.maxLength(128),
  ),
})

const descriptor = v.strictObject({
  version: v.literal(1),
  /** Ed25519. */
  identity: bytes(size.key),
  name,
  onionKeys: v.pipe(v.array(onionKey), v.minLength(1), v.maxLength(4)),
  envelopeKeys: v.pipe(v.array(onionKey), v.maxLength(4)),
  addresses: v.pipe(v.array(address), v.minLength(1), v.maxLength(4)),
  roles: v.pipe(v.array(v.picklist(roles)), v.minLength(1), v.maxLength(roles.length)),
  region: name,
  /** Decimal EIP-155 chain ids that a gateway serves. */
  chains: v.pipe(v.array(v.pipe(v.number(), v.safeInteger(), v.minValue(1))), v.maxLength(256)),
  exitPolicy: v.optional(exitPolicy),
  /** Connections the relay is set up for; a weight for path selection. */
  capacity: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  software: v.pipe(v.string(), v.maxLength(64)),
  published: time,
})

export const descriptorSchema = v.pipe(
  descriptor,
  v.forward(
    v.partialCheck(
      [['roles'], ['exitPolicy']],
      ({ roles, exitPolicy }) => !roles.includes('exit') || exitPolicy !== undefined,
    ),
    ['exitPolicy'],
  ),
)

export const signedDescriptorSchema = v.strictObject({
  /** Base64 of the descriptor's JSON; the signature is over these exact bytes. */
  payload: v.pipe(v.string(), v.maxLength(limits.descriptorBytes)),
  signature: bytes(size.signature),
})

export const entrySchema = v.strictObject({
  descriptor: signedDescriptorSchema,
  /** Assigned by the directories, never self-declared. */
  operator: name,
  /** The /16 (IPv6: /32) networks of its addresses, found by the directories. */
  networks: v.pipe(v.array(v.pipe(v.string(), v.maxLength(64))), v.minLength(1), v.maxLength(8)),
})

export const payloadSchema = v.strictObject({
  /** Rises by at least one with each document. */
  version: v.pipe(time, v.minValue(1), v.maxValue(0xffffffff)),
  validAfter: time,
  validUntil: time,
  /** SHA-256 of the payload before this one; all zero for the first. */
  previousHash: bytes(size.hash),
  minimumProtocol: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  relays: v.pipe(v.array(entrySchema), v.maxLength(limits.documentRelays)),
})

export const signedDocumentSchema = v.strictObject({
  payload: v.pipe(v.string(), v.maxLength(limits.documentBytes)),
  signatures: v.pipe(
    v.array(v.strictObject({ key: bytes(size.key), signature: bytes(size.signature) })),
    v.maxLength(limits.documentSignatures),
  ),
})

export type OnionKey = v.InferOutput<typeof onionKey>
export type Descriptor = v.InferOutput<typeof descriptorSchema>
export type SignedDocument = v.InferOutput<typeof signedDocumentSchema>
/** What goes into a payload before it is encoded: base64 still as text. */
export type PayloadInput = v.InferInput<typeof payloadSchema>
export type DescriptorInput = v.InferInput<typeof descriptorSchema>
export type SignedDescriptor = v.InferInput<typeof signedDescriptorSchema>
