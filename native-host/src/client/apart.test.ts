import type { Network, Relay } from '@nightjar/shared/directory'
import { describeGateway, describeRelay, networkOf } from '@nightjar/shared/testing'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { afterEach, expect, test } from 'vitest'
import { freshState } from '../state/store.ts'
import { type Client, createClient } from './client.ts'
import { areApart, choosePins } from './selection.ts'
import { TestNetwork } from './testing/network.ts'
import { seeded, stateOf } from './testing/seeded.ts'

const running: Client[] = []
afterEach(async () => {
  for (const client of running.splice(0)) await client.stop()
})

/** Every relay of `net` also is a gateway. */
function allGateways(net: TestNetwork): Network {
  const relays = net.relays.map(({ relay, envelope }): Relay => {
    const [onionKey] = relay.onionKeys as [Relay['onionKeys'][0]]
    return {
      ...relay,
      roles: ['relay', 'gateway'],
      chains: [1],
      envelopeKeys: [{ ...onionKey, key: envelope.publicKey }],
    }
  })
  return networkOf(relays)
}

test.each([3, 4, 5])('in a network of %i relays no gateway stands in the path to itself', async (count) => {
  for (let round = 0; round < 8; round++) {
    const net = await TestNetwork.create({ relays: count, gateways: 0 })
    const network = allGateways(net)
    const client = createClient({
      crypto: nativeCrypto,
      clock: net.clock,
      dial: net.dial,
      network: () => network,
      state: freshState(nativeCrypto.randomBytes),
    })
    running.push(client)
    client.start()
    // Asked at once: no trunk stands yet that a gateway could be chosen apart from.
    const groups = ['a', 'b', 'c', 'd', 'e', 'f']
    const ask = (group: string) => client.request({ group, chain: 1, call: { method: 'eth_blockNumber' } })
    const outcomes = await net.run(Promise.allSettled(groups.map(ask)))
    expect(outcomes.map(({ status }) => status)).toEqual(groups.map(() => 'fulfilled'))
    const { trunks } = client.status()
    for (const { entry, middle } of trunks) {
      for (const hop of net.named(middle.name).hops) {
        for (const { owner } of hop.children.values()) expect([entry.name, middle.name]).not.toContain(owner.relay.name)
      }
    }
  }
})

test('pins that the directories now know to belong together are kept no longer', () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
  const gateway = describeGateway('gateway')
  for (let seed = 0; seed < 30; seed++) {
    const random = seeded(seed)
    const state = stateOf(seed)
    choosePins(networkOf([...names.map((name) => describeRelay(name)), gateway]), state, 0, random)
    const [guard] = state.guards
    const [middle] = state.middles
    // The first guard and the first middle turn out to be of one operator.
    const relays = names.map((name) => {
      const relay = describeRelay(name)
      return relay.id === guard?.relay || relay.id === middle?.relay ? { ...relay, operator: 'both' } : relay
    })
    const { guards, middles } = choosePins(networkOf([...relays, gateway], 2), state, 0, random)
    const chosen = [...guards, ...middles]
    expect(chosen).toHaveLength(5)
    for (const a of chosen) for (const b of chosen) expect(a === b || areApart(a, b)).toBe(true)
    expect(guards[0]?.id).toBe(guard?.relay)
  }
})

test('the only gateway is never pinned away, be it a relay too', () => {
  for (const count of [2, 3, 4, 5, 6]) {
    const relays = Array.from({ length: count }, (_, index) => describeRelay(`relay-${index}`))
    const both = describeGateway('both', { roles: ['relay', 'gateway'] })
    for (let seed = 0; seed < 30; seed++) {
      const { guards, middles } = choosePins(networkOf([both, ...relays]), stateOf(seed), 0, seeded(seed))
      expect([...guards, ...middles]).not.toContain(both)
      expect(guards.length + middles.length).toBe(Math.min(count, 5))
    }
  }
})

test.each([
  [3, 2, 1],
  [4, 2, 2],
  [5, 3, 2],
  [6, 4, 2],
  [7, 5, 2],
  [8, 5, 3],
  [9, 5, 4],
])('of %i operators that are relay and gateway %i are pinned and %i are left as gateways', (count, pinned, left) => {
  const both = Array.from({ length: count }, (_, index) =>
    describeGateway(`g${index}`, { roles: ['relay', 'gateway'] }),
  )
  for (let seed = 0; seed < 30; seed++) {
    const { guards, middles } = choosePins(networkOf(both), stateOf(seed), 0, seeded(seed))
    const chosen = [...guards, ...middles]
    expect(chosen).toHaveLength(pinned)
    expect(both.filter((relay) => chosen.every((each) => areApart(relay, each)))).toHaveLength(left)
  }
})

test('relays that are no gateways are pinned before those without which there are fewer than two to ask', () => {
  const both = Array.from({ length: 2 }, (_, index) => describeGateway(`g${index}`, { roles: ['relay', 'gateway'] }))
  const relays = Array.from({ length: 3 }, (_, index) => describeRelay(`r${index}`))
  for (let seed = 0; seed < 30; seed++) {
    const { guards, middles } = choosePins(networkOf([...both, ...relays]), stateOf(seed), 0, seeded(seed))
    expect([...guards, ...middles].map(({ name }) => name).sort()).toEqual(['r0', 'r1', 'r2'])
  }
})
