import type { ErrorCode } from '@nightjar/shared/errors'
import type { Outcome } from '@nightjar/shared/rpc'
import { second } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import { HeadFollower, type HeadListener } from './follower.ts'
import type { PushedHeads, PushListener } from './headsSocket.ts'
import { block, FollowedChain, header } from './testing/blocks.ts'

const every = 2 * second

class Listener implements HeadListener {
  readonly numbers: number[] = []
  readonly ends: ErrorCode[] = []
  onHead({ number }: { number: bigint }): void {
    this.numbers.push(Number(number))
  }
  onEnd(code: ErrorCode): void {
    this.ends.push(code)
  }
}

let clock: FakeClock
let chain: FollowedChain
let heads: HeadFollower
let listener: Listener
beforeEach(() => {
  clock = new FakeClock()
  chain = new FollowedChain()
  heads = new HeadFollower({ upstreams: chain, clock, every })
  listener = new Listener()
})

/** Follows, with the answer to the first poll come in. */
async function follow(who: Listener = listener): Promise<void> {
  heads.follow(who)
  await clock.elapse(0)
}

describe('a follower', () => {
  test('tells the newest head at once, then each that differs', async () => {
    await follow()
    expect(listener.numbers).toEqual([1])
    chain.show(2)
    await clock.elapse(every - 1)
    expect(listener.numbers).toEqual([1])
    await clock.elapse(1)
    expect(listener.numbers).toEqual([1, 2])
    await clock.elapse(10 * every)
    expect(listener.numbers).toEqual([1, 2])
    chain.show(5)
    await clock.elapse(every)
    expect(listener.numbers).toEqual([1, 2, 5])
  })

  test('asks for the newest block without transactions, as often as it is told', async () => {
    await follow()
    await clock.elapse(10 * every)
    expect(chain.asked).toEqual(Array(11).fill({ method: 'eth_getBlockByNumber', params: ['latest', false] }))
  })

  test('never asks while an answer is awaited', async () => {
    let answer: (outcome: Outcome) => void = () => {}
    chain.latest = new Promise((resolve) => (answer = resolve))
    await follow()
    await clock.elapse(5 * every)
    expect(chain.asked).toHaveLength(1)
    answer({ result: block(3) })
    await clock.elapse(0)
    expect(listener.numbers).toEqual([3])
    chain.show(4)
    await clock.elapse(every)
    expect(listener.numbers).toEqual([3, 4])
  })

  test('tells of a reorganisation: another block of the same number', async () => {
    await follow()
    chain.show(1, 9)
    await clock.elapse(every)
    expect(listener.numbers).toEqual([1, 1])
  })

  test('does not believe one upstream that is behind, but a chain that stays behind', async () => {
    chain.show(8)
    await follow()
    for (const number of [7, 8, 7, 9, 6, 9, 5]) {
      chain.show(number)
      await clock.elapse(every)
    }
    expect(listener.numbers).toEqual([8, 9])
    for (const number of [6, 7, 7]) {
      chain.show(number)
      await clock.elapse(every)
    }
    expect(listener.numbers).toEqual([8, 9, 6, 7])
  })
})

describe('what a follower knows of the chain', () => {
  test('are the blocks since its first head and the parent of that, up to the last few thousand', async () => {
    chain.show(5)
    await follow()
    expect([heads.hashAt(4n), heads.hashAt(5n)]).toEqual([header(4).hash, header(5).hash])
    for (let number = 6; number <= 2060; number++) {
      chain.show(number)
      await clock.elapse(every)
    }
    expect([4n, 12n].map((number) => heads.hashAt(number))).toEqual([undefined, undefined])
    expect([13n, 2060n, 2061n].map((number) => heads.hashAt(number))).toEqual([
      header(13).hash,
      header(2060).hash,
      undefined,
    ])
    expect(heads.recent.map(({ number }) => Number(number))).toEqual(Array.from({ length: 16 }, (_, i) => 2045 + i))
  })

  test.each([
    ['a gap', 9, 0],
    ['another branch', 7, 3],
    ['a chain that has gone back', 4, 3],
  ])('is forgotten after %s, but for the head and its parent', async (_, number, fork) => {
    for (const known of [5, 6, 7]) {
      chain.show(known)
      if (known === 5) await follow()
      else await clock.elapse(every)
    }
    chain.show(number, fork)
    await clock.elapse(2 * every)
    expect(heads.recent.map(({ hash }) => hash)).toEqual([header(number, fork).hash])
    const known = Array.from({ length: 12 }, (_, index) => index).filter((at) => heads.hashAt(BigInt(at)) !== undefined)
    expect(known).toEqual([number - 1, number])
  })

  test('is nothing once nobody follows', async () => {
    await follow()
    heads.unfollow(listener)
    expect([heads.recent, heads.hashAt(1n)]).toEqual([[], undefined])
  })
})

