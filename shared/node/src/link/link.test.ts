import { cellSize, command, type Link, makeCell } from '@nightjar/shared/cell'
import { type ErrorCode, toWire } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { minute, second } from '@nightjar/shared/runtime'
import { FakeClock, turn } from '@nightjar/shared/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { dialLink, type Listener, listenForLinks } from './index.ts'
import { cell, indexOf, range } from './testing/cells.ts'
import { type BareSocket, connectBare, RecordingTable, serveBare } from './testing/peers.ts'

const idleAfter = 5 * minute
const cleanUp: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const run of cleanUp.splice(0)) await run()
})

/** A link that we dialled, whose other end is a bare WebSocket. */
async function dialled(): Promise<{ link: Link; peer: BareSocket; clock: FakeClock; seen: RecordingTable }> {
  const server = await serveBare()
  cleanUp.push(() => server.close())
  const clock = new FakeClock()
  const seen = new RecordingTable()
  const link = await dialLink({ url: server.url, table: seen.table, clock, idleAfter })
  return { link, peer: await server.connection, clock, seen }
}

/** A listener that keeps what comes on its first link, and a bare WebSocket to it. */
async function listening(): Promise<{ seen: RecordingTable; peer: BareSocket; clock: FakeClock; listener: Listener }> {
  const clock = new FakeClock()
  const seen = new RecordingTable()
  const options = { host: '127.0.0.1', port: 0, path: '/relay', maxConnections: 10, idleAfter, clock }
  const listener = await listenForLinks({ ...options, accept: () => seen.table })
  cleanUp.push(() => listener.close())
  return { seen, peer: await connectBare(`ws://127.0.0.1:${listener.port}/relay`), clock, listener }
}

describe('batching', () => {
  test.each([
    [1, [1]],
    [5, [5]],
    [64, [64]],
    [65, [64, 1]],
    [200, [64, 64, 64, 8]],
  ])('%i cells of one turn leave as %j cells per message', async (count, expected) => {
    const { link, peer } = await dialled()
    for (const index of range(count)) link.send(cell(index))
    await peer.until(() => peer.bytes === count * cellSize)
    expect(peer.messages.map(({ length }) => length / cellSize)).toEqual(expected)
    const arrived = Buffer.concat(peer.messages)
    expect(range(count).map((index) => indexOf(arrived.subarray(index * cellSize)))).toEqual(range(count))
  })

  test('cells of another turn are another message, and a cell may be overwritten once it was handed over', async () => {
    const { link, peer } = await dialled()
    const reused = cell(1)
    link.send(reused)
    reused.set(cell(2))
    link.send(reused)
    reused.fill(0)
    await turn()
    link.send(cell(3))
    await peer.until(() => peer.bytes === 3 * cellSize)
    expect(peer.messages.map(({ length }) => length / cellSize)).toEqual([2, 1])
    expect(peer.messages.flatMap((message) => [indexOf(message)])).toEqual([1, 3])
  })

  test('what was queued leaves before the close, and nothing after it', async () => {
    const { link, peer, seen } = await dialled()
    link.send(cell(1))
    link.close('draining')
    link.send(cell(2))
    link.close('internal')
    await peer.until(() => peer.closeCode !== undefined)
    expect([peer.bytes, peer.closeCode]).toEqual([cellSize, 4011])
    expect(seen.closed).toEqual(['draining'])
    expect([link.closed, link.writable]).toEqual([true, false])
  })
})

describe('frames that carry no cells', () => {
  test.each(['ping', 'pong'] as const)('a %s now and then is nothing, a flood of them ends the link', async (frame) => {
    const { seen, peer, clock } = await listening()
    for (let count = 0; count < limits.controlFrames; count++) peer.socket[frame]()
    peer.socket.send(cell(1))
    await seen.until(() => seen.cells.length === 1)
    for (let seconds = 0; seconds < 10; seconds++) {
      clock.advance(second)
      peer.socket[frame]()
    }
    peer.socket.send(cell(2))
    await seen.until(() => seen.cells.length === 2)
    peer.socket[frame]()
    await peer.until(() => peer.closeCode !== undefined)
    expect([peer.closeCode, seen.closed]).toEqual([4001, ['protocol-violation']])
  })
})

