import { nobleCrypto } from '@nightjar/shared/crypto/noble'
import type { Relay } from '@nightjar/shared/directory'
import { codeOfAsync, describeGateway, networkOf, pattern, turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { Carriers } from '../host/bridgeCarrier.ts'
import { upLink } from '../testing/link.ts'
import { groupLabel } from './groups.ts'
import { Rankings } from './rankings.ts'

const label = (group: string) => groupLabel(nobleCrypto, pattern(32), group)

/** Rankings of a network of these gateways, all of which the daemon names in this order. */
async function rank(relays: readonly Relay[], isAvoided = (_: Relay) => false) {
  const { answer, clock, link, ports } = await upLink()
  const network = networkOf(relays)
  const rankings = new Rankings({
    clock,
    carriers: new Carriers(link),
    network: () => network,
    whenVerified: async () => undefined,
    label,
  })
  const usable = async (group: string) => {
    const found = rankings.usable(group, 1)
    found.catch(() => undefined)
    await turn()
    if (asked().length > answered) {
      answered += 1
      answer(relays.map((relay) => ({ relay: relay.id, avoided: isAvoided(relay) })))
    }
    return (await found).map(({ name }) => name)
  }
  /** Under which names the daemon was asked for gateways. */
  const asked = () =>
    ports.last.posted
      .map((message) => message as { readonly type: string; readonly group: string })
      .flatMap(({ type, group }) => (type === 'gateways' ? [group] : []))
  let answered = 0
  return { rankings, usable, asked, codeOf: (group: string) => codeOfAsync(() => usable(group)) }
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

describe('groups that ask once only', () => {
  // The daemon kept gateways for each of them, until there was none left for an account alone.
  test('are not told apart by the daemon, also after a failure', async () => {
    const relays = gateways(8)
    const { rankings, usable, asked } = await rank(relays)
    const used = new Set<string | undefined>()
    for (let index = 0; index < 20; index++) {
      const ranked = await usable(`once ${index}`)
      expect(ranked.toSorted()).toEqual(relays.map(({ name }) => name))
      expect(await usable(`once ${index}`)).toEqual(ranked)
      used.add(ranked[0])
    }
    void rankings.isAvoidedNow(relays[0] as Relay, { group: 'once 5', chain: 1 })
    await turn()
    expect(asked()).toEqual([label('once'), label('once')])
    expect(used.size).toBeGreaterThan(1)
  })

  test('ask those that are passed over last', async () => {
    const { usable } = await rank(gateways(4), ({ name }) => name !== 'g2')
    for (const name of ['a', 'b', 'c', 'd', 'e']) expect((await usable(`once ${name}`))[0]).toBe('g2')
  })
})

test('the followers of heads are ranked as one, also after a failure', async () => {
  const [first] = gateways(3) as [Relay]
  const { rankings, usable, asked } = await rank(gateways(3))
  await usable('heads 0 1')
  void rankings.isAvoidedNow(first, { group: 'heads 0 1', chain: 1 })
  await turn()
  expect(asked()).toEqual([label('heads 1'), label('heads 1')])
})
