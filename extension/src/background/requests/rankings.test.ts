import { hex, utf8 } from '@nightjar/shared/bytes'
import type { Relay } from '@nightjar/shared/directory'
import { codeOfAsync, describeGateway, networkOf, turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { Carriers } from '../host/bridgeCarrier.ts'
import { upLink } from '../testing/link.ts'
import { Rankings } from './rankings.ts'

/** Rankings of a network of these gateways, all of which the daemon names. */
async function rank(relays: readonly Relay[]) {
  const { answer, clock, link } = await upLink()
  const network = networkOf(relays)
  const rankings = new Rankings({
    clock,
    carriers: new Carriers(link),
    network: () => network,
    whenVerified: async () => undefined,
    label: (group) => hex(utf8(group)),
  })
  const usable = async (group: string) => {
    const found = rankings.usable(group, 1)
    found.catch(() => undefined)
    await turn()
    answer(relays.map(({ id }) => ({ relay: id, avoided: false })))
    return (await found).map(({ name }) => name)
  }
  return { rankings, usable, codeOf: (group: string) => codeOfAsync(() => usable(group)) }
}

const gateways = (count: number) =>
  Array.from({ length: count }, (_, index) => describeGateway(`g${index}`, { operator: `o${index}` }))

describe('those whose heads are followed', () => {
  test('have no operator in common', async () => {
    for (const count of [2, 3, 5, 8]) {
      const { usable } = await rank(gateways(count))
      const shares = [await usable('heads 0 1'), await usable('heads 1 1')]
      if (count > 2) shares.push(await usable('heads 2 1'))
      for (const share of shares) expect(share.length).toBeGreaterThan(0)
      expect(shares.flat().sort()).toEqual(gateways(count).map(({ name }) => name))
    }
  })

  test('are told where there is no other operator', async () => {
    const two = [describeGateway('a', { operator: 'same' }), describeGateway('b', { operator: 'same' })]
    const { usable, codeOf } = await rank(two)
    expect(await usable('heads 0 1')).toEqual(['a', 'b'])
    expect(await codeOf('heads 1 1')).toBe('no-path')
  })

  test('of whom all have lied are not taken for none', async () => {
    const relays = gateways(2)
    const { rankings, codeOf } = await rank(relays)
    for (const { id } of relays) rankings.distrust('heads 1 1', id)
    expect(await codeOf('heads 1 1')).toBe('answer-refuted')
  })
})
