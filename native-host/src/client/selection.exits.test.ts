import type { Relay } from '@nightjar/shared/directory'
import { listDigest } from '@nightjar/shared/shield'
import { describeExit, describeGateway, describeRelay, networkOf } from '@nightjar/shared/testing'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { describe, expect, test } from 'vitest'
import { choosePins, type ExitChoice, isApartFromAll, rankExits } from './selection.ts'
import { seeded, stateOf } from './testing/seeded.ts'

const list = listDigest(nativeCrypto.hash.sha256)
const exits = Array.from({ length: 8 }, (_, index) => describeExit(`x${index}`))
const rank = (relays: readonly Relay[], changes: Partial<ExitChoice> = {}, state = stateOf()) => {
  const choice = { group: 'me', host: 'mainnet.infura.io', list, path: [], ...changes }
  return rankExits(nativeCrypto, networkOf(relays), state, choice).map(({ name }) => name)
}
const policy = (changes: object) => ({ exitPolicy: { list, categories: ['rpc', 'price'], without: [], ...changes } })

describe('rankExits', () => {
  test('is the same each time, another for another group, and another with another secret', () => {
    expect(rank(exits)).toEqual(rank([...exits].reverse()))
    expect(rank(exits)).toHaveLength(8)
    expect(rank(exits, { group: 'you' })).not.toEqual(rank(exits))
    expect(rank(exits, {}, stateOf(2))).not.toEqual(rank(exits))
  })

  test('spreads groups over all exits', () => {
    const first = Array.from({ length: 200 }, (_, index) => rank(exits, { group: `group ${index}` })[0])
    expect(new Set(first).size).toBe(8)
  })

  test('does not follow the order of gateways, or the same relay would stand at the end of both', () => {
    const both = Array.from({ length: 20 }, (_, index) => `group ${index}`)
    expect(both.every((group) => rank(exits, { group })[0] === rank(exits, { group: `exit ${group}` })[0])).toBe(false)
  })

  test('has only exits that carry the host and are apart from the path', () => {
    const relays = [
      describeExit('all'),
      describeExit('some', policy({})),
      describeExit('other category', policy({ categories: ['price'] })),
      describeExit('without it', policy({ without: ['mainnet.infura.io'] })),
      describeExit('near', { operator: 'entry’s' }),
      describeRelay('relay', policy({})),
      describeGateway('gateway'),
    ]
    const path = [describeRelay('entry', { operator: 'entry’s' })]
    expect(rank(relays, { path }).sort()).toEqual(['all', 'some'])
    expect(rank(relays, { path, host: 'api.coingecko.com' }).sort()).toEqual([
      'all',
      'other category',
      'some',
      'without it',
    ])
    expect(rank(relays, { host: 'example.com' })).toEqual([])
  })

  test('has those with our list first, whatever their hash', () => {
    const other = exits.map((exit, index) =>
      index % 2 === 0 ? exit : { ...exit, ...policy({ list: new Uint8Array(32) }) },
    )
    for (const group of ['a', 'b', 'c', 'd']) {
      const ranked = rank(other, { group })
      expect(ranked.slice(0, 4).sort()).toEqual(['x0', 'x2', 'x4', 'x6'])
    }
  })
})

describe('pins', () => {
  test('leave the last exit alone, as far as there is one of each besides', () => {
    for (const count of [2, 3, 4, 5, 6]) {
      const relays = Array.from({ length: count }, (_, index) => describeRelay(`r${index}`))
      const both = describeExit('both', { roles: ['relay', 'exit'] })
      const near = describeRelay('near', { operator: both.operator })
      for (let seed = 0; seed < 30; seed++) {
        const network = networkOf([both, near, ...relays, describeGateway('g')])
        const { guards, middles } = choosePins(network, stateOf(seed), 0, seeded(seed))
        expect(isApartFromAll(both, [...guards, ...middles])).toBe(true)
        expect(guards.length + middles.length).toBe(Math.min(count, 5))
      }
    }
  })

  test('take it where there would be no path otherwise', () => {
    const both = describeExit('both', { roles: ['relay', 'exit'] })
    const network = networkOf([both, describeRelay('r'), describeGateway('g')])
    const { guards, middles } = choosePins(network, stateOf(), 0, seeded(1))
    expect([...guards, ...middles].map(({ name }) => name).sort()).toEqual(['both', 'r'])
  })
})
