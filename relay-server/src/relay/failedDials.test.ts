import { second } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import { beforeEach, expect, test } from 'vitest'
import { FailedDials } from './failedDials.ts'

let clock: FakeClock
let failed: FailedDials
beforeEach(() => {
  clock = new FakeClock()
  failed = new FailedDials(clock)
})

test('one that failed is left alone for a second, however often it fails', () => {
  for (let count = 0; count < 3; count++) {
    failed.add('middle', 'connect-failed')
    clock.advance(second - 1)
    expect(failed.codeOf('middle')).toBe('connect-failed')
    clock.advance(1)
    expect(failed.codeOf('middle')).toBeUndefined()
  }
})

test('each relay has its own, with the code of its failure', () => {
  failed.add('middle', 'connect-failed')
  failed.add('gateway', 'protocol-violation')
  expect(['middle', 'gateway', 'other'].map((relay) => failed.codeOf(relay))).toEqual([
    'connect-failed',
    'protocol-violation',
    undefined,
  ])
})

test('what is over is forgotten', () => {
  failed.add('middle', 'connect-failed')
  clock.advance(second)
  failed.add('gateway', 'connect-failed')
  expect(failed.size).toBe(1)
})
