import { createHash } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { cellSize, command, makeCell } from '@nightjar/shared/cell'
import { limits } from '@nightjar/shared/limits'
import { minute } from '@nightjar/shared/runtime'
import { codeOfAsync, FakeClock, flipBit, pattern } from '@nightjar/shared/testing'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type DialOptions, dialLink, isLoopback, type ListenOptions, listenForLinks, subprotocol } from './index.ts'
import { type Certificate, type Certificates, keptCircuit, makeCertificates, RecordingTable } from './testing/peers.ts'

let certificates: Certificates
const cleanUp: (() => Promise<void> | void)[] = []

beforeAll(() => {
  certificates = makeCertificates()
})

afterEach(async () => {
  for (const run of cleanUp.splice(0).reverse()) await run()
})

async function relay(changes: Partial<ListenOptions> = {}) {
  const tables: RecordingTable[] = []
  const listener = await listenForLinks({
    host: '127.0.0.1',
    port: 0,
    path: '/relay',
    maxConnections: 10,
    idleAfter: minute,
    clock: new FakeClock(),
    accept() {
      const seen = new RecordingTable()
      tables.push(seen)
      return seen.table
    },
    ...changes,
  })
  cleanUp.push(() => listener.close())
  return { port: listener.port, tables }
}

async function dial(url: string, options: Partial<DialOptions> = {}) {
  const seen = new RecordingTable()
  const clock = new FakeClock()
  const link = await dialLink({ url, table: seen.table, clock, idleAfter: minute, ...options })
  cleanUp.push(() => link.close('done'))
  return { link, seen, clock }
}

/** Any server of the test's own. */
async function serve(server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUp.push(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise<void>((resolve) => void server.close(() => resolve()))
  })
  return (server.address() as AddressInfo).port
}

/** The chain of causes, so that a test knows it was refused for the reason it is about. */
async function reason(run: () => Promise<unknown>): Promise<string> {
  try {
    await run()
    return 'none'
  } catch (error) {
    const words: string[] = []
    for (let each = error as Error | undefined; each !== undefined; each = each.cause as Error | undefined) {
      words.push(`${'code' in each ? each.code : ''} ${each.message}`)
    }
    return words.join(' < ')
  }
}

describe('a plain link', () => {
  test.each(['127.0.0.1', 'localhost'])('to %s is opened, and carries cells both ways', async (host) => {
    const { port, tables } = await relay()
    const { link, seen } = await dial(`ws://${host}:${port}/relay`)
    expect(seen.table.link).toBe(link)
    link.send(makeCell(keptCircuit, command.relay, pattern(9)))
    await tables[0]?.until(() => tables[0]?.cells.length === 1)
    tables[0]?.table.link.send(makeCell(keptCircuit, command.relay, pattern(8)))
    await seen.until(() => seen.cells.length === 1)
  })

  test('anywhere else is refused, and nobody is contacted', async () => {
    const { port, tables } = await relay()
    let dialled = 0
    const count = () => {
      dialled += 1
    }
    subscribe('net.client.socket', count)
    try {
      for (const url of [
        // On Linux this very address leads to the listener above.
        `ws://0.0.0.0:${port}/relay`,
        `ws://[::ffff:127.0.0.1]:${port}/relay`,
        `ws://[::]:${port}/relay`,
        'ws://192.0.2.1:9545/relay',
        'ws://[2001:db8::1]/relay',
        'ws://relay.example/relay',
        'ws://localhost.relay.example/relay',
        'ws://127.0.0.1.relay.example/relay',
        `http://127.0.0.1:${port}/relay`,
        `https://127.0.0.1:${port}/relay`,
        `ftp://127.0.0.1:${port}/relay`,
        'ws:',
        'relay',
        '',
      ]) {
        expect(await codeOfAsync(() => dial(url)), url).toBe('connect-failed')
      }
      expect(dialled).toBe(0)
      await dial(`ws://127.0.0.1:${port}/relay`)
      // The channel does tell of connections: this one was counted.
      expect(dialled).toBe(1)
      expect(tables.length).toBe(1)
    } finally {
      unsubscribe('net.client.socket', count)
    }
  })

  test('is opened from the address that was asked for', async () => {
    const from: (string | undefined)[] = []
    const port = await serve(
      createTcpServer((socket) => {
        from.push(socket.remoteAddress)
        socket.destroy()
      }),
    )
    expect(await codeOfAsync(() => dial(`ws://127.0.0.1:${port}/relay`, { localAddress: '127.0.0.9' }))).toBe(
      'connect-failed',
    )
    expect(from).toEqual(['127.0.0.9'])
  })
})

