/** KEEP: a branch stands until its time, whatever becomes of its circuit, and then nothing of it is left. */
import { isZero } from '@nightjar/shared/bytes'
import { circuitIdOf, command, commandOf, handshakeCells, makeCell } from '@nightjar/shared/cell'
import { CircuitTable, encodeKeep, type Hop, messageType, noStream } from '@nightjar/shared/circuit'
import { type ErrorCode, toWire } from '@nightjar/shared/errors'
import { replySize } from '@nightjar/shared/handshake'
import { hour, minute, second } from '@nightjar/shared/runtime'
import { FakeClock, pattern, ScriptedLink } from '@nightjar/shared/testing'
import { nativeCrypto as crypto } from '@nightjar/shared-node/crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import { limits } from '../limits/limits.ts'
import type { Refusal } from '../limits/refusal.ts'
import { KeptBranches } from './kept.ts'
import { RelayMeter } from './meter.ts'
import { Onward } from './onward.ts'
import { ask, MemoryNetwork, type Session, type Wire } from './testing/memoryNetwork.ts'
import { RawClient, type RawHop } from './testing/rawClient.ts'

const longest = limits.keepLongest / second

let network: MemoryNetwork
beforeEach(async () => {
  network = await MemoryNetwork.create('entry', 'middle', 'gateway-1', 'gateway-2')
})

const countsOf = (name: string) => network.relay(name).core.counts
/** What the middle has: circuits, branches, and those of them without a circuit. */
function held() {
  const { circuits, branches, keptBranches } = countsOf('middle')
  return { circuits, branches, keptBranches }
}
const closes = () => Object.fromEntries(countsOf('middle').branchesClosed)
const sessionOf = (name: string) => network.relay(name).sessions.at(-1) as Session

async function pass(duration: number): Promise<void> {
  network.clock.advance(duration)
  await network.settle()
}

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

