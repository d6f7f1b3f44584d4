import { concat, u16, u32, utf8 } from '@nightjar/shared/bytes'
import { circuitIdOf } from '@nightjar/shared/cell'
import { type Hop, messageType, noStream, partSize } from '@nightjar/shared/circuit'
import { limits } from '@nightjar/shared/limits'
import { pattern } from '@nightjar/shared/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import { queueLimit } from './queueLimit.ts'
import { ask, MemoryNetwork } from './testing/memoryNetwork.ts'
import { type Arrival, circuitEnd, RawClient, type RawHop } from './testing/rawClient.ts'
import { openStalled } from './testing/stalled.ts'

const token = pattern(8)
/** What may wait in one direction of one branch of a middle, of that of an entry, a trunk; and of the relay's own messages. */
const most = queueLimit(2)
const mostOfTrunk = queueLimit(1)
const mostOwn = limits.branchWindow + limits.controlAllowance
/** Cells of one that waits before another has its turn. */
const turn = 8

let network: MemoryNetwork
/** One that sends as much as it likes. */
let client: RawClient
beforeEach(async () => {
  network = await MemoryNetwork.create('entry', 'middle', 'gateway-1', 'gateway-2')
})

function flood(hop: RawHop, cells: number): void {
  for (let cell = 0; cell < cells; cell++) client.send(hop, messageType.ping, noStream, token)
}

/** The branches that answered, in order; 0 for the relay itself, -1 for the end of the circuit. */
function answers(arrivals: readonly Arrival[]): number[] {
  return arrivals.map(({ hop, type }) => (type === circuitEnd ? circuitEnd : (hop?.branch ?? 0)))
}

/** A middle, with the client in the place of its entry. */
describe('a relay', () => {
  let middle: RawHop
  let first: RawHop
  let sameLink: RawHop
  let otherLink: RawHop
  beforeEach(async () => {
    client = new RawClient(network, 'middle', undefined, 'entry')
    middle = await client.create('middle', 2)
    first = (await client.extend(middle, 'gateway-1', 1)) as RawHop
    sameLink = (await client.extend(middle, 'gateway-1', 2)) as RawHop
    otherLink = (await client.extend(middle, 'gateway-2', 3)) as RawHop
  })

  test('that cannot send on closes the branch that overflows, and nothing else', async () => {
    const { near } = network.wire('middle', 'gateway-1')
    near.stall()
    flood(first, most)
    await network.settle()
    expect(client.arrivals()).toEqual([])
    flood(first, 1)
    await network.settle()
    expect(client.ending()).toBe('overflow')

    // The same link is still behind; another is not, and the relay itself answers.
    flood(sameLink, 1)
    flood(otherLink, 1)
    flood(middle, 1)
    await network.settle()
    expect(answers(client.arrivals())).toEqual([0, otherLink.branch])
    near.resume()
    // What waited of the branch is gone with it.
    expect(near.sent).toHaveLength(1)
    await network.settle()
    expect(answers(client.arrivals())).toEqual([sameLink.branch])
    expect(network.relay('gateway-1').core.counts.circuits).toBe(1)
  })

  test('whose client takes nothing closes the branch that overflows, and nothing else', async () => {
    client.wire.far.stall()
    flood(first, most)
    flood(sameLink, 1)
    flood(otherLink, 1)
    await network.settle()
    expect(network.circuits).toBe(4)
    flood(first, 1)
    await network.settle()
    expect(network.circuits).toBe(3)
    client.wire.far.resume()
    await network.settle()
    const arrivals = client.arrivals()
    expect(answers(arrivals).sort()).toEqual([0, sameLink.branch, otherLink.branch])
    expect(arrivals.find(({ hop }) => hop === middle)).toMatchObject({
      type: messageType.branchClosed,
      data: Uint8Array.of(0, first.branch, 3),
    })
    flood(sameLink, 1)
    await network.settle()
    expect(answers(client.arrivals())).toEqual([sameLink.branch])
  })

  test('that is asked for more than it can tell its client ends the circuit', async () => {
    client.wire.far.stall()
    flood(middle, mostOwn)
    await network.settle()
    expect(network.circuits).toBe(4)
    flood(middle, 1)
    await network.settle()
    expect({ circuits: network.circuits, entries: network.entries }).toEqual({ circuits: 0, entries: 0 })
    client.wire.far.resume()
    await network.settle()
    // Nothing of what waited leaves a circuit that is over, whose keys are wiped.
    expect(answers(client.arrivals())).toEqual([circuitEnd])
    expect(network.misuses).toEqual([])
  })

  test('whose client ends the circuit while cells wait forgets them', async () => {
    client.wire.far.stall()
    flood(first, 20)
    flood(middle, 20)
    await network.settle()
    client.wire.near.send(Uint8Array.of(1, 2, 3, 4, 4, ...new Uint8Array(1019)))
    await network.settle()
    expect(network.circuits).toBe(0)
    client.wire.far.resume()
    expect(client.wire.far.sent).toEqual([])
    expect(network.misuses).toEqual([])
  })

  test('lets branches take turns towards the client', async () => {
    client.wire.far.stall()
    flood(first, 50)
    flood(otherLink, 3)
    flood(middle, 2)
    await network.settle()
    client.wire.far.resume()
    await network.settle()
    const order = answers(client.arrivals())
    expect(order).toHaveLength(55)
    expect(order.filter((branch) => branch === first.branch)).toHaveLength(50)
    // With three that wait, each has sent its third by the ninth cell.
    expect(order.slice(0, 9).filter((branch) => branch === otherLink.branch)).toHaveLength(3)
    expect(order.slice(0, 9).filter((branch) => branch === 0)).toHaveLength(2)
  })

  test('lets branches take turns on the link that they share', async () => {
    const { near, far } = network.wire('middle', 'gateway-1')
    near.stall()
    flood(first, 50)
    flood(sameLink, 3)
    await network.settle()
    near.resume()
    const ids = near.sent.map(circuitIdOf)
    expect(ids).toHaveLength(53)
    const [busy] = ids
    expect(ids.slice(0, turn).every((id) => id === busy)).toBe(true)
    expect(ids.slice(turn, turn + 3).every((id) => id !== busy)).toBe(true)
    expect(far.closed).toBe(false)
    await network.settle()
    expect(answers(client.arrivals())).toHaveLength(53)
  })

  test('lets circuits take turns towards a client with several', async () => {
    const { table, wire, hops } = await network.open('entry')
    const [busy] = hops as [Hop]
    const second = await network.grow(table, 'entry')
    wire.far.stall()
    for (let count = 0; count < 50; count++) void busy.ping()
    void second.ping()
    await network.settle()
    wire.far.resume()
    const ids = wire.far.sent.map(circuitIdOf)
    expect(ids).toHaveLength(51)
    expect(ids.findIndex((id) => id !== ids[0])).toBe(turn)
  })

  test.each(['near', 'far'] as const)(
    'lets nothing overtake what waits, be the %s link free again or not',
    async (side) => {
      const link = side === 'near' ? network.wire('middle', 'gateway-1').near : client.wire.far
      link.stall()
      flood(first, 5)
      await network.settle()
      // As a real link: it takes cells again before it tells those who wait.
      Object.defineProperty(link, 'writable', { configurable: true, value: true })
      flood(first, 5)
      await network.settle()
      expect(client.arrivals()).toEqual([])
      Reflect.deleteProperty(link, 'writable')
      link.resume()
      await network.settle()
      // The raw client opens each, so they came in the order in which they were sealed.
      expect(client.arrivals()).toHaveLength(10)
    },
  )
})

