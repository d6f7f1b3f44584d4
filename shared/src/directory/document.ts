/**
 * The network document: which relays exist, who runs them, which keys they hold.
 *
 *     network.json = { payload: base64, signatures: [{ key, signature }] }
 *
 * At least `threshold` distinct pinned Ed25519 keys sign the exact payload bytes. Each descriptor in it is signed by its
 * relay's identity. The client checks everything, so the place a document comes from needs no trust.
 */
import * as v from 'valibot'
import { base64, concat, equalBytes, fromBase64, fromUtf8, hex, utf8 } from '../bytes/index.ts'
import type { Crypto, SigningKey } from '../crypto/index.ts'
import { NightjarError } from '../errors/index.ts'
import { limits } from '../limits.ts'
import { protocolVersion } from '../version.ts'
import {
  type Descriptor,
  type DescriptorInput,
  descriptorSchema,
  type PayloadInput,
  payloadSchema,
  type SignedDescriptor,
  type SignedDocument,
  signedDocumentSchema,
} from './schema.ts'

/** Whom a client believes. */
export interface Trust {
  /** Pinned Ed25519 directory keys. */
  readonly keys: readonly Uint8Array[]
  /** How many of them must have signed. */
  readonly threshold: number
}

/** The newest document accepted so far, for refusing a roll-back. */
export interface DocumentMark {
  readonly version: number
  /** SHA-256 of its payload. */
  readonly hash: Uint8Array
}

/** A relay as the directories describe it, with all signatures checked. */
export interface Relay extends Descriptor {
  /** Its identity in hexadecimal. */
  readonly id: string
  readonly operator: string
  readonly networks: readonly string[]
}

/** A network document that passed every check. */
export interface Network {
  readonly version: number
  readonly hash: Uint8Array
  readonly validUntil: number
  readonly relays: readonly Relay[]
  /** By identity, in hexadecimal. */
  readonly byIdentity: ReadonlyMap<string, Relay>
  /** Relays of the document that are left out because their own signature or content is bad. */
  readonly rejected: number
}

const documentLabel = utf8('nightjar-1 network document\0')
const descriptorLabel = utf8('nightjar-1 descriptor\0')

/** What a directory key signs: a label, so that no signature can serve another purpose, and the payload's bytes. */
export function documentMessage(payload: Uint8Array): Uint8Array {
  return concat(documentLabel, payload)
}

/** A relay's own signature on what it says of itself. */
export async function signDescriptor(identity: SigningKey, descriptor: DescriptorInput): Promise<SignedDescriptor> {
  const payload = utf8(JSON.stringify(descriptor))
  const signature = await identity.sign(concat(descriptorLabel, payload))
  return { payload: base64(payload), signature: base64(signature) }
}

/**
 * Opens a signed descriptor.
 * @throws NightjarError `document-malformed` or `document-under-signed`
 */
export async function verifyDescriptor(
  crypto: Crypto,
  signed: { payload: string; signature: Uint8Array },
): Promise<Descriptor> {
  const payload = decodePayload(signed.payload)
  const descriptor = parse(descriptorSchema, payload, 'descriptor')
  const good = await crypto.sign.verify(descriptor.identity, concat(descriptorLabel, payload), signed.signature)
  if (!good) throw new NightjarError('document-under-signed', { detail: 'signature of a descriptor' })
  return descriptor
}

export function encodePayload(payload: PayloadInput): Uint8Array {
  return utf8(JSON.stringify(payload))
}

export async function signPayload(key: SigningKey, payload: Uint8Array): Promise<{ key: string; signature: string }> {
  return { key: base64(key.publicKey), signature: base64(await key.sign(documentMessage(payload))) }
}

/** @throws NightjarError `document-malformed` */
export function parseSignedDocument(text: string): SignedDocument {
  if (text.length > limits.documentBytes) throw malformed('larger than the limit')
  return check(signedDocumentSchema, parseJson(text, 'network document'), 'network document')
}

/**
 * Checks a network document: signatures first, then form, time, roll-back, protocol, and each relay's own signature.
 * A relay that fails its own check is left out and counted; everything else refuses the document.
 * @throws NightjarError `document-malformed`, `-under-signed`, `-expired`, `-not-yet-valid`, `-rolled-back`, `-needs-update`
 */
