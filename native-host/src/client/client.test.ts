import { shareOf } from '@nightjar/shared/accounts'
import { NightjarError } from '@nightjar/shared/errors'
import { minute, second } from '@nightjar/shared/runtime'
import { codeOfAsync, describeGateway, describeRelay, networkOf } from '@nightjar/shared/testing'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { afterEach, describe, expect, test } from 'vitest'
import { freshState, type State } from '../state/store.ts'
import { type Client, createClient } from './client.ts'
import { TestNetwork } from './testing/network.ts'
import type { FakeRelay } from './testing/relay.ts'
import { stateOf } from './testing/seeded.ts'

const running: Client[] = []
afterEach(async () => {
  for (const client of running.splice(0)) await client.stop()
})

async function start(options = { relays: 5, gateways: 3 }) {
  const net = await TestNetwork.create(options)
  const state: State = freshState(nativeCrypto.randomBytes)
  let changes = 0
  const client = createClient({
    crypto: nativeCrypto,
    clock: net.clock,
    dial: net.dial,
    network: () => net.network,
    state,
    onStateChange: () => {
      changes += 1
    },
  })
  running.push(client)
  client.start()
  await net.settle()
  const ask = (group = 'me', chain = 1) => client.request({ group, chain, call: { method: 'eth_blockNumber' } })
  /** The relays that the client uses now. */
  const inUse = (): { entry: FakeRelay; middles: FakeRelay[] } => {
    const { trunks } = client.status()
    const [first] = trunks
    if (first === undefined) throw new Error('no trunk stands')
    return { entry: net.named(first.entry.name), middles: trunks.map(({ middle }) => net.named(middle.name)) }
  }
  return { net, state, client, ask, inUse, changes: () => changes }
}

describe('a client', () => {
  test('builds two trunks through one guard and two middles, and keeps a link to the other guard', async () => {
    const { net, client, state, inUse, changes } = await start()
    const { trunks, state: said } = client.status()
    expect(said).toBe('private')
    expect(trunks).toHaveLength(2)
    expect(trunks[0]?.entry).toEqual(trunks[1]?.entry)
    expect(trunks[0]?.middle).not.toEqual(trunks[1]?.middle)
    const guards = state.guards.map(({ relay }) => net.network.byIdentity.get(relay)?.name as string)
    expect(guards).toContain(inUse().entry.relay.name)
    expect(guards.map((name) => net.named(name).dials)).toEqual([1, 1])
    expect(net.relays.reduce((sum, { dials }) => sum + dials, 0)).toBe(2)
    expect(changes()).toBe(1)
  })

  test('asks through a gateway that is then the group’s own', async () => {
    const { net, client, ask, state } = await start()
    const { result } = (await net.run(ask())) as { result: string }
    expect(await net.run(ask())).toEqual({ result })
    expect(net.named(result).asked).toEqual([
      { chain: 1, cells: 4, method: 'eth_blockNumber' },
      { chain: 1, cells: 4, method: 'eth_blockNumber' },
    ])
    const standIn = client.gateways('me', 1)[1]?.relay.id
    expect(state.gateways.map(({ relay }) => relay)).toEqual([net.named(result).relay.id, standIn])
    expect(client.status()).toMatchObject({
      branches: 1,
      gateways: [{ name: result, operator: `operator-${result}`, region: 'test' }],
      requests: { ok: 2, failed: 0 },
      divergingRelays: 0,
      failingGuards: [],
      lastError: null,
    })
  })

  // Cut to the eight best, they were all of an operator with most of the gateways, who then was taken for the only one.
  test('tells whoever seals by itself of several operators, however many gateways one of them has', async () => {
    const large = Array.from({ length: 30 }, (_, index) => describeGateway(`large ${index}`, { operator: 'large' }))
    const others = ['x', 'y', 'z'].map((name) => describeGateway(name))
    const relays = Array.from({ length: 5 }, (_, index) => describeRelay(`r${index}`))
    const net = await TestNetwork.create({ relays: 0, gateways: 0 })
    for (let seed = 0; seed < 20; seed++) {
      const client = createClient({
        crypto: nativeCrypto,
        clock: net.clock,
        dial: net.dial,
        network: () => networkOf([...large, ...others, ...relays]),
        state: stateOf(seed),
      })
      const told = client.gateways('label', 1).map(({ relay }) => relay)
      expect(told).toHaveLength(8)
      expect(new Set(told.map(({ operator }) => operator)).size).toBe(4)
      for (const index of [0, 1, 2]) expect(shareOf(told, { index, of: 3 }, (name) => name)).not.toEqual([])
      const second = client.gateways('label again', 1).map(({ relay }) => relay.operator)
      expect(second.length).toBeGreaterThan(0)
      expect(second).not.toContain(told[0]?.operator)
    }
  })

  test('gives each group a gateway and a branch of its own', async () => {
    const { net, ask, client } = await start()
    const used = await net.run(Promise.all(['a', 'b', 'c'].map((group) => ask(group))))
    expect(new Set(used.map((outcome) => JSON.stringify(outcome))).size).toBe(3)
    expect(client.status().branches).toBe(3)
  })

  test('counts relays that believe in another document', async () => {
    const { net, client, inUse, ask } = await start()
    for (const { relay } of net.relays) net.named(relay.name).documentVersion = 2
    await net.run(ask())
    expect(client.status().divergingRelays).toBe(1)
    inUse().entry.kill()
    await net.settle()
    expect(client.status().divergingRelays).toBe(5)
  })

  test('a chain that nobody serves is said at once, and costs no branch', async () => {
    const { net, client, ask } = await start()
    expect(await codeOfAsync(() => net.run(ask('me', 5)))).toBe('chain-not-served')
    expect(client.status()).toMatchObject({ branches: 0, requests: { ok: 0, failed: 1 } })
  })

  test('closes branches that were idle for six to fourteen minutes', async () => {
    const { net, client, ask } = await start()
    const { result } = (await net.run(ask())) as { result: string }
    await net.clock.elapse(6 * minute - 1)
    expect(client.status().branches).toBe(1)
    await net.clock.elapse(8 * minute + 1)
    expect(client.status().branches).toBe(0)
    expect(net.named(result).hops.size).toBe(0)
    expect(await net.run(ask())).toEqual({ result })
  })
})

