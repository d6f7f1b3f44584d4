import { NightjarError } from '@nightjar/shared/errors'
import { FakeClock } from '@nightjar/shared/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import { Hedges } from './hedges.ts'
import { askInTurn } from './inTurn.ts'

describe('what is usual', () => {
  test('is not known before twenty answers, and is what nearly all keep to afterwards', () => {
    const hedges = new Hedges()
    for (let latency = 1; latency < 20; latency++) hedges.learn(latency)
    expect(hedges.begin()).toBeUndefined()
    hedges.learn(20)
    expect(hedges.begin()).toBe(20)
    for (let latency = 21; latency <= 200; latency++) hedges.learn(latency)
    expect(hedges.begin()).toBe(191)
  })

  test('follows the last two hundred', () => {
    const hedges = new Hedges()
    for (let i = 0; i < 200; i++) hedges.learn(1000)
    for (let i = 0; i < 200; i++) hedges.learn(10)
    expect(hedges.begin()).toBe(10)
  })
})

test('one question in twenty may be asked twice, and ten at most at once', () => {
  const hedges = new Hedges()
  expect(hedges.spend()).toBe(false)
  let seconds = 0
  for (let i = 0; i < 1000; i++) {
    hedges.begin()
    if (hedges.spend()) seconds += 1
  }
  expect(seconds).toBe(50)
  for (let i = 0; i < 1000; i++) hedges.begin()
  expect(Array.from({ length: 20 }, () => hedges.spend()).filter(Boolean)).toHaveLength(10)
})

describe('asking in turn', () => {
  interface Asked {
    readonly signal: AbortSignal
    answer(value: string): void
    fail(error?: Error): void
  }

  let clock: FakeClock
  let asked: Asked[]
  let seconds: number
  let ended: AbortController
  beforeEach(() => {
    clock = new FakeClock()
    asked = []
    seconds = 0
    ended = new AbortController()
  })

  function begin(count: number, maySecond = true): Promise<string> {
    const ask = (signal: AbortSignal) =>
      new Promise<string>((answer, reject) => {
        asked.push({ signal, answer, fail: (error = new NightjarError('upstream-failed')) => reject(error) })
      })
    const promise = askInTurn({
      asks: Array.from({ length: count }, () => ask),
      signal: ended.signal,
      clock,
      patience: 100,
      maySecond: () => maySecond,
      onSecond: () => {
        seconds += 1
      },
    })
    promise.catch(() => undefined)
    return promise
  }

  test('one that answers in time is the only one', async () => {
    const answer = begin(3)
    await clock.elapse(99)
    asked[0]?.answer('first')
    expect(await answer).toBe('first')
    await clock.elapse(1000)
    expect([asked.length, seconds, clock.pending]).toEqual([1, 0, 0])
  })

  test.each([
    [0, 1],
    [1, 0],
  ])('of two, number %i answers and number %i is given up', async (winner, loser) => {
    const answer = begin(3)
    await clock.elapse(100)
    expect([asked.length, seconds]).toEqual([2, 1])
    asked[winner]?.answer('won')
    expect(await answer).toBe('won')
    expect(asked[loser]?.signal.aborted).toBe(true)
    expect(clock.pending).toBe(0)
  })

  test('there is no second where the budget is spent', async () => {
    begin(3, false)
    await clock.elapse(1000)
    expect([asked.length, seconds]).toEqual([1, 0])
  })

  test('where the first fails the next is asked, and none beside it', async () => {
    const answer = begin(2)
    asked[0]?.fail()
    await clock.elapse(1000)
    expect([asked.length, seconds]).toEqual([2, 0])
    asked[1]?.answer('second')
    expect(await answer).toBe('second')
  })

  test('fails once all have failed, with what the last one failed with', async () => {
    const answer = begin(2)
    await clock.elapse(100)
    asked[0]?.fail()
    await clock.elapse(0)
    expect(asked[1]?.signal.aborted).toBe(false)
    asked[1]?.fail(new NightjarError('upstream-failed', { detail: 'last' }))
    await expect(answer).rejects.toMatchObject({ detail: 'last' })
  })

  test('an error that another would give as well ends it', async () => {
    const answer = begin(2)
    asked[0]?.fail(new NightjarError('answer-too-large'))
    await expect(answer).rejects.toMatchObject({ code: 'answer-too-large' })
    expect([asked.length, clock.pending]).toEqual([1, 0])
  })

  test('once nobody waits, nobody is asked any more', async () => {
    const answer = begin(3)
    ended.abort()
    expect(asked[0]?.signal.aborted).toBe(true)
    asked[0]?.fail()
    await expect(answer).rejects.toMatchObject({ code: 'upstream-failed' })
    await clock.elapse(1000)
    expect([asked.length, clock.pending]).toEqual([1, 0])
  })
})
