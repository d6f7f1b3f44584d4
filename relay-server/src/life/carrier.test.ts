import { second } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import { untilEmpty } from './carrier.ts'

describe('untilEmpty', () => {
  let clock: FakeClock
  let left: number
  let hurry: AbortController
  let isOver: boolean
  beforeEach(() => {
    clock = new FakeClock()
    left = 1
    hurry = new AbortController()
    isOver = false
  })

  function wait(milliseconds = 30 * second): void {
    const over = untilEmpty(clock, { isEmpty: () => left === 0, milliseconds, hurry: hurry.signal })
    void over.then(() => {
      isOver = true
    })
  }

  test('ends as soon as nothing is left', async () => {
    wait()
    await clock.elapse(20 * second)
    expect(isOver).toBe(false)
    left = 0
    await clock.elapse(100)
    expect([isOver, clock.pending]).toEqual([true, 0])
  })

  test('ends when the time is over, whatever is left', async () => {
    wait()
    await clock.elapse(30 * second - 1)
    expect(isOver).toBe(false)
    await clock.elapse(1)
    expect([isOver, clock.pending]).toEqual([true, 0])
  })

  test('ends when it is hurried', async () => {
    wait()
    hurry.abort()
    await clock.elapse(100)
    expect(isOver).toBe(true)
  })

  test('does not wait at all where there is no time', async () => {
    wait(0)
    await clock.elapse(0)
    expect(isOver).toBe(true)
  })
})