describe('several who follow', () => {
  test('share one poll, and each is told the newest head when it comes', async () => {
    const late = new Listener()
    await follow()
    chain.show(2)
    await clock.elapse(every)
    heads.follow(late)
    expect(late.numbers).toEqual([2])
    chain.show(3)
    await clock.elapse(every)
    expect([listener.numbers, late.numbers]).toEqual([
      [1, 2, 3],
      [2, 3],
    ])
    expect(chain.asked).toHaveLength(3)
  })

  test('are all told the first head where they wait for it together', async () => {
    const other = new Listener()
    heads.follow(listener)
    await follow(other)
    expect([listener.numbers, other.numbers, chain.asked.length]).toEqual([[1], [1], 1])
  })

  test('keep it going until the last has left; then nothing is asked or remembered', async () => {
    const other = new Listener()
    await follow()
    await follow(other)
    heads.unfollow(listener)
    chain.show(2)
    await clock.elapse(every)
    expect([listener.numbers, other.numbers]).toEqual([[1], [1, 2]])
    heads.unfollow(listener)
    expect(clock.pending).toBeGreaterThan(0)
    heads.unfollow(other)
    expect(clock.pending).toBe(0)
    await clock.elapse(20 * every)
    expect(chain.asked).toHaveLength(2)

    chain.show(1)
    await follow()
    expect(listener.numbers).toEqual([1, 1])
  })

  test('may leave while they are told, or all at once while an answer is awaited', async () => {
    const leaving = new Listener()
    leaving.onHead = () => heads.unfollow(leaving)
    await follow(leaving)
    expect(clock.pending).toBe(0)

    let answer: (outcome: Outcome) => void = () => {}
    chain.latest = new Promise((resolve) => (answer = resolve))
    await follow()
    heads.unfollow(listener)
    expect(chain.signals.map(({ aborted }) => aborted)).toEqual([true, true])
    answer({ result: block(3) })
    await clock.elapse(10 * every)
    expect([listener.numbers, chain.asked.length, clock.pending]).toEqual([[], 2, 0])
  })

  test('that come again before an old poll is answered do not hear its answer', async () => {
    let answer: (outcome: Outcome) => void = () => {}
    chain.latest = new Promise((resolve) => (answer = resolve))
    await follow()
    heads.unfollow(listener)
    chain.show(5)
    await follow()
    answer({ result: block(3) })
    await clock.elapse(3 * every)
    expect(listener.numbers).toEqual([5])
    expect(chain.asked).toHaveLength(5)
  })
})

