import { concat, isZero, utf8 } from '@nightjar/shared/bytes'
import {
  cellSize,
  circuitIdOf,
  command,
  commandOf,
  handshakeCells,
  makeCell,
  splitHandshake,
} from '@nightjar/shared/cell'
import {
  encodeExtend,
  type Hop,
  LayerCipher,
  layerBodySize,
  layerCapacity,
  layerOffset,
  layerSize,
  messageHeaderSize,
  messageType,
  noStream,
  writeMessage,
} from '@nightjar/shared/circuit'
import { helloSize, maxDepth, replySize } from '@nightjar/shared/handshake'
import { pattern } from '@nightjar/shared/testing'
import { nativeCrypto as crypto } from '@nightjar/shared-node/crypto'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { limits } from '../limits/limits.ts'
import { ask, MemoryNetwork, type Wire } from './testing/memoryNetwork.ts'
import { RawClient, type RawHop } from './testing/rawClient.ts'

const token = pattern(8)

let network: MemoryNetwork
beforeEach(async () => {
  network = await MemoryNetwork.create('entry', 'middle', 'gateway-1', 'gateway-2')
})

describe('EXTEND', () => {
  let client: RawClient
  let entry: RawHop
  beforeEach(async () => {
    client = new RawClient(network, 'entry')
    entry = await client.create('entry')
  })

  /** Whether the circuit still answers. */
  async function stands(hop = entry): Promise<boolean> {
    client.send(hop, messageType.ping, noStream, token)
    await network.settle()
    return client.arrivals().some(({ type }) => type === messageType.pong)
  }

  test('grows a tree: a trunk, branches behind it, each apart', async () => {
    const middle = (await client.extend(entry, 'middle', 1)) as RawHop
    const first = (await client.extend(middle, 'gateway-1', 1)) as RawHop
    const second = (await client.extend(middle, 'gateway-2', 7)) as RawHop
    const again = (await client.extend(middle, 'gateway-1', 8)) as RawHop
    for (const hop of [entry, middle, first, second, again]) expect(await stands(hop)).toBe(true)
    expect({ circuits: network.circuits, entries: network.entries }).toEqual({ circuits: 5, entries: 9 })
    // Two branches to one relay share the link.
    expect(network.wires.map(({ to }) => to)).toEqual(['entry', 'middle', 'gateway-1', 'gateway-2'])
  })

  test.each([
    ['unknown-relay', () => network.unknown.add('middle')],
    ['connect-failed', () => network.unreachable.add('middle')],
  ])('to a relay that is not to be had is answered with %s, and may be asked again', async (code, arrange) => {
    arrange()
    expect(await client.extend(entry, 'middle', 1)).toBe(code)
    expect(await stands()).toBe(true)
    network.unknown.clear()
    network.unreachable.clear()
    network.clock.advance(limits.dialPause)
    expect(await client.extend(entry, 'middle', 2)).toMatchObject({ depth: 2 })
  })

  test('names the relay by its identity: one that answers under another key does not get the branch', async () => {
    const { responder } = network.relay('middle')
    const handshake = await client.requestExtend(entry, { ...responder, keyId: pattern(8) }, 1)
    await network.settle()
    expect(handshake).toBeDefined()
    expect(client.ending()).toBe('unknown-key')
    expect(await stands()).toBe(true)
  })

  test('two at once destroy the circuit, and nothing of either is left', async () => {
    await client.requestExtend(entry, network.relay('middle').responder, 1)
    await client.requestExtend(entry, network.relay('gateway-1').responder, 2)
    await network.settle()
    expect(client.ending()).toBe('protocol-violation')
    expect({ circuits: network.circuits, entries: network.entries }).toEqual({ circuits: 0, entries: 0 })
  })

  test.each([
    ['the same', 5],
    ['a lower', 4],
  ])('of %s branch number destroys the circuit, also after the branch is closed', async (_, branch) => {
    await client.extend(entry, 'middle', 5)
    client.send(entry, messageType.truncate, noStream, Uint8Array.of(0, 5))
    expect(await client.extend(entry, 'middle', branch)).toBe('protocol-violation')
    expect({ circuits: network.circuits, entries: network.entries }).toEqual({ circuits: 0, entries: 0 })
  })

  test('beyond the longest path closes that branch only', async () => {
    let hop = entry
    for (let depth = 2; depth <= maxDepth; depth++) {
      hop = (await client.extend(hop, depth % 2 === 0 ? 'middle' : 'gateway-1', 1)) as RawHop
    }
    expect(hop.depth).toBe(4)
    const { parent } = hop
    expect(await client.extend(hop, 'gateway-2', 1, { depth: 4 })).toBe('protocol-violation')
    expect(await stands(parent)).toBe(true)
    expect(network.circuits).toBe(3)
  })

  test('cannot make a path longer by lying about depths: the first answer from there closes the branch', async () => {
    const { middle, send } = await makeLiar()
    const begin = utf8('\x01\x04echo\0\0')
    send([message(messageType.begin, 1, concat(begin, new Uint8Array(layerCapacity(2) - 13)))])
    await network.settle()
    expect(network.relay('gateway-1').sessions).toHaveLength(1)
    expect(client.ending()).toBe('protocol-violation')
    expect(await stands(middle)).toBe(true)
  })

  // Or an inner middle could be told to be a middle, with all of a middle's branches.
  test.each([
    ['of its length', helloSize],
    ['that fills whole cells', 2 * (layerCapacity(2) - 7) - 34],
  ])('is not to be had behind a hop that is told a smaller depth: neither with a hello %s', async (_, length) => {
    const { middle, send } = await makeLiar()
    const identity = network.relay('gateway-2').responder.identity
    const whole = encodeExtend({ branch: 1, identity, hello: pattern(length) })
    const asked = vi.spyOn(network.relay('gateway-1').pool, 'placeTo')
    const parts = splitHandshake(whole, layerCapacity(2) - messageHeaderSize)
    send(parts.map((part) => message(messageType.extend, noStream, part)))
    await network.settle()
    expect(client.ending()).toBe('protocol-violation')
    expect([asked.mock.calls, network.relay('gateway-1').core.counts.circuits]).toEqual([[], 0])
    expect(await stands(middle)).toBe(true)
  })

  /**
   * A middle, and behind it a hop that was told to be one, too. Its layer is 19 bytes longer than what reaches it, which ends in
   * zeros. A ciphertext that ends so opens: the plaintext is made of the key stream there, so that only what is data there
   * can be made to pass.
   */
  async function makeLiar() {
    const middle = (await client.extend(entry, 'middle', 1)) as RawHop
    const liar = (await client.extend(middle, 'gateway-1', 1, { depth: 2 })) as RawHop
    const keyStreams = new LayerCipher(crypto, Uint8Array.from(liar.forwardKey))
    function send(bodies: readonly Uint8Array[]): void {
      for (const body of bodies) {
        const stream = new Uint8Array(body.length)
        keyStreams.seal(stream, 0, stream.length)
        body.set(stream.subarray(-layerSize), body.length - layerSize)
        liar.forward.seal(body, 0, body.length)
        expect(isZero(body.subarray(-layerSize))).toBe(true)
        const cell = new Uint8Array(cellSize)
        cell.set(body.subarray(0, layerCapacity(2)), layerOffset(3))
        client.wire.near.send(client.sealLayers(middle, cell, { branch: 1 }))
      }
    }
    return { middle, send }
  }

  /** As the layer of a hop at depth 2 has it. */
  function message(type: number, stream: number, data: Uint8Array): Uint8Array {
    const body = new Uint8Array(layerBodySize(2))
    writeMessage(body, layerSize, type, stream, data)
    return body
  }

  // Found by review: one address, through three other entries, left nothing to the clients of one that these extend to.
  test('is counted for the relay that brings it, for its own clients apart from what it brings as a middle', async () => {
    const asked = vi.spyOn(network.relay('middle').pool, 'placeTo')
    const { id } = network.relay('entry').relay
    for (const [before, depth] of [
      ['entry', 2],
      ['entry', 3],
      ['a client', 1],
      ['a client', 2],
    ] as const) {
      const raw = new RawClient(network, 'middle', undefined, before)
      await raw.extend(await raw.create('middle', depth), 'gateway-1', 1)
    }
    const sources = asked.mock.calls.map(([, { source }]) => source)
    expect(sources).toEqual([`relay ${id} at 2`, `relay ${id} at 3`, 'link 1', 'link 2'])
  })

  test('a 33rd branch of a middle is refused, the others go on, and one that is closed makes room', async () => {
    const middle = (await client.extend(entry, 'middle', 1)) as RawHop
    const hops: RawHop[] = []
    for (let branch = 1; branch <= limits.branchesPerCircuit; branch++) {
      hops.push((await client.extend(middle, 'gateway-1', branch)) as RawHop)
    }
    expect(await client.extend(middle, 'gateway-1', 33)).toBe('limit-reached')
    for (const hop of hops) expect(await stands(hop)).toBe(true)
    client.send(middle, messageType.truncate, noStream, Uint8Array.of(0, 1))
    expect(await client.extend(middle, 'gateway-1', 34)).toMatchObject({ depth: 3 })
    expect(network.circuits).toBe(2 + limits.branchesPerCircuit)
  })

  test.each([
    ['an entry', []],
    ['an inner middle', ['middle', 'gateway-1']],
  ])('a second branch of %s is refused, the first goes on, and makes room once it is closed', async (_, names) => {
    let hop = entry
    for (const name of names) hop = (await client.extend(hop, name, 1)) as RawHop
    const first = (await client.extend(hop, 'gateway-2', 1)) as RawHop
    const before = network.circuits
    expect(await client.extend(hop, 'gateway-2', 2)).toBe('limit-reached')
    expect(await client.extend(hop, 'middle', 3)).toBe('limit-reached')
    expect([await stands(first), network.circuits]).toEqual([true, before])
    client.send(hop, messageType.truncate, noStream, Uint8Array.of(0, 1))
    expect(await client.extend(hop, 'middle', 4)).toMatchObject({ depth: first.depth })
    expect([await stands(hop), network.circuits]).toEqual([true, before])
  })

  test('a client that tells its entry to be a middle has one branch there, too', async () => {
    client = new RawClient(network, 'entry', 7)
    const hop = await client.create('entry', 2)
    expect(await client.extend(hop, 'middle', 1)).toMatchObject({ depth: 3 })
    expect(await client.extend(hop, 'middle', 2)).toBe('limit-reached')
  })

  test('that nobody answers is closed when its time is over, and the relay that was slow is told', async () => {
    const middle = (await client.extend(entry, 'middle', 1)) as RawHop
    await client.extend(middle, 'gateway-1', 1)
    const wire = network.wire('middle', 'gateway-1')
    wire.held = true
    await client.requestExtend(middle, network.relay('gateway-1').responder, 2)
    await network.settle()
    expect(wire.near.sent.map(commandOf)).toEqual([command.create, command.create])
    network.clock.advance(limits.handshakeTimeout - 1)
    await network.settle()
    expect(client.ending()).toBeUndefined()
    network.clock.advance(1)
    await network.settle()
    expect(client.ending()).toBe('timed-out')
    expect(wire.near.sent.map(commandOf)).toEqual([command.create, command.create, command.destroy])
    wire.held = false
    expect(await client.extend(middle, 'gateway-1', 3)).toMatchObject({ depth: 3 })
    expect(network.circuits).toBe(4)
  })

  test('that the client gives up while it is under way leaves nothing behind, and the next one is served', async () => {
    await client.requestExtend(entry, network.relay('middle').responder, 1)
    client.send(entry, messageType.truncate, noStream, Uint8Array.of(0, 1))
    await network.settle()
    expect(client.arrivals()).toEqual([])
    expect({ circuits: network.circuits, entries: network.entries }).toEqual({ circuits: 1, entries: 1 })
    expect(await client.extend(entry, 'middle', 2)).toMatchObject({ depth: 2 })
    client.wire.near.close('done')
    await network.settle()
    // What is left is the pool's look at the one unused link.
    expect({ circuits: network.circuits, timers: network.clock.pending }).toEqual({ circuits: 0, timers: 1 })
  })

  test.each([
    ['its link is dialled', false],
    ['its relay is to answer', true],
  ])('that is under way while %s leaves nothing behind when the circuit ends', async (_, settled) => {
    client.wire.cut()
    // In the place of its entry, so that the circuit ends at the middle at once.
    client = new RawClient(network, 'middle', undefined, 'entry')
    const middle = await client.create('middle', 2)
    await client.extend(middle, 'gateway-1', 1)
    network.wire('middle', 'gateway-1').held = settled
    await client.requestExtend(middle, network.relay('gateway-1').responder, 2)
    if (settled) await network.settle()
    else client.wire.deliver('far')
    // The new branch is not refused: it has its place, or will have it.
    expect(network.relay('middle').core.counts.branchesClosed.size).toBe(0)
    client.wire.cut()
    network.wire('middle', 'gateway-1').held = false
    await network.settle()
    expect({ circuits: network.circuits, entries: network.entries }).toEqual({ circuits: 0, entries: 0 })
    // The pool's look at the one link.
    expect(network.clock.pending).toBe(1)
  })
})

