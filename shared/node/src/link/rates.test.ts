import { cellSize } from '@nightjar/shared/cell'
import { limits } from '@nightjar/shared/limits'
import { minute, second } from '@nightjar/shared/runtime'
import { FakeClock, turn } from '@nightjar/shared/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { dialLink, type LinkRates, listenForLinks, SendMemory, TokenBucket } from './index.ts'
import { cell, indexOf, range } from './testing/cells.ts'
import { type BareSocket, connectBare, RecordingTable, serveBare } from './testing/peers.ts'

const idleAfter = 5 * minute
const cleanUp: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const run of cleanUp.splice(0)) await run()
})

describe('rates', () => {
  const size = 64 * cellSize
  const message = Buffer.concat(range(64).map(cell))

  /** A listener whose links are held to `rates`, and so many peers, of which each has one link. */
  async function paced(count: number, make: (clock: FakeClock) => LinkRates) {
    const clock = new FakeClock()
    const seen = range(count).map(() => new RecordingTable())
    const tables = [...seen]
    const options = { host: '127.0.0.1', port: 0, path: '/relay', maxConnections: 10, idleAfter, clock }
    const accept = () => (tables.shift() as RecordingTable).table
    const listener = await listenForLinks({ ...options, accept, rates: make(clock) })
    cleanUp.push(() => listener.close())
    const peers: BareSocket[] = []
    for (const _ of seen) peers.push(await connectBare(`ws://127.0.0.1:${listener.port}/relay`))
    return { clock, seen, peers }
  }

  test('a link is not read while it is ahead of its own, and loses nothing', async () => {
    const { clock, seen, peers } = await paced(2, () => ({ cells: { perSecond: 640, atOnce: 64 } }))
    const [mine, other] = seen as [RecordingTable, RecordingTable]
    // More than the sockets between take, so that the rest can only come when it is read.
    const total = 400
    for (let count = 0; count < total; count++) peers[0]?.socket.send(message)
    await mine.until(() => mine.cells.length >= 64)
    for (let turns = 0; turns < 200; turns++) await turn()
    const before = mine.cells.length
    // What one read brings may come beyond the rate; then it stands still.
    expect(before).toBeLessThan(20 * 64)
    for (let turns = 0; turns < 200; turns++) await turn()
    expect(mine.cells.length).toBe(before)
    // Others are not held back by it.
    peers[1]?.socket.send(message)
    await other.until(() => other.cells.length === 64)
    const started = clock.now()
    while (mine.cells.length < total * 64) {
      clock.advance(0.5 * second)
      await turn()
    }
    // 25,600 cells at 640 a second.
    expect(clock.now() - started).toBeGreaterThan(30 * second)
    expect(mine.cells.map(indexOf)).toEqual(range(total).flatMap(() => range(64)))
    expect(mine.closed).toEqual([])
  })

  test('what all links share is taken by what they send, too', async () => {
    const { clock, seen, peers } = await paced(2, (its) => ({
      bandwidth: new TokenBucket(its, { perSecond: size, atOnce: 2 * size }),
    }))
    const [one, two] = seen as [RecordingTable, RecordingTable]
    peers[0]?.socket.send(message)
    await one.until(() => one.cells.length === 64)
    // Nothing is left after this, and a debt of eight seconds.
    for (const index of range(9 * 64)) one.table.link.send(cell(index))
    await peers[0]?.until(() => peers[0]?.bytes === 9 * size)
    peers[1]?.socket.send(message)
    await two.until(() => two.cells.length === 64)
    peers[1]?.socket.send(message)
    for (let turns = 0; turns < 200; turns++) await turn()
    expect(two.cells.length).toBe(64)
    for (let passed = 0; passed < 8; passed++) clock.advance(1 * second)
    for (let turns = 0; turns < 200; turns++) await turn()
    expect(two.cells.length).toBe(64)
    clock.advance(1 * second)
    await two.until(() => two.cells.length === 128)
  })

  test('a link that is not read can be closed, by either side', async () => {
    for (const close of ['ours', 'theirs']) {
      const { clock, seen, peers } = await paced(1, () => ({ cells: { perSecond: 1, atOnce: 1 } }))
      const [mine] = seen as [RecordingTable]
      peers[0]?.socket.send(message)
      await mine.until(() => mine.cells.length === 64)
      if (close === 'ours') mine.table.link.close('draining')
      else peers[0]?.socket.close()
      // Theirs is read once the time is over.
      for (let passed = 0; passed < 64; passed++) clock.advance(second)
      await peers[0]?.until(() => peers[0]?.closeCode !== undefined)
      expect(mine.closed).toEqual([close === 'ours' ? 'draining' : 'link-lost'])
    }
  })

  test('its silence does not count against a link that was not read', async () => {
    const { clock, seen, peers } = await paced(1, () => ({ cells: { perSecond: 0.1, atOnce: 1 } }))
    const [mine] = seen as [RecordingTable]
    peers[0]?.socket.send(message)
    await mine.until(() => mine.cells.length === 64)
    clock.advance(2 * idleAfter)
    expect(mine.closed).toEqual([])
  })
})

describe('what all links have unsent', () => {
  test('is counted, and where it is much each link says sooner that it takes no more', async () => {
    const server = await serveBare()
    cleanUp.push(() => server.close())
    const memory = new SendMemory(256 * 1024)
    const seen = new RecordingTable()
    let drained = () => {}
    const whenDrained = new Promise<void>((resolve) => {
      drained = resolve
    })
    seen.table.wait({ onLinkWritable: () => drained() })
    const options = { url: server.url, table: seen.table, clock: new FakeClock(), idleAfter, rates: { memory } }
    const link = await dialLink(options)
    const peer = await server.connection
    const fill = () => {
      let sent = 0
      while (link.writable) {
        link.send(cell(sent))
        sent += 1
      }
      return sent * cellSize
    }
    const bytes = fill()
    // Each message is counted when it is handed over; what is scarce by then leaves room for no more.
    expect(bytes).toBeGreaterThan(256 * 1024)
    expect(bytes).toBeLessThan(limits.linkBufferedBytes)
    await peer.until(() => peer.bytes === bytes)
    await whenDrained
    expect([memory.unsent, memory.isScarce]).toEqual([0, false])
  })

  test('is less again when a link ends with some of it', async () => {
    const server = await serveBare()
    cleanUp.push(() => server.close())
    const memory = new SendMemory(1)
    const seen = new RecordingTable()
    const link = await dialLink({
      url: server.url,
      table: seen.table,
      clock: new FakeClock(),
      idleAfter,
      rates: { memory },
    })
    for (const index of range(64)) link.send(cell(index))
    expect(memory.unsent).toBe(64 * cellSize)
    link.close('draining')
    expect(memory.unsent).toBe(0)
    for (let turns = 0; turns < 20; turns++) await turn()
    expect(memory.unsent).toBe(0)
  })
})
