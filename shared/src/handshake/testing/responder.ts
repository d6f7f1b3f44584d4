/** A responder with fixed keys, and what a client knows of it. */
import { hex } from '../../bytes/index.ts'
import type { DhKeyPair } from '../../crypto/index.ts'
import { nobleCrypto } from '../../crypto/noble.ts'
import { pattern } from '../../testing/index.ts'
import type { ResponderSecrets } from '../index.ts'

export const document = { version: 0x01020304, hash: pattern(32, 9) }
export const onion: DhKeyPair = await nobleCrypto.dh.fromSecret(pattern(32, 10))
export const responder = { identity: pattern(32, 7), key: onion.publicKey, keyId: pattern(8, 8) }
export const secrets: ResponderSecrets = {
  identity: responder.identity,
  findKey: (id) => (hex(id) === hex(responder.keyId) ? onion : undefined),
  document,
}
