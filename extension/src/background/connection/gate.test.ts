import { turn } from '@nightjar/shared/testing'
import { expect, test } from 'vitest'
import { Gate } from './gate.ts'

/** What became of those who wait, in the order in which they came. */
function setUp() {
  const gate = new Gate()
  const passed: string[] = []
  const wait = (name: string) =>
    gate.passed().then(
      () => passed.push(name),
      (error: Error) => passed.push(`${name}: ${error.message}`),
    )
  return { gate, passed, wait }
}

test('lets nobody pass before it is open, and everybody then', async () => {
  const { gate, passed, wait } = setUp()
  wait('early')
  await turn()
  expect(passed).toEqual([])
  gate.open()
  gate.open()
  await wait('late')
  expect(passed).toEqual(['early', 'late'])
})

test('sends away who waits and who comes, once it has failed', async () => {
  const { gate, passed, wait } = setUp()
  wait('early')
  gate.fail(new Error('no'))
  await wait('late')
  expect([passed, gate.hasFailed]).toEqual([['early: no', 'late: no'], true])
})

// Whoever waited at a gate that was closed once more waited for ever.
test('that is closed again while somebody waits lets them pass later', async () => {
  const { gate, passed, wait } = setUp()
  wait('one')
  gate.close()
  wait('two')
  gate.open()
  await turn()
  expect(passed).toEqual(['one', 'two'])
})

test('opens, closes and fails as often as it is told', async () => {
  const { gate, passed, wait } = setUp()
  gate.fail(new Error('no'))
  gate.close()
  expect(gate.hasFailed).toBe(false)
  wait('patient')
  await turn()
  expect(passed).toEqual([])
  gate.open()
  await turn()
  gate.fail(new Error('again'))
  await wait('late')
  gate.open()
  await wait('last')
  expect(passed).toEqual(['patient', 'late: again', 'last'])
})
