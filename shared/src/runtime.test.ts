import { expect, test } from 'vitest'
import { NightjarError } from './errors/index.ts'
import { pause, within } from './runtime.ts'
import { codeOfAsync, FakeClock, turn } from './testing/index.ts'

const timedOut = () => new NightjarError('timed-out')

test('pause resolves once the time has passed', async () => {
  const clock = new FakeClock()
  let over = false
  void pause(clock, 100).then(() => {
    over = true
  })
  await clock.elapse(99)
  expect(over).toBe(false)
  await clock.elapse(1)
  expect(over).toBe(true)
})

test('within gives the result and leaves no timer', async () => {
  const clock = new FakeClock()
  expect(await within(clock, 100, Promise.resolve('x'), timedOut)).toBe('x')
  expect(clock.pending).toBe(0)
})

test('within passes a failure on and leaves no timer', async () => {
  const clock = new FakeClock()
  expect(await codeOfAsync(() => within(clock, 100, Promise.reject(new NightjarError('refused')), timedOut))).toBe(
    'refused',
  )
  expect(clock.pending).toBe(0)
})

test('within throws when the time is over, and what comes later is ignored, a failure too', async () => {
  const clock = new FakeClock()
  const late = Promise.withResolvers<void>()
  const result = codeOfAsync(() => within(clock, 100, late.promise, timedOut))
  await clock.elapse(100)
  expect(await result).toBe('timed-out')
  // An unhandled rejection would fail the run.
  late.reject(new Error('late'))
  await turn()
})