/** Nothing of anybody is left. */
async function expectNothing(): Promise<void> {
  const { circuits, entries, places } = network
  expect({ circuits, entries, places }).toEqual({ circuits: 0, entries: 0, places: 0 })
  expect(held()).toEqual({ circuits: 0, branches: 0, keptBranches: 0 })
  expect(countsOf('middle').queued).toEqual({ forward: 0, backward: 0 })
  // Unused links close by themselves; then there is no timer either.
  await pass(2 * limits.linkIdle)
  expect(network.clock.pending).toBe(0)
  expect(network.misuses).toEqual([])
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
    expect(held()).toEqual({ circuits: 0, branches: 1, keptBranches: 1 })
    expect([session.ended, sessionOf('gateway-2').ended]).toEqual([false, true])
    expect([countsOf('gateway-1').circuits, countsOf('gateway-2').circuits]).toEqual([1, 0])
    await pass(hour - 1)
    expect([session.ended, held().branches]).toEqual([false, 1])
    await pass(1)
    expect(session.ended).toBe(true)
    expect(closes()['branch-retired']).toBe(1)
    client.entry.close()
    await network.settle()
    await expectNothing()
  })

  test('gives the relay behind it no sign of that, and what comes from there is dropped', async () => {
    const { wire, behind } = await path()
    const link = network.wire('middle', 'gateway-1')
    const { backward } = countsOf('middle').cells
    // What the middle says to the gateway from now on.
    const said: number[] = []
    link.near.sent.push = (...cells) => said.push(...cells.map(commandOf))
    wire.cut()
    await network.settle()
    // More than any window has.
    for (let cell = 0; cell < limits.keptCellsAtOnce; cell++) behind.back(command.relay, pattern(900, cell))
    await network.settle()
    expect([said, link.far.sent, link.near.writable]).toEqual([[], [], true])
    expect(held()).toEqual({ circuits: 0, branches: 1, keptBranches: 1 })
    expect(countsOf('middle').cells.backward).toBe(backward)
    expect(countsOf('middle').queued).toEqual({ forward: 0, backward: 0 })
    await pass(hour)
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
    await pass(10 * second)
    await come(10 * limits.keptCells)
    expect(held().keptBranches).toBe(1)
    await come(1)
    expect(held()).toEqual({ circuits: 0, branches: 0, keptBranches: 0 })
    expect(closes()).toMatchObject({ overflow: 1 })
    expect(sessionOf('gateway-1').ended).toBe(true)
    await expectNothing()
  })

  test('keeps nothing of its circuit: all keys but those of what stands are wiped', async () => {
    const { wire } = await path()
    const inUse = () => [...network.keys].filter((key) => !isZero(key)).length
    expect(inUse()).toBeGreaterThan(1)
    wire.cut()
    await network.settle()
    // The gateway has sealed an answer with its own.
    expect(inUse()).toBe(1)
    await pass(hour)
    expect(inUse()).toBe(0)
  })

  test('ends at its time where the client is there, who is told; the rest goes on', async () => {
    const { entry, middle, kept, other } = await path()
    const ends: ErrorCode[] = []
    kept.onClosed(({ code }) => ends.push(code))
    await pass(hour - 1)
    expect(await network.run(ask(kept, 'still there'))).toHaveLength(11)
    expect(ends).toEqual([])
    await pass(1)
    expect([ends, sessionOf('gateway-1').ended]).toEqual([['branch-retired'], true])
    expect(await network.run(ask(other, 'still there'))).toHaveLength(11)
    expect(middle.branchCount).toBe(1)
    expect(closes()).toEqual({ 'branch-retired': 1 })
    entry.close()
    await network.settle()
    await expectNothing()
  })

  test('ends at once where the client wants it, and then not again', async () => {
    const { entry, kept } = await path()
    kept.close()
    await network.settle()
    expect(held()).toEqual({ circuits: 1, branches: 1, keptBranches: 0 })
    expect(sessionOf('gateway-1').ended).toBe(true)
    entry.close()
    await network.settle()
    expect(closes()).toEqual({ done: 2 })
    await expectNothing()
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
    expect(closes()).toMatchObject({ [code]: 1 })
    expect(held()).toEqual({ circuits: 0, branches: 0, keptBranches: 0 })
    const tables = network.relay('middle').outgoing.map(({ size }) => size)
    expect([tables, network.places]).toEqual([[0, 0], 0])
    await pass(2 * limits.linkIdle)
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
    expect(countsOf('middle').queued.forward).toBe(count)
    client.wire.cut()
    await network.settle()
    expect(held()).toEqual({ circuits: 0, branches: 1, keptBranches: 1 })
    return countsOf('gateway-1').cells
  }

  test('go out though their circuit is over, when the link takes them', async () => {
    const arrived = await waiting(30)
    const { forward } = arrived
    network.wire('middle', 'gateway-1').near.resume()
    await network.settle()
    expect([arrived.forward - forward, countsOf('middle').queued.forward]).toEqual([30, 0])
    await pass(limits.keepLongest)
    await expectNothing()
  })

  test('go out when their delay is over', async () => {
    const arrived = await waiting(5, 100)
    const { forward } = arrived
    await pass(499)
    expect(arrived.forward - forward).toBe(0)
    await pass(1)
    expect(arrived.forward - forward).toBe(5)
  })

  test('are dropped with their branch', async () => {
    await waiting(30)
    await pass(limits.keepLongest)
    expect(countsOf('middle').queued.forward).toBe(0)
    network.wire('middle', 'gateway-1').near.resume()
    await network.settle()
    await expectNothing()
  })

  test('are given up, branch and all, where too much waits', async () => {
    await waiting(30)
    network.queuedCells = 20
    const client = new RawClient(network, 'entry')
    const middle = (await client.extend(await client.create('entry'), 'middle', 1)) as RawHop
    client.send(middle, messageType.ping, noStream, pattern(8))
    await network.settle()
    expect([closes().overflow, network.refused]).toEqual([1, ['queue-memory']])
    expect(held()).toEqual({ circuits: 1, branches: 0, keptBranches: 0 })
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
    expect(countsOf('middle').circuitsClosed.get('protocol-violation')).toBe(1)
    expect(held()).toEqual({ circuits: 0, branches: 0, keptBranches: 0 })
  })

  test('twice destroys the circuit, and what was said first holds', async () => {
    expect(await keep(1, 60)).toBeUndefined()
    expect(await keep(1, 600)).toBe('protocol-violation')
    expect(held()).toEqual({ circuits: 0, branches: 1, keptBranches: 1 })
    await pass(1 * minute)
    expect(held().branches).toBe(0)
  })

  test('before EXTENDED destroys the circuit', async () => {
    network.wire('middle', 'gateway-1').held = true
    await client.requestExtend(middle, network.relay('gateway-1').responder, 2)
    await network.settle()
    expect(await keep(2, 60)).toBe('protocol-violation')
    expect(held()).toEqual({ circuits: 0, branches: 0, keptBranches: 0 })
  })

  test('of a branch that is gone is ignored', async () => {
    client.send(middle, messageType.truncate, noStream, Uint8Array.of(0, 1))
    expect(await keep(1, 60)).toBeUndefined()
    expect(await client.extend(middle, 'gateway-2', 2)).toMatchObject({ depth: 3 })
  })

  test('for the longest time is taken', async () => {
    expect(await keep(1, longest)).toBeUndefined()
    client.wire.cut()
    await pass(limits.keepLongest - 1)
    expect(held()).toEqual({ circuits: 0, branches: 1, keptBranches: 1 })
    await pass(1)
    await expectNothing()
  })
})

