import { second } from '@nightjar/shared/runtime'
import { FakeClock, turn } from '@nightjar/shared/testing'
import { beforeEach, expect, test } from 'vitest'
import { eitherWay } from './eitherWay.ts'

let clock: FakeClock
let notNeeded: string[]
let taken: number
beforeEach(() => {
  clock = new FakeClock()
  notNeeded = []
  taken = 0
})

interface Way {
  readonly promise: Promise<string>
  succeed(result: string): void
  fail(code: string): void
}

function way(): Way {
  let succeed: (result: string) => void = () => {}
  let fail: (error: Error) => void = () => {}
  const promise = new Promise<string>((resolve, reject) => {
    succeed = resolve
    fail = reject
  })
  return { promise, succeed, fail: (code) => fail(new Error(code)) }
}

function take(one: Way, other?: Way): Promise<string> {
  const result = eitherWay(clock, 2 * second, {
    first: () => one.promise,
    second: () => {
      taken += 1
      return other?.promise
    },
    onNotNeeded: (each) => void notNeeded.push(each),
  })
  return result.catch((error: Error) => error.message)
}

test('the first, where that comes in time', async () => {
  const [one, other] = [way(), way()]
  const result = take(one, other)
  await clock.elapse(1999)
  one.succeed('one')
  expect([await result, taken, clock.pending]).toEqual(['one', 0, 0])
})

test('the second at once, where the first fails', async () => {
  const [one, other] = [way(), way()]
  const result = take(one, other)
  one.fail('gone')
  await turn()
  expect([taken, clock.pending]).toEqual([1, 0])
  other.succeed('other')
  expect([await result, notNeeded]).toEqual(['other', []])
})

test.each([
  ['first', 'one', ['other']],
  ['second', 'other', ['one']],
])('both, where the first is late: the %s to come, and the other one is given up', async (_, sooner, later) => {
  const [one, other] = [way(), way()]
  const result = take(one, other)
  await clock.elapse(2000)
  expect(taken).toBe(1)
  const ways = { one, other }
  ways[sooner as 'one'].succeed(sooner)
  expect(await result).toBe(sooner)
  ways[later[0] as 'one'].succeed(later[0] as string)
  await turn()
  expect(notNeeded).toEqual(later)
})

test('where one is late and the other fails, the one that is left', async () => {
  const [one, other] = [way(), way()]
  const result = take(one, other)
  await clock.elapse(2000)
  other.fail('busy')
  await turn()
  one.succeed('one')
  expect([await result, notNeeded]).toEqual(['one', []])
})

test('where both fail, how the second did; the only one, how that did', async () => {
  const [one, other, only] = [way(), way(), way()]
  const result = take(one, other)
  one.fail('gone')
  other.fail('busy')
  expect(await result).toBe('busy')
  const single = take(only)
  await clock.elapse(3000)
  only.fail('alone')
  expect(await single).toBe('alone')
})

test('what keeps the second from being tried fails it, and the first is not needed', async () => {
  const one = way()
  const result = eitherWay(clock, 2 * second, {
    first: () => one.promise,
    second: () => {
      throw new Error('no document')
    },
    onNotNeeded: (each) => void notNeeded.push(each),
  })
  const failure = result.catch((error: Error) => error.message)
  await clock.elapse(2000)
  expect(await failure).toBe('no document')
  one.succeed('one')
  await turn()
  expect(notNeeded).toEqual(['one'])
})
