import { shareOf } from '@nightjar/shared/accounts'
import type { Relay } from '@nightjar/shared/directory'
import { day } from '@nightjar/shared/runtime'
import { describeGateway, describeRelay, networkOf } from '@nightjar/shared/testing'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { State } from '../state/store.ts'
import { assignGateway, type GatewayChoice, preferredTrunk, rankGateways, servesChain, shareKey } from './selection.ts'
import { stateOf } from './testing/seeded.ts'

const now = Date.UTC(2026, 0, 1)
const gateways = (count: number) => Array.from({ length: count }, (_, index) => describeGateway(`g${index}`))
const names = (relays: readonly Relay[]) => relays.map(({ name }) => name)

const choiceOf = (group: string, changes: Partial<GatewayChoice> = {}): GatewayChoice => ({
  group,
  chain: 1,
  path: [],
  now,
  ...changes,
})
const rank = (relays: readonly Relay[], state: State, group: string, changes?: Partial<GatewayChoice>) =>
  names(rankGateways(nativeCrypto, networkOf(relays), state, choiceOf(group, changes)))
const assign = (state: State, group: string, gateway: Relay, at = now) =>
  assignGateway(nativeCrypto, state, group, gateway, at)

describe('rankGateways', () => {
  test('has the own one first, then those no other group has, then the rest', () => {
    const relays = gateways(6)
    const state = stateOf()
    const fresh = rank(relays, state, 'me')
    const at = (index: number) => relays.find(({ name }) => name === fresh[index]) as Relay
    assign(state, 'me', at(4))
    assign(state, 'other', at(0))
    assign(state, 'third', at(2))
    expect(rank(relays, state, 'me')).toEqual([4, 1, 3, 5, 0, 2].map((index) => fresh[index]))
  })

  test('gives as many groups as there are gateways one each', () => {
    const relays = gateways(12)
    const state = stateOf()
    const own = relays.map((_, index) => {
      const group = `group ${index}`
      const best = rank(relays, state, group)[0]
      assign(state, group, relays.find(({ name }) => name === best) as Relay)
      return best
    })
    expect(new Set(own).size).toBe(12)
    for (const [index, best] of own.entries()) expect(rank(relays, state, `group ${index}`)[0]).toBe(best)
  })

  test('forgets what is older than 30 days', () => {
    const relays = gateways(3)
    const state = stateOf()
    const fresh = rank(relays, state, 'me')
    assign(state, 'me', relays.find(({ name }) => name === fresh[2]) as Relay)
    expect(rank(relays, state, 'me', { now: now + 30 * day })[0]).toBe(fresh[2])
    expect(rank(relays, state, 'me', { now: now + 30 * day + 1 })).toEqual(fresh)
  })

  test('leaves out other chains, relays that are no gateways, and what is not apart from the path', () => {
    const path = [describeRelay('entry', { operator: 'x', networks: ['n'] })]
    const relays = [
      describeGateway('good'),
      describeGateway('other chain', { chains: [5] }),
      describeGateway('no key', { envelopeKeys: [] }),
      describeRelay('no gateway', { chains: [1] }),
      describeGateway('same operator', { operator: 'x' }),
      describeGateway('same network', { networks: ['m', 'n'] }),
    ]
    expect(rank(relays, stateOf(), 'g', { path })).toEqual(['good'])
    expect(rank(relays, stateOf(), 'g', { path, chain: 5 })).toEqual(['other chain'])
    expect(servesChain(networkOf(relays), 5)).toBe(true)
    expect(servesChain(networkOf(relays), 6)).toBe(false)
  })

  test('keeps the order of the others when gateways join or leave', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.integer(),
        fc.array(fc.record({ capacity: fc.integer({ min: 1, max: 10_000 }), stays: fc.boolean() }), { maxLength: 30 }),
        (group, seed, plan) => {
          const all = plan.map(({ capacity }, index) => describeGateway(`g${index}`, { capacity }))
          const some = all.filter((_, index) => plan[index]?.stays)
          const ranked = rank(all, stateOf(seed), group)
          expect(rank(some.toReversed(), stateOf(seed), group)).toEqual(
            ranked.filter((name) => some.some((relay) => relay.name === name)),
          )
        },
      ),
      { seed: 2, numRuns: 100 },
    )
  })

  test('gives first places by capacity', () => {
    const relays = gateways(3).map((relay, index) => ({ ...relay, capacity: [100, 300, 600][index] as number }))
    const state = stateOf(3)
    const firsts = Array.from({ length: 4000 }, (_, index) => rank(relays, state, `group ${index}`)[0])
    for (const [index, share] of [0.1, 0.3, 0.6].entries()) {
      expect(firsts.filter((name) => name === `g${index}`).length / firsts.length).toBeCloseTo(share, 1)
    }
  })

  test('depends on the secret and on the group', () => {
    const relays = gateways(20)
    expect(rank(relays, stateOf(1), 'a')).not.toEqual(rank(relays, stateOf(2), 'a'))
    expect(rank(relays, stateOf(1), 'a')).not.toEqual(rank(relays, stateOf(1), 'b'))
  })
})

describe('assignGateway', () => {
  const [one, two] = gateways(2) as [Relay, Relay]

  test('gives a group its gateway once, until 30 days have passed', () => {
    const state = stateOf()
    expect(assign(state, 'g', one)).toBe(true)
    expect(assign(state, 'g', two, now + 30 * day)).toBe(false)
    expect(state.gateways).toMatchObject([{ relay: one.id, since: now }])
    expect(assign(state, 'g', two, now + 30 * day + 1)).toBe(true)
    expect(state.gateways).toMatchObject([{ relay: two.id, since: now + 30 * day + 1 }])
  })

  test('keeps a thousand and forgets the oldest', () => {
    const state = stateOf()
    for (let index = 0; index <= 1000; index++) assign(state, `group ${index}`, one, now + index)
    expect(state.gateways).toHaveLength(1000)
    expect(state.gateways[0]?.since).toBe(now + 1)
    expect(assign(state, 'group 1000', one)).toBe(false)
    expect(assign(state, 'group 0', one, now + 1001)).toBe(true)
  })

  test('the state does not say which group it was, not even as a hash that others could make', () => {
    const state = stateOf(1)
    const label = 'account 0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045'
    assign(state, label, one)
    expect(JSON.stringify(state)).not.toMatch(/d8da6bf2|account/i)
    const other = stateOf(2)
    assign(other, label, one)
    expect(other.gateways[0]?.group).not.toBe(state.gateways[0]?.group)
  })
})

test('who confirms whom is each client’s own choice, and lasting', () => {
  const relays = gateways(12)
  const share = (secret: number) => names(shareOf(relays, { index: 0, of: 3 }, shareKey(nativeCrypto, stateOf(secret))))
  expect(share(1)).toEqual(share(1))
  expect(share(1)).not.toEqual(share(2))
})

test('groups are spread evenly over the trunks, each always on the same', () => {
  const state = stateOf(4)
  const trunks = Array.from({ length: 2000 }, (_, index) => preferredTrunk(nativeCrypto, state, `group ${index}`, 2))
  expect(trunks.filter((trunk) => trunk === 0).length / 2000).toBeCloseTo(0.5, 1)
  expect(preferredTrunk(nativeCrypto, state, 'group 5', 2)).toBe(trunks[5])
})
