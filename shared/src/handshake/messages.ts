/**
 * The two messages of the handshake.
 *
 *     hello = version u8 ‖ purpose u8 ‖ depth u8 ‖ onionKeyId 8 ‖ X 32 ‖ ek 1184                            1227 bytes
 *     reply = Y 32 ‖ ct 1088 ‖ documentVersion u32 ‖ documentHash 32 ‖ auth 32                              1188 bytes
 */
import { concat, Reader, u32 } from '../bytes/index.ts'
import { size } from '../crypto/index.ts'
import { violation } from '../errors/index.ts'
import { protocolVersion } from '../version.ts'

/** What the keys are for. Part of the key derivation, so a hello for one purpose is worthless for another. */
export const purpose = { hop: 1, envelope: 2, mesh: 3 } as const
export type Purpose = (typeof purpose)[keyof typeof purpose]

/** Hops a path may have at most; `depth` counts from 1 at the entry. Envelopes use depth 0. */
export const maxDepth = 4

export interface Hello {
  readonly purpose: Purpose
  readonly depth: number
  readonly keyId: Uint8Array
  readonly dhPublic: Uint8Array
  readonly kemPublic: Uint8Array
}

/** Which network document a relay believes in; the client reports a divergence. */
export interface DocumentStamp {
  readonly version: number
  readonly hash: Uint8Array
}

export interface Reply {
  readonly dhPublic: Uint8Array
  readonly kemCiphertext: Uint8Array
  readonly document: DocumentStamp
  readonly auth: Uint8Array
}

export const helloSize = 3 + size.keyId + size.dhPublic + size.kemPublic
export const replySize = size.dhPublic + size.kemCiphertext + 4 + size.hash + size.hash

export function encodeHello(hello: Hello): Uint8Array {
  return concat(
    Uint8Array.of(protocolVersion, hello.purpose, hello.depth),
    hello.keyId,
    hello.dhPublic,
    hello.kemPublic,
  )
}

/** @throws NightjarError `protocol-violation` for another version, purpose, depth or length. */
export function decodeHello(bytes: Uint8Array): Hello {
  const reader = new Reader(bytes, 'hello')
  if (reader.u8('version') !== protocolVersion) throw violation('unknown handshake version')
  const kind = reader.u8('purpose')
  const depth = reader.u8('depth')
  if (kind !== purpose.hop && kind !== purpose.envelope && kind !== purpose.mesh) throw violation('unknown purpose')
  if (kind === purpose.hop ? depth < 1 || depth > maxDepth : depth !== 0) throw violation('depth out of bounds')
  const hello = {
    purpose: kind,
    depth,
    keyId: reader.bytes(size.keyId, 'onionKeyId'),
    dhPublic: reader.bytes(size.dhPublic, 'X'),
    kemPublic: reader.bytes(size.kemPublic, 'ek'),
  }
  reader.end()
  return hello
}

export function encodeReply(reply: Reply): Uint8Array {
  return concat(reply.dhPublic, reply.kemCiphertext, u32(reply.document.version), reply.document.hash, reply.auth)
}

/** @throws NightjarError `protocol-violation` for another length. */
export function decodeReply(bytes: Uint8Array): Reply {
  const reader = new Reader(bytes, 'reply')
  const reply = {
    dhPublic: reader.bytes(size.dhPublic, 'Y'),
    kemCiphertext: reader.bytes(size.kemCiphertext, 'ct'),
    document: { version: reader.u32('documentVersion'), hash: reader.bytes(size.hash, 'documentHash') },
    auth: reader.bytes(size.hash, 'auth'),
  }
  reader.end()
  return reply
}
