import { utf8 } from '@nightjar/shared/bytes'
import type { ErrorCode } from '@nightjar/shared/errors'
import { minute, second } from '@nightjar/shared/runtime'
import { codeOfAsync } from '@nightjar/shared/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { watch } from './testing/branches.ts'
import { hopsOf, startExits } from './testing/exits.ts'
import type { FakeRelay } from './testing/relay.ts'

const running: { stop(): Promise<void> }[] = []
afterEach(async () => {
  for (const client of running.splice(0)) await client.stop()
})

async function start(...options: Parameters<typeof startExits>) {
  const made = await startExits(...options)
  running.push(made.client)
  return made
}

const end = new Uint8Array(0)

describe('a connection through an exit', () => {
  test('carries bytes both ways, and ends in each direction by itself', async () => {
    const { net, connect, used } = await start()
    const joined = await connect()
    const [far] = used().connections
    joined.stream.send(utf8('GET /'), false)
    joined.stream.send(end, true)
    await net.settle()
    expect(far).toMatchObject({ host: 'mainnet.infura.io', received: 'GET /', endedWith: 'done' })
    far?.stream.send(utf8('the answer'), false)
    await net.settle()
    expect(joined).toMatchObject({ received: 'the answer', endedWith: undefined })
    far?.stream.send(end, true)
    await net.settle()
    expect(joined.endedWith).toBe('done')
  })

  test('is joined in the turn in which it stands, so that nothing that comes at once is missed', async () => {
    const { net, connect, exits } = await start(1)
    const [exit] = exits as [FakeRelay]
    exit.connect = () => {
      queueMicrotask(() => queueMicrotask(() => exit.connections[0]?.stream.send(utf8('hello'), false)))
      return undefined
    }
    const joined = await connect()
    await net.settle()
    expect(joined.received).toBe('hello')
  })

  test('that the host resets is not resumed', async () => {
    const { net, connect, used, asked } = await start()
    const joined = await connect()
    joined.stream.send(utf8('x'), false)
    await net.settle()
    used().connections[0]?.stream.reset('connection-reset')
    await net.settle()
    expect(joined.endedWith).toBe('connection-reset')
    expect(asked().sort()).toEqual([0, 0, 1])
  })

  test('is lost with its exit, and the next one goes through another', async () => {
    const { net, connect, used, asked } = await start()
    const joined = await connect()
    const gone = used()
    gone.kill()
    await net.settle()
    expect(joined.endedWith).toBe('link-lost')
    await connect()
    expect(gone.connections).toHaveLength(1)
    expect(asked().sort()).toEqual([0, 1, 1])
  })
})

describe('isolation', () => {
  test('a group keeps to its exit and branch; another one never shares them', async () => {
    const { connect, exits, client } = await start()
    for (let round = 0; round < 3; round++) await connect('shield infura.io')
    expect(hopsOf(exits).sort()).toEqual([0, 0, 1])
    for (const group of ['shield metamask.io', 'shield infura.io 61:62', 'b', 'c']) await connect(group)
    // Five groups, each with a hop of its own, wherever they went.
    expect(hopsOf(exits).reduce((sum, hops) => sum + hops, 0)).toBe(5)
    expect(client.status()).toMatchObject({ branches: 5, gateways: [] })
    const hosts = exits.flatMap(({ connections }) => connections)
    expect(hosts).toHaveLength(7)
  })

  test('many connections at once of one group open one branch', async () => {
    const { net, open, exits } = await start()
    await net.run(Promise.all(Array.from({ length: 100 }, () => open('me'))))
    expect(hopsOf(exits).sort()).toEqual([0, 0, 1])
  })

  test('exits that do not carry the host are left out, and those with another list come last', async () => {
    const { net, connect, exits, asked } = await start()
    const [narrow, other, same] = exits as [FakeRelay, FakeRelay, FakeRelay]
    const change = (exit: FakeRelay, changes: object) => {
      const changed = { ...exit.relay, exitPolicy: { ...exit.relay.exitPolicy, ...changes } }
      const relays = net.network.relays.map((each) =>
        each.id === changed.id ? changed : each,
      ) as typeof net.network.relays
      net.network = { ...net.network, relays }
    }
    change(narrow, { without: ['infura.io'] })
    change(other, { list: new Uint8Array(32) })
    for (let group = 0; group < 8; group++) await connect(`group ${group}`)
    expect(asked()).toEqual([0, 0, 8])
    same.kill()
    await net.settle()
    await connect('group 0')
    expect(asked()).toEqual([0, 1, 8])
    change(other, { categories: ['price'] })
    change(same, { categories: [] })
    expect(await codeOfAsync(() => connect('group 0'))).toBe('no-exit')
  })
})

