/** Limits that a circuit keeps: puzzles before its handshake, its age, its BEGINs, and what all circuits may have waiting. */
import { utf8 } from '@nightjar/shared/bytes'
import { cellBodySize, command, destroyCell, handshakeCells, makeCell, splitHandshake } from '@nightjar/shared/cell'
import { CircuitTable, type Hop, messageType, noStream, openCircuit } from '@nightjar/shared/circuit'
import { helloSize } from '@nightjar/shared/handshake'
import { hour, second } from '@nightjar/shared/runtime'
import { codeOfAsync } from '@nightjar/shared/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import { limits } from '../limits/limits.ts'
import { load, solving } from './testing/load.ts'
import { ask, MemoryNetwork } from './testing/memoryNetwork.ts'
import { RawClient, type RawHop } from './testing/rawClient.ts'

let network: MemoryNetwork
beforeEach(async () => {
  network = await MemoryNetwork.create('entry', 'middle', 'gateway', 'other')
})

describe('a relay under load', () => {
  test('has its client solve a puzzle, and the circuit works', async () => {
    load(network, 'entry')
    const table = new CircuitTable()
    network.connect(table, 'entry')
    const entry = await solving(network, openCircuit(table, network.relay('entry').responder, network.context))
    expect(network.refused).toEqual(['puzzle-set'])
    expect(await network.run(ask(entry, 'hello'))).toBeDefined()
    const { counts } = network.relay('entry').core
    expect([counts.circuits, counts.handshakes.get('busy'), counts.handshakes.get('done')]).toEqual([1, 1, 1])
    expect(network.wires.some(({ dead }) => dead)).toBe(false)
  })

  test('keeps nothing of a circuit that it set a puzzle for', async () => {
    load(network, 'entry')
    const client = new RawClient(network, 'entry')
    const { hello } = await client.hello(network.relay('entry').responder, 1)
    for (const cell of handshakeCells(client.id, command.create, hello)) client.wire.near.send(cell)
    await network.settle()
    expect([network.circuits, network.entries, network.clock.pending]).toEqual([0, 0, 0])
  })

  test('that is extended to is busy: the branch is closed with that, the trunk stands, and another relay is taken', async () => {
    const { hops } = await network.open('entry', 'middle')
    const [, middle] = hops
    if (middle === undefined) throw new Error('no middle')
    load(network, 'gateway')
    expect(await codeOfAsync(() => network.grow(middle, 'gateway'))).toBe('busy')
    expect(network.relay('gateway').core.counts.circuits).toBe(0)
    expect((await network.grow(middle, 'other')).error).toBeUndefined()
  })
})

