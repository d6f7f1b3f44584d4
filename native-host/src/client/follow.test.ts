import type { NightjarError } from '@nightjar/shared/errors'
import { keptFor, requestsPerBranch } from '@nightjar/shared/requests'
import { minute, second } from '@nightjar/shared/runtime'
import { describe, expect, test } from 'vitest'
import { question, startFollowing, watch } from './testing/follow.ts'
import type { Followed } from './testing/relay.ts'

describe('what a group follows', () => {
  test('is told by the gateway that it asks, on the same branch, until it has enough', async () => {
    const { follow, telling, push, usedBy, client, net } = await startFollowing()
    const gateway = await usedBy('me')
    const { told, stop } = await follow('me')
    expect(telling()).toEqual([gateway.relay.name])
    expect(gateway.followed[0]?.question).toEqual(question)
    expect(client.status().branches).toBe(1)
    await push('one')
    stop()
    await net.settle()
    expect(gateway.followed[0]?.endedWith).toBe('cancelled')
    expect(told).toEqual(['one'])
  })

  test('goes on at the same gateway when its branch has done its time, though nobody asks anything', async () => {
    const { net, follow, telling, push } = await startFollowing()
    const { told } = await follow('me')
    const gateway = net.named(telling()[0] as string)
    // What is pushed is use: it is not for idleness that branches are replaced.
    for (let time = 0; time < 42; time++) {
      await net.clock.elapse(1 * minute)
      await net.settle()
      await push(`${time}`)
    }
    expect(gateway.followed.length).toBeGreaterThan(2)
    expect(telling()).toEqual([gateway.relay.name])
    expect(gateway.hops.size).toBe(1)
    expect(gateway.followed.map((each) => each.question)).toEqual(gateway.followed.map(() => question))
    expect(told).toEqual(Array.from({ length: 42 }, (_, time) => `${time}`))
  })

  test('goes on at once where the branch has done its requests', async () => {
    const { net, follow, telling, push, ask } = await startFollowing()
    const { told } = await follow('me')
    const gateway = net.named(telling()[0] as string)
    const [first] = gateway.followed
    for (let request = 0; request <= requestsPerBranch; request++) await ask('me')
    await net.settle()
    // The gateway heard of the old one's end, and of the new one, without any time between.
    expect(gateway.followed).toHaveLength(2)
    expect(first?.endedWith).toBeDefined()
    await push('on')
    expect(told).toEqual(['on'])
  })

  test('ends with the branch where that is lost, and is followed elsewhere when its gateway is gone', async () => {
    const { net, follow, telling } = await startFollowing()
    const { told } = await follow('me')
    const gateway = net.named(telling()[0] as string)
    gateway.kill()
    await net.settle()
    expect(told).toHaveLength(1)
    await follow('me')
    expect(telling()).toHaveLength(1)
    expect(telling()).not.toContain(gateway.relay.name)
  })

  // Found by review: it was ended, at all gateways in the same second, where what is lost lingers.
  test('is lost, and not ended, when the client stops', async () => {
    const { net, client, follow, all } = await startFollowing()
    for (const group of ['a', 'b', 'c']) await follow(group)
    await client.stop()
    await net.settle()
    const ends = all.flatMap(({ followed }) => followed.map(({ endedWith }) => endedWith))
    expect(ends).toEqual(['link-lost', 'link-lost', 'link-lost'])
  })

  test('does not come back when the client stops', async () => {
    const { net, client, follow, all } = await startFollowing()
    const { stop } = await follow('me')
    stop()
    await client.stop()
    await net.clock.elapse(30 * minute)
    expect(all.reduce((sum, { followed }) => sum + followed.length, 0)).toBe(1)
  })
})

describe('a watch', () => {
  /** One gateway's, once the next branch is there. */
  async function untilRenewed() {
    const started = await startFollowing()
    const { net, follow, telling } = started
    const { told, stop } = await follow('me', watch)
    const [name = ''] = telling()
    const began = net.clock.elapsed()
    while (telling().length < 2) {
      await net.clock.elapse(1 * minute)
      await net.settle()
    }
    return { ...started, told, stop, name, began }
  }

  test('moves to a successor, and goes on where it was until its time is over, unheard', async () => {
    const { net, told, push, telling, name, began, all, client } = await untilRenewed()
    expect(net.clock.elapsed() - began).toBeGreaterThanOrEqual(keptFor.shortest - keptFor.overlap)
    expect(net.clock.elapsed() - began).toBeLessThan(keptFor.longest + 2 * minute)
    expect(telling()).toEqual([name, name])
    await push('once')
    expect(told).toEqual(['once'])
    expect(client.status().branches).toBe(2)
    await net.clock.elapse(keptFor.overlap)
    await net.settle()
    const [first] = net.named(name).followed
    // The gateway heard nothing of the client, and of the branch's end from the relay before it.
    expect(first?.endedWith).toBe('link-lost')
    await push('still')
    expect(told).toEqual(['once', 'still'])
    expect(all.every(({ up }) => up)).toBe(true)
  })

  test('goes on at its gateway where the client is gone, until its time is over', async () => {
    const { net, client, follow, telling, push } = await startFollowing()
    for (const group of ['a', 'b', 'c']) await follow(group, watch)
    const before = telling()
    await client.stop()
    await net.settle()
    expect(telling()).toEqual(before)
    await push('unheard')
    await net.clock.elapse(keptFor.shortest - 1 * minute)
    expect(telling()).toEqual(before)
    await net.clock.elapse(keptFor.longest - keptFor.shortest + 1 * minute)
    expect(telling()).toEqual([])
  })

  test('goes on where the entry is lost; the next one begins beside it', async () => {
    const { net, client, follow, telling } = await startFollowing()
    const { told } = await follow('me', watch)
    const before = telling()
    for (const { entry } of client.status().trunks) net.named(entry.name).kill()
    await net.settle()
    expect([told, telling()]).toEqual([['link-lost'], before])
    await net.run(client.request({ group: 'me', chain: 1, call: { method: 'eth_chainId' } }))
    await follow('me', watch)
    expect(telling()).toEqual([...before, ...before])
  })

  test('that is ended is ended at its gateway too', async () => {
    const { net, follow, telling } = await startFollowing()
    const { stop } = await follow('me', watch)
    stop()
    await net.settle()
    expect(telling()).toEqual([])
  })

  test('asks its gateway nothing while that is silent; a question on the same branch finds that out', async () => {
    const { net, client, follow, telling } = await startFollowing()
    const { told } = await follow('me', watch)
    const gateway = net.named(telling()[0] as string)
    gateway.silent = true
    await net.clock.elapse(10 * minute)
    await net.settle()
    expect(told).toEqual([])
    const asked = client.request({ group: 'me', chain: 1, call: { method: 'eth_chainId' } }).catch(() => undefined)
    await net.settle()
    await net.clock.elapse(6 * second)
    await net.settle()
    expect(told).toEqual(['timed-out'])
    await client.stop()
    await asked
  })

  test('gives way, unheard, to whoever asks where all other places are followed on, and not to who only follows', async () => {
    const { net, name, ask, follow, client } = await untilRenewed()
    const isStanding = ({ question: { method }, endedWith }: Followed) =>
      method === watch.method && endedWith === undefined
    const standing = () => net.named(name).followed.filter(isStanding).length
    for (let index = 0; index < 62; index++) await follow(`group ${index}`)
    expect([client.status().branches, standing()]).toEqual([64, 2])
    await expect(follow('one more')).rejects.toMatchObject({ code: 'limit-reached' })
    await ask('one more')
    await net.settle()
    expect([client.status().branches, standing()]).toEqual([64, 1])
  })
})

