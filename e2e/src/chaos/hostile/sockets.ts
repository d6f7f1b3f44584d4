/** Hostile behaviours below the link: connections, TLS records, HTTP, WebSocket control frames. */
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { Behaviour, Scene } from './behaviour.ts'
import { HostileLink } from './link.ts'

const patience = 60_000
const upgrade = [
  'GET /relay HTTP/1.1',
  'Host: relay',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
  'Sec-WebSocket-Protocol: nightjar.link.1',
].join('\r\n')

export const socketBehaviours: readonly Behaviour[] = [
  {
    name: 'half-open connections',
    expected: /^all 200 closed/,
    async run(scene) {
      const sockets = Array.from({ length: 200 }, () => openTcp(scene))
      await Promise.all(sockets.map(untilClosed))
      return `all ${sockets.length} closed or refused`
    },
  },
  {
    name: 'slow write',
    expected: /^closed after \d+ of \d+ bytes$/,
    async run(scene) {
      const socket = await openTls(scene)
      let sent = 0
      const timer = setInterval(() => {
        // Never its last byte.
        if (sent < upgrade.length) socket.write(upgrade[sent++] as string)
      }, 100)
      await untilClosed(socket).finally(() => clearInterval(timer))
      return `closed after ${sent} of ${upgrade.length + 4} bytes`
    },
  },
  {
    name: 'TLS renegotiation and record tricks',
    expected: /^TLS 1.2 refused; renegotiation refused; \d of \d broken records closed$/,
    async run(scene) {
      const old = await outcomeOf(openTls(scene, 'TLSv1.2'))
      const renegotiated = await renegotiate(await openTls(scene))
      const records: readonly Buffer[] = [
        Buffer.from('GET /relay HTTP/1.1\r\n\r\n'),
        // A handshake record of 65,535 bytes, an empty one, an unknown type, and an alert where a hello is due.
        Buffer.concat([Buffer.of(22, 3, 1, 0xff, 0xff), randomBytes(512)]),
        Buffer.of(22, 3, 1, 0, 0),
        Buffer.concat([Buffer.of(99, 3, 1, 0, 16), randomBytes(16)]),
        Buffer.of(21, 3, 1, 0, 2, 2, 40),
      ]
      const closed = await Promise.all(
        records.map(async (record) => {
          const socket = openTcp(scene)
          socket.write(record)
          await untilClosed(socket)
        }),
      )
      return `TLS 1.2 ${old}; renegotiation ${renegotiated}; ${closed.length} of ${records.length} broken records closed`
    },
  },
  {
    name: 'ping flood',
    expected: /^link closed/,
    async run({ relay, from }) {
      const link = await HostileLink.open(relay, from)
      link.socket.pause()
      const ping = randomBytes(125)
      for (let sent = 0; sent < 100_000 && !link.isClosed; sent += 1) {
        const done = new Promise<void>((resolve) => link.socket.ping(ping, undefined, () => resolve()))
        // Every so often as quickly as the relay takes them.
        if (sent % 1000 === 0) {
          link.socket.resume()
          await Promise.race([done, link.closed])
        }
      }
      return `link closed with ${await within(link.closed, 'a flood of pings ends the link')}`
    },
  },
]

function openTcp({ relay: { host, port }, from }: Scene): Socket {
  const socket = connect({ host, port, localAddress: from })
  socket.on('error', () => socket.destroy())
  return socket
}

function openTls({ relay: { host, port }, from }: Scene, version?: 'TLSv1.2'): Promise<TLSSocket> {
  const limited = version === undefined ? {} : { minVersion: version, maxVersion: version }
  const socket = connectTls({
    socket: connect({ host, port, localAddress: from }),
    rejectUnauthorized: false,
    ...limited,
  })
  return new Promise((resolve, reject) => {
    socket.once('secureConnect', () => resolve(socket))
    socket.on('error', (error) => {
      socket.destroy()
      reject(error)
    })
  })
}

/** TLS 1.3 has none: the attempt ends the connection, or never leaves. */
async function renegotiate(socket: TLSSocket): Promise<string> {
  const refused = new Promise<string>((resolve) => {
    socket.once('close', () => resolve('refused'))
    try {
      const begun = socket.renegotiate({}, (error) => resolve(error === null ? 'done' : 'refused'))
      if (begun === false || begun === undefined) resolve('refused')
    } catch {
      // Node itself knows that there is none.
      resolve('refused')
    }
  })
  const outcome = await within(refused, 'renegotiation is refused')
  socket.destroy()
  return outcome
}

async function outcomeOf(attempt: Promise<TLSSocket>): Promise<string> {
  return attempt.then(
    (socket) => {
      socket.destroy()
      return 'accepted'
    },
    () => 'refused',
  )
}

function untilClosed(socket: Socket): Promise<void> {
  // What is not read is never at its end.
  socket.resume()
  return within(
    new Promise<void>((resolve) => (socket.destroyed ? resolve() : socket.once('close', () => resolve()))),
    'the connection is closed',
  )
}

function within<T>(result: Promise<T>, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the relay did nothing about it; still not: ${what}`)), patience)
    result.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
