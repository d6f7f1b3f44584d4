import type { Relay } from '@nightjar/shared/directory'
import { day } from '@nightjar/shared/runtime'
import { codeOf, describeGateway, describeRelay, networkOf } from '@nightjar/shared/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { areApart, choosePins } from './selection.ts'
import { seeded, stateOf } from './testing/seeded.ts'

const now = Date.UTC(2026, 0, 1)

const many = (count: number, make = describeRelay, prefix = 'r') =>
  Array.from({ length: count }, (_, index) => make(`${prefix}${index}`))
const gateways = (count: number) => many(count, describeGateway, 'g')
const names = (relays: readonly Relay[]) => relays.map(({ name }) => name)

describe('areApart', () => {
  test('needs another operator and no common network', () => {
    const relay = describeRelay('a', { operator: 'x', networks: ['10.1', '10.2'] })
    expect(areApart(relay, describeRelay('b', { operator: 'y', networks: ['10.3'] }))).toBe(true)
    expect(areApart(relay, describeRelay('b', { operator: 'x', networks: ['10.3'] }))).toBe(false)
    expect(areApart(relay, describeRelay('b', { operator: 'y', networks: ['10.3', '10.2'] }))).toBe(false)
  })
})

describe('pins', () => {
  test('are two guards and three middles, all apart, whatever the network', () => {
    const relays = fc.array(
      fc.record({ operator: fc.integer({ max: 6, min: 0 }), network: fc.integer({ max: 6, min: 0 }) }),
      { maxLength: 20 },
    )
    let full = 0
    fc.assert(
      fc.property(relays, fc.integer(), (descriptions, seed) => {
        const network = networkOf([
          ...descriptions.map(({ operator, network: net }, index) =>
            describeRelay(`r${index}`, { operator: `o${operator}`, networks: [`n${net}`] }),
          ),
          ...gateways(1),
        ])
        const state = stateOf()
        let pins: ReturnType<typeof choosePins>
        try {
          pins = choosePins(network, state, now, seeded(seed))
        } catch (error) {
          expect(error).toMatchObject({ code: 'no-path' })
          expect(state).toEqual(stateOf())
          return
        }
        const all = [...pins.guards, ...pins.middles]
        for (const [index, relay] of all.entries()) {
          for (const other of all.slice(index + 1)) expect(areApart(relay, other)).toBe(true)
        }
        expect(pins.guards.length).toBeLessThanOrEqual(2)
        expect(pins.middles.length).toBeLessThanOrEqual(3)
        expect(state.guards.map(({ relay }) => relay)).toEqual(pins.guards.map(({ id }) => id))
        expect(state.middles.map(({ relay }) => relay)).toEqual(pins.middles.map(({ id }) => id))
        if (all.length === 5) full += 1
      }),
      { seed: 1, numRuns: 200 },
    )
    expect(full).toBeGreaterThan(0)
  })

  test('stay over other documents, where new relays come and others go', () => {
    const state = stateOf()
    const relays = many(10)
    const before = choosePins(networkOf([...relays, ...gateways(1)]), state, now, seeded(1))
    const kept = [...before.guards, ...before.middles]
    const rest = many(40, describeRelay, 'new').map((relay) => ({ ...relay, capacity: 1_000_000 }))
    const later = networkOf([...rest, ...kept, ...gateways(1)], 2)
    const after = choosePins(later, state, now + 29 * day, seeded(2))
    expect(names([...after.guards, ...after.middles])).toEqual(names(kept))
    expect(state.guards.every(({ since }) => since === now)).toBe(true)
  })

  test('come with what the new document says of them', () => {
    const state = stateOf()
    const relays = many(5)
    choosePins(networkOf([...relays, ...gateways(1)]), state, now, seeded(1))
    const renewed = relays.map((relay) => ({ ...relay, capacity: 5 }))
    const { guards } = choosePins(networkOf([...renewed, ...gateways(1)], 2), state, now, seeded(1))
    expect(guards.every(({ capacity }) => capacity === 5)).toBe(true)
  })

  test('that are gone, or no relays any more, are replaced, and only they', () => {
    const relays = many(10)
    const state = stateOf()
    const { guards, middles } = choosePins(networkOf([...relays, ...gateways(1)]), state, now, seeded(1))
    const [gone, demoted] = [guards[0] as Relay, middles[1] as Relay]
    const changed = relays.flatMap((relay): Relay[] => {
      if (relay === gone) return []
      return [relay === demoted ? { ...relay, roles: ['directory'] } : relay]
    })
    const next = choosePins(networkOf([...changed, ...gateways(1)], 2), state, now + day, seeded(2))
    expect(next.guards).toHaveLength(2)
    expect(next.middles).toHaveLength(3)
    expect(names([...next.guards, ...next.middles])).not.toContain(gone.name)
    expect(names([...next.guards, ...next.middles])).not.toContain(demoted.name)
    expect(names(next.guards)).toContain((guards[1] as Relay).name)
    expect(names(next.middles)).toEqual(expect.arrayContaining([middles[0], middles[2]].map((each) => each?.name)))
    expect(state.guards.map(({ since }) => since)).toEqual([now, now + day])
  })

  test('that are too old are replaced: guards after 60 days, middles after 30', () => {
    const network = networkOf([...many(5), ...gateways(1)])
    const sinceAfter = (age: number) => {
      const state = stateOf()
      choosePins(network, state, now, seeded(1))
      choosePins(network, state, now + age, seeded(2))
      return [state.guards[0]?.since, state.middles[0]?.since]
    }
    expect(sinceAfter(30 * day)).toEqual([now, now])
    expect(sinceAfter(30 * day + 1)).toEqual([now, now + 30 * day + 1])
    expect(sinceAfter(60 * day)).toEqual([now, now + 60 * day])
    expect(sinceAfter(60 * day + 1)).toEqual([now + 60 * day + 1, now + 60 * day + 1])
  })

  test('of a small network are one of each first', () => {
    const pinsOf = (count: number) => {
      const { guards, middles } = choosePins(networkOf([...many(count), ...gateways(1)]), stateOf(), now, seeded(1))
      return [guards.length, middles.length]
    }
    expect([2, 3, 4, 5, 6].map(pinsOf)).toEqual([
      [1, 1],
      [2, 1],
      [2, 2],
      [2, 3],
      [2, 3],
    ])
  })

  test.each<[string, Relay[]]>([
    ['no relay', gateways(3)],
    ['one relay', [...many(1), ...gateways(1)]],
    ['no gateway', many(5)],
    ['relays of one operator', [...many(5).map((relay) => ({ ...relay, operator: 'one' })), ...gateways(1)]],
    ['a gateway without an envelope key', [...many(5), describeGateway('g', { envelopeKeys: [] })]],
  ])('need a path: not with %s', (_, relays) => {
    expect(codeOf(() => choosePins(networkOf(relays), stateOf(), now, seeded(1)))).toBe('no-path')
  })

  test('are chosen by capacity', () => {
    const relays = many(4).map((relay, index) => ({ ...relay, capacity: [100, 200, 300, 400][index] as number }))
    const network = networkOf([...relays, ...gateways(1)])
    const random = seeded(7)
    const counts = new Map<string, number>()
    const runs = 4000
    for (let run = 0; run < runs; run++) {
      const [guard] = choosePins(network, stateOf(), now, random).guards
      counts.set(guard?.name as string, (counts.get(guard?.name as string) ?? 0) + 1)
    }
    for (const [index, share] of [0.1, 0.2, 0.3, 0.4].entries()) {
      expect((counts.get(`r${index}`) ?? 0) / runs).toBeCloseTo(share, 1)
    }
  })
})
