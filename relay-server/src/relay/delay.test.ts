import { cellSize } from '@nightjar/shared/cell'
import { layerOffset, messageType, noStream, writeMessage } from '@nightjar/shared/circuit'
import { limits } from '@nightjar/shared/limits'
import { hour } from '@nightjar/shared/runtime'
import { pattern } from '@nightjar/shared/testing'
import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { MemoryNetwork } from './testing/memoryNetwork.ts'
import { RawClient, type RawHop } from './testing/rawClient.ts'

const unit = 5
const token = pattern(8)

let network: MemoryNetwork
let client: RawClient
let entry: RawHop
let middle: RawHop
let gateway: RawHop

async function begin(): Promise<void> {
  network = await MemoryNetwork.create('entry', 'middle', 'gateway-1', 'gateway-2')
  client = new RawClient(network, 'entry')
  entry = await client.create('entry')
  middle = (await client.extend(entry, 'middle', 1)) as RawHop
  gateway = (await client.extend(middle, 'gateway-1', 1)) as RawHop
}

/** The cell leaves the client now; what is held afterwards is held by its delay. */
function send(hop: RawHop, delay: number): void {
  client.send(hop, messageType.ping, noStream, token, delay)
  network.deliverAll()
}

/** Milliseconds, from now, at which cells leave the middle for a gateway. */
function departures(name: string): number[] {
  const { near } = network.wire('middle', name)
  const start = network.clock.now()
  const times: number[] = []
  near.onActivity = () => void times.push(network.clock.now() - start)
  return times
}

describe('a delay', () => {
  beforeEach(begin)

  test('is not for the entry', async () => {
    send(middle, 1)
    await network.settle()
    expect(client.ending()).toBe('protocol-violation')
    expect(network.circuits).toBe(0)
  })

  test('is not for messages to the forwarder itself', async () => {
    const cell = new Uint8Array(cellSize)
    writeMessage(cell, layerOffset(3), messageType.drop, noStream, token)
    client.wire.near.send(client.sealLayers(middle, cell, { ownDelay: 1 }))
    await network.settle()
    expect(client.ending()).toBe('protocol-violation')
    expect(network.circuits).toBe(1)
  })

  test('holds a cell for so many units at the middle', async () => {
    const times = departures('gateway-1')
    send(gateway, 255)
    network.clock.advance(255 * unit - 1)
    expect(times).toEqual([])
    network.clock.advance(1)
    expect(times).toEqual([255 * unit])
    await network.settle()
    expect(client.arrivals()).toMatchObject([{ type: messageType.pong }])
  })

  test('is as long whatever the clock is set to meanwhile', () => {
    const { near } = network.wire('middle', 'gateway-1')
    let departed = 0
    near.onActivity = () => {
      departed += 1
    }
    send(gateway, 20)
    network.clock.set(-hour)
    network.clock.advance(20 * unit)
    expect(departed).toBe(1)
    send(gateway, 20)
    network.clock.set(2 * hour)
    expect(departed).toBe(1)
    network.clock.advance(20 * unit)
    expect(departed).toBe(2)
  })

  test('acts at every later forwarder too', async () => {
    const fourth = (await client.extend(gateway, 'gateway-2', 1)) as RawHop
    const { near } = network.wire('gateway-1', 'gateway-2')
    send(fourth, 3)
    await network.settle()
    expect(near.sent).toEqual([])
    network.clock.advance(3 * unit)
    await network.settle()
    expect(client.arrivals()).toMatchObject([{ type: messageType.pong }])
  })

  test('of one branch holds nothing of another', async () => {
    const other = (await client.extend(middle, 'gateway-2', 2)) as RawHop
    const mine = departures('gateway-1')
    const theirs = departures('gateway-2')
    send(gateway, 10)
    send(other, 0)
    network.clock.advance(10 * unit)
    expect({ mine, theirs }).toEqual({ mine: [10 * unit], theirs: [0] })
  })

  test('that has passed while the link is behind does not let the cell overtake, nor leave before its time', async () => {
    const times = departures('gateway-1')
    const { near } = network.wire('middle', 'gateway-1')
    near.stall()
    send(gateway, 1)
    send(gateway, 0)
    send(gateway, 20)
    network.clock.advance(2 * unit)
    expect(times).toEqual([])
    near.resume()
    expect(times).toEqual([2 * unit, 2 * unit])
    network.clock.advance(100 * unit)
    expect(times).toEqual([2 * unit, 2 * unit, 20 * unit])
    await network.settle()
    expect(client.arrivals()).toHaveLength(3)
  })

  test('ends with its branch, with its timer', async () => {
    const pending = network.clock.pending
    send(gateway, 100)
    expect(network.clock.pending).toBe(pending + 1)
    client.send(middle, messageType.truncate, noStream, Uint8Array.of(0, 1))
    await network.settle()
    // The look at the gateway's circuit, which is over, is gone too.
    expect(network.clock.pending).toBe(pending - 1)
    network.clock.advance(100 * unit)
    await network.settle()
    expect(client.arrivals()).toEqual([])
  })

  test('lets no more wait than the branch may', async () => {
    const most = limits.branchWindow + limits.controlAllowance
    for (let cell = 0; cell < most; cell++) send(gateway, 255)
    await network.settle()
    expect(client.ending()).toBeUndefined()
    send(gateway, 255)
    await network.settle()
    expect(client.ending()).toBe('overflow')
    send(middle, 0)
    await network.settle()
    expect(client.arrivals()).toMatchObject([{ hop: middle, type: messageType.pong }])
  })
})

test('cells leave at the time of arrival plus delay, and never before the one ahead of them', async () => {
  const cells = fc.array(fc.record({ gap: fc.nat(40), delay: fc.oneof(fc.constant(0), fc.nat(30)) }), { maxLength: 30 })
  await begin()
  await fc.assert(
    fc.asyncProperty(cells, async (schedule) => {
      const times = departures('gateway-1')
      const expected: number[] = []
      let arrival = 0
      for (const { gap, delay } of schedule) {
        network.clock.advance(gap)
        arrival += gap
        expected.push(Math.max(arrival + delay * unit, expected.at(-1) ?? 0))
        send(gateway, delay)
      }
      network.clock.advance(30 * unit)
      expect(times).toEqual(expected)
      await network.settle()
      // The gateway would have refused the first that came out of turn.
      expect(client.arrivals().filter(({ type }) => type === messageType.pong)).toHaveLength(schedule.length)
    }),
    { numRuns: 100 },
  )
})
