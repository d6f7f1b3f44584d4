import { limits } from '@nightjar/shared/limits'
import { hour, minute, second } from '@nightjar/shared/runtime'
import { codeOf } from '@nightjar/shared/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import { account, transaction } from './testing/scriptedChain.ts'
import { blockTime, Client, poll, questionOf, type WatchFields, WatchStage } from './testing/watchStage.ts'

let stage: WatchStage
let clock: WatchStage['clock']
let chain: WatchStage['chain']
beforeEach(begin)

function begin(): void {
  stage = new WatchStage()
  ;({ clock, chain } = stage)
}

describe('a watch whose branch is lost', () => {
  const fields = { account, stride: 1, delay: 4 * second }

  test('goes on reading for a while, and tells nobody', async () => {
    const client = await stage.watch(fields)
    await stage.growTo(4)
    client.followed.stop(true)
    // Half of all linger less than ln 2 of the mean.
    await clock.elapse(2 * hour * Math.LN2 - 1)
    expect(clock.pending).toBeGreaterThan(0)
    await clock.elapse(1)
    expect([client.numbers, clock.pending]).toEqual([[[2], [3], [4]], 0])
  })

  test.each([
    [0, 0],
    [0.25, 2_071_311],
    [0.9, 16_578_613],
    [0.9999999, 8 * hour],
  ])('lingers by chance: %d gives %i ms', async (value, duration) => {
    const client = await stage.watch(fields)
    stage.chance = value
    client.followed.stop(true)
    if (duration > 0) await clock.elapse(duration - 1)
    expect(clock.pending > 0).toBe(true)
    await clock.elapse(1)
    expect(clock.pending).toBe(0)
  })

  test('is counted, and keeps its gateway from being quiet, until it is over', async () => {
    const client = await stage.watch(fields)
    let isQuiet = false
    await stage.gateway.quiet()
    expect(stage.gateway.followed()).toEqual({ heads: 0, watches: 1, lingering: 0 })
    client.followed.stop(true)
    void stage.gateway.quiet().then(() => {
      isQuiet = true
    })
    await clock.elapse(2 * hour * Math.LN2 - 1)
    expect([isQuiet, stage.gateway.followed()]).toEqual([false, { heads: 0, watches: 0, lingering: 1 }])
    await clock.elapse(1)
    expect([isQuiet, stage.gateway.followed()]).toEqual([true, { heads: 0, watches: 0, lingering: 0 }])
  })

  test('is read for in its rhythm meanwhile', async () => {
    const client = await stage.watch(fields)
    await stage.growTo(4)
    stage.chance = 0.9
    client.followed.stop(true)
    await stage.growTo(8)
    expect(stage.proofs).toEqual([2, 3, 4, 5, 6, 7, 8])
    expect(client.numbers).toEqual([[2], [3], [4]])
  })

  test('is taken over by a client that asks for the same: the provider sees no gap', async () => {
    const client = await stage.watch(fields)
    await stage.growTo(4)
    stage.chance = 0.9
    client.followed.stop(true)
    await stage.growTo(6)
    const again = await stage.watch(fields)
    await stage.growTo(9)
    expect(again.numbers).toEqual([[7], [8], [9]])
    expect(client.numbers).toEqual([[2], [3], [4]])
    const slots = chain.askedFor('eth_getProof').map(({ at }) => at)
    expect(slots).toEqual([2, 3, 4, 5, 6, 7, 8, 9].map((number) => (number - 2) * blockTime + poll + 4 * second))
    // It is the new client's for good now.
    await clock.elapse(20 * minute)
    await stage.growTo(10)
    expect(again.numbers.at(-1)).toEqual([10])
    again.followed.stop(false)
    expect(clock.pending).toBe(0)
  })

  test('is taken over in the middle of a slot too', async () => {
    const client = await stage.watch(fields)
    await stage.growTo(2)
    stage.chance = 0.9
    chain.head = 3
    await clock.elapse(2 * second)
    client.followed.stop(true)
    const again = await stage.watch(fields)
    await clock.elapse(4 * second)
    expect([again.numbers, again.joined, stage.proofs]).toEqual([[[3]], 1, [2, 3]])
  })

  test('is joined so by the next branch of its client, which misses nothing', async () => {
    const client = await stage.watch(fields)
    await stage.growTo(2)
    chain.head = 3
    await clock.elapse(2 * second)
    const next = await stage.watch(fields)
    await clock.elapse(4 * second)
    expect([client.numbers, next.numbers, stage.proofs]).toEqual([[[2], [3]], [[3]], [2, 3]])
    // It is told so, and by that need not read what will come.
    expect([client.joined, next.joined]).toEqual([0, 1])
    expect(stage.gateway.followed()).toEqual({ heads: 0, watches: 2, lingering: 0 })
    client.followed.stop(true)
    expect(stage.gateway.followed()).toEqual({ heads: 0, watches: 1, lingering: 0 })
  })

  test.each<[string, WatchFields, number]>([
    ['at another account', { ...fields, account: `0x${'b2'.repeat(20)}` }, 1],
    ['in another stride', { ...fields, stride: 2 }, 1],
    ['on another chain', fields, 10],
    ['at a transaction', { transaction, stride: 1, delay: 4 * second }, 1],
    ['in another delay', { ...fields, delay: 5 * second }, 1],
    // Or it would tell whoever asks that somebody else is here.
    ['without its secret', { ...fields, secret: '01'.repeat(16) }, 1],
  ])('is not taken over by one that looks %s', async (_, others, id) => {
    const client = await stage.watch(fields)
    await stage.growTo(4)
    stage.chance = 0.9
    client.followed.stop(true)
    const before = chain.asked.length
    const other = await stage.watch(others, id)
    expect(other.joined).toBe(0)
    await stage.growTo(5)
    const reads = chain.asked.slice(before).filter(({ params }) => params[0] === account && params[2] === '0x5')
    // The one that lingers, and another where it looks at the same block.
    expect(reads.length).toBe(others.account === account && others.stride === 1 ? 2 : 1)
    other.followed.stop(false)
    expect(clock.pending).toBeGreaterThan(0)
  })

  test('does not linger where its client has asked for the same on another branch already', async () => {
    const client = await stage.watch(fields)
    await stage.growTo(2)
    const moved = await stage.watch(fields)
    client.followed.stop(true)
    await stage.growTo(4)
    expect([moved.numbers, stage.proofs]).toEqual([
      [[3], [4]],
      [2, 3, 4],
    ])
    moved.followed.stop(false)
    expect(clock.pending).toBe(0)
  })

  test('that ends by itself meanwhile leaves nothing', async () => {
    const client = await stage.watch(fields)
    client.followed.stop(true)
    chain.instead.set('eth_getBlockByNumber', 'upstream-failed')
    await clock.elapse(30 * second)
    expect(clock.pending).toBe(0)
    chain.instead.clear()
    const again = await stage.watch(fields)
    await stage.growTo(2)
    expect(again.numbers).toEqual([[2]])
  })

  test('ends at once where the gateway closes', async () => {
    const client = await stage.watch(fields)
    client.followed.stop(true)
    stage.gateway.close()
    expect(clock.pending).toBe(0)
  })
})

