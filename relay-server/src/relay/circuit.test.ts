import { utf8 } from '@nightjar/shared/bytes'
import { bodyOf, cellHeaderSize, command, destroyCell, handshakeCells, makeCell } from '@nightjar/shared/cell'
import {
  type Hop,
  layerOffset,
  layerSize,
  messageType,
  noStream,
  partSize,
  type Stream,
  writeMessage,
} from '@nightjar/shared/circuit'
import { purpose } from '@nightjar/shared/handshake'
import { limits } from '@nightjar/shared/limits'
import { millisecond } from '@nightjar/shared/runtime'
import { pattern } from '@nightjar/shared/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import { ask, MemoryNetwork, type Session } from './testing/memoryNetwork.ts'
import { RawClient, type RawHop } from './testing/rawClient.ts'

const nothing = new Uint8Array(0)
const token = pattern(8)

let network: MemoryNetwork
let client: RawClient
beforeEach(async () => {
  network = await MemoryNetwork.create('entry', 'middle')
  client = new RawClient(network, 'entry')
})

async function createCells(change: { depth?: number; purpose?: 1 | 2 } = {}): Promise<Uint8Array[]> {
  const { responder } = network.relay('entry')
  const { hello } = await client.hello(responder, change.depth ?? 1, change.purpose ?? purpose.hop)
  return handshakeCells(client.id, command.create, hello)
}

describe('CREATE', () => {
  test('makes a circuit that answers', async () => {
    const hop = await client.create('entry')
    expect(network.circuits).toBe(1)
    client.send(hop, messageType.ping, noStream, token)
    await network.settle()
    expect(client.arrivals()).toEqual([{ hop, type: messageType.pong, stream: noStream, data: token }])
  })

  test.each([
    ['an answer that is still being worked out', 2],
    ['half a hello', 1],
  ])('RELAY behind %s destroys the circuit', async (_, cells) => {
    for (const cell of (await createCells()).slice(0, cells)) client.wire.near.send(cell)
    client.wire.near.send(makeCell(client.id, command.relay, pattern(1019)))
    // In one go, as in one message: no promise goes on in between.
    client.wire.deliver('far')
    client.wire.deliver('near')
    expect(client.ending()).toBe('protocol-violation')
    await network.settle()
    expect(client.arrivals()).toEqual([])
    expect({ circuits: network.circuits, entries: network.entries, timers: network.clock.pending }).toEqual({
      circuits: 0,
      entries: 0,
      timers: 0,
    })
  })

  test('twice destroys the circuit', async () => {
    await client.create('entry')
    client.wire.near.send((await createCells())[0] as Uint8Array)
    await network.settle()
    expect(client.ending()).toBe('protocol-violation')
    expect(network.circuits).toBe(0)
  })

  test('that does not finish is destroyed when its time is over', async () => {
    client.wire.near.send((await createCells())[0] as Uint8Array)
    await network.settle()
    network.clock.advance(limits.handshakeTimeout - millisecond)
    await network.settle()
    expect(client.ending()).toBeUndefined()
    expect(network.circuits).toBe(1)
    network.clock.advance(millisecond)
    await network.settle()
    expect(client.ending()).toBe('timed-out')
    expect({ circuits: network.circuits, timers: network.clock.pending }).toEqual({ circuits: 0, timers: 0 })
  })

  test('that has finished has all the time in the world', async () => {
    await client.create('entry')
    network.clock.advance(10 * limits.handshakeTimeout)
    await network.settle()
    expect(client.ending()).toBeUndefined()
    expect(network.circuits).toBe(1)
  })

  test('for another purpose is refused', async () => {
    for (const cell of await createCells({ purpose: purpose.envelope, depth: 0 })) client.wire.near.send(cell)
    await network.settle()
    expect(client.ending()).toBe('protocol-violation')
    expect(network.circuits).toBe(0)
  })

  test.each([
    ['another version', 0, 2, 'protocol-violation'],
    ['an unknown purpose', 1, 9, 'protocol-violation'],
    ['depth 0', 2, 0, 'protocol-violation'],
    ['depth 5', 2, 5, 'protocol-violation'],
    ['a key that the relay does not hold', 3, 0xff, 'unknown-key'],
    ['a bad encapsulation key', 3 + 8 + 32, 'max', 'handshake-failed'],
  ] as const)('with %s is refused', async (_, offset, value, code) => {
    const { hello } = await client.hello(network.relay('entry').responder, 1)
    const changed = Uint8Array.from(hello)
    // Coefficients of an encapsulation key are below 3329, so 0xffffff… is none (FIPS 203, section 7.2).
    if (value === 'max') changed.fill(0xff, offset, offset + 32)
    else changed[offset] = (changed[offset] as number) === value ? value ^ 1 : value
    for (const cell of handshakeCells(client.id, command.create, changed)) client.wire.near.send(cell)
    await network.settle()
    expect(client.ending()).toBe(code)
    expect(network.circuits).toBe(0)
  })

  test('is refused where the link has as many circuits as it may', async () => {
    const [first] = await createCells()
    const body = bodyOf(first as Uint8Array)
    for (let id = 1; id <= limits.circuitsPerLink; id++) client.wire.near.send(makeCell(id, command.create, body))
    await network.settle()
    expect(network.circuits).toBe(limits.circuitsPerLink)
    client.wire.near.send(first as Uint8Array)
    await network.settle()
    expect(client.ending()).toBe('limit-reached')
    expect(network.circuits).toBe(limits.circuitsPerLink)
    client.wire.near.close('done')
    await network.settle()
    expect({ circuits: network.circuits, timers: network.clock.pending }).toEqual({ circuits: 0, timers: 0 })
  })
})

