import { command, handshakeCells } from '@nightjar/shared/cell'
import { type CircuitTable, messageType, noStream } from '@nightjar/shared/circuit'
import { purpose } from '@nightjar/shared/handshake'
import { limits } from '@nightjar/shared/limits'
import { pattern } from '@nightjar/shared/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import { RelayMeter, untimed } from './meter.ts'
import { queueLimit } from './queueLimit.ts'
import { ask, MemoryNetwork } from './testing/memoryNetwork.ts'
import { RawClient, type RawHop } from './testing/rawClient.ts'

const token = pattern(8)
let network: MemoryNetwork
beforeEach(async () => {
  network = await MemoryNetwork.create('entry', 'middle', 'gateway')
})

const countsOf = (name: string) => network.relay(name).core.counts
const codes = (counts: ReadonlyMap<string, number>) => Object.fromEntries(counts)

describe('a relay counts', () => {
  test('circuits, branches, handshakes and cells while they are there', async () => {
    const { hops } = await network.open('entry', 'middle', 'gateway')
    for (const name of ['entry', 'middle', 'gateway']) {
      expect(countsOf(name)).toMatchObject({ circuits: 1, branches: name === 'gateway' ? 0 : 1 })
      expect(codes(countsOf(name).handshakes)).toEqual({ done: 1 })
    }
    const before = countsOf('middle').cells
    const { forward, backward } = before
    await network.run(ask(hops[2] as (typeof hops)[2], 'a question'))
    // One cell each way; what gives credit back comes later.
    expect(before).toEqual({ forward: forward + 1, backward: backward + 1 })
  })

  test('what is closed by the client, down the whole path', async () => {
    const { table, hops } = await network.open('entry', 'middle', 'gateway')
    hops[0]?.close()
    await network.settle()
    expect(table.size).toBe(0)
    for (const name of ['entry', 'middle', 'gateway']) {
      expect(countsOf(name)).toMatchObject({ circuits: 0, branches: 0 })
      expect(codes(countsOf(name).circuitsClosed)).toEqual({ done: 1 })
    }
    expect(codes(countsOf('middle').branchesClosed)).toEqual({ done: 1 })
    expect(codes(countsOf('gateway').branchesClosed)).toEqual({})
  })

  test('what ends because a link broke', async () => {
    await network.open('entry', 'middle', 'gateway')
    network.wire('middle', 'gateway').cut()
    await network.settle()
    expect(codes(countsOf('middle').branchesClosed)).toEqual({ 'link-lost': 1 })
    expect(codes(countsOf('gateway').linksClosed)).toEqual({ 'link-lost': 1 })
    expect(codes(countsOf('gateway').circuitsClosed)).toEqual({ 'link-lost': 1 })
    expect(countsOf('middle')).toMatchObject({ circuits: 1, branches: 0 })
  })

  test('branches that could not be opened', async () => {
    const client = new RawClient(network, 'entry')
    const entry = await client.create('entry')
    network.unreachable.add('middle')
    expect(await client.extend(entry, 'middle', 1)).toBe('connect-failed')
    network.unknown.add('gateway')
    expect(await client.extend(entry, 'gateway', 2)).toBe('unknown-relay')
    expect(codes(countsOf('entry').branchesClosed)).toEqual({ 'connect-failed': 1, 'unknown-relay': 1 })
    expect(countsOf('entry').branches).toBe(0)
  })

  test('handshakes that failed, by their code', async () => {
    const client = new RawClient(network, 'entry')
    const send = async (change: { relay?: string; kind?: 1 | 2; cells?: number }) => {
      const { hello } = await client.hello(network.relay(change.relay ?? 'entry').responder, 1, change.kind)
      const cells = handshakeCells(client.id, command.create, hello)
      for (const cell of cells.slice(0, change.cells)) client.wire.near.send(cell)
      await network.settle()
      return client.ending()
    }
    expect(await send({ relay: 'middle' })).toBe('unknown-key')
    expect(await send({ kind: purpose.envelope })).toBe('protocol-violation')
    expect(await send({ cells: 1 })).toBeUndefined()
    network.clock.advance(limits.handshakeTimeout)
    await network.settle()
    expect(client.ending()).toBe('timed-out')
    const expected = { 'unknown-key': 1, 'protocol-violation': 1, 'timed-out': 1 }
    expect(codes(countsOf('entry').handshakes)).toEqual(expected)
    expect(codes(countsOf('entry').circuitsClosed)).toEqual(expected)

    const incoming = network.relay('entry').incoming[0] as CircuitTable
    const filler = { onCell() {}, onLinkClosed() {} }
    for (let id = 1; incoming.size < limits.circuitsPerLink; id++) incoming.add(id, filler)
    expect(await send({})).toBe('limit-reached')
    expect(codes(countsOf('entry').handshakes)).toEqual({ ...expected, 'limit-reached': 1 })
  })
})

