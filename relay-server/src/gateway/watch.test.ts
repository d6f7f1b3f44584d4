import { second } from '@nightjar/shared/runtime'
import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { account } from './testing/scriptedChain.ts'
import { blockTime, poll, WatchStage } from './testing/watchStage.ts'

let stage: WatchStage
let clock: WatchStage['clock']
let chain: WatchStage['chain']
beforeEach(begin)

function begin(): void {
  stage = new WatchStage()
  ;({ clock, chain } = stage)
}

describe('an account is read', () => {
  test('at each block of the grid, its delay after the head has come there, and told whether or not it changed', async () => {
    chain.head = 7
    const client = await stage.watch({ account, stride: 5, delay: 3 * second })
    await stage.growTo(26)
    expect(client.told).toEqual([10, 15, 20, 25].map((number) => [chain.state(number)]))
    const slots = [10, 15, 20, 25].map((number) => ({
      at: (number - 8) * blockTime + poll + 3 * second,
      method: 'eth_getProof',
      params: [account, [], `0x${number.toString(16)}`],
    }))
    expect(chain.asked.filter(({ params }) => params[0] !== 'latest')).toEqual(slots)
    expect(client.ends).toEqual([])
  })

  test('for the first time at the first block of the grid that comes, not at one that was there', async () => {
    chain.head = 10
    const client = await stage.watch({ account, stride: 5, delay: 0 })
    await stage.growTo(14)
    expect([client.told, stage.proofs]).toEqual([[], []])
    await stage.growTo(15)
    expect(client.numbers).toEqual([[15]])
  })

  test('at the newest block of the grid where more than one came during the delay, and at none twice', async () => {
    const client = await stage.watch({ account, stride: 1, delay: 63 * second })
    await stage.growTo(25)
    expect(client.numbers).toEqual([[7], [13], [19], [25]])
    expect(stage.proofs).toEqual([7, 13, 19, 25])
  })

  test('once at a time: where an answer takes long, the newest block is next', async () => {
    const client = await stage.watch({ account, stride: 1, delay: 0 })
    chain.latency = (method) => (method === 'eth_getProof' ? 25 * second : 0)
    await stage.growTo(12)
    const times = chain.askedFor('eth_getProof').map(({ at }) => at)
    for (const [index, at] of times.entries())
      if (index > 0) expect(at - (times[index - 1] as number)).toBeGreaterThanOrEqual(25 * second)
    const numbers = client.numbers.flat()
    expect(numbers.length).toBeGreaterThan(2)
    expect([...new Set(numbers)].sort((a, b) => a - b)).toEqual(numbers)
  })

  test.each([1, 3, 10, 1000])('with a stride of %i at the blocks that it divides', async (stride) => {
    chain.head = 2995
    const client = await stage.watch({ account, stride, delay: 1 * second })
    await stage.growTo(3012)
    const expected = Array.from({ length: 17 }, (_, index) => 2996 + index).filter((number) => number % stride === 0)
    expect(client.numbers.flat()).toEqual(expected)
  })
})

describe('where the chain is reorganised', () => {
  test('after the account was told, it is told again at the next slot, with the newest', async () => {
    chain.head = 9
    const client = await stage.watch({ account, stride: 5, delay: 3 * second })
    await stage.growTo(11)
    const before = chain.state(10)
    chain.fork(10, 9)
    await stage.growTo(16)
    expect(client.told).toEqual([[before], [chain.state(10), chain.state(15)]])
    expect(chain.state(10)).not.toEqual(before)
    await stage.growTo(20)
    expect(client.told.slice(2)).toEqual([[chain.state(20)]])
  })

  test('between two slots, below the head only, nothing is told again', async () => {
    chain.head = 9
    const client = await stage.watch({ account, stride: 5, delay: 3 * second })
    await stage.growTo(12)
    chain.fork(12, 9)
    await stage.growTo(16)
    expect(client.numbers).toEqual([[10], [15]])
  })

  test('behind the slot, its block is told when it has come again', async () => {
    chain.head = 9
    const client = await stage.watch({ account, stride: 5, delay: 0 })
    await stage.growTo(11)
    chain.fork(8, 9)
    chain.head = 8
    await clock.elapse(3 * poll)
    await stage.growTo(15)
    expect(client.told.slice(1)).toEqual([[chain.state(10)], [chain.state(15)]])
  })

  test('in no way, but upstreams are behind for a while, nothing is told twice', async () => {
    chain.head = 9
    const client = await stage.watch({ account, stride: 5, delay: 0 })
    await stage.growTo(11)
    chain.head = 9
    await clock.elapse(3 * poll)
    await stage.growTo(15)
    expect(client.numbers).toEqual([[10], [15]])
  })

  test('or heads are missed, the hash is what the upstream says', async () => {
    chain.head = 9
    const client = await stage.watch({ account, stride: 5, delay: 0 })
    for (const head of [11, 18, 33]) {
      chain.head = head
      await clock.elapse(blockTime)
    }
    expect(client.told).toEqual([[chain.state(10)], [chain.state(15)], [chain.state(30)]])
    chain.fork(29, 3)
    chain.head = 48
    await clock.elapse(blockTime)
    expect(client.told.slice(3)).toEqual([[chain.state(30), chain.state(45)]])
  })
})

test('whatever chain and schedule, blocks told are of the grid, ascend, and come no sooner than their delay', async () => {
  const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 1, max: 40 })), { maxLength: 30 })
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 0, max: 120 }),
      steps,
      async (stride, delay, script) => {
        begin()
        const client = await stage.watch({ account, stride, delay: delay * second })
        const since = new Map<number, number>([[1, 0]])
        let elapsed = 0
        for (const [blocks, seconds] of script) {
          chain.head += blocks
          for (let number = chain.head - blocks + 1; number <= chain.head; number++) since.set(number, elapsed)
          elapsed += seconds * second
          await clock.elapse(seconds * second)
        }
        const numbers = client.numbers.flat()
        expect(numbers.every((number) => number % stride === 0)).toBe(true)
        expect([...new Set(numbers)].sort((a, b) => a - b)).toEqual(numbers)
        const told = chain.askedFor('eth_getProof')
        expect(told.map(({ params }) => Number(params[2]))).toEqual(numbers)
        for (const [index, { at }] of told.entries()) {
          const before = index === 0 ? 0 : (told[index - 1]?.at as number)
          expect(at - before).toBeGreaterThanOrEqual(delay * second)
          const reached = [...since].filter(([number, time]) => time <= at && number % stride === 0)
          expect(reached.map(([number]) => number)).toContain(numbers[index])
        }
        client.followed.stop(false)
        expect(clock.pending).toBe(0)
      },
    ),
    { numRuns: 60 },
  )
})
