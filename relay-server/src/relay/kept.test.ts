/** KEEP: a branch stands until its time, whatever becomes of its circuit, and then nothing of it is left. */
import { isZero } from '@nightjar/shared/bytes'
import { circuitIdOf, command, commandOf, makeCell } from '@nightjar/shared/cell'
import { encodeKeep, type Hop, messageType, noStream } from '@nightjar/shared/circuit'
import { type ErrorCode, toWire } from '@nightjar/shared/errors'
import { hour, minute, second } from '@nightjar/shared/runtime'
import { pattern } from '@nightjar/shared/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import { limits } from '../limits/limits.ts'
import { closes, countsOf, expectNothing, held, longest, makeNetwork, pass } from './testing/keptBranches.ts'
import { ask, type MemoryNetwork, type Session, type Wire } from './testing/memoryNetwork.ts'
import { RawClient, type RawHop } from './testing/rawClient.ts'

let network: MemoryNetwork
beforeEach(async () => {
  network = await makeNetwork()
})

const sessionOf = (name: string) => network.relay(name).sessions.at(-1) as Session

/** A client with a branch to each gateway, both used, of which the first is to be kept for an hour. */
async function path() {
  const { wire, hops } = await network.open('entry', 'middle')
  const [entry, middle] = hops as [Hop, Hop]
  const kept = await network.grow(middle, 'gateway-1')
  const other = await network.grow(middle, 'gateway-2')
  for (const hop of [kept, other]) await network.run(ask(hop, 'a question'))
  const trunk = await circuitOf(network.wire('entry', 'middle'), middle)
  const behind = await circuitOf(network.wire('middle', 'gateway-1'), kept)
  kept.keep(hour / second)
  await network.settle()
  return { wire, entry, middle, kept, other, trunk, behind }
}

/** Sends the circuit on `wire` that `hop` is reached by a cell, and has it in hand from then on. */
async function circuitOf(wire: Wire, hop: Hop) {
  wire.held = true
  hop.drop()
  await network.settle()
  const id = circuitIdOf(wire.near.sent[0] as Uint8Array)
  wire.held = false
  await network.settle()
  const cell = (type: number, body: Uint8Array) => makeCell(id, type, body)
  return {
    /** As if the relay before sent it. */
    onward: (type: number, body: Uint8Array) => wire.near.send(cell(type, body)),
    /** As if the next relay sent it. */
    back: (type: number, body: Uint8Array) => wire.far.send(cell(type, body)),
  }
}

