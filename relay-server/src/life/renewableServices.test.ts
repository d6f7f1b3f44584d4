import { expect, test } from 'vitest'
import type { OpenServices } from '../services.ts'
import { RenewableServices } from './renewableServices.ts'

/** Services whose users are noted, and their end. */
function named(name: string, closed: string[], served: string[] = []): OpenServices {
  return {
    serve() {
      served.push(name)
      return () => 'unknown-service'
    },
    health: () => [{ name, ok: true, sentence: name }],
    chains: () => [],
    async close() {
      closed.push(name)
    },
  }
}

test('circuits keep the services they began with, and these close with the last of them', async () => {
  const [closed, served]: [string[], string[]] = [[], []]
  const services = new RenewableServices(named('one', closed, served))
  const ends: (() => void)[] = []
  const begin = () => services.serve((listener) => ends.push(listener))
  begin()
  begin()
  services.renew(named('two', closed, served))
  begin()
  expect(served).toEqual(['one', 'one', 'two'])
  expect(services.health()[0]?.name).toBe('two')
  ends[0]?.()
  expect(closed).toEqual([])
  ends[1]?.()
  expect(closed).toEqual(['one'])

  // Those in use now stay, however few use them.
  ends[2]?.()
  expect(closed).toEqual(['one'])
  await services.close()
  expect(closed).toEqual(['one', 'two'])
})

test('unused ones close at once when they are replaced', () => {
  const closed: string[] = []
  const services = new RenewableServices(named('one', closed))
  services.renew(named('two', closed))
  expect(closed).toEqual(['one'])
})
