/** Network documents, signed, and without relays: what is in them is no concern of whoever keeps them. */
import { base64 } from '@nightjar/shared/bytes'
import { nobleCrypto } from '@nightjar/shared/crypto/noble'
import { encodePayload, signPayload, type Trust } from '@nightjar/shared/directory'
import { hour } from '@nightjar/shared/runtime'

const directoryKey = await nobleCrypto.sign.fromSeed(new Uint8Array(32).fill(1))
const otherKey = await nobleCrypto.sign.fromSeed(new Uint8Array(32).fill(2))

export const trust: Trust = { keys: [directoryKey.publicKey], threshold: 1 }
/** In whoever signs as a stranger. */
export const otherTrust: Trust = { keys: [otherKey.publicKey], threshold: 1 }

export interface DocumentFields {
  readonly version: number
  /** Milliseconds since the Unix epoch. */
  readonly from: number
  /** Milliseconds; one hour by default. */
  readonly validFor?: number
  /** Makes two documents of one version differ. */
  readonly previous?: number
  readonly signedByStranger?: boolean
}

export async function makeDocument(fields: DocumentFields): Promise<string> {
  const payload = encodePayload({
    version: fields.version,
    validAfter: fields.from,
    validUntil: fields.from + (fields.validFor ?? hour),
    previousHash: base64(new Uint8Array(32).fill(fields.previous ?? 0)),
    minimumProtocol: 1,
    relays: [],
  })
  const signature = await signPayload(fields.signedByStranger === true ? otherKey : directoryKey, payload)
  return JSON.stringify({ payload: base64(payload), signatures: [signature] })
}
