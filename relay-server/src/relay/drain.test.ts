/** A relay that drains: it says so once, takes nothing new, and what it carries goes on. */
import { fromUtf8 } from '@nightjar/shared/bytes'
import { goawayCell } from '@nightjar/shared/cell'
import { CircuitTable, type Hop } from '@nightjar/shared/circuit'
import { codeOfAsync } from '@nightjar/shared/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import { ask, MemoryNetwork } from './testing/memoryNetwork.ts'

let network: MemoryNetwork
beforeEach(async () => {
  network = await MemoryNetwork.create('entry', 'middle', 'gateway', 'other')
})

/** A client's path, and the seconds that each of its hops was told. */
async function path() {
  const { hops, table, wire } = await network.open('entry', 'middle', 'gateway')
  const told: [number, number][] = []
  for (const hop of hops) hop.onGoaway((seconds) => told.push([hop.depth, seconds]))
  return { hops, table, wire, told, last: hops.at(-1) as (typeof hops)[0] }
}

describe.each([
  ['entry', 1],
  ['middle', 2],
  ['gateway', 3],
] as const)('the %s drains', (name, depth) => {
  test('the client is told at that hop alone, and what it asks is answered', async () => {
    const { told, last } = await path()
    network.relay(name).core.drain(30)
    await network.settle()
    expect(told).toEqual([[depth, 30]])
    expect(fromUtf8(await network.run(ask(last, 'still there?')))).toBe('still there?')
  })

  test('new circuits are refused, over links that stand and over new ones', async () => {
    const { table } = await path()
    // Another way as far as the relay before, which has room for one more branch.
    let parent: CircuitTable | Hop = table
    for (const before of ['entry', 'middle'].slice(0, depth - 1)) parent = await network.grow(parent, before)
    network.relay(name).core.drain(30)
    await network.settle()
    expect(await codeOfAsync(() => network.grow(parent, name))).toBe('draining')
    const fresh = new CircuitTable()
    network.connect(fresh, name)
    expect(await codeOfAsync(() => network.grow(fresh, name))).toBe('draining')
    expect(network.relay(name).core.counts.handshakes.get('draining')).toBe(2)
  })
})

test('one who extends just then hears of it too', async () => {
  const { hops } = await network.open('entry', 'middle')
  const [, middle] = hops
  await network.grow(middle as (typeof hops)[0], 'gateway')
  const wire = network.wire('middle', 'gateway')
  wire.held = true
  const growing = network.grow(middle as (typeof hops)[0], 'gateway')
  await network.settle()
  wire.held = false
  // The gateway has taken the circuit, and drains before its answer is on its way.
  wire.deliver('far')
  network.relay('gateway').core.drain(12)
  const told: number[] = []
  const hop = await network.run(growing)
  hop.onGoaway((seconds) => told.push(seconds))
  expect(told).toEqual([12])
})

test('what comes after takes a new link, to whoever listens there then', async () => {
  const { hops } = await path()
  network.relay('gateway').core.drain(30)
  await network.settle()
  const before = network.wires.length
  expect(await codeOfAsync(() => network.grow(hops[1] as (typeof hops)[0], 'gateway'))).toBe('draining')
  expect(network.wires.length).toBe(before + 1)
  const old = network.relay('middle').outgoing[0]
  await network.relay('middle').pool.close()
  expect(old?.link.closed).toBe(true)
})

test('one that says so again and again costs one cell for each branch, and its link', async () => {
  const { wire: client, last } = await path()
  const wire = network.wire('middle', 'gateway')
  client.held = true
  for (let count = 0; count < 1000; count++) wire.far.send(goawayCell(30))
  await network.settle()
  // BRANCH_GOAWAY and BRANCH_CLOSED.
  expect([client.far.sent.length, wire.near.closedWith]).toEqual([2, 'protocol-violation'])
  client.held = false
  await network.settle()
  expect(last.error?.code).toBe('link-lost')
})
