/** Clients that mean harm, at a relay's port, at the endpoint and at the local socket: nobody falls, nothing grows, all serve on. */
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { cellCommand, cellSize, type LocalRelay, until } from '../src/network/index.ts'
import {
  cell,
  codeFor,
  halfCreate,
  memoryOf,
  openLink,
  openRaw,
  type Place,
  sendRaw,
  subprotocol,
  upgradeRequest,
} from './support/hostile.ts'
import { useNetwork } from './support/network.ts'
import { ask, codeOf, encodeCall, http } from './support/rpc.ts'

const chain = 31337
const megabyte = 1024 * 1024
const shared = useNetwork()
const url = () => shared.network.daemon.url(chain)

/** All processes are those from before, and requests go through. */
async function expectAllWell(): Promise<void> {
  const { daemon, relays } = shared.network
  for (const { healthPort } of relays.all) {
    expect(await (await fetch(`http://127.0.0.1:${healthPort}/health`)).json()).toMatchObject({ status: 'ok' })
  }
  expect(await ask(url(), 'eth_chainId')).toEqual({ jsonrpc: '2.0', id: 1, result: '0x7a69' })
  expect((await daemon.status()).state).toBe('private')
}

describe("a relay's port", () => {
  const linkCode = (wire: number) => 4000 + wire
  const [violation, limitReached] = [1, 4]
  let relay: LocalRelay
  let before: readonly unknown[]

  beforeAll(async () => {
    // The one that everything of the daemon goes through.
    const { trunks } = await shared.network.daemon.status()
    relay = shared.network.relays.all.find(({ name }) => name === trunks[0]?.entry.name) as LocalRelay
    before = trunks
  })
  afterEach(expectAllWell)
  afterAll(async () => {
    expect((await shared.network.daemon.status()).trunks).toEqual(before)
  })

  test.each<readonly [string, string, number]>([
    ['bytes that are no HTTP', '\x16\x03\x01garbage\r\n\r\n', 400],
    ['another path', upgradeRequest('/other', subprotocol), 404],
    ['no subprotocol', upgradeRequest('/relay', undefined), 400],
    ['another subprotocol', upgradeRequest('/relay', 'nightjar.link.2'), 400],
    ['a plain GET', 'GET /relay HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n', 404],
    ['headers without end', `GET /relay HTTP/1.1\r\nX: ${'x'.repeat(64 * 1024)}\r\n\r\n`, 431],
  ])('refuses %s', async (_, request, status) => {
    expect(await sendRaw(relay, request)).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  })

  test.each<readonly [string, () => string | Buffer, number]>([
    ['text', () => 'x'.repeat(cellSize), linkCode(violation)],
    ['nothing', () => Buffer.alloc(0), linkCode(violation)],
    ['a cell and a byte', () => Buffer.alloc(cellSize + 1), linkCode(violation)],
    ['65 cells', () => Buffer.alloc(65 * cellSize), 1009],
    ['a message of 16 MB', () => Buffer.alloc(16 * megabyte), 1009],
    ['an unknown command', () => cell(7, 7), linkCode(violation)],
    ['a circuit 0', () => cell(0, cellCommand.create), linkCode(violation)],
    ['padding that is not zero', () => cell(0, cellCommand.padding, Buffer.of(1)), linkCode(violation)],
  ])('closes a link with a code for %s', async (_, message, code) => {
    expect(await codeFor(relay, message())).toBe(code)
  })

  test.each<readonly [string, Buffer]>([
    // FIN and binary, length 5, not masked; then one with a reserved bit, then a length of 2^63.
    ['an unmasked frame', Buffer.from([0x82, 0x05, 1, 2, 3, 4, 5])],
    ['a reserved bit', Buffer.from([0xc2, 0x80, 0, 0, 0, 0])],
    ['an impossible length', Buffer.from([0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])],
  ])('closes a link for %s', async (_, frame) => {
    expect(await sendRaw(relay, upgradeRequest('/relay', subprotocol), frame)).toMatch(/^HTTP\/1.1 101 /)
  })

  test('ends circuits that break the protocol, each with its reason, and goes on with the link', async () => {
    const { socket, cells } = await openLink(relay)
    const tooLong = Buffer.alloc(1019)
    tooLong.writeUInt16BE(2049)
    const badHello = Buffer.alloc(1019)
    badHello.writeUInt16BE(3)
    socket.send(cell(1, cellCommand.create, tooLong))
    socket.send(cell(2, cellCommand.create))
    socket.send(cell(3, cellCommand.create, badHello))
    socket.send(Buffer.concat([halfCreate(4), cell(4, cellCommand.relay)]))
    // Of circuits that never were, nothing is said.
    socket.send(Buffer.concat([cell(5, cellCommand.relay), cell(6, cellCommand.destroy)]))
    await until('four circuits are destroyed', () => cells.length === 4)
    const answers = cells.map((answer) => [answer.readUInt32BE(0), answer[4], answer[5]])
    expect(answers.sort()).toEqual([1, 2, 3, 4].map((circuit) => [circuit, cellCommand.destroy, violation]))
    socket.terminate()
  })

  test('bounds half-made circuits per link, gives each five seconds, and its memory does not grow without end', async () => {
    const perLink = 4
    const refused = 4142
    const flood = async (): Promise<void> => {
      const links = await Promise.all(Array.from({ length: 4 }, (_, index) => openLink(relay, `127.0.0.${10 + index}`)))
      for (const { socket } of links) {
        const cells = Array.from({ length: perLink + refused }, (_, index) => halfCreate(index + 1))
        for (let sent = 0; sent < cells.length; sent += 64) socket.send(Buffer.concat(cells.slice(sent, sent + 64)))
      }
      await until('those beyond the limit are refused', () => links.every(({ cells }) => cells.length === refused))
      for (const { cells, socket } of links) {
        expect(cells.every((answer) => answer[4] === cellCommand.destroy && answer[5] === limitReached)).toBe(true)
        socket.terminate()
      }
    }
    // First until the heap has found its size for this; a leak would go on from there by 200 MB.
    for (let round = 0; round < 12; round++) await flood()
    const { pid } = relay.process
    const settled = memoryOf(pid)
    for (let round = 0; round < 12; round++) await flood()
    expect(memoryOf(pid) - settled).toBeLessThan(50 * megabyte)

    const { socket, cells } = await openLink(relay)
    socket.send(Buffer.concat([1, 2, 3].map(halfCreate)))
    await until('half-made circuits time out', () => cells.length === 3)
    expect(cells.map((answer) => answer[5])).toEqual([10, 10, 10])
    socket.terminate()
  })

  test('refuses links beyond its limit, and has room again when they are gone', async () => {
    const raw = Array.from({ length: 1050 }, () => openRaw(relay))
    let [accepted, refused] = [0, 0]
    for (const socket of raw) {
      // Where too many come in one second, some are reset before anything is read.
      const onReset = () => {
        refused += 1
      }
      socket.once('close', onReset)
      socket.once('data', (bytes: Buffer) => {
        socket.off('close', onReset)
        if (bytes.toString('latin1').startsWith('HTTP/1.1 101 ')) accepted += 1
        if (bytes.toString('latin1').startsWith('HTTP/1.1 503 ')) refused += 1
      })
      socket.write(upgradeRequest('/relay', subprotocol))
    }
    await until('all have their answer', () => accepted + refused === raw.length)
    expect(refused).toBeGreaterThanOrEqual(50)
    expect(await ask(url(), 'eth_chainId')).toHaveProperty('result')
    for (const socket of raw) socket.destroy()
    await until('there is room again', async () => {
      const answer = await sendRaw(relay, upgradeRequest('/relay', subprotocol), Buffer.from([0x88, 0x80, 0, 0, 0, 0]))
      return answer.startsWith('HTTP/1.1 101 ')
    })
  })
})

