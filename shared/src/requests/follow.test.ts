// How what is followed fares on a network is in native-host/src/client/follow.test.ts; here is the order of things where a
// branch is to be left.
import { beforeEach, expect, test } from 'vitest'
import { nobleCrypto } from '../crypto/noble.ts'
import type { Relay } from '../directory/index.ts'
import { EnvelopeSession } from '../envelope/index.ts'
import { minute } from '../runtime.ts'
import { describeGateway, FakeClock, pattern, turn } from '../testing/index.ts'
import { Branches } from './branches.ts'
import { follow } from './follow.ts'
import { SealedBranch } from './sealedBranch.ts'
import { ScriptedCarrier } from './testing/carrier.ts'

const own = describeGateway('own')
const next = describeGateway('next')
const question = { chain: 1, cells: 4, method: 'nightjar_watch', params: [] }
const order = { group: 'me', chain: 1, questionFor: () => question }

let opened: { readonly gateway: Relay; readonly carrier: ScriptedCarrier }[]
let ranked: Relay[]
let ends: string[]
let clock: FakeClock

beforeEach(async () => {
  clock = new FakeClock()
  opened = []
  ranked = [own, next]
  ends = []
  const branches = new Branches(async (_group, gateway) => {
    const carrier = new ScriptedCarrier()
    opened.push({ gateway, carrier })
    const session = new EnvelopeSession(nobleCrypto, { forward: pattern(32, 1), backward: pattern(32, 2) }, 'client')
    return new SealedBranch({ crypto: nobleCrypto, clock, random: () => 0.5 }, gateway, carrier, session)
  })
  const context = {
    clock,
    random: () => 0.5,
    gateways: () => ranked,
    isAvoided: () => true,
    branch: (group: string, gateway: Relay) => branches.get(group, gateway),
  }
  await follow(context, order, { onOutcome() {}, onEnd: (code) => ends.push(code) })
})

const carrier = (place: number) => opened[place]?.carrier as ScriptedCarrier

test('its successor is open before it is retired, and what was followed is asked for there', async () => {
  carrier(0).leave()
  expect(carrier(0).retired).toBeUndefined()
  await turn()
  expect(opened.map(({ gateway }) => gateway)).toEqual([own, own])
  expect([carrier(0).retired, carrier(1).follows.length]).toEqual(['in peace', 0])
  carrier(0).close('branch-retired')
  await turn()
  expect([carrier(1).follows.length, ends]).toEqual([1, []])
})

test('where its gateway is passed over the next one takes over', async () => {
  ranked = [next, own]
  carrier(0).leave()
  await turn()
  expect(opened.map(({ gateway }) => gateway)).toEqual([own, next])
  expect(carrier(0).retired).toBe('in peace')
  carrier(0).close('branch-retired')
  await turn()
  expect([carrier(1).follows.length, ends]).toEqual([1, []])
})

// It was opened once more at the gateway that stood in, then at the group's own.
test('one that is due at a gateway that stood in is followed by one at the group’s own', async () => {
  ranked = [next, own]
  clock.advance(80 * minute)
  await turn()
  expect(opened.map(({ gateway }) => gateway)).toEqual([own, next])
  expect(carrier(0).retired).toBe('in peace')
  carrier(0).close('branch-retired')
  await turn()
  expect(opened.map(({ gateway }) => gateway)).toEqual([own, next])
  expect([carrier(1).follows.length, ends]).toEqual([1, []])
})

test('one that is due is followed by one at the same gateway where that still is the first', async () => {
  clock.advance(80 * minute)
  await turn()
  expect(opened.map(({ gateway }) => gateway)).toEqual([own, own])
  expect(carrier(0).retired).toBe('in peace')
  carrier(0).close('branch-retired')
  await turn()
  expect([opened.length, carrier(1).follows.length, ends]).toEqual([2, 1, []])
})

test('where no other can be had it goes on until it is lost, and whoever follows is told', async () => {
  ranked = []
  carrier(0).leave()
  await turn()
  expect([opened.length, carrier(0).retired, ends]).toEqual([1, undefined, []])
  carrier(0).close('draining')
  expect(ends).toEqual(['draining'])
})
