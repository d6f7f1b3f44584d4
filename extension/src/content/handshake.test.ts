import type { MessagePort } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { offerPort, takePort } from './handshake.ts'

function next(port: MessagePort): Promise<unknown> {
  return new Promise((resolve) => port.once('message', resolve))
}

/** Every type that something was ever dispatched or listened to under. */
class WatchedTarget extends EventTarget {
  readonly types = new Set<string>()

  override addEventListener(...args: Parameters<EventTarget['addEventListener']>): void {
    this.types.add(args[0])
    super.addEventListener(...args)
  }

  override dispatchEvent(event: Event): boolean {
    this.types.add(event.type)
    return super.dispatchEvent(event)
  }
}

describe.each(['content', 'inpage'])('with %s first', (first) => {
  function meet(scope: EventTarget) {
    const taken: MessagePort[] = []
    const take = () => takePort(scope, (port) => taken.push(port))
    if (first === 'content') take()
    const offered = offerPort(scope)
    if (first !== 'content') take()
    return { offered, taken }
  }

  test('the two ends are joined, in the same turn', async () => {
    const { offered, taken } = meet(new EventTarget())
    expect(taken).toHaveLength(1)
    const received = next(taken[0] as MessagePort)
    offered.postMessage({ id: 1 })
    expect(await received).toEqual({ id: 1 })
    offered.close()
  })

  test('a page that knows the events finds nobody who listens to them, and hears none', () => {
    const scope = new WatchedTarget()
    const { offered, taken } = meet(scope)
    const heard: Event[] = []
    for (const type of scope.types) scope.addEventListener(type, (event) => heard.push(event))
    for (const type of scope.types) {
      const { port1, port2 } = new MessageChannel()
      const probe = new MessageEvent(type, { ports: [port2], cancelable: true })
      expect(scope.dispatchEvent(probe)).toBe(true)
      expect(heard.length === 1 && heard.pop() === probe).toBe(true)
      port1.close()
    }
    expect(taken).toHaveLength(1)
    offered.close()
  })
})

test('a listener that was added just before the offer would not see it either', () => {
  const scope = new EventTarget()
  takePort(scope, (port) => port.close())
  const heard: Event[] = []
  const types = new Set<string>()
  const dispatch = scope.dispatchEvent.bind(scope)
  scope.dispatchEvent = (event) => {
    types.add(event.type)
    scope.addEventListener(event.type, (event) => heard.push(event), true)
    return dispatch(event)
  }
  offerPort(scope).close()
  expect(types.size).toBe(1)
  expect(heard).toEqual([])
})