describe('failures', () => {
  test('one middle gone: degraded, then the spare takes over; requests go on', async () => {
    const { net, client, ask, inUse } = await start()
    const before = inUse()
    const [gone, stays] = before.middles as [FakeRelay, FakeRelay]
    gone.kill()
    expect(await net.run(ask())).toMatchObject({ result: expect.stringMatching(/^g/) })
    await net.clock.elapse(1 * second)
    await net.settle()
    const after = inUse()
    expect(after.entry).toBe(before.entry)
    expect(after.middles).toHaveLength(2)
    expect(after.middles).toContain(stays)
    expect(after.middles).not.toContain(gone)
    expect(client.status().state).toBe('private')
  })

  test('the guard gone: the other one takes over through the link that was kept warm', async () => {
    const { net, ask, inUse } = await start()
    const before = inUse().entry
    before.kill()
    expect(await net.run(ask())).toMatchObject({ result: expect.stringMatching(/^g/) })
    const after = inUse().entry
    expect(after).not.toBe(before)
    expect(after.dials).toBe(1)
  })

  test('the guard is not blamed for its middle, nor the gateway for its trunk', async () => {
    const { net, ask, inUse } = await start()
    const { result } = (await net.run(ask())) as { result: string }
    const { entry, middles } = inUse()
    for (const middle of middles) {
      middle.kill()
      middle.up = true
    }
    // The branch is lost with its trunk; its group keeps its gateway, and the guard stays.
    expect(await net.run(ask())).toEqual({ result })
    expect(inUse().entry).toBe(entry)
  })

  test('a read that is under way when its trunk goes is asked again of the same gateway', async () => {
    const { net, ask, inUse } = await start()
    const { result } = (await net.run(ask())) as { result: string }
    const gateway = net.named(result)
    let release = (_: { result: string }) => {}
    gateway.answer = () => new Promise((resolve) => (release = resolve))
    const asked = ask()
    await net.settle()
    expect(gateway.asked).toHaveLength(2)
    gateway.answer = () => ({ result: 'again' })
    for (const middle of inUse().middles) middle.kill()
    for (const { relay } of net.relays) net.named(relay.name).up = true
    expect(await net.run(asked)).toEqual({ result: 'again' })
    release({ result: 'too late' })
    expect(gateway.asked).toHaveLength(3)
  })

  test('a gateway that is gone costs its group another one', async () => {
    const { net, ask } = await start()
    const { result } = (await net.run(ask())) as { result: string }
    net.named(result).kill()
    const other = (await net.run(ask())) as { result: string }
    expect(other.result).not.toBe(result)
    // Its own again, once it has come back and the pause is over.
    net.named(result).up = true
    await net.clock.elapse(5 * second)
    expect(await net.run(ask())).toEqual({ result })
  })

  test('a middle that is busy moves no group to another gateway', async () => {
    const { net, client, ask, inUse } = await start()
    const groups = Array.from({ length: 12 }, (_, index) => `group ${index}`)
    const own = () => groups.map((group) => client.gateways(group, 1)[0]?.relay.name)
    const before = own()
    for (const busy of inUse().middles) {
      busy.busy = true
      const answers = await net.run(Promise.all(groups.map((group) => ask(group))))
      expect(answers.map((answer) => 'result' in answer && answer.result)).toEqual(before)
      expect(own()).toEqual(before)
      busy.busy = false
      await net.clock.elapse(14 * minute)
    }
  })

  test('a gateway that is busy itself is left for another', async () => {
    const { net, client, ask } = await start()
    const busy = net.named(client.gateways('me', 1)[0]?.relay.name as string)
    busy.busy = true
    expect(await net.run(ask())).not.toEqual({ result: busy.relay.name })
  })

  test('a third gateway, met as both of a group were away, is kept: it is asked before any other', async () => {
    const { net, state, client, ask, changes } = await start({ relays: 5, gateways: 6 })
    await net.run(ask())
    const [own, standIn, next] = client.gateways('me', 1).map(({ relay }) => net.named(relay.name))
    for (const gateway of [own, standIn, next]) gateway?.kill()
    const before = changes()
    const third = (await net.run(ask())) as { result: string }
    const kept = state.gateways.map(({ relay }) => net.network.byIdentity.get(relay)?.name)
    expect(kept).toEqual([own?.relay.name, standIn?.relay.name, third.result])
    expect(changes()).toBe(before + 1)
    Object.assign(next as FakeRelay, { up: true })
    await net.clock.elapse(15 * minute)
    expect(await net.run(ask())).toEqual(third)
    expect(next?.asked).toEqual([])
  })

  test('a guard that keeps failing is reported', async () => {
    const { net, client, inUse } = await start({ relays: 4, gateways: 1 })
    const { entry } = inUse()
    for (const relay of net.relays) relay.kill()
    for (let round = 0; round < 20; round++) await net.clock.elapse(1 * second)
    expect(client.status().failingGuards.map(({ name }) => name)).toContain(entry.relay.name)
  })
})