describe('where a relay drains', () => {
  /** The middle has sixteen branches of two clients; the first is away, the second goes when told. Each end's time. */
  async function crowd() {
    const clients = [await network.open('entry', 'middle'), await network.open('entry', 'middle')] as const
    for (const { hops } of clients) {
      for (let branch = 0; branch < 8; branch++) (await network.grow(hops[1] as Hop, 'gateway-1')).keep(longest)
    }
    await network.settle()
    clients[0].wire.cut()
    await network.settle()
    expect(held()).toEqual({ circuits: 1, branches: 16, keptBranches: 8 })
    /** The kept branches after each of so many seconds. */
    async function watch(seconds: number): Promise<number[]> {
      const left: number[] = []
      for (let passed = 0; passed < seconds; passed++) {
        await pass(second)
        left.push(held().keptBranches)
      }
      return left
    }
    return { second: clients[1], watch }
  }

  test('branches without their circuits end at random moments in the first half of its time', async () => {
    const { second: client, watch } = await crowd()
    network.relay('middle').core.drain(600)
    await network.settle()
    const left = await watch(300)
    expect(new Set(left).size).toBeGreaterThan(4)
    expect([left.at(-1), closes()]).toEqual([0, { draining: 8 }])
    // Those of a client that is there are its own concern.
    expect(held()).toEqual({ circuits: 1, branches: 8, keptBranches: 0 })
    expect((client.hops[1] as Hop).branchCount).toBe(8)
  })

  test('those whose circuit ends meanwhile do so too, and in the second half with it', async () => {
    const { second: client, watch } = await crowd()
    network.relay('middle').core.drain(600)
    await watch(100)
    client.wire.cut()
    await network.settle()
    expect(held().keptBranches).toBeGreaterThanOrEqual(8)
    // Else the process would end, and all of them in the same second.
    expect([held().circuits, network.relay('middle').core.isEmpty()]).toEqual([0, false])
    const left = await watch(200)
    expect([left.at(-1), new Set(left).size > 4]).toEqual([0, true])
    expect(held().branches).toBe(0)
  })

  test('in the second half of its time they end with their circuit', async () => {
    const { second: client, watch } = await crowd()
    network.relay('middle').core.drain(600)
    await watch(301)
    expect(network.relay('middle').core.isEmpty()).toBe(false)
    client.wire.cut()
    await network.settle()
    await pass(0)
    expect(held()).toEqual({ circuits: 0, branches: 0, keptBranches: 0 })
    expect(network.relay('middle').core.isEmpty()).toBe(true)
    await expectNothing()
  })

  test('none stands longer for that', async () => {
    const { wire, hops } = await network.open('entry', 'middle')
    for (let branch = 0; branch < 8; branch++) (await network.grow(hops[1] as Hop, 'gateway-1')).keep(10)
    await network.settle()
    wire.cut()
    await network.settle()
    network.relay('middle').core.drain(600)
    await pass(10 * second)
    expect(held().branches).toBe(0)
  })

  test.each([
    [30, 15],
    [900, 60],
  ])('in %i seconds, and is the next one, they leave it within %i', async (told, seconds) => {
    const { watch } = await crowd()
    network.relay('gateway-1').core.drain(told)
    await network.settle()
    const left = await watch(seconds)
    expect(left[0]).toBeGreaterThan(0)
    expect([left.at(-1), new Set(left).size > 2]).toEqual([0, true])
    expect(held().branches).toBe(8)
  })
})