describe('a kept branch', () => {
  const endings: [string, (client: Awaited<ReturnType<typeof path>>) => void][] = [
    ['its client is lost', ({ wire }) => wire.cut()],
    ['its client ends the circuit', ({ entry }) => entry.close()],
    ['its client closes the link', ({ wire }) => wire.near.close('done')],
    ['the link to the relay before is lost', () => network.wire('entry', 'middle').cut()],
    ['a cell of the circuit is damaged', ({ trunk }) => trunk.onward(command.relay, pattern(1019))],
    ['the circuit breaks the protocol', ({ trunk }) => trunk.onward(command.created, pattern(10))],
  ]

  test.each(endings)('stands where %s, until its time; the others end', async (_, end) => {
    const client = await path()
    const session = sessionOf('gateway-1')
    end(client)
    await network.settle()
    expect(held(network)).toEqual({ circuits: 0, branches: 1, keptBranches: 1 })
    expect([session.ended, sessionOf('gateway-2').ended]).toEqual([false, true])
    expect([countsOf(network, 'gateway-1').circuits, countsOf(network, 'gateway-2').circuits]).toEqual([1, 0])
    await pass(network, hour - 1)
    expect([session.ended, held(network).branches]).toEqual([false, 1])
    await pass(network, 1)
    expect(session.ended).toBe(true)
    expect(closes(network)['branch-retired']).toBe(1)
    client.entry.close()
    await network.settle()
    await expectNothing(network)
  })

  test('gives the relay behind it no sign of that, and what comes from there is dropped', async () => {
    const { wire, behind } = await path()
    const link = network.wire('middle', 'gateway-1')
    const { backward } = countsOf(network, 'middle').cells
    // What the middle says to the gateway from now on.
    const said: number[] = []
    link.near.sent.push = (...cells) => said.push(...cells.map(commandOf))
    wire.cut()
    await network.settle()
    // More than any window has.
    for (let cell = 0; cell < limits.keptCellsAtOnce; cell++) behind.back(command.relay, pattern(900, cell))
    await network.settle()
    expect([said, link.far.sent, link.near.writable]).toEqual([[], [], true])
    expect(held(network)).toEqual({ circuits: 0, branches: 1, keptBranches: 1 })
    expect(countsOf(network, 'middle').cells.backward).toBe(backward)
    expect(countsOf(network, 'middle').queued).toEqual({ forward: 0, backward: 0 })
    await pass(network, hour)
    expect(said).toEqual([command.destroy])
  })

  test('ends where more comes on it than what is watched', async () => {
    const { wire, behind } = await path()
    wire.cut()
    await network.settle()
    const come = async (cells: number) => {
      for (let cell = 0; cell < cells; cell++) behind.back(command.relay, pattern(900, cell))
      await network.settle()
    }
    await come(limits.keptCellsAtOnce)
    await pass(network, 10 * second)
    await come(10 * limits.keptCells)
    expect(held(network).keptBranches).toBe(1)
    await come(1)
    expect(held(network)).toEqual({ circuits: 0, branches: 0, keptBranches: 0 })
    expect(closes(network)).toMatchObject({ overflow: 1 })
    expect(sessionOf('gateway-1').ended).toBe(true)
    await expectNothing(network)
  })

  test('keeps nothing of its circuit: all keys but those of what stands are wiped', async () => {
    const { wire } = await path()
    const inUse = () => [...network.keys].filter((key) => !isZero(key)).length
    expect(inUse()).toBeGreaterThan(1)
    wire.cut()
    await network.settle()
    // The gateway has sealed an answer with its own.
    expect(inUse()).toBe(1)
    await pass(network, hour)
    expect(inUse()).toBe(0)
  })

  test('ends at its time where the client is there, who is told; the rest goes on', async () => {
    const { entry, middle, kept, other } = await path()
    const ends: ErrorCode[] = []
    kept.onClosed(({ code }) => ends.push(code))
    await pass(network, hour - 1)
    expect(await network.run(ask(kept, 'still there'))).toHaveLength(11)
    expect(ends).toEqual([])
    await pass(network, 1)
    expect([ends, sessionOf('gateway-1').ended]).toEqual([['branch-retired'], true])
    expect(await network.run(ask(other, 'still there'))).toHaveLength(11)
    expect(middle.branchCount).toBe(1)
    expect(closes(network)).toEqual({ 'branch-retired': 1 })
    entry.close()
    await network.settle()
    await expectNothing(network)
  })

  test('ends at once where the client wants it, and then not again', async () => {
    const { entry, kept } = await path()
    kept.close()
    await network.settle()
    expect(held(network)).toEqual({ circuits: 1, branches: 1, keptBranches: 0 })
    expect(sessionOf('gateway-1').ended).toBe(true)
    entry.close()
    await network.settle()
    expect(closes(network)).toEqual({ done: 2 })
    await expectNothing(network)
  })

  test.each<[string, ErrorCode, (link: Wire, circuit: Awaited<ReturnType<typeof circuitOf>>) => void]>([
    ['the link to the next relay is lost', 'link-lost', (wire) => wire.cut()],
    ['the next relay ends it', 'idle', (_, { back }) => back(command.destroy, Uint8Array.of(toWire('idle')))],
    ['the next relay breaks the protocol', 'protocol-violation', (_, { back }) => back(command.created, pattern(9))],
  ])('without a circuit ends where %s', async (_, code, act) => {
    const { wire, behind } = await path()
    wire.cut()
    await network.settle()
    act(network.wire('middle', 'gateway-1'), behind)
    await network.settle()
    expect(closes(network)).toMatchObject({ [code]: 1 })
    expect(held(network)).toEqual({ circuits: 0, branches: 0, keptBranches: 0 })
    const tables = network.relay('middle').outgoing.map(({ size }) => size)
    expect([tables, network.places]).toEqual([[0, 0], 0])
    await pass(network, 2 * limits.linkIdle)
    // What the gateway does not know of yet is not this relay's.
    expect(network.clock.pending).toBe(network.circuits)
  })
})