describe('circuits', () => {
  /** How many of `count` circuits that a new link asks for are begun. */
  async function begin(count: number, address?: string, from = 'client'): Promise<number> {
    const { core } = network.relay('entry')
    const before = core.counts.circuits
    const wire = network.connect(new CircuitTable(), 'entry', from, address)
    const body = splitHandshake(new Uint8Array(helloSize), cellBodySize)[0] as Uint8Array
    for (let id = 1; id <= count; id++) wire.near.send(makeCell(id, command.create, body))
    await network.settle()
    return core.counts.circuits - before
  }

  test('of one link are its share of what the process may have, and there is room for more links', async () => {
    network.mostCircuits = 90
    expect(await begin(50)).toBe(10)
    expect(network.refused).toEqual(Array(40).fill('circuit-share'))
    expect(network.relay('entry').core.counts.handshakes.get('limit-reached')).toBe(40)
    for (let links = 0; links < 20; links++) expect(await begin(50)).toBeGreaterThan(0)
    const standing = network.circuits
    expect(standing).toBeLessThan(90)
    await network.open('entry')
    expect(network.circuits).toBe(standing + 1)
  })

  test('of two addresses with fifty links each leave a third almost as much as each of them has', async () => {
    network.mostCircuits = 1000
    const had = { first: 0, second: 0 }
    for (let links = 0; links < 50; links++) {
      had.first += await begin(50, '198.51.100.1')
      had.second += await begin(50, '2001:db8:7::1')
    }
    expect(had).toEqual({ first: 100, second: 100 })
    expect(network.refused).toContain('circuit-share')
    // By links it would be none.
    expect(await begin(200, '203.0.113.1')).toBe(89)
    // Another /64 of the second's.
    expect(await begin(50, '2001:db8:7:ffff::1')).toBe(0)
  })

  test('are counted for their address until they end, over all of its links', async () => {
    network.mostCircuits = 90
    expect([await begin(50, '198.51.100.1'), await begin(50, '198.51.100.1')]).toEqual([10, 0])
    const [first] = network.wires
    first?.cut()
    await network.settle()
    expect([await begin(50, '198.51.100.1'), await begin(50, '198.51.100.1')]).toEqual([10, 0])
  })

  // Found by review: bounded by address, one link could take all of them, and a whole /48 with it.
  test('of a client’s link are so many, until some end; other links of its address have their own', async () => {
    network.mostOfClientLink = limits.circuitsPerClientLink
    const address = '198.51.100.1'
    const table = new CircuitTable()
    network.connect(table, 'entry', 'client', address)
    const [first] = [await network.grow(table, 'entry'), await network.grow(table, 'entry')]
    await network.grow(table, 'entry')
    await network.grow(table, 'entry')
    expect(await codeOfAsync(() => network.grow(table, 'entry'))).toBe('limit-reached')
    expect([network.refused, network.circuits]).toEqual([['client-circuits'], 4])
    expect(network.relay('entry').core.counts.handshakes.get('limit-reached')).toBe(1)
    expect([await begin(20, address), await begin(20, address)]).toEqual([4, 4])
    // What the client gives up has made room when its next one comes.
    first.close()
    expect((await network.grow(table, 'entry')).error).toBeUndefined()
    expect(new Set(network.refused)).toEqual(new Set(['client-circuits']))
  })

  test('of a relay’s link are not bound by that; one that is not listed is a client', async () => {
    network.mostOfClientLink = limits.circuitsPerClientLink
    network.unknown.add('other')
    const address = '198.51.100.1'
    expect([await begin(20, address, 'middle'), network.refused]).toEqual([20, []])
    expect([await begin(20, address, 'other'), network.refused]).toEqual([4, Array(16).fill('client-circuits')])
  })

  test('that another relay refuses go over a further link, which another of its workers may have', async () => {
    network.mostCircuits = 40
    const { hops } = await network.open('entry', 'middle')
    // Where nobody knows whose a link is, each has a share of its own, as it has at each worker.
    network.unknown.add('middle')
    const outcomes: (string | undefined)[] = []
    for (let asked = 0; asked < 10; asked++) {
      outcomes.push(await codeOfAsync(() => network.grow(hops[1] as Hop, 'gateway')))
    }
    // One link gets five of forty; the sixth is refused, and shows that it has its share.
    expect(outcomes.indexOf('busy')).toBe(5)
    expect(outcomes.slice(6, 9)).toEqual([undefined, undefined, undefined])
    expect(network.relay('middle').pool.size).toBe(2)
  })

  test('of one link end where it has as many as any may', async () => {
    expect(await begin(limits.circuitsPerLink + 3)).toBe(limits.circuitsPerLink)
    expect(network.refused).toEqual(Array(3).fill('link-circuits'))
  })
})