describe('an entry', () => {
  let entry: RawHop
  let trunk: RawHop
  beforeEach(async () => {
    client = new RawClient(network, 'entry')
    entry = await client.create('entry')
    trunk = (await client.extend(entry, 'middle', 1)) as RawHop
  })

  test.each([
    ['that cannot send on', 'near'],
    ['whose client takes nothing', 'far'],
  ])('%s closes its trunk where more waits than all branches behind may have under way', async (_, side) => {
    const link = side === 'near' ? network.wire('entry', 'middle').near : client.wire.far
    link.stall()
    flood(trunk, mostOfTrunk)
    await network.settle()
    expect([client.arrivals(), network.circuits]).toEqual([[], 2])
    flood(trunk, 1)
    await network.settle()
    link.resume()
    await network.settle()
    const data = Uint8Array.of(0, trunk.branch, 3)
    expect(client.arrivals()).toMatchObject([{ hop: entry, type: messageType.branchClosed, data }])
    flood(entry, 1)
    await network.settle()
    expect([answers(client.arrivals()), network.circuits]).toEqual([[0], 1])
  })

  test('has less for its own messages', async () => {
    client.wire.far.stall()
    flood(entry, mostOwn)
    await network.settle()
    expect(network.circuits).toBe(2)
    flood(entry, 1)
    await network.settle()
    expect({ circuits: network.circuits, entries: network.entries }).toEqual({ circuits: 0, entries: 0 })
  })
})

