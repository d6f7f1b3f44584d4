import { second } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TokenBucket } from './bucket.ts'

describe('a token bucket', () => {
  test('gives what is there at once, then so much per second, and never saves more than that', () => {
    const clock = new FakeClock()
    const bucket = new TokenBucket(clock, { perSecond: 2, atOnce: 3 })
    expect([1, 1, 1, 1].map((count) => bucket.take(count))).toEqual([true, true, true, false])
    clock.advance(second)
    expect([bucket.take(2), bucket.take(1)]).toEqual([true, false])
    clock.advance(100 * second)
    expect([bucket.take(4), bucket.take(3)]).toEqual([false, true])
  })

  test('says how long a debt takes to be paid', () => {
    const clock = new FakeClock()
    const bucket = new TokenBucket(clock, { perSecond: 10, atOnce: 10 })
    bucket.owe(15)
    expect(bucket.debt).toBe(0.5 * second)
    clock.advance(0.25 * second)
    expect([bucket.debt, bucket.take(1)]).toEqual([0.25 * second, false])
    clock.advance(0.25 * second)
    expect(bucket.debt).toBe(0)
  })

  test('has no more to owe from after a long rest than it ever has at once', () => {
    const clock = new FakeClock()
    const bucket = new TokenBucket(clock, { perSecond: 10, atOnce: 10 })
    clock.advance(100 * second)
    bucket.owe(15)
    expect(bucket.debt).toBe(0.5 * second)
  })

  test('a clock that is set gives and takes nothing', () => {
    const clock = new FakeClock()
    const bucket = new TokenBucket(clock, { perSecond: 1, atOnce: 1 })
    expect(bucket.take(1)).toBe(true)
    clock.set(60 * second)
    expect(bucket.take(1)).toBe(false)
    clock.set(-120 * second)
    clock.advance(second)
    expect(bucket.take(1)).toBe(true)
  })

  test('in no stretch of time more is given than the rate allows', () => {
    const steps = fc.array(
      fc.record({ wait: fc.integer({ min: 0, max: 3000 }), count: fc.integer({ min: 1, max: 9 }) }),
    )
    fc.assert(
      fc.property(steps, (list) => {
        const clock = new FakeClock()
        const started = clock.now()
        const bucket = new TokenBucket(clock, { perSecond: 3, atOnce: 7 })
        let given = 0
        for (const { wait, count } of list) {
          clock.advance(wait)
          if (bucket.take(count)) given += count
          expect(given).toBeLessThanOrEqual(7 + (3 * (clock.now() - started)) / second + 1e-6)
        }
      }),
    )
  })
})