describe('what the next relay does', () => {
  let middle: Hop
  let other: Hop
  let wire: Wire
  beforeEach(async () => {
    const { hops } = await network.open('entry', 'middle')
    middle = hops[1] as Hop
    other = await network.grow(middle, 'gateway-2')
    await network.grow(middle, 'gateway-1')
    wire = network.wire('middle', 'gateway-1')
  })

  /** Lets `cells` answer what is on its way to the gateway. */
  function answerInstead(cells: (circuitId: number) => readonly Uint8Array[]): void {
    wire.held = false
    const [first] = wire.near.take()
    for (const cell of cells(circuitIdOf(first as Uint8Array))) wire.far.send(cell)
  }

  test.each([
    ['a reply that would overfill EXTENDED', (id: number) => handshakeCells(id, command.created, pattern(2048))],
    ['a reply of another length', (id: number) => handshakeCells(id, command.created, pattern(replySize - 1))],
    ['RELAY before its reply', (id: number) => [makeCell(id, command.relay, pattern(900))]],
    ['CREATE', (id: number) => [makeCell(id, command.create, pattern(900))]],
  ])('%s closes its branch and nothing else', async (_, cells) => {
    wire.held = true
    const growing = middle.extend(network.relay('gateway-1').responder)
    growing.catch(() => undefined)
    await network.settle()
    answerInstead(cells)
    await expect(network.run(growing)).rejects.toMatchObject({ code: 'protocol-violation' })
    expect(await network.run(ask(other, 'still there'))).toHaveLength(11)
  })

  test.each([
    [4, 'limit-reached'],
    [0, 'link-lost'],
    [250, 'protocol-violation'],
  ])('DESTROY with reason %i reaches the client as %s', async (reason, code) => {
    const lost = await network.grow(middle, 'gateway-1')
    wire.held = true
    const answer = ask(lost, 'question')
    answer.catch(() => undefined)
    await network.settle()
    answerInstead((id) => [makeCell(id, command.destroy, Uint8Array.of(reason))])
    await expect(network.run(answer)).rejects.toMatchObject({ code })
    expect(lost.error?.code).toBe(code)
    expect(await network.run(ask(other, 'still there'))).toHaveLength(11)
  })
})
