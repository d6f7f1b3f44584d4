/** From a relay's descriptor to the responder of a handshake. */
import { NightjarError } from '../errors/index.ts'
import type { Relay } from './document.ts'
import type { OnionKey } from './schema.ts'

/** A relay as the handshake needs to know it: its identity, and the key to use with its id. */
export interface KnownKey {
  readonly identity: Uint8Array
  readonly key: Uint8Array
  readonly keyId: Uint8Array
}

/**
 * The relay's onion (or, for `envelope`, envelope) key that is valid at `now` and will be for longest.
 * @throws NightjarError `unknown-key` where none is valid
 */
export function responderOf(relay: Relay, use: 'onion' | 'envelope', now: number): KnownKey {
  const keys = use === 'onion' ? relay.onionKeys : relay.envelopeKeys
  const key = newestValid(keys, now)
  if (key === undefined) throw new NightjarError('unknown-key', { detail: `no valid ${use} key in the document` })
  return { identity: relay.identity, key: key.key, keyId: key.id }
}

function newestValid(keys: readonly OnionKey[], now: number): OnionKey | undefined {
  return keys
    .filter((key) => key.validAfter <= now && now < key.validUntil)
    .sort((a, b) => b.validUntil - a.validUntil)[0]
}