describe('messages that come in', () => {
  test('are cut into cells, in order, each of which the receiver may overwrite', async () => {
    const { seen, peer } = await listening()
    for (const count of [1, 3, 64]) peer.socket.send(Buffer.concat(range(count).map(cell)))
    await seen.until(() => seen.cells.length === 68)
    expect(seen.cells.map(indexOf)).toEqual([0, ...range(3), ...range(64)])
    expect(seen.cells.every(({ length }) => length === cellSize)).toBe(true)
  })

  test.each<[string, (peer: BareSocket) => void, number, ErrorCode]>([
    ['text', (peer) => peer.socket.send('hello'), 4001, 'protocol-violation'],
    ['text of a cell’s size', (peer) => peer.socket.send('x'.repeat(cellSize)), 4001, 'protocol-violation'],
    ['nothing', (peer) => peer.socket.send(Buffer.alloc(0)), 4001, 'protocol-violation'],
    ['one byte', (peer) => peer.socket.send(Buffer.alloc(1)), 4001, 'protocol-violation'],
    ['a byte less than a cell', (peer) => peer.socket.send(Buffer.alloc(cellSize - 1)), 4001, 'protocol-violation'],
    ['a byte more than a cell', (peer) => peer.socket.send(Buffer.alloc(cellSize + 1)), 4001, 'protocol-violation'],
    ['64 cells but a byte', (peer) => peer.socket.send(Buffer.alloc(64 * cellSize - 1)), 4001, 'protocol-violation'],
    ['65 cells', (peer) => peer.socket.send(Buffer.alloc(65 * cellSize)), 1009, 'protocol-violation'],
    ['a megabyte', (peer) => peer.socket.send(Buffer.alloc(1024 * 1024)), 1009, 'protocol-violation'],
    [
      'two fragments',
      (peer) => {
        peer.socket.send(cell(1).subarray(0, 700), { fin: false })
        peer.socket.send(cell(1).subarray(700), { fin: true })
      },
      1008,
      'protocol-violation',
    ],
    [
      'fragments without a byte and without an end',
      (peer) => {
        for (const _ of range(2)) peer.socket.send(Buffer.alloc(0), { fin: false })
      },
      1008,
      'protocol-violation',
    ],
  ])('of %s close the link, and none of it is handed on', async (_, send, closeCode, told) => {
    const { seen, peer, listener } = await listening()
    send(peer)
    await Promise.all([seen.until(() => seen.closed.length > 0), peer.until(() => peer.closeCode !== undefined)])
    expect([seen.closed, peer.closeCode, seen.cells]).toEqual([[told], closeCode, []])
    while (listener.connections > 0) await turn()
  })

  test('close the link on our side too, where a relay sends them', async () => {
    const { link, peer, seen } = await dialled()
    peer.socket.send('hello')
    await peer.until(() => peer.closeCode !== undefined)
    expect([peer.closeCode, seen.closed, link.closed]).toEqual([4001, ['protocol-violation'], true])
  })

  test('stop at the cell at which the link was closed: what stands behind it is not handed on', async () => {
    const { seen, peer } = await listening()
    seen.onCell = (received) => {
      if (indexOf(received) === 2) seen.table.link.close('overflow')
    }
    peer.socket.send(Buffer.concat(range(10).map(cell)))
    peer.socket.send(Buffer.concat(range(10).map(cell)))
    await peer.until(() => peer.closeCode !== undefined)
    expect(seen.cells.map(indexOf)).toEqual([0, 1, 2])
    expect([seen.closed, peer.closeCode]).toEqual([['overflow'], 4003])
  })

  test('with an unknown command close the link', async () => {
    const { seen, peer } = await listening()
    peer.socket.send(makeCell(1, 77, new Uint8Array(0)))
    await peer.until(() => peer.closeCode !== undefined)
    expect([seen.closed, peer.closeCode]).toEqual([['protocol-violation'], 4001])
  })
})

describe('the end that the other side makes', () => {
  test.each<[number, ErrorCode]>([
    [4000 + toWire('draining'), 'draining'],
    [4000 + toWire('idle'), 'idle'],
    [4000, 'link-lost'],
    [4200, 'protocol-violation'],
    [4256, 'link-lost'],
    [4999, 'link-lost'],
    [1000, 'link-lost'],
    [3999, 'link-lost'],
  ])('with code %i is told as %s, once', async (code, told) => {
    const { link, peer, seen } = await dialled()
    peer.socket.close(code)
    await seen.until(() => seen.closed.length > 0)
    await peer.until(() => peer.closeCode !== undefined)
    expect([seen.closed, link.closed, link.writable]).toEqual([[told], true, false])
  })

  test('without a closing message is a lost link', async () => {
    const { peer, seen } = await dialled()
    peer.socket.terminate()
    await seen.until(() => seen.closed.length > 0)
    expect(seen.closed).toEqual(['link-lost'])
  })

  test('leaves no timer', async () => {
    const { peer, seen, clock } = await dialled()
    expect(clock.pending).toBe(1)
    peer.socket.terminate()
    await seen.until(() => seen.closed.length > 0)
    expect(clock.pending).toBe(0)
  })
})

