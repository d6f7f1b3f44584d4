import { second } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import { beforeEach, expect, test } from 'vitest'
import { limits } from '../limits/limits.ts'
import { FailedDials } from './failedDials.ts'

let clock: FakeClock
let failed: FailedDials
beforeEach(() => {
  clock = new FakeClock()
  failed = new FailedDials(clock)
})

/** How long `middle` is not dialled after it fails now, in seconds; the clock is at the end of that. */
function pause(): number {
  failed.add('middle', 'connect-failed')
  const begun = clock.elapsed()
  while (failed.codeOf('middle') !== undefined) clock.advance(second)
  return (clock.elapsed() - begun) / second
}

test('the pause doubles from one second to thirty, and is one second again after a success', () => {
  expect(Array.from({ length: 7 }, pause)).toEqual([1, 2, 4, 8, 16, 30, 30])
  failed.delete('middle')
  expect([failed.codeOf('middle'), pause()]).toEqual([undefined, 1])
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

test('several that fail at once count once', () => {
  for (let count = 0; count < 5; count++) failed.add('middle', 'connect-failed')
  clock.advance(second)
  expect([failed.codeOf('middle'), pause()]).toEqual([undefined, 2])
})

test('a failure of long ago is forgotten', () => {
  expect([pause(), pause()]).toEqual([1, 2])
  failed.add('gateway', 'connect-failed')
  clock.advance(second + limits.longestDialPause)
  failed.add('other', 'connect-failed')
  expect([failed.size, pause()]).toEqual([1, 1])
})
