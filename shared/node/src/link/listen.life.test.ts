/** What a listener does for the life of its relay: draining, new certificates, connections of a parent process, no room. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { equalBytes } from '@nightjar/shared/bytes'
import { command, makeCell } from '@nightjar/shared/cell'
import { limits } from '@nightjar/shared/limits'
import { hour, minute } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type LinkShares, type Listener, type ListenOptions, listenForLinks, spkiHash } from './index.ts'
import {
  type Certificates,
  connectBare,
  keptCircuit,
  makeCertificates,
  RecordingTable,
  refusal,
} from './testing/peers.ts'

let certificates: Certificates
const cleanUp: (() => Promise<void> | void)[] = []

beforeAll(() => {
  certificates = makeCertificates()
})
afterEach(async () => {
  for (const run of cleanUp.splice(0).reverse()) await run()
})

async function listen(changes: Partial<ListenOptions> = {}): Promise<{ listener: Listener; seen: RecordingTable }> {
  const seen = new RecordingTable()
  const clock = new FakeClock()
  const options = { host: '127.0.0.1', port: 0, path: '/relay', maxConnections: 9, idleAfter: minute, clock }
  const listener = await listenForLinks({ ...options, accept: () => seen.table, ...changes })
  cleanUp.push(() => listener.close())
  return { listener, seen }
}

test('a relay that drains refuses new links, and those that stand go on', async () => {
  const { listener, seen } = await listen()
  const url = `ws://127.0.0.1:${listener.port}/relay`
  const peer = await connectBare(url)
  listener.refuseNew()
  expect(await refusal(url)).toBe(503)
  peer.socket.send(makeCell(keptCircuit, command.relay, new Uint8Array(0)))
  await seen.until(() => seen.table.received === 1)
  expect(listener.connections).toBe(1)
})

test('connections that another process accepted are links like any other', async () => {
  let handed: ListenOptions['handed']
  const asked: string[] = []
  const released = new Promise<string>((release) => {
    handed = { ipGate: { admit: (address) => void asked.push(address), release } }
  })
  const { listener } = await listen({ handed })
  expect(listener.port).toBe(0)
  const take = (socket: Socket) => listener.take(socket, '192.0.2.1')
  const front = createServer({ pauseOnConnect: true }, take).listen(0, '127.0.0.1')
  cleanUp.push(() => void front.close())
  await once(front, 'listening')
  const peer = await connectBare(`ws://127.0.0.1:${(front.address() as AddressInfo).port}/relay`)
  expect(listener.connections).toBe(1)
  // Counted by whoever accepted it, who is told of its end.
  peer.socket.terminate()
  expect([await released, asked]).toEqual(['192.0.2.1', []])
})

test('a new certificate is shown to those who come next, and those who are there stay', async () => {
  const { listener } = await listen({ tls: certificates.signed })
  const dial = async (): Promise<TLSSocket> => {
    const socket = connectTls({ host: '127.0.0.1', port: listener.port, rejectUnauthorized: false })
    cleanUp.push(() => void socket.destroy())
    await once(socket, 'secureConnect')
    return socket
  }
  const shows = (socket: TLSSocket, pin: Uint8Array) => {
    const certificate = socket.getPeerX509Certificate()
    return certificate !== undefined && equalBytes(spkiHash(certificate), pin)
  }
  const before = await dial()
  expect(shows(before, certificates.signed.pin)).toBe(true)
  listener.renewTls(certificates.elsewhere)
  expect(shows(await dial(), certificates.elsewhere.pin)).toBe(true)
  expect(before.destroyed).toBe(false)
  expect(() => listener.renewTls({ ...certificates.signed, key: certificates.elsewhere.key })).toThrow()
})

describe('where there is no room', () => {
  /** A table for each link that comes, and the clock. */
  async function crowded(maxConnections: number, shares?: LinkShares) {
    const seen: RecordingTable[] = []
    const clock = new FakeClock()
    const accept = () => {
      const table = new RecordingTable()
      // No circuit yet.
      table.table.remove(keptCircuit)
      seen.push(table)
      return table.table
    }
    const refused: string[] = []
    const onRefused = (reason: string) => void refused.push(reason)
    const { listener } = await listen({ maxConnections, shares, idleAfter: hour, clock, accept, onRefused })
    return { seen, clock, refused, listener, url: `ws://127.0.0.1:${listener.port}/relay` }
  }

  test('the oldest link that nobody uses gives way to a new one, with a code that clients know', async () => {
    const { url, seen, clock, refused, listener } = await crowded(3)
    const [used, unused] = [await connectBare(url), await connectBare(url)]
    const end = { onCell() {}, onLinkClosed() {} }
    seen[0]?.table.add(1, end)
    clock.advance(limits.linkUnused)
    const young = await connectBare(url)
    await connectBare(url)
    await unused.until(() => unused.closeCode !== undefined)
    expect([unused.closeCode, used.closeCode, young.closeCode]).toEqual([4024, undefined, undefined])
    expect([refused, listener.connections]).toEqual([['unused'], 3])
    // The others are used, or have just come.
    expect(await refusal(url)).toBe(503)
    expect(refused).toEqual(['unused', 'connections'])
  })

  test('one gives way of the source that has most, and of those that have as many as the new one at least', async () => {
    const owners = ['few', 'many', 'many', 'new', 'new']
    const { url, clock, refused, listener } = await crowded(3, {
      ownerOf: () => ({ source: owners.shift() as string, isRelay: false }),
      refusalOf: (_, { all }, most) => (all < most ? undefined : 'connection-share'),
    })
    const first = [await connectBare(url), await connectBare(url), await connectBare(url)]
    clock.advance(limits.linkUnused)
    const closed = () => first.map(({ closeCode }) => closeCode)
    await connectBare(url)
    await first[1]?.until(() => first[1]?.closeCode !== undefined)
    expect(closed()).toEqual([undefined, 4024, undefined])
    // Each has one: the oldest, though it is another's.
    await connectBare(url)
    await first[0]?.until(() => first[0]?.closeCode !== undefined)
    expect(closed()).toEqual([4024, 4024, undefined])
    expect([refused, listener.connections]).toEqual([['unused', 'unused'], 3])
  })

  test('and where there is, they stay: clients keep a spare one warm', async () => {
    const { url, clock } = await crowded(3)
    const spare = await connectBare(url)
    clock.advance(limits.linkUnused)
    await connectBare(url)
    expect(spare.closeCode).toBeUndefined()
  })
})