describe('handshakes', () => {
  test('wait for their turn; a circuit that ended meanwhile takes none, and one on another link is not behind a flood', async () => {
    const turns: (() => void)[] = []
    network.nextTurn = (action) => void turns.push(action)
    const flood = new RawClient(network, 'entry', 1)
    const { hello } = await flood.hello(network.relay('entry').responder, 1)
    const { core } = network.relay('entry')
    const done = () => core.counts.handshakes.get('done') ?? 0
    for (let id = 1; id <= 300; id++) {
      for (const cell of handshakeCells(id, command.create, hello)) flood.wire.near.send(cell)
      if (id > 1) flood.wire.near.send(destroyCell(id, 0))
    }
    await network.settle()
    expect([done(), core.counts.circuits, turns.length]).toEqual([0, 1, 1])
    const table = new CircuitTable()
    network.connect(table, 'entry')
    const opening = openCircuit(table, network.relay('entry').responder, network.context)
    await network.settle()
    expect(done()).toBe(0)
    turns.shift()?.()
    await network.run(opening)
    expect(done()).toBe(2)
    // What is left was given up by its client.
    turns.shift()?.()
    await network.settle()
    expect([done(), turns.length, core.counts.circuits]).toEqual([2, 0, 2])
  })

  test('of one address wait for each other over all of its links, and another address has its turn between', async () => {
    const turns: (() => void)[] = []
    network.nextTurn = (action) => void turns.push(action)
    const { hello } = await new RawClient(network, 'entry').hello(network.relay('entry').responder, 1)
    for (let links = 0; links < 2 * limits.handshakesPerTurn; links++) {
      const { near } = network.connect(new CircuitTable(), 'entry', 'client', '198.51.100.1')
      for (const cell of handshakeCells(1, command.create, hello)) near.send(cell)
    }
    await network.settle()
    const table = new CircuitTable()
    network.connect(table, 'entry', 'client', '203.0.113.1')
    let isOpen = false
    void openCircuit(table, network.relay('entry').responder, network.context).then(() => {
      isOpen = true
    })
    await network.settle()
    turns.shift()?.()
    await network.settle()
    expect([isOpen, network.relay('entry').core.counts.handshakes.get('done')]).toEqual([
      true,
      limits.handshakesPerTurn,
    ])
  })

  test('beyond what may wait are refused with that', async () => {
    network.nextTurn = () => {}
    const clients = Array.from({ length: 5 }, (_, index) => new RawClient(network, 'entry', index + 1))
    const { hello } = await (clients[0] as RawClient).hello(network.relay('entry').responder, 1)
    for (const { wire } of clients) {
      for (let id = 1; id <= 250; id++) {
        for (const cell of handshakeCells(id, command.create, hello)) wire.near.send(cell)
      }
    }
    await network.settle()
    const refused = 5 * 250 - limits.waitingHandshakes
    expect(network.refused).toEqual(Array(refused).fill('handshake-queue'))
    expect(network.relay('entry').core.counts.handshakes.get('limit-reached')).toBe(refused)
  })
})

test('EXTENDs to one relay are shared out by circuit and address, and what is beyond closes its branch alone, as nobody’s fault', async () => {
  const table = new CircuitTable()
  network.connect(table, 'entry', 'client', '198.51.100.1')
  const first = await network.grow(table, 'entry')
  const extend = (entry: Hop) => codeOfAsync(async () => (await network.grow(entry, 'middle')).close())
  const { extendsPerRelayAtOnce: all, keptOfExtends, keptOfCircuits } = limits
  const ofCircuit = Math.floor(all * (1 - keptOfExtends - keptOfCircuits))
  for (let had = 0; had < ofCircuit; had++) expect(await extend(first)).toBeUndefined()
  expect([await extend(first), network.refused]).toEqual(['busy', ['extend-rate']])
  // Other circuits of the address have what was kept for them, and over another link no more.
  const further = new CircuitTable()
  network.connect(further, 'entry', 'client', '198.51.100.1')
  for (let had = ofCircuit; had < Math.floor(all * (1 - keptOfExtends)); had++) {
    expect(await extend(await network.grow(further, 'entry'))).toBeUndefined()
  }
  const last = await network.grow(further, 'entry')
  expect(await extend(last)).toBe('busy')
  // Another relay has its own, and another address has what was kept for it.
  expect((await network.grow(last, 'gateway')).error).toBeUndefined()
  await network.open('entry', 'middle')
  expect(network.relay('entry').core.counts.branchesClosed.get('busy')).toBe(2)
})

