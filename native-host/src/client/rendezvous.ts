/**
 * What this client decides with its own secret, lastingly and so that nobody else can tell: in which order a group likes
 * relays, which trunk it prefers, and by what name the state knows it.
 */
import { concat, fromBase64, hex, readU32, utf8 } from '@nightjar/shared/bytes'
import type { Crypto } from '@nightjar/shared/crypto'
import type { State } from '../state/store.ts'

const nothing = new Uint8Array(0)

/** How much `group` likes the relay, most first: weighted rendezvous hashing, −w / ln(u) with u from a keyed hash. */
export function rendezvous(
  crypto: Crypto,
  state: State,
  group: string,
  { identity, weight }: { readonly identity: Uint8Array; readonly weight: number },
): number {
  const u = (readU32(hashOf(crypto, state, 'gateway', group, identity), 0) + 1) / (2 ** 32 + 1)
  return -weight / Math.log(u)
}

/** What the state calls a group. */
export function groupHash(crypto: Crypto, state: State, group: string): string {
  return hex(hashOf(crypto, state, 'group', group, nothing))
}

/** By whom shares of operators are told apart (shared/accounts, shareOf): this client's own, and lasting. */
export function shareKey(crypto: Crypto, state: State): (name: string) => string {
  return (name) => hex(hashOf(crypto, state, 'share', name, nothing))
}

/** From what the times and secrets of watches are made (shared/accounts, `keyed`): lasting, so that a restart does not show. */
export function watchKey(crypto: Crypto, state: State): (name: string) => Uint8Array {
  return (name) => hashOf(crypto, state, 'watch', name, nothing)
}

/** Which of `count` trunks a group prefers. */
export function preferredTrunk(crypto: Crypto, state: State, group: string, count: number): number {
  return readU32(hashOf(crypto, state, 'trunk', group, nothing), 0) % count
}

function hashOf(crypto: Crypto, state: State, label: string, group: string, identity: Uint8Array): Uint8Array {
  return crypto.hash.hmac(fromBase64(state.secret), concat(utf8(`${label}\0${group}\0`), identity))
}
