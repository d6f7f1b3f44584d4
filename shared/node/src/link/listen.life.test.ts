/** What a listener does for the life of its relay: draining, new certificates, connections that a parent process accepted. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { equalBytes } from '@nightjar/shared/bytes'
import { command, makeCell } from '@nightjar/shared/cell'
import { minute } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { type Listener, type ListenOptions, listenForLinks, spkiHash } from './index.ts'
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
  const { listener } = await listen({ isHanded: true })
  expect(listener.port).toBe(0)
  const front = createServer({ pauseOnConnect: true }, (socket: Socket) => listener.take(socket)).listen(0, '127.0.0.1')
  cleanUp.push(() => void front.close())
  await once(front, 'listening')
  await connectBare(`ws://127.0.0.1:${(front.address() as AddressInfo).port}/relay`)
  expect(listener.connections).toBe(1)
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