describe('a circuit', () => {
  test('on which nothing comes from one look to the next ends, everywhere', async () => {
    const { hops } = await network.open('entry', 'middle')
    const ends: string[] = []
    hops[0]?.onClosed(({ code }) => ends.push(code))
    network.clock.advance(limits.circuitIdle)
    await network.settle()
    expect(ends).toEqual([])
    network.clock.advance(limits.circuitIdle)
    await network.settle()
    expect(ends).toEqual(['idle'])
    expect(network.refused).toContain('circuit-idle')
    expect([network.circuits, network.clock.pending]).toEqual([0, 0])
  })

  test('that is used stands, for a day', async () => {
    const { hops } = await network.open('entry')
    const [entry] = hops
    const ends: string[] = []
    entry?.onClosed(({ code }) => ends.push(code))
    for (let hours = 0; hours < limits.circuitLife / hour - 1; hours++) {
      entry?.drop()
      await network.settle()
      network.clock.advance(hour)
      await network.settle()
    }
    expect(ends).toEqual([])
    entry?.drop()
    await network.settle()
    network.clock.advance(hour)
    await network.settle()
    expect([ends, network.refused]).toEqual([['branch-retired'], ['circuit-life']])
  })

  test('has so many streams at once, and one that is refused is counted', async () => {
    const client = new RawClient(network, 'entry')
    const hop = await client.create('entry')
    const service = utf8('sink')
    for (let stream = 1; stream <= limits.streamsPerBranch + 1; stream++) {
      client.send(hop, messageType.begin, stream, Uint8Array.of(1, service.length, ...service, 0, 0))
    }
    await network.settle()
    expect(network.refused).toEqual(['streams'])
  })

  test('has so many BEGINs at once, and more as time passes', async () => {
    const { hops } = await network.open('entry')
    const [entry] = hops
    if (entry === undefined) throw new Error('no entry')
    const begin = (count: number) => {
      const asked = Array.from({ length: count }, () => codeOfAsync(() => ask(entry, 'x', { service: 'nothing' })))
      return network.run(Promise.all(asked))
    }
    for (let begun = 0; begun < limits.beginsPerBranchAtOnce; begun += 128) {
      expect(new Set(await begin(128))).toEqual(new Set(['unknown-service']))
    }
    expect(await begin(1)).toEqual(['limit-reached'])
    // Two more, as the rate has them.
    network.clock.advance((2 * second) / limits.beginsPerBranch)
    expect(await begin(3)).toEqual(['unknown-service', 'unknown-service', 'limit-reached'])
    expect(network.refused).toEqual(['begin-rate', 'begin-rate'])
  })
})

describe('where more waits than may', () => {
  const half = limits.branchWindow / 2

  /** Two clients, each with a branch to the gateway over the same middle; nothing of it leaves the middle. */
  async function stalled() {
    const greedy = new RawClient(network, 'entry', 1)
    const modest = new RawClient(network, 'entry', 2)
    const grow = async (client: RawClient) => {
      const entry = await client.create('entry')
      const middle = (await client.extend(entry, 'middle', 1)) as RawHop
      return { middle, gateway: (await client.extend(middle, 'gateway', 1)) as RawHop }
    }
    const hops = { greedy: await grow(greedy), modest: await grow(modest) }
    network.wire('middle', 'gateway').near.stall()
    const send = (client: RawClient, gateway: RawHop, count: number) => {
      for (let sent = 0; sent < count; sent++) client.send(gateway, messageType.drop, noStream, new Uint8Array(0))
      return network.settle()
    }
    return { greedy, modest, hops, send }
  }

  test('the longest queue is given up, with its branch alone', async () => {
    const { greedy, modest, hops, send } = await stalled()
    network.queuedCells = half + 20
    await send(modest, hops.modest.gateway, 20)
    await send(greedy, hops.greedy.gateway, half)
    expect([greedy.ending(), modest.ending(), network.refused]).toEqual([undefined, undefined, []])
    // The one that is over is of the modest one, and it is the greedy one that pays.
    await send(modest, hops.modest.gateway, 1)
    expect([greedy.ending(), modest.ending()]).toEqual(['overflow', undefined])
    expect(network.refused).toEqual(['queue-memory'])
    greedy.send(hops.greedy.middle, messageType.ping, noStream, new Uint8Array(8))
    await network.settle()
    expect(greedy.arrivals().map(({ type }) => type)).toEqual([messageType.pong])
    expect(network.relay('middle').core.counts.queued).toEqual({ forward: 21, backward: 0 })
  })

  test('as many are given up as it takes, and the relay goes on', async () => {
    const { greedy, modest, hops, send } = await stalled()
    await send(modest, hops.modest.gateway, 20)
    await send(greedy, hops.greedy.gateway, half)
    network.queuedCells = 1
    await send(modest, hops.modest.gateway, 1)
    expect([greedy.ending(), modest.ending()]).toEqual(['overflow', 'overflow'])
    expect(network.relay('middle').core.counts.queued).toEqual({ forward: 0, backward: 0 })
    network.wire('middle', 'gateway').near.resume()
    await network.settle()
    network.queuedCells = Number.POSITIVE_INFINITY
    expect(await greedy.extend(hops.greedy.middle, 'gateway', 2)).toMatchObject({ depth: 3 })
  })
})
