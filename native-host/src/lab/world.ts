/**
 * What all users of the simulation share: the relays, when each of them restarts, and the chain with the moment at which
 * each gateway learns of each block. A model; only the shape of relays is the product's.
 */
import { hex } from '@nightjar/shared/bytes'
import type { Network, Relay } from '@nightjar/shared/directory'
import { day, hour, second } from '@nightjar/shared/runtime'
import { type Chance, chanceOf } from './chance.ts'

export const chainId = 1
export const blockEvery = 12 * second
const firstBlock = 20_000_000
/** Blocks that were there before the simulation. */
const before = 100
const relayCount = 100
const gatewayCount = 30
const restartsPerDay = 1

export interface Outage {
  readonly from: number
  readonly to: number
}

export interface World {
  readonly start: number
  readonly end: number
  readonly network: Network
  /** When the block is made. */
  timeOf(block: number): number
  /** When the gateway's head comes to the block. */
  headTime(gateway: string, block: number): number
  /** The gateway's head. */
  headAt(gateway: string, time: number): number
  outagesOf(relay: string): readonly Outage[]
}

export function makeWorld(seed: number, hours: number): World {
  const chance = chanceOf(seed)
  const start = Date.UTC(2026, 0, 1)
  const end = start + hours * hour
  const relays = [
    ...Array.from({ length: relayCount }, (_, index) => describe(`relay-${index}`, 'relay', chance, start)),
    ...Array.from({ length: gatewayCount }, (_, index) => describe(`gateway-${index}`, 'gateway', chance, start)),
  ]
  const outages = new Map(relays.map(({ id }) => [id, outagesIn(chance, start, hours)]))
  // How far behind the chain each gateway is, as its providers and its distance to them are.
  const behind = new Map(relays.map(({ id }, index) => [id, { offset: chance.between(0, 1.2 * second), index }]))
  const timeOf = (block: number) => start + (block - firstBlock - before) * blockEvery
  const headTime = (gateway: string, block: number) => {
    const { offset, index } = behind.get(gateway) as { offset: number; index: number }
    const spread = 0.6 * second + noise(seed, block, 0) * 1.9 * second
    return timeOf(block) + spread + offset + noise(seed, block, index + 1) * 0.4 * second
  }
  return {
    start,
    end,
    network: {
      version: 1,
      hash: new Uint8Array(32),
      validUntil: start + 365 * day,
      relays,
      byIdentity: new Map(relays.map((relay) => [relay.id, relay])),
      rejected: 0,
    },
    timeOf,
    headTime,
    headAt(gateway, time) {
      const newest = firstBlock + before + Math.floor((time - start) / blockEvery)
      return headTime(gateway, newest) <= time ? newest : newest - 1
    },
    outagesOf: (relay) => outages.get(relay) ?? [],
  }
}

/** Each of an operator and a network of its own. */
function describe(name: string, role: 'relay' | 'gateway', chance: Chance, start: number): Relay {
  const identity = Uint8Array.from({ length: 32 }, () => chance.index(256))
  const keys = [{ id: identity.subarray(0, 8), key: identity, validAfter: 0, validUntil: start + 365 * day }]
  return {
    version: 1,
    id: hex(identity),
    identity,
    name,
    operator: name,
    networks: [name],
    onionKeys: keys,
    envelopeKeys: role === 'gateway' ? keys : [],
    addresses: [{ url: `wss://${name}.example/relay` }],
    roles: [role],
    region: 'lab',
    chains: role === 'gateway' ? [chainId] : [],
    capacity: 1000,
    software: 'lab',
    published: 0,
  }
}

function outagesIn(chance: Chance, start: number, hours: number): readonly Outage[] {
  return Array.from({ length: chance.count((restartsPerDay * hours) / 24) }, () => {
    const from = start + chance.next() * hours * hour
    return { from, to: from + chance.between(5 * second, 60 * second) }
  })
}

/** In [0, 1), the same for the same numbers. */
function noise(seed: number, a: number, b: number): number {
  let t = Math.imul(seed ^ 0x27d4eb2f, 0x85ebca6b) ^ Math.imul(a, 0xc2b2ae35) ^ Math.imul(b + 0x165667b1, 0x9e3779b1)
  t = Math.imul(t ^ (t >>> 15), 0x2c1b3c6d)
  t = Math.imul(t ^ (t >>> 12), 0x297a2d39)
  return ((t ^ (t >>> 15)) >>> 0) / 2 ** 32
}
