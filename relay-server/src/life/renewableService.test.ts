import { turn } from '@nightjar/shared/testing'
import { beforeEach, expect, test } from 'vitest'
import type { OpenService } from '../services.ts'
import { RenewableService } from './renewableService.ts'

let closed: string[]
let served: string[]
/** What goes on in a service for clients that are gone: until it is called. */
let ending: Map<string, () => void>
beforeEach(() => {
  closed = []
  served = []
  ending = new Map()
})

/** A service whose users are noted, and its end. */
function named(name: string, lingering = 0): OpenService {
  return {
    serve() {
      served.push(name)
      return () => 'unknown-service'
    },
    health: () => [{ name, ok: true, sentence: name }],
    chains: () => [],
    followed: () => ({ heads: 1, watches: 2, lingering }),
    quiet: () => (lingering === 0 ? Promise.resolve() : new Promise((resolve) => ending.set(name, resolve))),
    async close() {
      closed.push(name)
    },
  }
}

test('circuits keep the service they began with, and it closes with the last of them', async () => {
  const service = new RenewableService(named('one'))
  const ends: (() => void)[] = []
  const begin = () => service.serve((listener) => ends.push(listener))
  begin()
  begin()
  service.renew(named('two'))
  begin()
  expect(served).toEqual(['one', 'one', 'two'])
  expect(service.health()[0]?.name).toBe('two')
  ends[0]?.()
  await turn()
  expect(closed).toEqual([])
  ends[1]?.()
  await turn()
  expect(closed).toEqual(['one'])

  // The one in use now stays, however few use it.
  ends[2]?.()
  await turn()
  expect(closed).toEqual(['one'])
  await service.close()
  expect(closed).toEqual(['one', 'two'])
})

test('an unused one closes when it is replaced', async () => {
  const service = new RenewableService(named('one'))
  service.renew(named('two'))
  await turn()
  expect(closed).toEqual(['one'])
})

test('one that goes on for clients that are gone closes when it is done with that', async () => {
  const service = new RenewableService(named('one', 3))
  service.renew(named('two'))
  await turn()
  expect(closed).toEqual([])
  expect(service.followed()).toEqual({ heads: 2, watches: 4, lingering: 3 })
  ending.get('one')?.()
  await turn()
  expect(closed).toEqual(['one'])
  expect(service.followed()).toEqual({ heads: 1, watches: 2, lingering: 0 })
})

test('all close at the end, once, whatever goes on', async () => {
  const service = new RenewableService(named('one', 3))
  service.renew(named('two'))
  await turn()
  await service.close()
  ending.get('one')?.()
  await turn()
  expect(closed).toEqual(['one', 'two'])
})
