import { describe, expect, test } from 'vitest'
import { outcomeUnknown, pageOrphaned, requestTooLarge, timedOut } from '../inpage/failures.ts'
import { type PageRequest, pagePort } from '../messages/page.ts'
import { Bridge, requestLength } from './bridge.ts'
import { FakeRuntime } from './testing/runtime.ts'

const read: PageRequest = { id: 1, method: 'eth_blockNumber', chain: 1, door: 'wallet' }
const broadcast: PageRequest = { id: 2, method: 'eth_sendRawTransaction', params: ['0x02'], chain: 1, door: 'wallet' }

function setUp({ isAwake = true } = {}) {
  const runtime = new FakeRuntime()
  const told: unknown[] = []
  const bridge = new Bridge({ postMessage: (message: unknown) => told.push(message) }, runtime, isAwake)
  return { runtime, told, bridge }
}

test('connects at the first request, once, under the name that the background knows', () => {
  const { runtime, bridge } = setUp()
  expect(runtime.ports).toHaveLength(0)
  bridge.ask(read)
  bridge.ask({ ...read, id: 3 })
  expect(runtime.names).toEqual([pagePort])
  expect(runtime.port.posted).toEqual([read, { ...read, id: 3 }])
})

test('what the background says is handed on as it came', () => {
  const { runtime, told, bridge } = setUp()
  bridge.ask(read)
  const answers = [
    { id: 1, result: { number: '0x1' } },
    { event: 'subscription', subscription: '0xa', result: { number: '0x2' } },
  ] as const
  for (const answer of answers) runtime.port.say(answer)
  expect(told).toEqual(answers)
})

test('a request of more than a mebibyte is refused, and not posted', () => {
  const { runtime, told, bridge } = setUp()
  const room = requestLength - JSON.stringify({ ...read, params: [''] }).length
  bridge.ask({ ...read, params: ['x'.repeat(room)] })
  expect(told).toEqual([])
  bridge.ask({ ...read, params: ['x'.repeat(room + 1)] })
  expect(told).toEqual([{ id: 1, error: requestTooLarge }])
  expect(runtime.port.posted).toHaveLength(1)
})

describe('accounts that the wallet shows the page', () => {
  const shown = { accounts: [`0x${'aa'.repeat(20)}`] }
  const sent = { ...shown, transaction: `0x${'12'.repeat(32)}` }

  test('are told at once, once, and again on each fresh port before anything is asked', () => {
    const { runtime, told, bridge } = setUp()
    bridge.show(shown)
    bridge.show({ ...shown })
    bridge.ask(read)
    bridge.show(sent)
    expect(runtime.port.posted).toEqual([shown, read, sent])
    runtime.port.say({ id: 1, result: '0x1' })
    runtime.port.close()
    bridge.ask({ ...read, id: 3 })
    expect(runtime.port.posted).toEqual([shown, sent, { ...read, id: 3 }])
    expect(told.filter((each) => JSON.stringify(each).includes('accounts'))).toEqual([])
  })

  test('wait until a prerendered page asks something', () => {
    const { runtime, bridge } = setUp({ isAwake: false })
    bridge.show(shown)
    bridge.wake()
    expect(runtime.ports).toHaveLength(0)
    bridge.ask(read)
    expect(runtime.port.posted).toEqual([shown, read])
  })

  test('are told twenty at most, and none that is huge', () => {
    const { runtime, bridge } = setUp()
    bridge.show({ accounts: ['x'.repeat(requestLength)] })
    expect(runtime.ports).toHaveLength(0)
    for (let count = 0; count < 30; count++) bridge.show({ accounts: [String(count)] })
    runtime.port.close()
    bridge.ask(read)
    expect(runtime.port.posted).toHaveLength(21)
    expect(runtime.port.posted[0]).toEqual({ accounts: ['10'] })
  })

  test('and an extension that is gone is told nothing', () => {
    const { runtime, bridge } = setUp()
    bridge.ask(read)
    runtime.invalidate()
    bridge.show(shown)
    expect(runtime.port.posted).toEqual([read])
  })
})