export async function verifyDocument(
  crypto: Crypto,
  text: string,
  options: { trust: Trust; now: number; seen?: DocumentMark | undefined },
): Promise<Network> {
  const document = parseSignedDocument(text)
  const bytes = decodePayload(document.payload)
  await requireSignatures(crypto, document, bytes, options.trust)
  const json = parse(v.unknown(), bytes, 'payload')
  // Before the form, because a newer protocol may have fields that this one does not know.
  const { minimumProtocol } = check(v.object({ minimumProtocol: v.number() }), json, 'payload')
  if (minimumProtocol > protocolVersion) throw new NightjarError('document-needs-update')
  const payload = check(payloadSchema, json, 'payload')
  const hash = crypto.hash.sha256(bytes)

  if (payload.validUntil <= payload.validAfter) throw malformed('validity ends before it begins')
  if (options.now < payload.validAfter) throw new NightjarError('document-not-yet-valid')
  if (options.now >= payload.validUntil) throw new NightjarError('document-expired')
  requireProgress(payload.version, hash, options.seen)

  const relays: Relay[] = []
  const byIdentity = new Map<string, Relay>()
  let rejected = 0
  for (const entry of payload.relays) {
    const descriptor = await tryDescriptor(crypto, entry.descriptor)
    const id = descriptor === undefined ? '' : hex(descriptor.identity)
    if (descriptor === undefined || byIdentity.has(id)) {
      rejected += 1
      continue
    }
    const relay = { ...descriptor, id, operator: entry.operator, networks: entry.networks }
    relays.push(relay)
    byIdentity.set(id, relay)
  }
  return { version: payload.version, hash, validUntil: payload.validUntil, relays, byIdentity, rejected }
}

async function requireSignatures(
  crypto: Crypto,
  document: SignedDocument,
  payload: Uint8Array,
  trust: Trust,
): Promise<void> {
  const message = documentMessage(payload)
  const signers = new Set<string>()
  for (const { key, signature } of document.signatures) {
    const pinned = trust.keys.some((candidate) => equalBytes(candidate, key))
    if (pinned && (await crypto.sign.verify(key, message, signature))) signers.add(hex(key))
  }
  if (trust.threshold < 1 || signers.size < trust.threshold) {
    throw new NightjarError('document-under-signed', {
      detail: `${signers.size} of ${trust.threshold} signatures`,
    })
  }
}

function requireProgress(version: number, hash: Uint8Array, seen: DocumentMark | undefined): void {
  if (seen === undefined || version > seen.version) return
  if (version === seen.version && equalBytes(hash, seen.hash)) return
  throw new NightjarError('document-rolled-back', {
    detail: version === seen.version ? 'two documents of one version' : `version ${version} after ${seen.version}`,
  })
}

async function tryDescriptor(
  crypto: Crypto,
  signed: { payload: string; signature: Uint8Array },
): Promise<Descriptor | undefined> {
  try {
    return await verifyDescriptor(crypto, signed)
  } catch (error) {
    // One bad relay must not take the network down; the caller counts it.
    if (error instanceof NightjarError) return undefined
    throw error
  }
}

function decodePayload(text: string): Uint8Array {
  try {
    return fromBase64(text)
  } catch (cause) {
    throw malformed('payload is not base64', cause)
  }
}

function parse<S extends v.GenericSchema>(schema: S, bytes: Uint8Array, what: string): v.InferOutput<S> {
  let text: string
  try {
    text = fromUtf8(bytes)
  } catch (cause) {
    throw malformed(`${what} is not UTF-8`, cause)
  }
  return check(schema, parseJson(text, what), what)
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw malformed(`${what} is not JSON`, cause)
  }
}

function check<S extends v.GenericSchema>(schema: S, value: unknown, what: string): v.InferOutput<S> {
  const result = v.safeParse(schema, value, { abortEarly: true })
  if (result.success) return result.output
  // Unknown keys are part of the path, and may be as long as the document.
  const path = (v.getDotPath(result.issues[0]) ?? 'top level').slice(0, 100)
  throw malformed(`${what}: ${path} is wrong`)
}

function malformed(detail: string, cause?: unknown): NightjarError {
  return new NightjarError('document-malformed', { detail, cause })
}
