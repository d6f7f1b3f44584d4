import { shareOf } from '@nightjar/shared/accounts'
import type { Relay } from '@nightjar/shared/directory'
import { day } from '@nightjar/shared/runtime'
import { describeGateway, describeRelay, networkOf } from '@nightjar/shared/testing'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { State } from '../state/store.ts'
import { assignGateways } from './assignments.ts'
import { groupHash, preferredTrunk, shareKey } from './rendezvous.ts'
import { type GatewayChoice, rankGateways, servesChain, shortlist } from './selection.ts'
import { seeded, stateOf } from './testing/seeded.ts'

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
const assign = (state: State, group: string, ranked: readonly Relay[], at = now) =>
  assignGateways(state, { group: groupHash(nativeCrypto, state, group), now: at, random: () => 0 }, ranked)
/** What a group does before it asks: the names of its own gateway and its stand-in. */
function settle(relays: readonly Relay[], state: State, group: string, at = now): readonly string[] {
  const ranked = rankGateways(nativeCrypto, networkOf(relays), state, choiceOf(group, { now: at }))
  assign(state, group, ranked, at)
  return names(ranked.slice(0, 2))
}
const accounts = Array.from({ length: 10 }, (_, index) => `account ${index}`)

describe('rankGateways', () => {
  test('has the group’s two first, then those no other group has, then the stand-ins of others, then the rest', () => {
    const relays = gateways(8)
    const state = stateOf()
    const fresh = rank(relays, state, 'me')
    const at = (...places: number[]) => places.map((place) => relays.find(({ name }) => name === fresh[place]) as Relay)
    assign(state, 'me', at(6, 4))
    assign(state, 'other', at(0, 2))
    assign(state, 'third', at(3, 0))
    expect(rank(relays, state, 'me')).toEqual([6, 4, 1, 5, 7, 2, 0, 3].map((index) => fresh[index]))
  })

  test('gives as many groups as there are gateways one each, and half as many a stand-in each', () => {
    const relays = gateways(12)
    const state = stateOf()
    const groups = relays.map((_, index) => `group ${index}`)
    const pairs = groups.map((group) => settle(relays, state, group))
    expect(new Set(pairs.map(([own]) => own)).size).toBe(12)
    expect(new Set(pairs.slice(0, 6).flat()).size).toBe(12)
    for (const [index, group] of groups.entries()) expect(rank(relays, state, group).slice(0, 2)).toEqual(pairs[index])
  })

  // Of each gateway one account went to any that was free: after a day some gateway had had two accounts of nearly anybody.
  test('no gateway has two accounts though each restarts daily at a time of its own', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const relays = gateways(30)
      const [state, random] = [stateOf(seed), seeded(seed)]
      for (const account of accounts) settle(relays, state, account)
      const seen = new Map<string, Set<string>>()
      for (const away of [undefined, ...relays.toSorted(() => random() - 0.5)]) {
        for (const account of accounts) {
          const used = rank(relays, state, account).find((name) => name !== away?.name) as string
          seen.set(used, (seen.get(used) ?? new Set()).add(account))
        }
      }
      expect([...seen.values()].filter(({ size }) => size > 1)).toEqual([])
    }
  })

  test('one that has left the document is replaced, stays that of its group, and is its own again when it is back', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const relays = gateways(30)
      const state = stateOf(seed)
      const before = accounts.map((account) => settle(relays, state, account))
      const gone = new Set([...before.slice(0, 3).map(([own]) => own), before[3]?.[1]])
      const left = relays.filter(({ name }) => !gone.has(name))
      const after = accounts.map((account) => settle(left, state, account, now + day))
      expect(new Set(after.flat()).size).toBe(20)
      expect(after.slice(0, 3).map(([own]) => own)).toEqual(before.slice(0, 3).map(([, standIn]) => standIn))
      expect(after[3]?.[0]).toBe(before[3]?.[0])
      expect(after.slice(4)).toEqual(before.slice(4))
      const late = settle(relays, state, 'another', now + day)
      expect([...before, ...after].flat()).not.toEqual(expect.arrayContaining([late[0]]))
      expect(accounts.map((account) => settle(relays, state, account, now + 2 * day))).toEqual(before)
    }
  })

  test('one that stands in for a gateway that has left counts as the group’s first', () => {
    const [a, b, c, d] = gateways(4) as [Relay, Relay, Relay, Relay]
    for (let seed = 1; seed <= 20; seed++) {
      const state = stateOf(seed)
      assign(state, 'one', [a, b])
      assign(state, 'two', [c, d])
      expect(rank([b, c, d], state, 'me')[0]).toBe(d.name)
    }
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

describe('shortlist', () => {
  const listed = (operators: string) =>
    shortlist([...operators].map((operator, index) => describeGateway(`${operator}${index}`, { operator })))
  const operatorsOf = (operators: string) =>
    listed(operators)
      .map(({ operator }) => operator)
      .join('')

  test('has the best of each operator before another one of the same, in their order', () => {
    expect(operatorsOf('aaaaaaaaaaabac')).toBe('aaaaaabc')
    expect(names(listed('abababababac'))).toEqual(['a0', 'b1', 'a2', 'b3', 'a4', 'b5', 'a6', 'c11'])
    expect(operatorsOf('abbc')).toBe('abbc')
  })

  test('has the three that a group may have, whosever they are, and eight at most', () => {
    expect(operatorsOf('aaabcdefghij')).toBe('aaabcdef')
    expect(operatorsOf('abcdefghij')).toBe('abcdefgh')
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