test('a watch that its client ends is ended at once, whatever it was doing', async () => {
  for (const wait of [0, poll, poll + 4 * second, blockTime]) {
    const client = await stage.watch({ account, stride: 1, delay: 4 * second })
    chain.latency = () => 2 * second
    chain.head += 1
    await clock.elapse(wait)
    client.followed.stop(false)
    client.followed.stop(true)
    chain.latency = () => 0
    await clock.elapse(2 * second)
    expect(clock.pending).toBe(0)
  }
})

describe('two who watch the same account', () => {
  test('are read for twice, each at its own times', async () => {
    const one = await stage.watch({ account, stride: 5, delay: 1 * second })
    const two = await stage.watch({ account, stride: 5, delay: 7 * second })
    const same = await stage.watch({ account, stride: 5, delay: 7 * second })
    await stage.growTo(10)
    expect([one, two, same].map(({ numbers }) => numbers)).toEqual(Array(3).fill([[5], [10]]))
    // Who knows the secret is the same client, on its next branch.
    expect(stage.proofs).toEqual([5, 5, 10, 10])
    two.followed.stop(false)
    await stage.growTo(15)
    expect(stage.proofs.slice(4)).toEqual([15, 15])
    expect([two.numbers.length, same.numbers.length]).toEqual([2, 3])
  })
})

describe('bounds', () => {
  test('are what a gateway holds of watches, and of those that linger', async () => {
    stage.chance = 0.9
    const client = await stage.watch({ account, stride: 1, delay: 0 })
    const all = Array.from({ length: limits.watchesPerProcess - 1 }, (_, delay) => {
      const followed = stage.gateway.follow(questionOf({ account, stride: 1000, delay }))
      const each = new Client(followed)
      followed.start(each)
      return each
    })
    const again = stage.gateway.follow(questionOf({ account, stride: 1, delay: 0 }))
    const oneMore = stage.gateway.follow(questionOf({ account, stride: 1, delay: 1 }))
    expect(codeOf(() => oneMore.start(client))).toBe('limit-reached')
    // That one is there already.
    again.start(client)
    again.stop(false)
    for (const each of all) each.followed.stop(true)
    client.followed.stop(false)
    // Each that lingers has a timer; all share one of the follower's poll, and one for its patience.
    expect(clock.pending).toBe(limits.lingeringWatches + 2)
    oneMore.start(client)
    oneMore.stop(false)
    stage.gateway.close()
    expect(clock.pending).toBe(0)
  })
})