describe('a prerendered page', () => {
  test('wakes nothing until it is shown', () => {
    const { runtime, bridge } = setUp({ isAwake: false })
    bridge.ask(read)
    expect(runtime.ports).toHaveLength(0)
    bridge.wake()
    expect(runtime.port.posted).toEqual([read])
  })

  test('that asked nothing wakes nothing when it is shown either', () => {
    const { runtime, bridge } = setUp({ isAwake: false })
    bridge.wake()
    expect(runtime.ports).toHaveLength(0)
  })
})

describe('when the port closes', () => {
  test('nothing is connected again for a page that waits for nothing, but it is told', () => {
    const { runtime, told, bridge } = setUp()
    bridge.ask(read)
    runtime.port.say({ id: 1, result: '0x1' })
    runtime.port.close()
    expect(told.slice(1)).toEqual([{ event: 'reset' }])
    expect(runtime.ports).toHaveLength(1)
  })

  test('reads without an answer are posted again on a fresh port', () => {
    const { runtime, told, bridge } = setUp()
    bridge.ask(read)
    bridge.ask({ ...read, id: 3 })
    runtime.port.say({ id: 3, result: '0x1' })
    runtime.port.close()
    expect(runtime.ports).toHaveLength(2)
    expect(runtime.port.posted).toEqual([read])
    runtime.port.say({ id: 1, result: '0x2' })
    expect(told).toEqual([{ id: 3, result: '0x1' }, { event: 'reset' }, { id: 1, result: '0x2' }])
  })

  test('a read is posted three times in all, then it is answered with an error', () => {
    const { runtime, told, bridge } = setUp()
    bridge.ask(read)
    for (let i = 0; i < 3; i++) runtime.port.close()
    expect(runtime.ports).toHaveLength(3)
    expect(told.filter((message) => 'id' in (message as object))).toEqual([{ id: 1, error: timedOut }])
  })

  test('a raw transaction is never posted again: its outcome is unknown', () => {
    const { runtime, told, bridge } = setUp()
    bridge.ask(broadcast)
    bridge.ask(read)
    runtime.port.close()
    expect(told).toEqual([{ event: 'reset' }, { id: 2, error: outcomeUnknown }])
    expect(runtime.port.posted).toEqual([read])
  })

  test('late words of the old port are not heard', () => {
    const { runtime, told, bridge } = setUp()
    bridge.ask(read)
    const old = runtime.port
    old.close()
    old.say({ id: 1, result: 'stale' })
    old.close()
    expect(told).toEqual([{ event: 'reset' }])
    expect(runtime.ports).toHaveLength(2)
  })

  test('a page that comes back from a cache drops its port, and goes on with a fresh one', () => {
    const { runtime, told, bridge } = setUp()
    bridge.drop()
    expect(told).toEqual([])
    bridge.ask(read)
    const old = runtime.port
    bridge.drop()
    expect(old.isDisconnected).toBe(true)
    expect(told).toEqual([{ event: 'reset' }])
    expect(runtime.port.posted).toEqual([read])
  })
})

describe('when the extension was updated or removed', () => {
  test('all that waits and all that follows is refused, and the page is told once', () => {
    const { runtime, told, bridge } = setUp()
    bridge.ask(read)
    bridge.ask(broadcast)
    runtime.invalidate()
    bridge.ask({ ...read, id: 3 })
    bridge.ask({ ...broadcast, id: 4 })
    expect(told).toEqual([
      { event: 'gone' },
      { id: 1, error: pageOrphaned },
      { id: 2, error: outcomeUnknown },
      { id: 3, error: pageOrphaned },
      { id: 4, error: pageOrphaned },
    ])
    expect(runtime.ports).toHaveLength(1)
  })

  test('a page that asks for the first time after that is refused as well', () => {
    const { runtime, told, bridge } = setUp()
    runtime.invalidate()
    bridge.ask(read)
    expect(told).toEqual([{ event: 'gone' }, { id: 1, error: pageOrphaned }])
  })

  test('a page that comes back from a cache after that is told', () => {
    const { runtime, told, bridge } = setUp()
    bridge.ask(read)
    delete runtime.id
    bridge.drop()
    expect(told).toEqual([{ event: 'gone' }, { id: 1, error: pageOrphaned }])
  })
})