describe('a long answer', () => {
  const bytes = 300 * partSize

  function pour(hop: Hop): Promise<Uint8Array> {
    return ask(hop, 'x', { service: 'pour', argument: u32(bytes) })
  }

  test('waits at its gateway, not in the network, while the gateway cannot send', async () => {
    const { hops } = await network.open('entry', 'gateway-1')
    const { far } = network.wire('entry', 'gateway-1')
    far.stall()
    const answer = pour(hops[1] as Hop)
    answer.catch(() => undefined)
    await network.settle()
    expect(far.sent).toEqual([])
    far.resume()
    // Without a word from the client only a stream's window leaves.
    expect(far.sent).toHaveLength(limits.streamWindow)
    expect(await network.run(answer)).toHaveLength(bytes)
  })

  test('for a client that takes nothing waits in the network up to its window, and arrives whole in the end', async () => {
    const { wire, hops } = await network.open('entry', 'gateway-1')
    wire.far.stall()
    const answer = pour(hops[1] as Hop)
    answer.catch(() => undefined)
    await network.settle()
    expect(wire.far.sent).toEqual([])
    wire.far.resume()
    expect(await network.run(answer)).toHaveLength(bytes)
  })

  test('of a relay itself goes on by turns when the client takes cells again', async () => {
    const { wire, hops } = await network.open('entry', 'gateway-1')
    const [entry, gateway] = hops as [Hop, Hop]
    wire.far.stall()
    const answers = [pour(entry), pour(gateway), ask(entry, 'short')]
    for (const answer of answers) answer.catch(() => undefined)
    await network.settle()
    wire.far.resume()
    const [long, other, short] = await network.run(Promise.all(answers))
    expect(long).toHaveLength(bytes)
    expect(other).toHaveLength(bytes)
    expect(short).toEqual(utf8('short'))
  })

  test.each([
    ['client', 'entry'],
    ['entry', 'middle'],
  ])('many of them on two branches through a slow link from %s to %s fit what a relay lets wait', async (from, to) => {
    const { hops } = await network.open('entry', 'middle', 'gateway-1')
    const [, middle, first] = hops as [Hop, Hop, Hop]
    const second = await network.grow(middle, 'gateway-2')
    const { far } = network.wire(from, to)
    far.stall()
    const answers = [first, first, first, second, second, second].map(pour)
    for (const answer of answers) answer.catch(() => undefined)
    await network.settle()
    far.resume()
    for (const answer of await network.run(Promise.all(answers))) expect(answer).toHaveLength(bytes)
  })
})

describe.each([2, 15])('%i streams that their client does not read', (count) => {
  const bytes = 600 * partSize

  test('stop no other on their branch, with every queue on the way as it should be; they can go on later', async () => {
    const { hops } = await network.open('entry', 'gateway-1')
    const gateway = hops[1] as Hop
    const stalled = Array.from({ length: count }, () => openStalled(gateway, bytes))
    await network.settle()
    for (const { state } of stalled) expect(state()).toEqual({ cells: limits.streamWindow, hasEnded: false })
    const others = [1, 2, 3].map(() => ask(gateway, 'x', { service: 'pour', argument: u32(bytes) }))
    for (const answer of await network.run(Promise.all(others))) expect(answer).toHaveLength(bytes)
    for (const { state } of stalled) expect(state()).toEqual({ cells: limits.streamWindow, hasEnded: false })
    for (const { goOn } of stalled) goOn()
    await network.settle()
    for (const { state } of stalled) expect(state()).toEqual({ cells: 600, hasEnded: true })
    expect(gateway.error).toBeUndefined()
  })
})

test('a gateway whose client ignores its window is not stalled: the branch is closed', async () => {
  client = new RawClient(network, 'entry')
  const entry = await client.create('entry')
  const gateway = (await client.extend(entry, 'gateway-1', 1)) as RawHop
  const begin = concat(Uint8Array.of(0, 4), utf8('sink'), u16(0))
  client.send(gateway, messageType.begin, 1, begin)
  for (let cell = 1; cell < limits.streamWindow; cell++) client.send(gateway, messageType.data, 1, token)
  await network.settle()
  // The branch's credit came back, the stream's did not.
  const arrivals = client.arrivals().map(({ type, stream }) => [type, stream])
  const due = limits.streamWindow / limits.creditStep
  expect(arrivals).toEqual(Array.from({ length: due }, () => [messageType.credit, noStream]))
  client.send(gateway, messageType.data, 1, token)
  await network.settle()
  expect(client.ending()).toBe('overflow')
  expect(network.circuits).toBe(1)
})

test('a link that is closed while cells wait for it leaves nothing behind', async () => {
  const { hops } = await network.open('entry', 'gateway-1')
  const wire = network.wire('entry', 'gateway-1')
  wire.near.stall()
  const answer = ask(hops[1] as Hop, pattern(5000))
  answer.catch(() => undefined)
  await network.settle()
  wire.cut()
  await expect(network.run(answer)).rejects.toMatchObject({ code: 'link-lost' })
  expect({ circuits: network.circuits, entries: network.entries }).toEqual({ circuits: 1, entries: 1 })
})
