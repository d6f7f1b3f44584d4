// How branches are opened, shared and replaced on a network is in native-host/src/client/branches.test.ts; here is what
// a script shows better: openings that end late.
import { expect, test } from 'vitest'
import { nobleCrypto } from '../crypto/noble.ts'
import type { Relay } from '../directory/index.ts'
import { EnvelopeSession } from '../envelope/index.ts'
import { NightjarError } from '../errors/index.ts'
import { minute } from '../runtime.ts'
import { codeOfAsync, describeGateway, FakeClock, pattern, turn } from '../testing/index.ts'
import { Branches } from './branches.ts'
import { SealedBranch } from './sealedBranch.ts'
import { ScriptedCarrier } from './testing/carrier.ts'

const gateway = describeGateway('gateway')

/** Openings that wait until the test ends them, in the order in which they were asked for. */
function scripted() {
  const clock = new FakeClock()
  const openings: { open(): ScriptedCarrier; fail(): void }[] = []
  const branches = new Branches((_group: string, relay: Relay) => {
    return new Promise((resolve, reject) => {
      openings.push({
        open() {
          const carrier = new ScriptedCarrier()
          const keys = { forward: pattern(32, 1), backward: pattern(32, 2) }
          const session = new EnvelopeSession(nobleCrypto, keys, 'client')
          resolve(new SealedBranch({ crypto: nobleCrypto, clock, random: () => 0.5 }, relay, carrier, session))
          return carrier
        },
        fail: () => reject(new NightjarError('connect-failed')),
      })
    })
  })
  const get = () => branches.get('group', gateway)
  const open = async (place: number) => {
    const carrier = openings[place]?.open() as ScriptedCarrier
    await turn()
    return carrier
  }
  return { clock, branches, openings, get, open }
}

test('one that fails is not kept: the next who asks opens another', async () => {
  const { openings, get, open } = scripted()
  const [one, two] = [get(), get()]
  openings[0]?.fail()
  expect([await codeOfAsync(() => one), await codeOfAsync(() => two)]).toEqual(['connect-failed', 'connect-failed'])
  const third = get()
  const carrier = await open(1)
  expect((await third).carrier).toBe(carrier)
  expect(openings).toHaveLength(2)
})

test('one that is lost is not kept', async () => {
  const { openings, get, open } = scripted()
  const first = get()
  const carrier = await open(0)
  carrier.close('link-lost')
  expect((await first).error?.code).toBe('link-lost')
  void get()
  expect(openings).toHaveLength(2)
})

test('closeAll retires what is open, and what was being opened once it stands', async () => {
  const { branches, openings, get, open } = scripted()
  const first = get()
  branches.closeAll()
  const carrier = await open(0)
  expect((await first).carrier).toBe(carrier)
  expect(carrier.retired).toBe('in peace')

  const second = get()
  const kept = await open(1)
  expect((await second).carrier).toBe(kept)
  expect(kept.retired).toBeUndefined()
  branches.closeAll()
  expect(kept.retired).toBe('in peace')
  void get()
  expect(openings).toHaveLength(3)
})

test('closeAll while an opening fails is nobody’s error but that of who asked', async () => {
  const { branches, openings, get } = scripted()
  const asked = get()
  branches.closeAll()
  openings[0]?.fail()
  expect(await codeOfAsync(() => asked)).toBe('connect-failed')
})

test('a successor that stands after closeAll is retired, not brought back', async () => {
  const { clock, branches, openings, get, open } = scripted()
  const first = get()
  await open(0)
  clock.advance(10 * minute)
  expect(await get()).toBe(await first)
  expect(openings).toHaveLength(2)
  branches.closeAll()
  const successor = await open(1)
  expect(successor.retired).toBe('in peace')
  void get()
  expect(openings).toHaveLength(3)
})

test('a successor takes over once it stands, is opened once, and the old one is retired', async () => {
  const { clock, openings, get, open } = scripted()
  const first = get()
  const old = await open(0)
  clock.advance(10 * minute)
  for (let use = 0; use < 3; use++) expect(await get()).toBe(await first)
  expect(openings).toHaveLength(2)
  expect(old.retired).toBeUndefined()
  const fresh = await open(1)
  expect(old.retired).toBe('in peace')
  expect((await get()).carrier).toBe(fresh)
})
