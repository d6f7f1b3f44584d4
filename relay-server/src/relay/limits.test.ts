/** Limits that a circuit keeps: puzzles before its handshake, its age, its BEGINs, and what all circuits may have waiting. */
import { command, handshakeCells } from '@nightjar/shared/cell'
import { CircuitTable, messageType, noStream, openCircuit } from '@nightjar/shared/circuit'
import { limits } from '@nightjar/shared/limits'
import { hour, second } from '@nightjar/shared/runtime'
import { codeOfAsync, turn } from '@nightjar/shared/testing'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import { HandshakeGate } from '../limits/handshakes.ts'
import { ask, MemoryNetwork } from './testing/memoryNetwork.ts'
import { RawClient, type RawHop } from './testing/rawClient.ts'

let network: MemoryNetwork
beforeEach(async () => {
  network = await MemoryNetwork.create('entry', 'middle', 'gateway', 'other')
})

/** From now on `name` answers nobody without a solution, on links to come. */
function load(name: string): void {
  const onRefused = (refusal: (typeof network.refused)[number]) => void network.refused.push(refusal)
  const gate = new HandshakeGate({ crypto: nativeCrypto, clock: network.clock, perSecond: 1, onRefused })
  for (let count = 0; count < 10; count++) gate.countAnswered()
  expect(gate.price).toBeGreaterThan(limits.handshakesPerLinkAtOnce)
  network.gates.set(name, gate)
}

/** `promise`, with everything delivered, and the time passing that solving a puzzle takes. */
async function solving<T>(promise: Promise<T>): Promise<T> {
  let isOver = false
  const over = () => {
    isOver = true
  }
  promise.then(over, over)
  while (!isOver) {
    await network.settle()
    network.clock.advance(0)
    await turn()
  }
  return promise
}

describe('a relay under load', () => {
  test('has its client solve a puzzle, and the circuit works', async () => {
    load('entry')
    const table = new CircuitTable()
    network.connect(table, 'entry')
    const entry = await solving(openCircuit(table, network.relay('entry').responder, network.context))
    expect(network.refused).toEqual(['puzzle-set'])
    expect(await network.run(ask(entry, 'hello'))).toBeDefined()
    const { counts } = network.relay('entry').core
    expect([counts.circuits, counts.handshakes.get('busy'), counts.handshakes.get('done')]).toEqual([1, 1, 1])
    expect(network.wires.some(({ dead }) => dead)).toBe(false)
  })

  test('keeps nothing of a circuit that it set a puzzle for', async () => {
    load('entry')
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
    load('gateway')
    expect(await codeOfAsync(() => network.grow(middle, 'gateway'))).toBe('busy')
    expect(network.relay('gateway').core.counts.circuits).toBe(0)
    expect((await network.grow(middle, 'other')).error).toBeUndefined()
  })
})

describe('a circuit', () => {
  test('on which nothing comes for an hour ends, everywhere', async () => {
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
