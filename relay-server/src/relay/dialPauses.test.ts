import { second } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import { limits } from '../limits/limits.ts'
import { DialPauses } from './dialPauses.ts'

let clock: FakeClock
let pauses: DialPauses
beforeEach(() => {
  clock = new FakeClock()
  pauses = new DialPauses(clock)
})

/** Seconds until `middle` may be dialled, as the clock goes on. */
function waitOut(): number {
  let waited = 0
  for (; pauses.codeOf('middle') !== undefined; waited++) clock.advance(second)
  return waited
}

test('one that failed is left alone for a second, however often it fails', () => {
  for (let count = 0; count < 3; count++) {
    pauses.addFailure('middle', 'connect-failed')
    clock.advance(second - 1)
    expect(pauses.codeOf('middle')).toBe('connect-failed')
    clock.advance(1)
    expect(pauses.codeOf('middle')).toBeUndefined()
  }
})

test('each relay has its own, with the code of its failure', () => {
  pauses.addFailure('middle', 'connect-failed')
  for (let count = 0; count < 2; count++) pauses.addShortLink('gateway', 'draining')
  expect(['middle', 'gateway', 'other'].map((relay) => pauses.codeOf(relay))).toEqual([
    'connect-failed',
    'draining',
    undefined,
  ])
})

describe('one whose links are short', () => {
  /** The pauses, in seconds, after so many short links, each dialled `rest` after the pause of the one before. */
  function shortLinks(count: number, rest = 0): number[] {
    return Array.from({ length: count }, () => {
      clock.advance(rest)
      pauses.addShortLink('middle', 'link-lost')
      return waitOut()
    })
  }

  test('is left alone after the second, and for twice as long each time, up to the longest', () => {
    expect(shortLinks(9)).toEqual([0, 1, 2, 4, 8, 16, 32, 32, 32])
  })

  // Found by review: a dial that was under way then failed, and all began anew a second later.
  test('is left alone no shorter for a dial that fails meanwhile', () => {
    expect(shortLinks(5)).toEqual([0, 1, 2, 4, 8])
    pauses.addShortLink('middle', 'link-lost')
    pauses.addFailure('middle', 'connect-failed')
    expect(waitOut()).toBe(16)
  })

  test('begins anew once a link has stood', () => {
    expect(shortLinks(4)).toEqual([0, 1, 2, 4])
    expect(shortLinks(3, limits.linkSteadyAfter)).toEqual([0, 0, 0])
    expect(shortLinks(3, limits.linkSteadyAfter - 1)).toEqual([1, 2, 4])
  })

  test('is not forgiven for a dial that failed between', () => {
    expect(shortLinks(4)).toEqual([0, 1, 2, 4])
    pauses.addFailure('middle', 'connect-failed')
    expect(waitOut()).toBe(1)
    expect(shortLinks(1)).toEqual([8])
  })

  test('pays once for several that end together', () => {
    for (let count = 0; count < limits.linksPerRelay; count++) pauses.addShortLink('middle', 'link-lost')
    expect(waitOut()).toBe(1)
    expect(shortLinks(1)).toEqual([2])
  })
})

test('what is over is forgotten', () => {
  pauses.addFailure('middle', 'connect-failed')
  pauses.addShortLink('entry', 'link-lost')
  clock.advance(limits.dialPause + limits.linkSteadyAfter)
  pauses.addFailure('gateway', 'connect-failed')
  expect(pauses.size).toBe(1)
})