describe('another exit is tried', () => {
  test.each<[ErrorCode, number]>([
    ['name-not-found', 3],
    ['host-unreachable', 3],
    ['limit-reached', 3],
    ['draining', 3],
    ['unknown-service', 3],
    ['refused', 3],
    ['host-not-listed', 2],
    ['address-forbidden', 2],
  ])('after %s: %i in all, and its code is told', async (code, tried) => {
    const { connect, exits, asked } = await start(4)
    for (const exit of exits) exit.connect = () => code
    expect(await codeOfAsync(() => connect())).toBe(code)
    expect(asked().reduce((sum, count) => sum + count, 0)).toBe(tried)
    expect(Math.max(...asked())).toBe(1)
  })

  test('not where a middle is busy: the other one leads to the same', async () => {
    const { net, connect, client, asked } = await start(2)
    const groups = Array.from({ length: 12 }, (_, index) => `group ${index}`)
    const connectAll = async () => {
      for (const group of groups) (await connect(group)).stream.reset('cancelled')
      await net.clock.elapse(14 * minute)
    }
    await connectAll()
    const before = asked()
    for (const { middle } of client.status().trunks) {
      net.named(middle.name).busy = true
      await connectAll()
      net.named(middle.name).busy = false
    }
    expect(asked()).toEqual(before.map((count) => 3 * count))
  })

  test('and has the connection where it can', async () => {
    const { connect, exits, used, asked } = await start(2)
    await connect('probe')
    const first = used()
    first.connect = () => 'name-not-found'
    for (const exit of exits) exit.connections.length = 0
    const joined = await connect('probe')
    expect(joined.endedWith).toBeUndefined()
    expect(asked()).toEqual([1, 1])
    // What the host does not like says nothing about the exit: it stays the group's.
    first.connect = () => undefined
    await connect('probe')
    expect(first.connections).toHaveLength(2)
  })

  test('within twenty seconds, of which one exit may take twelve', async () => {
    const { net, open, exits, asked } = await start(4)
    for (const exit of exits) exit.connect = () => new Promise(() => {})
    const seen = watch(open('me'))
    await net.clock.elapse(12 * second - 1)
    expect([seen, asked().reduce((sum, count) => sum + count, 0)]).toEqual([{}, 1])
    await net.clock.elapse(1)
    await net.settle()
    expect([seen, asked().reduce((sum, count) => sum + count, 0)]).toEqual([{}, 2])
    await net.clock.elapse(8 * second)
    await net.settle()
    expect(seen.code).toBe('timed-out')
    expect(asked().reduce((sum, count) => sum + count, 0)).toBe(2)
    const ended = exits.flatMap(({ connections }) => connections.map(({ endedWith }) => endedWith))
    expect(ended).toEqual(['timed-out', 'timed-out'])
  })

  test('where the only branch is lost with its trunk, on a new branch to the same exit', async () => {
    const { net, open, exits, client } = await start(1)
    const [exit] = exits as [FakeRelay]
    exit.connect = () => new Promise(() => {})
    const seen = watch(open('me'))
    await net.settle()
    exit.connect = () => undefined
    for (const { middle } of client.status().trunks) net.named(middle.name).kill()
    await net.clock.elapse(1 * second)
    await net.settle()
    expect(seen.code).toBeUndefined()
    expect(seen.value).toBeDefined()
    expect(exit.connections).toHaveLength(2)
  })
})

describe('where all exits are gone', () => {
  test('connections are refused at once, and one a second finds out when they are back', async () => {
    const { net, connect, exits, client } = await start(2)
    for (const exit of exits) exit.kill()
    await net.settle()
    expect(await codeOfAsync(() => connect())).toBe('connect-failed')
    const refusedAtOnce = net.relays.map(({ hops }) => hops.size)
    expect(await codeOfAsync(() => connect())).toBe('connect-failed')
    expect(net.relays.map(({ hops }) => hops.size)).toEqual(refusedAtOnce)
    for (const exit of exits) exit.up = true
    expect(await codeOfAsync(() => connect())).toBe('connect-failed')
    await net.clock.elapse(1 * second)
    expect((await connect()).endedWith).toBeUndefined()
    expect(client.status().state).toBe('private')
  })

  test('a silent one is tried by one connection at a time, the others are refused at once', async () => {
    const { net, open, connect, exits } = await start(1)
    const [exit] = exits as [FakeRelay]
    exit.silent = true
    // After the second failure in a row it is passed over for two seconds.
    for (let failures = 0; failures < 2; failures++) {
      const seen = watch(open('me'))
      // Over one trunk, and two seconds later over the other.
      await net.clock.elapse(8 * second)
      await net.settle()
      expect(seen.code).toBe('timed-out')
    }
    const probe = watch(open('me'))
    await net.settle()
    expect(probe).toEqual({})
    expect(await codeOfAsync(() => connect())).toBe('timed-out')
    await net.clock.elapse(8 * second)
  })

  test('a network without exits says so', async () => {
    const { connect } = await start(0)
    expect(await codeOfAsync(() => connect())).toBe('no-exit')
  })

  test('without a trunk it is the network that cannot be reached', async () => {
    const { net, open } = await start(1)
    for (const relay of net.relays) relay.kill()
    const seen = watch(open('me'))
    await net.clock.elapse(9 * second)
    await net.settle()
    expect(seen.code).toBe('network-unreachable')
  })
})