describe('a link that is behind', () => {
  test('says so, and says when it takes cells again, once for each time it was asked', async () => {
    const { link, seen, peer } = await dialled()
    const room: boolean[] = []
    let woken = 0
    const again = () =>
      seen.table.wait({
        onLinkWritable() {
          woken += 1
          room.push(link.writable)
          seen.changed()
        },
      })
    for (const round of [1, 2, 3]) {
      expect(link.writable).toBe(true)
      let sent = 0
      while (link.writable) {
        link.send(cell(sent))
        sent += 1
      }
      expect(sent).toBe(limits.linkBufferedBytes / cellSize)
      again()
      await seen.until(() => woken === round)
    }
    expect(room).toEqual([true, true, true])
    await peer.until(() => peer.bytes === 3 * limits.linkBufferedBytes)
    expect(woken).toBe(3)
  })

  test('is not closed while the other side takes some now and then', async () => {
    const { link, clock, peer } = await dialled()
    for (let i = 0; i < 5; i++) {
      fill(link, 100 * cellSize)
      await peer.until(() => peer.bytes === (i + 1) * 100 * cellSize)
      peer.socket.send(cell(0))
      await turn()
      clock.advance(20 * second)
    }
    expect(link.closed).toBe(false)
  })

  test('is closed once the other side has taken nothing for too long, without waiting for it', async () => {
    const { link, clock, peer, seen } = await dialled()
    peer.socket.pause()
    await fillUntilStuck(link)
    clock.advance(limits.linkStall)
    expect(link.closed).toBe(false)
    clock.advance(limits.linkStall)
    expect(seen.closed).toEqual(['timed-out'])
    expect([link.closed, clock.pending]).toEqual([true, 0])
    peer.socket.resume()
    await peer.until(() => peer.closeCode !== undefined)
    // No closing message: it would have had to queue behind the rest.
    expect(peer.closeCode).toBe(1006)
  })
})

const fill = (link: Link, bytes: number) => {
  for (let sent = 0; sent < bytes; sent += cellSize) link.send(cell(1))
}

/** Fills the buffers that the system has between two sockets, until the rest is stuck in the link. */
async function fillUntilStuck(link: Link): Promise<void> {
  for (let quiet = 0; quiet < 20; quiet = link.writable ? 0 : quiet + 1) {
    while (link.writable) fill(link, 64 * 1024)
    await turn()
  }
}

test('a link whose other side asks and never reads is closed before its memory grows', async () => {
  const { link, peer, seen } = await dialled()
  peer.socket.pause()
  await fillUntilStuck(link)
  expect(seen.closed).toEqual([])
  fill(link, 2 * limits.linkUnsentBytes)
  expect(seen.closed).toEqual(['overflow'])
})

describe('a link that is idle', () => {
  test('is closed after the time that was set, and the other side is told', async () => {
    const { seen, peer, clock, listener } = await listening()
    clock.advance(idleAfter)
    expect(seen.closed).toEqual([])
    clock.advance(idleAfter)
    expect(seen.closed).toEqual(['idle'])
    await peer.until(() => peer.closeCode !== undefined)
    expect([peer.closeCode, clock.pending]).toEqual([4024, 0])
    while (listener.connections > 0) await turn()
  })

  test('is not idle while cells come in, padding too', async () => {
    const { seen, peer, clock } = await listening()
    for (let i = 1; i <= 5; i++) {
      clock.advance(idleAfter - 1)
      peer.socket.send(Buffer.concat([makeCell(0, command.padding, new Uint8Array(0)), cell(i)]))
      await seen.until(() => seen.cells.length === i)
    }
    expect(seen.closed).toEqual([])
  })

  test('counts as idle whatever we send: only what comes in shows that someone is there', async () => {
    const { link, seen, clock } = await dialled()
    for (let i = 0; i < 10; i++) {
      link.send(cell(i))
      clock.advance(idleAfter / 4)
    }
    expect(seen.closed).toEqual(['idle'])
  })
})