describe('a circuit ends', () => {
  test('without an answer where the client destroys it, even with a fill that is not zero', async () => {
    await client.create('entry')
    client.wire.near.send(destroyCell(client.id, 0))
    await network.settle()
    expect(client.arrivals()).toEqual([])
    expect(network.circuits).toBe(0)

    const other = new RawClient(network, 'entry')
    await other.create('entry')
    other.wire.near.send(makeCell(other.id, command.destroy, Uint8Array.of(0, 1)))
    await network.settle()
    expect(network.circuits).toBe(0)
  })

  test.each([
    ['CREATED', command.created],
    ['PUZZLE', command.puzzle],
  ])('where %s comes to a relay', async (_, cellCommand) => {
    await client.create('entry')
    client.wire.near.send(makeCell(client.id, cellCommand, nothing))
    await network.settle()
    expect(client.ending()).toBe('protocol-violation')
    expect(network.circuits).toBe(0)
  })

  test('for its services too, and they can send nothing any more', async () => {
    const { hops } = await network.open('entry')
    const [hop] = hops as [Hop]
    // Enough cells that a credit is due once they are consumed.
    const answer = ask(hop, pattern(limits.creditStep * partSize), { service: 'sink' })
    answer.catch(() => undefined)
    await network.settle()
    const [session] = network.relay('entry').sessions as [Session]
    const [stream] = session.streams as [Stream]
    hop.close()
    await network.settle()
    expect({ ended: session.ended, circuits: network.circuits }).toEqual({ ended: true, circuits: 0 })
    for (let cell = 0; cell < limits.creditStep; cell++) stream.consumed()
    stream.send(token, true)
    stream.connected()
    stream.reset('internal')
    expect(network.misuses).toEqual([])
  })
})

