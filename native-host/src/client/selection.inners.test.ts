import type { Relay } from '@nightjar/shared/directory'
import { describeGateway, describeRelay, networkOf } from '@nightjar/shared/testing'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { describe, expect, test } from 'vitest'
import { type InnerChoice, rankInners } from './selection.ts'
import { stateOf } from './testing/seeded.ts'

const relays = Array.from({ length: 12 }, (_, index) => describeRelay(`r${index}`))
const [entry, middle, otherGuard, otherMiddle] = relays as [Relay, Relay, Relay, Relay]
const gateway = describeGateway('g')
const rank = (changes: Partial<InnerChoice> = {}, state = stateOf(), all: readonly Relay[] = [...relays, gateway]) => {
  const choice = { group: 'me', path: [entry, middle, gateway], pinned: [entry, middle, otherGuard, otherMiddle] }
  return rankInners(nativeCrypto, networkOf(all), state, { ...choice, ...changes }).map(({ name }) => name)
}

describe('rankInners', () => {
  test('is the same each time, another for another group, and another with another secret', () => {
    expect(rank({}, stateOf(), [gateway, ...relays].reverse())).toEqual(rank())
    expect(rank({ group: 'you' })).not.toEqual(rank())
    expect(rank({}, stateOf(2))).not.toEqual(rank())
  })

  test('has only relays, none of them in the path, and those that are pinned last', () => {
    const all = rank()
    expect(all).toHaveLength(10)
    expect(all).not.toContain('r0')
    expect(all).not.toContain('r1')
    expect(all).not.toContain('g')
    expect(all.slice(-2).sort()).toEqual(['r2', 'r3'])
  })

  test('is apart from the path by operator and network', () => {
    const related = [
      describeRelay('of the gateway', { operator: gateway.operator }),
      describeRelay('beside the middle', { networks: middle.networks }),
      describeRelay('alone'),
    ]
    expect(rank({}, stateOf(), [...relays.slice(0, 2), gateway, ...related])).toEqual(['alone'])
  })

  test('does not depend on which trunk is up, where there are enough', () => {
    const overOther = rank({ path: [otherGuard, otherMiddle, gateway] })
    expect(overOther.slice(0, 8)).toEqual(rank().slice(0, 8))
  })

  test('spreads groups over all of them, and says nothing of their gateways', () => {
    const groups = Array.from({ length: 200 }, (_, index) => `group ${index}`)
    const first = groups.map((group) => rank({ group })[0])
    expect(new Set(first).size).toBe(8)
    expect(groups.every((group, index) => first[index] === rank({ group: `inner ${group}` })[0])).toBe(false)
  })

  test('is empty in a network that is too small', () => {
    expect(rank({}, stateOf(), [entry, middle, gateway])).toEqual([])
  })
})