test('isLoopback knows this machine from all others', () => {
  for (const host of ['localhost', '127.0.0.1', '127.1.2.3', '127.255.255.255', '::1', '[::1]']) {
    expect(isLoopback(host), host).toBe(true)
  }
  for (const host of [
    '',
    '0.0.0.0',
    '::',
    '128.0.0.1',
    '126.255.255.255',
    '127.0.0.1.example',
    '127.example',
    'localhost.example',
    'LOCALHOST.',
    '::ffff:127.0.0.1',
    '10.0.0.1',
    '169.254.1.1',
  ]) {
    expect(isLoopback(host), host).toBe(false)
  }
})

describe('a server that is no relay is refused', () => {
  test('nobody listens', async () => {
    const server = createTcpServer()
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
    })
    await new Promise((resolve) => server.close(resolve))
    expect(await codeOfAsync(() => dial(`ws://127.0.0.1:${port}/relay`))).toBe('connect-failed')
  })

  test('it hangs up', async () => {
    const port = await serve(createTcpServer((socket) => void socket.destroy()))
    expect(await codeOfAsync(() => dial(`ws://127.0.0.1:${port}/relay`))).toBe('connect-failed')
  })

  // Found by review: that dial never ended, and no other one to that relay began.
  test('it takes the request and says nothing, or drips', async () => {
    const clock = new FakeClock()
    for (const drip of ['', 'HTTP/1.1 101 Switch']) {
      const server = createTcpServer()
      const asked = new Promise<void>((resolve) => {
        server.once('connection', (socket) => {
          socket.once('data', () => {
            socket.write(drip)
            resolve()
          })
        })
      })
      const port = await serve(server)
      const dialled = codeOfAsync(() => dial(`ws://127.0.0.1:${port}/relay`, { clock }))
      await asked
      clock.advance(limits.dialTimeout)
      expect([await dialled, clock.pending]).toEqual(['connect-failed', 0])
    }
  })

  test('it speaks something else', async () => {
    const port = await serve(createTcpServer((socket) => void socket.end('SSH-2.0-OpenSSH_9.9\r\n')))
    expect(await codeOfAsync(() => dial(`ws://127.0.0.1:${port}/relay`))).toBe('connect-failed')
  })

  test.each([200, 301, 404, 503])('it answers with status %i', async (status) => {
    const port = await serve(
      createHttpServer(
        (_, response) => void response.writeHead(status, { location: 'ws://192.0.2.1/', connection: 'close' }).end(),
      ),
    )
    expect(await codeOfAsync(() => dial(`ws://127.0.0.1:${port}/relay`))).toBe('connect-failed')
  })

  test.each([
    ['no subprotocol', '', undefined],
    ['another subprotocol', 'Sec-WebSocket-Protocol: nightjar.link.2\r\n', undefined],
    [
      'deflate, which was not offered',
      `Sec-WebSocket-Protocol: ${subprotocol}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n`,
      undefined,
    ],
    ['the wrong accept key', `Sec-WebSocket-Protocol: ${subprotocol}\r\n`, 'AAAAAAAAAAAAAAAAAAAAAAAAAAA='],
  ])('it upgrades with %s', async (_, headers, accept) => {
    const port = await serveUpgrade((socket, right) => socket.write(upgraded(headers, accept ?? right)))
    expect(await codeOfAsync(() => dial(`ws://127.0.0.1:${port}/relay`))).toBe('connect-failed')
  })

  test('the URL is one that WebSocket does not take: the connection made for it is closed again', async () => {
    let closed: () => void
    const gone = new Promise<void>((resolve) => {
      closed = resolve
    })
    const port = await serve(createTcpServer((socket) => void socket.resume().once('close', () => closed())))
    expect(await codeOfAsync(() => dial(`ws://127.0.0.1:${port}/relay#fragment`))).toBe('connect-failed')
    await gone
  })
})

function upgraded(headers: string, accept: string): string {
  const fixed = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`
  return `${fixed}Sec-WebSocket-Accept: ${accept}\r\n${headers}\r\n`
}

/** A server that reads one upgrade request and gives the accept key for it. */
async function serveUpgrade(answer: (socket: Socket, accept: string) => void): Promise<number> {
  return serve(
    createTcpServer((socket) => {
      let head = ''
      socket.on('error', () => {})
      socket.on('data', (bytes: Buffer) => {
        head += bytes.toString('latin1')
        const key = /sec-websocket-key: *(\S+)\r\n(?:.*\r\n)*\r\n/i.exec(head)?.[1]
        if (key === undefined) return
        head = ''
        const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
        answer(socket, createHash('sha1').update(`${key}${guid}`).digest('base64'))
      })
    }),
  )
}

test('a relay that refuses a proof as the clocks differ is told from one that refuses the link', async () => {
  let differ = 0
  const onClocksDiffer = () => {
    differ += 1
  }
  const { port } = await relay({ identify: async () => 'clocks-differ' })
  const url = `ws://127.0.0.1:${port}/relay`
  const prove = async () => 'proof'
  expect(await reason(() => dial(url, { prove, onClocksDiffer }))).toMatch(/^connect-failed .*HTTP status 412$/)
  expect(differ).toBe(1)
  const other = `ws://127.0.0.1:${port}/other`
  expect(await reason(() => dial(other, { prove, onClocksDiffer }))).toMatch(/^connect-failed .*HTTP status 404$/)
  // Whoever proves nothing has a link.
  await dial(url, { onClocksDiffer })
  expect(differ).toBe(1)
})