describe('the endpoint', () => {
  const place = (): Place => ({ host: '127.0.0.1', port: Number(new URL(url()).port) })
  afterEach(expectAllWell)

  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
  const call = (params: string) => `{"jsonrpc":"2.0","id":1,"method":"eth_call","params":${params}}`
  test.each<readonly [string, () => string | Buffer, string]>([
    ['nothing', () => '', 'bad-json'],
    ['half of a request', () => '{"jsonrpc":"2.0","id":1,"met', 'bad-json'],
    ['bytes that are no text', () => Buffer.from([0xff, 0xfe, 0x00]), 'bad-json'],
    ['a number', () => '17', 'bad-request'],
    ['an empty batch', () => '[]', 'bad-request'],
    [
      'a batch of 1001',
      () => `[${Array.from({ length: 1001 }, () => encodeCall('eth_chainId')).join()}]`,
      'request-too-large',
    ],
    ['a body over 1 MB', () => call(`["${'x'.repeat(megabyte)}"]`), 'request-too-large'],
    ['a body of 20 MB', () => Buffer.alloc(20 * megabyte, 'x'), 'request-too-large'],
    ['params nested 1000 deep', () => call(nested(1000)), 'bad-json'],
    ['an id that is an object', () => '{"jsonrpc":"2.0","id":{},"method":"eth_chainId"}', 'bad-request'],
    ['no version', () => '{"id":1,"method":"eth_chainId"}', 'bad-request'],
    ['a method that is no text', () => '{"jsonrpc":"2.0","id":1,"method":["eth_chainId"]}', 'bad-request'],
    ['a method of Object', () => '{"jsonrpc":"2.0","id":1,"method":"__proto__"}', 'method-not-allowed'],
    ['a transaction that is none', () => encodeCall('eth_sendRawTransaction', [{}]), 'bad-request'],
  ])('answers %s with a JSON-RPC error over HTTP 200', async (_, body, code) => {
    const answer = await http(url(), body())
    expect(answer.status).toBe(200)
    expect(codeOf(answer.json())).toBe(code)
  })

  test('lives through what is nested deeper than any stack', async () => {
    for (const body of [nested(400_000), call(nested(200_000)), '{"a":'.repeat(150_000)]) {
      const answer = await http(url(), body)
      expect(answer.status).toBe(200)
    }
  })

  test.each([
    ['bytes that are no HTTP', 'garbage\r\n\r\n', 400],
    ['headers without end', `POST / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(64 * 1024)}\r\n\r\n`, 431],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
  ])('refuses %s', async (_, request, status) => {
    expect(await sendRaw(place(), request)).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  })

  test('callers that stop half-way, or leave before the answer, cost it nothing that lasts', async () => {
    const { pathname, host } = new URL(url())
    const head = `POST ${pathname} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 100000\r\n\r\n`
    const leave = async (): Promise<void> => {
      const sockets = Array.from({ length: 300 }, () => openRaw(place()))
      const body = encodeCall('eth_chainId')
      for (const [index, socket] of sockets.entries()) {
        socket.write(
          index % 2 === 0 ? head + 'x'.repeat(50_000) : `${head.replace('100000', String(body.length))}${body}`,
        )
      }
      await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => socket.end(() => resolve()))))
      for (const socket of sockets) socket.destroy()
      expect(await ask(url(), 'eth_chainId')).toHaveProperty('result')
    }
    for (let round = 0; round < 20; round++) await leave()
    const { pid } = shared.network.daemon.process
    const settled = memoryOf(pid)
    // The bodies alone would be 225 MB if they stayed.
    for (let round = 0; round < 30; round++) await leave()
    expect(memoryOf(pid) - settled).toBeLessThan(100 * megabyte)
  })
})

test('garbage on the local socket is dropped', async () => {
  const path = join(shared.network.daemon.home, 'nightjar.sock')
  const pieces = [
    'garbage',
    Buffer.alloc(megabyte, 0xff),
    Buffer.from([0xff, 0xff, 0xff, 0xff]),
    Buffer.from([2, 0, 0, 0, 0x7b, 0x7d]),
  ]
  for (const piece of pieces) {
    await new Promise<void>((resolve) => {
      const socket = connect(path)
      socket.on('error', () => socket.destroy())
      socket.on('close', () => resolve())
      socket.write(piece)
    })
  }
  await expectAllWell()
})