describe('with all relays down', () => {
  test('a request fails after eight seconds as network-unreachable, and works once they are back', async () => {
    const { net, client, ask } = await start()
    for (const relay of net.relays) relay.kill()
    await net.settle()
    expect(client.status()).toMatchObject({ state: 'blocked', branches: 0, trunks: [] })
    let outcome: unknown
    ask().then(
      (value) => {
        outcome = value
      },
      (error: NightjarError) => {
        outcome = error.code
      },
    )
    await net.clock.elapse(8 * second - 1)
    expect(outcome).toBeUndefined()
    await net.clock.elapse(1)
    await net.settle()
    expect(outcome).toBe('network-unreachable')
    expect(client.status()).toMatchObject({ state: 'blocked', lastError: 'connect-failed', requests: { failed: 1 } })

    for (const relay of net.relays) relay.up = true
    await net.clock.elapse(15 * second)
    await net.settle()
    expect(client.status()).toMatchObject({ state: 'private', lastError: null })
    expect(await net.run(ask())).toMatchObject({ result: expect.stringMatching(/^g/) })
  })

  test('from the start: connecting, then blocked', async () => {
    const net = await TestNetwork.create({ relays: 5, gateways: 1 })
    for (const relay of net.relays) relay.up = false
    const state = freshState(nativeCrypto.randomBytes)
    const client = createClient({
      crypto: nativeCrypto,
      clock: net.clock,
      dial: net.dial,
      network: () => net.network,
      state,
    })
    running.push(client)
    expect(client.status().state).toBe('connecting')
    client.start()
    await net.settle()
    expect(client.status()).toMatchObject({ state: 'blocked', lastError: 'connect-failed' })
  })

  test('without a network document every request says why', async () => {
    const net = await TestNetwork.create({ relays: 5, gateways: 1 })
    const network = () => {
      throw new NightjarError('document-expired')
    }
    const state = freshState(nativeCrypto.randomBytes)
    const client = createClient({ crypto: nativeCrypto, clock: net.clock, dial: net.dial, network, state })
    running.push(client)
    client.start()
    await net.settle()
    const order = { group: 'g', chain: 1, call: { method: 'eth_blockNumber' } }
    expect(await codeOfAsync(() => net.run(client.request(order)))).toBe('document-expired')
    expect(client.status().lastError).toBe('document-expired')
  })

  test('dials are spaced out: in a minute not more than a few for each guard', async () => {
    const { net } = await start()
    for (const relay of net.relays) relay.kill()
    const before = net.relays.reduce((sum, { dials }) => sum + dials, 0)
    await net.clock.elapse(1 * minute)
    const dials = net.relays.reduce((sum, each) => sum + each.dials, 0) - before
    expect(dials).toBeGreaterThan(4)
    expect(dials).toBeLessThan(60)
  })
})
