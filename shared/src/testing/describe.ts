/** Relays as a network document describes them, without a document. */
import { hex, utf8 } from '../bytes/index.ts'
import { nobleCrypto } from '../crypto/noble.ts'
import type { Network, OnionKey, Relay } from '../directory/index.ts'
import { categories, listDigest } from '../shield/index.ts'
import { pattern } from './hostile.ts'

/** The identity follows from the name: one name is one relay in every network of a test. */
export function describeRelay(name: string, changes: Partial<Relay> = {}): Relay {
  const identity = nobleCrypto.hash.sha256(utf8(name))
  return {
    version: 1,
    id: hex(identity),
    identity,
    name,
    onionKeys: [anyKey],
    envelopeKeys: [],
    addresses: [{ url: `ws://127.0.0.1/${name}` }],
    roles: ['relay'],
    region: 'test',
    chains: [],
    capacity: 1000,
    software: 'test',
    published: 0,
    operator: `operator-${name}`,
    networks: [`network-${name}`],
    ...changes,
  }
}

export function describeGateway(name: string, changes: Partial<Relay> = {}): Relay {
  return describeRelay(name, { roles: ['gateway'], envelopeKeys: [anyKey], chains: [1], ...changes })
}

/** An exit that carries the whole list. */
export function describeExit(name: string, changes: Partial<Relay> = {}): Relay {
  const exitPolicy = { list: listDigest(nobleCrypto.hash.sha256), categories: [...categories], without: [] }
  return describeRelay(name, { roles: ['exit'], exitPolicy, ...changes })
}

export function networkOf(relays: readonly Relay[], version = 1): Network {
  return {
    version,
    hash: pattern(32, version),
    validUntil: Number.MAX_SAFE_INTEGER,
    relays,
    byIdentity: new Map(relays.map((relay) => [relay.id, relay])),
    rejected: 0,
  }
}

const anyKey: OnionKey = {
  id: pattern(8),
  key: pattern(32),
  validAfter: 0,
  validUntil: Number.MAX_SAFE_INTEGER,
}
