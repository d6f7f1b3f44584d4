import type { Relay } from '@nightjar/shared/directory'
import { day, hour } from '@nightjar/shared/runtime'
import { describeGateway, networkOf } from '@nightjar/shared/testing'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { describe, expect, test } from 'vitest'
import type { State } from '../state/store.ts'
import { assignGateways, currentAssignments, keepGateway } from './assignments.ts'
import { groupHash } from './rendezvous.ts'
import { seeded, stateOf } from './testing/seeded.ts'

const now = Date.UTC(2026, 0, 1)
const gateways = Array.from({ length: 6 }, (_, index) => describeGateway(`g${index}`))
const [one, two, three, four] = gateways as [Relay, Relay, Relay, Relay]

const asking = (state: State, group: string, at: number, random = () => 0) => ({
  group: groupHash(nativeCrypto, state, group),
  now: at,
  random,
})
const assign = (state: State, group: string, ranked: readonly Relay[], at = now, random?: () => number) =>
  assignGateways(state, asking(state, group, at, random), ranked)
const keep = (state: State, group: string, gateway: Relay, at = now, relays: readonly Relay[] = gateways) =>
  keepGateway(state, asking(state, group, at), gateway, (id) => networkOf(relays).byIdentity.get(id))
const keptIn = (state: State, at = now) => currentAssignments(state, at).map(({ relay }) => relay)

describe('assignGateways', () => {
  test('gives a group its gateway and its stand-in once', () => {
    const state = stateOf()
    expect(assign(state, 'g', [one, two, three])).toBe(true)
    expect(assign(state, 'g', [one, two, three], now + 23 * hour)).toBe(false)
    expect(keptIn(state)).toEqual([one.id, two.id])
  })

  test('gives one that has lost its stand-in another', () => {
    const state = stateOf()
    assign(state, 'g', [one])
    expect(assign(state, 'g', [one, two], now + day)).toBe(true)
    expect(keptIn(state)).toEqual([one.id, two.id])
  })

  test('a group that asks keeps them for ever, written down once a day', () => {
    const state = stateOf()
    assign(state, 'g', [one, two, three])
    for (let age = day; age <= 400 * day; age += 20 * day) {
      expect(assign(state, 'g', [one, two, three], now + age + hour)).toBe(true)
      expect(assign(state, 'g', [one, two, three], now + age + 20 * hour)).toBe(false)
      expect(state.gateways.map(({ relay, usedOn }) => [relay, usedOn])).toEqual([
        [one.id, now + age],
        [two.id, now + age],
      ])
    }
  })

  test('one that it cannot ask now is kept until it lapses, and no longer', () => {
    const state = stateOf()
    assign(state, 'g', [one, two])
    assign(state, 'g', [two, three], now + 29 * day)
    expect(keptIn(state, now + 30 * day)).toEqual([one.id, two.id, three.id])
    expect(keptIn(state, now + 30 * day + 1)).toEqual([two.id, three.id])
  })

  test('what is not used lapses after 30 to 60 days, each after a time of its own', () => {
    const state = stateOf()
    const random = seeded(1)
    for (let index = 0; index < 500; index++) assign(state, `group ${index}`, [one, two], now, random)
    const left = (days: number) => keptIn(state, now + days * day).length
    expect([left(30), left(60)]).toEqual([1000, 0])
    for (const days of [35, 40, 45, 50, 55]) expect(left(days) / 1000).toBeCloseTo((60 - days) / 30, 1)
    const byGroup = Map.groupBy(state.gateways, ({ group }) => group)
    expect([...byGroup.values()].filter(([own, other]) => own?.lapse === other?.lapse)).toEqual([])
  })

  test('keeps those of a thousand groups and forgets those not used for longest', () => {
    const state = stateOf()
    for (let index = 0; index < 1000; index++) assign(state, `group ${index}`, [one, two])
    assign(state, 'group 0', [one, two], now + day)
    assign(state, 'group 1000', [one, two], now + day)
    expect(state.gateways).toHaveLength(2000)
    expect(assign(state, 'group 0', [one, two], now + day)).toBe(false)
    expect(state.gateways[0]?.group).toBe(groupHash(nativeCrypto, state, 'group 2'))
  })

  test('the state does not say which group it was, not even as a hash that others could make', () => {
    const state = stateOf(1)
    const label = 'account 0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045'
    assign(state, label, [one])
    expect(JSON.stringify(state)).not.toMatch(/d8da6bf2|account/i)
    const other = stateOf(2)
    assign(other, label, [one])
    expect(other.gateways[0]?.group).not.toBe(state.gateways[0]?.group)
  })
})

describe('keepGateway', () => {
  test('keeps a third, behind the others, and no fourth', () => {
    const state = stateOf()
    assign(state, 'g', [one, two])
    expect([keep(state, 'g', one), keep(state, 'g', two)]).toEqual([false, false])
    expect([keep(state, 'g', four, now + day), keep(state, 'g', four, now + day)]).toEqual([true, false])
    expect(keep(state, 'g', three, now + day)).toBe(false)
    expect(keptIn(state)).toEqual([one.id, two.id, four.id])
    // It is put off with the others.
    assign(state, 'g', [one, two, four, three], now + 20 * day)
    expect(keptIn(state, now + 50 * day)).toEqual([one.id, two.id, four.id])
  })

  test('counts only those that could be asked instead: not what has left the document, nor what serves other chains', () => {
    const elsewhere = describeGateway('elsewhere', { chains: [5] })
    const state = stateOf()
    assign(state, 'g', [one, two])
    assign(state, 'g', [elsewhere])
    assign(state, 'g', [two, three])
    expect(keep(state, 'g', four, now, [...gateways, elsewhere])).toBe(false)
    const left = [...gateways.filter((gateway) => gateway !== one), elsewhere]
    expect(keep(state, 'g', four, now, left)).toBe(true)
  })

  test('keeps nothing for a group that was never given any', () => {
    const state = stateOf()
    assign(state, 'other', [one, two])
    expect(keep(state, 'g', three)).toBe(false)
    expect(keptIn(state)).toEqual([one.id, two.id])
  })
})