test('cells that come together with the answer to the upgrade are not lost', async () => {
  const port = await serveUpgrade((socket, accept) => {
    const head = upgraded(`Sec-WebSocket-Protocol: ${subprotocol}\r\n`, accept)
    const frame = Buffer.concat([
      Buffer.of(0x82, 126, cellSize >> 8, cellSize & 0xff),
      makeCell(keptCircuit, 3, pattern(9)),
    ])
    // In one write, so that it comes as one piece.
    socket.write(Buffer.concat([Buffer.from(head), frame]))
  })
  const { seen } = await dial(`ws://127.0.0.1:${port}/relay`)
  await seen.until(() => seen.cells.length === 1)
  expect(seen.cells[0]).toEqual(makeCell(keptCircuit, 3, pattern(9)))
})

describe('TLS with a pinned key', () => {
  test('is opened where the key is right, whoever signed the certificate and for whom', async () => {
    for (const certificate of [certificates.selfSigned, certificates.signed, certificates.elsewhere]) {
      const { port, tables } = await relay({ tls: certificate })
      const { link } = await dial(`wss://127.0.0.1:${port}/relay`, { pin: certificate.pin })
      link.send(makeCell(keptCircuit, command.relay, pattern(9)))
      await tables[0]?.until(() => tables[0]?.cells.length === 1)
    }
  })

  test('is refused where the key is wrong, though the certificate is trusted, and nothing is sent', async () => {
    const { signed, selfSigned, ca } = certificates
    for (const pin of [selfSigned.pin, flipBit(signed.pin, 255), new Uint8Array(32), new Uint8Array(0)]) {
      let received = 0
      const server = createHttpsServer({ ...signed, minVersion: 'TLSv1.3' })
      server.on('secureConnection', (socket) => {
        socket.on('data', (bytes: Buffer) => {
          received += bytes.length
        })
        socket.on('error', () => {})
      })
      const ended = new Promise<void>((resolve) => server.once('connection', (socket) => socket.once('close', resolve)))
      const port = await serve(server)
      expect(await reason(() => dial(`wss://127.0.0.1:${port}/relay`, { pin, extraCa: ca }))).toContain(
        'another TLS key',
      )
      await ended
      expect(received).toBe(0)
    }
  })
})

describe('TLS without a pin', () => {
  test('is opened where a private CA that was given has signed for this host', async () => {
    const { port } = await relay({ tls: certificates.signed })
    const { link } = await dial(`wss://127.0.0.1:${port}/relay`, { extraCa: certificates.ca })
    expect(link.closed).toBe(false)
    await dial(`wss://localhost:${port}/relay`, { extraCa: certificates.ca })
  })

  test.each<[string, () => Certificate, () => Partial<DialOptions>, RegExp]>([
    ['the CA is not known', () => certificates.signed, () => ({}), /UNABLE_TO_VERIFY|unable to verify/],
    ['it signed itself', () => certificates.selfSigned, () => ({}), /SELF_SIGNED|self-signed/],
    [
      'it signed itself, whatever else is trusted',
      () => certificates.selfSigned,
      () => ({ extraCa: certificates.ca }),
      /SELF_SIGNED|self-signed/,
    ],
    [
      'the CA signed for another host',
      () => certificates.elsewhere,
      () => ({ extraCa: certificates.ca }),
      /ERR_TLS_CERT_ALTNAME_INVALID/,
    ],
  ])('is refused where %s', async (_, certificate, options, expected) => {
    const { port, tables } = await relay({ tls: certificate() })
    const url = `wss://127.0.0.1:${port}/relay`
    expect(await reason(() => dial(url, options()))).toMatch(expected)
    expect(await codeOfAsync(() => dial(url, options()))).toBe('connect-failed')
    expect(tables).toEqual([])
  })
})

describe('older TLS', () => {
  test('is refused, with the right key too', async () => {
    const { signed, ca } = certificates
    const port = await serve(createHttpsServer({ ...signed, maxVersion: 'TLSv1.2' }))
    for (const options of [{ pin: signed.pin }, { extraCa: ca }]) {
      expect(await reason(() => dial(`wss://127.0.0.1:${port}/relay`, options))).toMatch(
        /PROTOCOL_VERSION|protocol version/i,
      )
    }
  })

  test('and no TLS at all on wss is refused', async () => {
    const { port } = await relay()
    expect(await codeOfAsync(() => dial(`wss://127.0.0.1:${port}/relay`, { pin: certificates.signed.pin }))).toBe(
      'connect-failed',
    )
  })
})