describe('branches without a circuit', () => {
  const clock = new FakeClock()
  const places = { taken: 0 }
  let meter: RelayMeter
  let refused: Refusal[]
  let kept: KeptBranches
  beforeEach(() => {
    meter = new RelayMeter()
    refused = []
    kept = new KeptBranches({ crypto, clock, meter, onRefused: (refusal) => void refused.push(refusal) })
    places.taken = 0
  })

  /** How many of `count` further ones are taken of the source. Each stands for a minute. */
  function take(source: string, count: number): number {
    const before = meter.keptBranches
    for (let asked = 0; asked < count; asked++) {
      const onward = branch()
      onward.endIn(1 * minute, 'branch-retired')
      if (!kept.take(onward, source)) onward.close()
    }
    return meter.keptBranches - before
  }

  /** One on a link of its own. */
  function branch(link = (table: CircuitTable): ScriptedLink => new ScriptedLink(table)): Onward {
    const table = new CircuitTable()
    table.attach(link(table))
    places.taken += 1
    const leave = () => {
      places.taken -= 1
    }
    const events = { onReply() {}, onBackward() {}, onLost() {}, onGoaway() {} }
    return new Onward({ table, leave, refused() {} }, crypto, clock, { meter, mostHeld: 1, events })
  }

  test('are a share of what is free for each source, and never more than may be', () => {
    const [one, another] = ['192.0.2.1', '192.0.2.2']
    const share = take(one, 1000)
    expect(share).toBe(Math.ceil(limits.keptBranches / 9))
    expect(refused).toEqual(Array(1000 - share).fill('kept-branches'))
    const next = take(another, 1000)
    expect([next > share / 2, next < share]).toEqual([true, true])
    expect(take(one, 1)).toBe(0)
    for (let other = 0; other < 20; other++) take(`198.51.100.${other}`, 500)
    expect(meter.keptBranches).toBeLessThanOrEqual(limits.keptBranches)
    expect(places.taken).toBe(meter.keptBranches)
    clock.advance(1 * minute)
    expect([meter.keptBranches, places.taken, clock.pending]).toEqual([0, 0, 0])
    expect(take(one, 1000)).toBe(share)
    clock.advance(1 * minute)
  })

  // Or whoever fills it once would show when all others leave, for as long as his own stand.
  test('make room for the next one, where there are too many, by the end of another of the same source', () => {
    const other = branch()
    other.endIn(1 * minute, 'branch-retired')
    kept.take(other, '192.0.2.2')
    take('192.0.2.1', 1000)
    const before = meter.keptBranches
    const newcomer = branch()
    newcomer.endIn(1 * minute, 'branch-retired')
    expect([kept.take(newcomer, '192.0.2.1'), meter.keptBranches]).toEqual([true, before])
    // Both stand: each is still there to be ended.
    newcomer.fail('overflow')
    other.fail('overflow')
    expect(meter.keptBranches).toBe(before - 2)
    clock.advance(1 * minute)
  })

  test('end where more comes on all of them than a relay takes for nobody', () => {
    const many = (8 * limits.keptCellsOfAll) / limits.keptCellsAtOnce
    const all = Array.from({ length: many + 1 }, (_, index) => {
      const onward = branch()
      for (const cell of handshakeCells(1, command.created, new Uint8Array(replySize))) {
        onward.onCell(command.created, cell)
      }
      onward.endIn(1 * minute, 'branch-retired')
      kept.take(onward, `192.0.2.${index}`)
      return onward
    })
    const cell = makeCell(1, command.relay, pattern(10))
    for (const onward of all.slice(1)) {
      for (let come = 0; come < limits.keptCellsAtOnce; come++) onward.onCell(command.relay, cell)
    }
    expect(meter.keptBranches).toBe(many + 1)
    all[0]?.onCell(command.relay, cell)
    expect([meter.keptBranches, refused]).toEqual([many, ['kept-cells']])
    clock.advance(1 * minute)
  })

  test('end once, though their link is given up with the last that is sent on it', () => {
    class LastSend extends ScriptedLink {
      override send(): void {
        this.close('overflow')
      }
    }
    const onward = branch((table) => new LastSend(table))
    onward.endIn(1 * minute, 'branch-retired')
    kept.take(onward, '192.0.2.1')
    clock.advance(1 * minute)
    expect([meter.keptBranches, places.taken, clock.pending]).toEqual([0, 0, 0])
  })

  test('are only those that were to be kept', () => {
    const onward = branch()
    expect([kept.take(onward, '192.0.2.1'), refused, meter.keptBranches]).toEqual([false, [], 0])
    onward.close()
  })
})