describe('cells on their way to the next relay', () => {
  /** A client whose branch is kept, and `count` cells that wait at the middle, `delay` units each. */
  async function waiting(count: number, delay = 0) {
    const client = new RawClient(network, 'entry')
    const middle = (await client.extend(await client.create('entry'), 'middle', 1)) as RawHop
    const gateway = (await client.extend(middle, 'gateway-1', 1)) as RawHop
    client.send(middle, messageType.keep, noStream, encodeKeep({ branch: 1, seconds: longest }))
    if (delay === 0) network.wire('middle', 'gateway-1').near.stall()
    for (let cell = 0; cell < count; cell++) client.send(gateway, messageType.ping, noStream, pattern(8), delay)
    await network.settle()
    expect(countsOf(network, 'middle').queued.forward).toBe(count)
    client.wire.cut()
    await network.settle()
    expect(held(network)).toEqual({ circuits: 0, branches: 1, keptBranches: 1 })
    return countsOf(network, 'gateway-1').cells
  }

  test('go out though their circuit is over, when the link takes them', async () => {
    const arrived = await waiting(30)
    const { forward } = arrived
    network.wire('middle', 'gateway-1').near.resume()
    await network.settle()
    expect([arrived.forward - forward, countsOf(network, 'middle').queued.forward]).toEqual([30, 0])
    await pass(network, limits.keepLongest)
    await expectNothing(network)
  })

  test('go out when their delay is over', async () => {
    const arrived = await waiting(5, 100)
    const { forward } = arrived
    await pass(network, 499)
    expect(arrived.forward - forward).toBe(0)
    await pass(network, 1)
    expect(arrived.forward - forward).toBe(5)
  })

  test('are dropped with their branch', async () => {
    await waiting(30)
    await pass(network, limits.keepLongest)
    expect(countsOf(network, 'middle').queued.forward).toBe(0)
    network.wire('middle', 'gateway-1').near.resume()
    await network.settle()
    await expectNothing(network)
  })

  test('are given up, branch and all, where too much waits', async () => {
    await waiting(30)
    network.queuedCells = 20
    const client = new RawClient(network, 'entry')
    const middle = (await client.extend(await client.create('entry'), 'middle', 1)) as RawHop
    client.send(middle, messageType.ping, noStream, pattern(8))
    await network.settle()
    expect([closes(network).overflow, network.refused]).toEqual([1, ['queue-memory']])
    expect(held(network)).toEqual({ circuits: 1, branches: 0, keptBranches: 0 })
    expect(client.ending()).toBeUndefined()
  })
})

describe('KEEP', () => {
  let client: RawClient
  let middle: RawHop
  beforeEach(async () => {
    client = new RawClient(network, 'entry')
    middle = (await client.extend(await client.create('entry'), 'middle', 1)) as RawHop
    await client.extend(middle, 'gateway-1', 1)
  })

  async function keep(branch: number, seconds: number): Promise<ErrorCode | undefined> {
    client.send(middle, messageType.keep, noStream, encodeKeep({ branch, seconds }))
    await network.settle()
    return client.ending()
  }

  test.each([
    ['for no time', 1, 0],
    ['for a second more than the longest', 1, longest + 1],
    ['of branch 0', 0, 60],
    ['of a branch that never was', 2, 60],
  ])('%s destroys the circuit, and keeps nothing', async (_, branch, seconds) => {
    expect(await keep(branch, seconds)).toBe('protocol-violation')
    expect(countsOf(network, 'middle').circuitsClosed.get('protocol-violation')).toBe(1)
    expect(held(network)).toEqual({ circuits: 0, branches: 0, keptBranches: 0 })
  })

  test('twice destroys the circuit, and what was said first holds', async () => {
    expect(await keep(1, 60)).toBeUndefined()
    expect(await keep(1, 600)).toBe('protocol-violation')
    expect(held(network)).toEqual({ circuits: 0, branches: 1, keptBranches: 1 })
    await pass(network, 1 * minute)
    expect(held(network).branches).toBe(0)
  })

  test('before EXTENDED destroys the circuit', async () => {
    network.wire('middle', 'gateway-1').held = true
    await client.requestExtend(middle, network.relay('gateway-1').responder, 2)
    await network.settle()
    expect(await keep(2, 60)).toBe('protocol-violation')
    expect(held(network)).toEqual({ circuits: 0, branches: 0, keptBranches: 0 })
  })

  test('of a branch that is gone is ignored', async () => {
    client.send(middle, messageType.truncate, noStream, Uint8Array.of(0, 1))
    expect(await keep(1, 60)).toBeUndefined()
    expect(await client.extend(middle, 'gateway-2', 2)).toMatchObject({ depth: 3 })
  })

  // Found by review: an address could leave hundreds of branches behind, with no connection left to be counted by.
  test('at an entry is ignored: it is a client’s link that brings it, and no way of an honest one', async () => {
    const entry = middle.parent as RawHop
    client.send(entry, messageType.keep, noStream, encodeKeep({ branch: 1, seconds: longest }))
    await network.settle()
    expect(client.ending()).toBeUndefined()
    client.wire.cut()
    await network.settle()
    expect([countsOf(network, 'entry').branches, countsOf(network, 'entry').keptBranches]).toEqual([0, 0])
    await expectNothing(network)
  })

  test('at an entry is looked at all the same: one of a branch that never was destroys the circuit', async () => {
    const entry = middle.parent as RawHop
    client.send(entry, messageType.keep, noStream, encodeKeep({ branch: 2, seconds: longest }))
    await network.settle()
    expect(client.ending()).toBe('protocol-violation')
  })

  test('for the longest time is taken', async () => {
    expect(await keep(1, longest)).toBeUndefined()
    client.wire.cut()
    await pass(network, limits.keepLongest - 1)
    expect(held(network)).toEqual({ circuits: 0, branches: 1, keptBranches: 1 })
    await pass(network, 1)
    await expectNothing(network)
  })
})
