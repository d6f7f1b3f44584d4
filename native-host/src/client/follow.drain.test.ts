/** What becomes of all that is followed when a relay on the way leaves. */
import { accountGroup } from '@nightjar/shared/accounts'
import { keptFor } from '@nightjar/shared/requests'
import { second } from '@nightjar/shared/runtime'
import { describe, expect, test } from 'vitest'
import { startFollowing, watch } from './testing/follow.ts'

// Found by review: all branches of a trunk moved in the same instant.
describe('when a relay on the way drains', () => {
  const groups = Array.from({ length: 10 }, (_, index) => `group ${index}`)

  test.each(['entry', 'middle'] as const)(
    'the %s: each group moves at a moment of its own, with a successor first, and goes on',
    async (role) => {
      const { net, client, follow, all, telling, push } = await startFollowing(12)
      const followed = await Promise.all(groups.map((group) => follow(group)))
      const before = telling()
      const relays = client.status().trunks.map((trunk) => trunk[role].name)
      const beginnings = () => all.reduce((sum, each) => sum + each.followed.length, 0)
      let [begun, leastHops] = [beginnings(), Number.POSITIVE_INFINITY]
      for (const name of new Set(relays)) net.named(name).drain(60)
      const moves: number[] = []
      for (let seconds = 1; seconds <= 31; seconds++) {
        await net.clock.elapse(1 * second)
        await net.settle()
        moves.push(beginnings() - begun)
        begun = beginnings()
        leastHops = Math.min(leastHops, telling().length)
      }
      expect(moves.reduce((sum, count) => sum + count, 0)).toBe(groups.length)
      // Ten moments in thirty seconds: fewer than four different seconds once in a billion times.
      expect(moves.filter((count) => count > 0).length).toBeGreaterThanOrEqual(4)
      expect([telling().sort(), leastHops]).toEqual([before.sort(), groups.length])
      for (const name of new Set(relays)) expect(net.named(name).hops.size).toBe(0)
      await push('on')
      expect(followed.map(({ told }) => told)).toEqual(groups.map(() => ['on']))
    },
  )

  test('the entry: what is watched stays with the middle, and is lost here', async () => {
    const { net, client, follow, telling } = await startFollowing(12)
    const watched = await Promise.all(groups.map((group) => follow(group, watch)))
    const sites = await Promise.all(['one', 'other'].map((group) => follow(group)))
    const before = telling().sort()
    for (const name of new Set(client.status().trunks.map(({ entry }) => entry.name))) net.named(name).drain(60)
    await net.clock.elapse(31 * second)
    await net.settle()
    // Nobody moves: whoever did so now would be somebody behind that entry.
    expect([telling().sort(), watched.map(({ told }) => told)]).toEqual([before, groups.map(() => ['link-lost'])])
    expect(sites.map(({ told }) => told)).toEqual([[], []])
    await net.clock.elapse(keptFor.longest)
    expect(telling()).toHaveLength(sites.length)
  })

  test('the middle dies: accounts stay with their inner middles, and are lost here', async () => {
    const { net, client, follow, telling } = await startFollowing(12, 12)
    const accounts = groups.map((_, index) => accountGroup(`0x${index}`.padEnd(42, '0') as `0x${string}`))
    const watched = await Promise.all(accounts.map((group) => follow(group, watch)))
    const before = telling().sort()
    for (const { middle } of client.status().trunks) net.named(middle.name).kill()
    await net.settle()
    expect([telling().sort(), watched.map(({ told }) => told)]).toEqual([before, groups.map(() => ['link-lost'])])
    await net.clock.elapse(keptFor.longest)
    expect(telling()).toEqual([])
  })

  test('the middle: what is watched moves, as it cannot stay', async () => {
    const { net, client, follow, telling, push } = await startFollowing(12)
    const watched = await Promise.all(groups.map((group) => follow(group, watch)))
    const before = telling().sort()
    for (const { middle } of client.status().trunks) net.named(middle.name).drain(60)
    await net.clock.elapse(31 * second)
    await net.settle()
    expect(telling().sort()).toEqual(before)
    await push('on')
    expect(watched.map(({ told }) => told)).toEqual(groups.map(() => ['on']))
  })

  test('its gateway: another one takes over before the old branch ends', async () => {
    const { net, follow, telling, push } = await startFollowing()
    const { told } = await follow('me')
    const [gone] = telling()
    net.named(gone as string).drain(30)
    await net.clock.elapse(15 * second)
    await net.settle()
    expect(telling()).not.toContain(gone)
    await push('on')
    expect(told).toEqual(['on'])
  })
})