describe('cells that wait', () => {
  let client: RawClient
  let entry: RawHop
  let middle: RawHop
  beforeEach(async () => {
    client = new RawClient(network, 'entry')
    entry = await client.create('entry')
    middle = (await client.extend(entry, 'middle', 1)) as RawHop
  })

  async function send(cells: number, delay = 0): Promise<void> {
    for (let cell = 0; cell < cells; cell++) client.send(middle, messageType.ping, noStream, token, delay)
    await network.settle()
  }

  test('for an onward link are counted until they leave', async () => {
    const { near } = network.wire('entry', 'middle')
    near.stall()
    await send(20)
    expect(countsOf('entry').queued).toEqual({ forward: 20, backward: 0 })
    near.resume()
    await network.settle()
    expect(countsOf('entry').queued).toEqual({ forward: 0, backward: 0 })
  })

  test('for the client are counted until they leave, or their branch does', async () => {
    client.wire.far.stall()
    await send(20)
    expect(countsOf('entry').queued).toEqual({ forward: 0, backward: 20 })
    await send(queueLimit(1) - 19)
    // The branch has overflowed: what is left is the message that says so.
    expect(countsOf('entry').queued).toEqual({ forward: 0, backward: 1 })
    client.wire.far.resume()
    await network.settle()
    expect(countsOf('entry').queued).toEqual({ forward: 0, backward: 0 })
    expect(codes(countsOf('entry').branchesClosed)).toEqual({ overflow: 1 })
  })

  test('are forgotten with their circuit', async () => {
    network.wire('entry', 'middle').near.stall()
    await send(20)
    client.wire.far.stall()
    client.send(entry, messageType.ping, noStream, token)
    await network.settle()
    expect(countsOf('entry').queued).toEqual({ forward: 20, backward: 1 })
    client.wire.cut()
    await network.settle()
    expect(countsOf('entry').queued).toEqual({ forward: 0, backward: 0 })
  })
})

describe('time in a relay', () => {
  test('is that of one cell in 61, and none is timed where nobody wants it', () => {
    const told: number[] = []
    const meter = new RelayMeter((_, milliseconds) => told.push(milliseconds))
    const timed = Array.from({ length: 610 }, () => meter.start()).filter((startedAt) => startedAt !== untimed)
    expect(timed).toHaveLength(10)
    meter.stop('forward', untimed)
    expect(told).toEqual([])
    meter.stop('forward', performance.now() - 50)
    expect(told[0]).toBeGreaterThanOrEqual(50)
    const silent = new RelayMeter()
    expect(Array.from({ length: 610 }, () => silent.start())).toEqual(Array.from({ length: 610 }, () => untimed))
  })

  test('is told for both directions, also of cells that waited', async () => {
    const client = new RawClient(network, 'entry')
    const entry = await client.create('entry')
    const middle = (await client.extend(entry, 'middle', 1)) as RawHop
    const send = () => client.send(middle, messageType.ping, noStream, token)
    for (let cell = 0; cell < 400; cell++) send()
    await network.settle()
    const directions = () => new Set(network.timed.map(({ relay, direction }) => `${relay} ${direction}`))
    expect(directions()).toEqual(new Set(['entry forward', 'entry backward']))

    network.timed.length = 0
    network.wire('entry', 'middle').near.stall()
    for (let cell = 0; cell < 400; cell++) send()
    await network.settle()
    expect(network.timed).toEqual([])
    const asleep = performance.now()
    while (performance.now() - asleep < 5) {
      /* The time that cells wait is real. */
    }
    network.wire('entry', 'middle').near.resume()
    await network.settle()
    const forward = network.timed.filter(({ direction }) => direction === 'forward')
    expect(forward.length).toBeGreaterThan(0)
    for (const { milliseconds } of forward) expect(milliseconds).toBeGreaterThanOrEqual(5)
  })

  test('is not told of cells that were to be delayed', async () => {
    const client = new RawClient(network, 'entry')
    const entry = await client.create('entry')
    const middle = (await client.extend(entry, 'middle', 1)) as RawHop
    const gateway = (await client.extend(middle, 'gateway', 1)) as RawHop
    network.timed.length = 0
    for (let cell = 0; cell < 300; cell++) client.send(gateway, messageType.ping, noStream, token, 2)
    await network.settle()
    await network.clock.elapse(10)
    await network.settle()
    expect(network.timed.filter(({ relay, direction }) => relay === 'middle' && direction === 'forward')).toEqual([])
    expect(network.timed.some(({ relay, direction }) => relay === 'entry' && direction === 'forward')).toBe(true)
  })
})