describe('independent groups', () => {
  test('follow heads at three operators, whatever fails', async () => {
    const { follow, telling, client, net } = await startFollowing(6)
    // Of six operators one of three shares has two at least.
    const isShared = (index: number) => client.gateways(`heads ${index} 1`, 1).length > 1
    const [first = 0, ...others] = [0, 1, 2].sort((a, b) => Number(isShared(b)) - Number(isShared(a)))
    await follow(`heads ${first} 1`)
    const [gone] = telling()
    for (const index of others) await follow(`heads ${index} 1`)
    const stay = telling().filter((name) => name !== gone)
    expect(new Set(telling()).size).toBe(3)
    // Whoever steps in for one that is gone is none of those that the others have.
    net.named(gone as string).kill()
    await net.settle()
    await follow(`heads ${first} 1`)
    expect(new Set(telling()).size).toBe(3)
    expect(telling()).toEqual(expect.arrayContaining(stay))
  })

  test('are as many as there are operators', async () => {
    const { follow, client, net } = await startFollowing(2)
    for (const index of [0, 1]) await follow(`heads ${index} 1`)
    const third = client.follow(
      { group: 'heads 2 1', chain: 1, questionFor: () => question },
      { onOutcome() {}, onEnd() {} },
    )
    await expect(net.run(third)).rejects.toMatchObject({ code: 'no-path' } satisfies Partial<NightjarError>)
  })

  test('ask a site’s calls a second time at another gateway, the same again and again', async () => {
    const { usedBy } = await startFollowing()
    for (const site of ['a', 'b', 'c', 'd']) {
      const [one, two] = [await usedBy(site), await usedBy(`${site} again`)]
      expect(two).not.toBe(one)
      expect(await usedBy(`${site} again`)).toBe(two)
    }
  })

  test('that ask once leave nothing behind', async () => {
    const { usedBy, state } = await startFollowing()
    await usedBy('me')
    const before = [...state.gateways]
    await usedBy('once 0123')
    expect(state.gateways).toEqual(before)
  })
})

test('a gateway that lied is left by its group, and by no other', async () => {
  const { client, usedBy, net } = await startFollowing()
  const own = await usedBy('me')
  const others = await Promise.all(
    ['a', 'b', 'c', 'd', 'e'].map(async (group) => [group, await usedBy(group)] as const),
  )
  expect(client.distrust('me', 1, own.relay.id)).toBe(own.relay.name)
  const next = await usedBy('me')
  expect(next).not.toBe(own)
  expect(client.distrust('me', 1, '')).toBe(next.relay.name)
  expect([own, next]).not.toContain(await usedBy('me'))
  for (const [group, gateway] of others) expect(await usedBy(group)).toBe(gateway)
  for (const { relay } of net.relays) client.distrust('me', 1, relay.id)
  await expect(usedBy('me')).rejects.toMatchObject({ code: 'answer-refuted' })
})

test('whoever asks is told which gateway answered, although the group has another by now', async () => {
  const { client, usedBy, net } = await startFollowing()
  const own = await usedBy('me')
  let answered = ''
  const order = { group: 'me', chain: 1, call: { method: 'eth_chainId' } }
  const onAnswered = (gateway: string) => {
    answered = gateway
  }
  const request = () => net.run(client.request(order, onAnswered))
  await request()
  expect(answered).toBe(own.relay.id)
  own.kill()
  await request()
  expect(answered).not.toBe(own.relay.id)
  expect(net.relays.map(({ relay }) => relay.id)).toContain(answered)
})

test('more groups than one trunk has places for go to the other', async () => {
  const { ask, client } = await startFollowing()
  const groups = Array.from({ length: 60 }, (_, index) => `group ${index}`)
  for (const group of groups) await ask(group)
  expect(client.status().branches).toBe(60)
})
