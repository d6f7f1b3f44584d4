/**
 * Which relay dials a link (docs/protocol.md, Link). Only another relay brings the circuits of very many clients, so only who
 * proves to be one may have very many. The proof is an Ed25519 signature (RFC 8032) by the identity that the network document
 * lists, in the request that opens the link: of whom it is for, so that nobody can use it elsewhere, and when it was made.
 *
 *     proof = base64(identity ‖ milliseconds ‖ sign(label ‖ dialled ‖ milliseconds))
 */
import { base64, concat, fromBase64, readU64, utf8, writeU64 } from '@nightjar/shared/bytes'
import { type Crypto, type SigningKey, size } from '@nightjar/shared/crypto'
import { hour } from '@nightjar/shared/runtime'

const label = utf8('nightjar link proof 1\n')
const timeSize = 8
/** Characters of base64: four for three bytes. */
const textSize = 4 * Math.ceil((size.key + timeSize + size.signature) / 3)
/** How far the clocks of two relays may be apart: relays of a network know the time, or their keys would be of no use. */
const reach = 1 * hour

/** That the owner of `identity` dials the relay whose identity is `dialled`, now. */
export async function proveLink(identity: SigningKey, dialled: Uint8Array, now: number): Promise<string> {
  const time = new Uint8Array(timeSize)
  writeU64(time, 0, now)
  return base64(concat(identity.publicKey, time, await identity.sign(concat(label, dialled, time))))
}

export interface ProofContext {
  readonly crypto: Pick<Crypto, 'sign'>
  /** The identity of this relay. */
  readonly dialled: Uint8Array
  /** Milliseconds since the Unix epoch. */
  readonly now: number
}

export interface LinkProof {
  /** Of whoever made it. Whether that is a relay of the network is another question. */
  readonly identity: Uint8Array
  /** By how many milliseconds the clock that it was made by is ahead of this one. */
  readonly ahead: number
  /** Whether that is so little that it may be of now. */
  readonly isOfNow: boolean
}

/** What `proof` proves to this relay; undefined where it is none, or for another. */
export async function readProof(proof: string, { crypto, dialled, now }: ProofContext): Promise<LinkProof | undefined> {
  const bytes = decode(proof)
  if (bytes === undefined) return undefined
  const identity = bytes.slice(0, size.key)
  const time = bytes.subarray(size.key, size.key + timeSize)
  const signature = bytes.subarray(size.key + timeSize)
  if (!(await crypto.sign.verify(identity, concat(label, dialled, time), signature))) return undefined
  const ahead = readU64(time, 0) - now
  return { identity, ahead, isOfNow: Math.abs(ahead) <= reach }
}

/** What is no proof proves nothing: its sender is taken for a client. */
function decode(proof: string): Uint8Array | undefined {
  if (proof.length !== textSize) return undefined
  try {
    return fromBase64(proof)
  } catch {
    return undefined
  }
}
