import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { minute } from '@nightjar/shared/runtime'
import { codeOfAsync, FakeClock, turn } from '@nightjar/shared/testing'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Listener, type ListenOptions, listenForLinks, subprotocol } from './index.ts'
import { type Certificates, connectBare, makeCertificates, RecordingTable, refusal } from './testing/peers.ts'

let certificates: Certificates
const cleanUp: (() => Promise<void> | void)[] = []

beforeAll(() => {
  certificates = makeCertificates()
})

afterEach(async () => {
  for (const run of cleanUp.splice(0).reverse()) await run()
})

async function listen(
  changes: Partial<ListenOptions> = {},
): Promise<Pick<Listener, 'port' | 'connections' | 'close'> & { url: string; tables: RecordingTable[] }> {
  const tables: RecordingTable[] = []
  const listener = await listenForLinks({
    host: '127.0.0.1',
    port: 0,
    path: '/relay',
    maxConnections: 2,
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
  return {
    url: `ws://127.0.0.1:${listener.port}/relay`,
    tables,
    port: listener.port,
    get connections() {
      return listener.connections
    },
    close: () => listener.close(),
  }
}

/** A TCP connection of which the test writes every byte. */
async function rawConnection(port: number, text = '', allowHalfOpen = false): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen })
  cleanUp.push(() => void socket.destroy())
  await new Promise((resolve) => socket.once('connect', resolve))
  socket.write(text)
  return socket
}

const untilClosed = (socket: Socket) =>
  new Promise<void>((resolve) => {
    socket.once('close', () => resolve())
    socket.on('error', () => {})
    socket.resume()
  })

describe('an upgrade', () => {
  test('to the right path with our subprotocol is accepted, whatever else is offered or asked', async () => {
    const { url, tables, port } = await listen()
    expect((await connectBare(`${url}?x=1`)).socket.protocol).toBe(subprotocol)
    expect((await connectBare(url, ['other', subprotocol])).socket.protocol).toBe(subprotocol)
    expect(tables.length).toBe(2)
    expect(port).toBeGreaterThan(0)
  })

  test.each([
    ['another path', '/', [subprotocol], 404],
    ['a path below ours', '/relay/x', [subprotocol], 404],
    ['a path that only begins like ours', '/relay2', [subprotocol], 404],
    ['no subprotocol', '/relay', [], 400],
    ['another subprotocol', '/relay', ['nightjar.link.2'], 400],
    ['one that contains ours', '/relay', ['x-nightjar.link.1'], 400],
  ])('to %s is refused', async (_, path, protocols, status) => {
    const { tables, port } = await listen()
    expect(await refusal(`ws://127.0.0.1:${port}${path}`, protocols)).toBe(status)
    expect(tables).toEqual([])
  })

  test('beyond the number of connections is refused, until one is gone', async () => {
    const listener = await listen()
    const peers = [await connectBare(listener.url), await connectBare(listener.url)]
    expect(listener.connections).toBe(2)
    expect(await refusal(listener.url)).toBe(503)
    const [seen] = listener.tables
    peers[0]?.socket.close()
    await seen?.until(() => seen.closed.length > 0)
    await peers[0]?.until(() => peers[0]?.closeCode !== undefined)
    while (listener.connections > 1) await turn()
    await connectBare(listener.url)
    expect(listener.connections).toBe(2)
  })

  test('that is no WebSocket is refused', async () => {
    const { port, tables } = await listen()
    const head = `GET /relay HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: ${subprotocol}\r\n`
    for (const upgrade of [
      'Upgrade: h2c\r\n',
      'Upgrade: websocket\r\n',
      'Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n',
    ]) {
      const socket = await rawConnection(port, `${head}${upgrade}\r\n`)
      const answer = await new Promise<Buffer>((resolve) => socket.once('data', resolve))
      expect(answer.toString()).toMatch(/^HTTP\/1\.1 4\d\d /)
    }
    expect(tables).toEqual([])
  })

  test('that was refused does not keep its connection, though the other side never lets go', async () => {
    const { port } = await listen()
    const head = 'GET /other HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
    // Half-open on our side: only a reset or a real close by the server ends it.
    const socket = await rawConnection(port, head, true)
    const answered = new Promise((resolve) => socket.once('end', resolve))
    socket.resume()
    await answered
    // The server's socket is gone, so what we write comes back as a reset.
    const closed = untilClosed(socket)
    const keepWriting = () => {
      if (!socket.destroyed) socket.write('x', () => setImmediate(keepWriting))
    }
    keepWriting()
    await closed
  })
})

describe('plain requests', () => {
  const fetchText = async (port: number, path: string, init: RequestInit = {}) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, init)
    return [response.status, await response.text(), response.headers.get('content-type')]
  }

  test('get the document, and nothing else', async () => {
    const asked: string[] = []
    const document = (path: string) => {
      asked.push(path)
      return path === '/network.json' ? '{"payload":""}' : undefined
    }
    const { port } = await listen({ document })
    expect(await fetchText(port, '/network.json')).toEqual([200, '{"payload":""}', 'application/json'])
    expect(await fetchText(port, '/network.json?x')).toEqual([200, '{"payload":""}', 'application/json'])
    expect((await fetchText(port, '/relay'))[0]).toBe(404)
    expect((await fetchText(port, '/network.json', { method: 'POST', body: 'x' }))[0]).toBe(404)
    expect(asked).toEqual(['/network.json', '/network.json', '/relay'])
  })

  test('get 404 where no document is served', async () => {
    const { port } = await listen()
    expect((await fetchText(port, '/network.json'))[0]).toBe(404)
  })
})

describe('TLS', () => {
  const handshake = (port: number, maxVersion: 'TLSv1.2' | 'TLSv1.3') =>
    new Promise<string>((resolve) => {
      const socket = connectTls({ host: '127.0.0.1', port, maxVersion, rejectUnauthorized: false })
      socket.once('secureConnect', () => {
        resolve(socket.getProtocol() ?? '')
        socket.destroy()
      })
      socket.once('error', () => resolve('refused'))
    })

  test('1.3 is spoken, and nothing older', async () => {
    const { port } = await listen({ tls: certificates.signed })
    expect(await handshake(port, 'TLSv1.3')).toBe('TLSv1.3')
    expect(await handshake(port, 'TLSv1.2')).toBe('refused')
  })
})

test('an address that is taken cannot be listened on', async () => {
  const { port } = await listen()
  expect(await codeOfAsync(() => listen({ port }))).toBe('connect-failed')
})

describe('closing', () => {
  test('tells every link that the relay drains, and takes no more', async () => {
    const { url, tables, close, port } = await listen()
    const peers = [await connectBare(url), await connectBare(url)]
    await close()
    for (const peer of peers) {
      await peer.until(() => peer.closeCode !== undefined)
      expect(peer.closeCode).toBe(4011)
    }
    expect(tables.map(({ closed }) => closed)).toEqual([['draining'], ['draining']])
    await expect(connectBare(`ws://127.0.0.1:${port}/relay`)).rejects.toThrow('ECONNREFUSED')
  })

  test.each([
    ['says nothing', ''],
    ['stops in the middle of a request', 'GET /relay HTTP/1.1\r\nHost: x\r\n'],
    ['keeps its connection alive', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
  ])('does not wait for one that %s', async (_, text) => {
    for (const tls of [undefined, certificates.signed]) {
      const { port, close } = await listen({ tls })
      const socket = await rawConnection(port, text)
      const closed = untilClosed(socket)
      await close()
      await closed
    }
  })
})