describe('a message for the relay itself', () => {
  let hop: RawHop
  beforeEach(async () => {
    hop = await client.create('entry')
  })

  test.each([
    ['PING of another length', messageType.ping, pattern(7)],
    ['TRUNCATE of branch 0', messageType.truncate, Uint8Array.of(0, 0)],
    ['TRUNCATE of a branch that never was', messageType.truncate, Uint8Array.of(0, 1)],
    ['TRUNCATE cut off', messageType.truncate, Uint8Array.of(1)],
    ['TRUNCATE with trailing bytes', messageType.truncate, Uint8Array.of(0, 1, 0)],
    ['KEEP of branch 0', messageType.keep, Uint8Array.of(0, 0, 0, 60)],
    ['KEEP of a branch that never was', messageType.keep, Uint8Array.of(0, 1, 0, 60)],
    ['KEEP cut off', messageType.keep, Uint8Array.of(0, 1, 60)],
    ['KEEP with trailing bytes', messageType.keep, Uint8Array.of(0, 1, 0, 60, 0)],
    ['EXTENDED', messageType.extended, pattern(10)],
    ['BRANCH_CLOSED', messageType.branchClosed, Uint8Array.of(0, 1, 0)],
    ['SHAPE', messageType.shape, nothing],
    ['an unknown type', 99, nothing],
    ['type 0', 0, nothing],
    ['DATA for no stream', messageType.data, pattern(10)],
    ['EXTEND with nothing in it', messageType.extend, nothing],
    ['EXTEND of no length', messageType.extend, Uint8Array.of(0, 0, 1)],
    ['EXTEND beyond the longest', messageType.extend, Uint8Array.of(0xff, 0xff, 1)],
    ['EXTEND that is cut off', messageType.extend, Uint8Array.of(0, 4, 0, 1, 2, 3)],
    ['EXTEND of branch 0', messageType.extend, Uint8Array.of(0, 40, ...new Uint8Array(2), ...pattern(38))],
  ])('destroys the circuit where it is %s', async (_, type, data) => {
    client.send(hop, type, noStream, data)
    await network.settle()
    expect(client.ending()).toBe('protocol-violation')
    expect(network.circuits).toBe(0)
  })

  test.each([
    ['DROP', messageType.drop],
    ['PONG', messageType.pong],
  ])('is dropped where it is %s', async (_, type) => {
    client.send(hop, type, noStream, pattern(100))
    client.send(hop, messageType.ping, noStream, token)
    await network.settle()
    expect(client.arrivals()).toMatchObject([{ type: messageType.pong }])
  })

  test.each([
    ['fill that is not zero', (cell: Uint8Array) => cell.fill(1, 1023)],
    ['a length beyond the cell', (cell: Uint8Array) => cell.set([0xff, 0xff], layerOffset(1) + layerSize + 3)],
  ])('destroys the circuit where it has %s, though the layer is right', async (_, spoil) => {
    const cell = makeCell(client.id, command.relay, nothing)
    writeMessage(cell, layerOffset(1) + layerSize, messageType.drop, noStream, nothing)
    spoil(cell)
    client.wire.near.send(client.sealLayers(hop, cell))
    await network.settle()
    expect(client.ending()).toBe('protocol-violation')
  })

  test('a cell for a branch that never was destroys the circuit', async () => {
    client.wire.near.send(client.sealLayers(hop, makeCell(client.id, command.relay, nothing), { branch: 1 }))
    await network.settle()
    expect(client.ending()).toBe('protocol-violation')
  })

  test('a cell for a branch that is gone is dropped: the client may not have heard', async () => {
    expect(await client.extend(hop, 'middle', 1)).toMatchObject({ depth: 2 })
    network.wire('entry', 'middle').cut()
    client.wire.near.send(client.sealLayers(hop, makeCell(client.id, command.relay, nothing), { branch: 1 }))
    client.send(hop, messageType.ping, noStream, token)
    await network.settle()
    expect(client.arrivals().map(({ type }) => type)).toEqual([messageType.branchClosed, messageType.pong])
  })

  test('BEGIN of a service that the relay does not have ends that stream only', async () => {
    const service = utf8('none')
    const begin = Uint8Array.of(1, service.length, ...service, 0, 0)
    client.send(hop, messageType.begin, 1, begin)
    client.send(hop, messageType.ping, noStream, token)
    await network.settle()
    expect(client.arrivals()).toMatchObject([
      { type: messageType.end, stream: 1, data: Uint8Array.of(12) },
      { type: messageType.pong },
    ])
  })
})

test('fill beyond the body of a deeper hop must be zero', async () => {
  const hop = await client.create('entry', 2)
  const cell = client.seal(hop, messageType.drop, noStream, nothing)
  // The hop stands second: its body ends 19 bytes before the cell does. On this link it stands right behind the header.
  const shifted = makeCell(client.id, command.relay, cell.subarray(layerOffset(2)))
  shifted[1023] = 1
  client.wire.near.send(shifted)
  await network.settle()
  expect(client.ending()).toBe('protocol-violation')
  expect(cellHeaderSize + 1000 + layerSize).toBe(1024)
})