describe('an upstream', () => {
  test.each<[string, FollowedChain['latest']]>([
    ['that fails', 'upstream-failed'],
    ['that answers with an error', { error: { code: -32005, message: 'rate limit' } }],
    ['that has no block', { result: null }],
    ['that answers with a text', { result: 'latest' }],
    ['whose block has no hash', { result: { ...block(2), hash: null } }],
    ['whose block is huge', { result: { ...block(2), extraData: `0x${'00'.repeat(1_000_000)}` } }],
  ])('%s is counted, shows nothing to anybody, and stops nothing', async (_, latest) => {
    await follow()
    chain.latest = latest
    await clock.elapse(3 * every)
    expect(heads.failures).toBe(3)
    chain.show(2)
    await clock.elapse(every)
    expect([listener.numbers, listener.ends, heads.failures]).toEqual([[1, 2], [], 3])
  })

  test('that is dead for half a minute ends them all; whoever comes then tries anew', async () => {
    const other = new Listener()
    await follow()
    await follow(other)
    chain.latest = 'upstream-failed'
    await clock.elapse(30 * second - 1)
    expect(listener.ends).toEqual([])
    await clock.elapse(1)
    expect([listener.ends, other.ends]).toEqual([['upstream-failed'], ['upstream-failed']])
    expect(clock.pending).toBe(0)

    chain.show(2)
    await follow()
    expect(listener.numbers).toEqual([1, 2])
  })

  test('that never answers ends them after as long', async () => {
    chain.latest = new Promise(() => {})
    await follow()
    await clock.elapse(30 * second)
    expect(listener.ends).toEqual(['upstream-failed'])
    expect(chain.signals[0]?.aborted).toBe(true)
  })

  test('that stands still is alive: the same head again will do', async () => {
    await follow()
    await clock.elapse(300 * second)
    expect([listener.numbers, listener.ends]).toEqual([[1], []])
  })
})

describe('where heads are pushed', () => {
  class Pushed implements PushedHeads {
    listener: PushListener | undefined
    doubts = 0
    start(listener: PushListener): void {
      this.listener = listener
    }
    stop(): void {
      this.listener = undefined
    }
    doubt(): void {
      this.doubts += 1
      this.listener?.onLost()
    }
    push(number: number): void {
      this.listener?.onBlock({ result: block(number) })
    }
  }

  let pushed: Pushed
  beforeEach(() => {
    pushed = new Pushed()
    heads = new HeadFollower({ upstreams: chain, clock, every, pushed })
  })

  test('they are told as they come, and polls are five times rarer', async () => {
    await follow()
    pushed.push(1)
    pushed.push(2)
    expect(listener.numbers).toEqual([1, 2])
    chain.show(2)
    // The poll that was due already, then one.
    await clock.elapse(every + 5 * every)
    expect(chain.asked).toHaveLength(3)
    await clock.elapse(5 * every - 1)
    expect([chain.asked.length, pushed.doubts]).toEqual([3, 0])
  })

  test('polls are as frequent as before once nothing is pushed any more', async () => {
    await follow()
    pushed.push(1)
    await clock.elapse(every)
    pushed.listener?.onLost()
    const before = chain.asked.length
    await clock.elapse(3 * every)
    expect(chain.asked).toHaveLength(before + 3)
    chain.show(4)
    await clock.elapse(every)
    expect(listener.numbers).toEqual([1, 4])
  })

  test('losing them while a poll is under way makes no second poll beside it', async () => {
    let answer: (outcome: Outcome) => void = () => {}
    chain.latest = new Promise((resolve) => (answer = resolve))
    await follow()
    pushed.push(1)
    pushed.listener?.onLost()
    await clock.elapse(5 * every)
    expect(chain.asked).toHaveLength(1)
    answer({ result: block(1) })
    await clock.elapse(every)
    expect(chain.asked).toHaveLength(2)
  })

  test('a place that has stopped pushing is doubted, and heads are polled as before', async () => {
    await follow()
    pushed.push(1)
    await clock.elapse(every)
    chain.show(5)
    await clock.elapse(5 * every)
    expect([listener.numbers, pushed.doubts]).toEqual([[1, 5], 0])
    await clock.elapse(5 * every)
    expect(pushed.doubts).toBe(1)
    chain.show(6)
    await clock.elapse(every)
    expect(listener.numbers).toEqual([1, 5, 6])
  })

  test('one that is behind, or no block, changes nothing', async () => {
    chain.show(9)
    await follow()
    for (const number of [7, 7, 8]) pushed.push(number)
    pushed.listener?.onBlock({ result: null })
    pushed.listener?.onBlock({ error: { code: -32000, message: 'gone' } })
    expect(listener.numbers).toEqual([9])
  })

  test('nothing is pushed to a follower whom nobody follows', async () => {
    await follow()
    pushed.push(1)
    heads.unfollow(listener)
    expect([pushed.listener, clock.pending]).toEqual([undefined, 0])
  })
})
