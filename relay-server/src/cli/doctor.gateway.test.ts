/** What the doctor says of those that a gateway asks: for answers, new blocks, raw transactions, and the time. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { ofError } from './rpcQuestion.ts'
import { answering, DoctorStage } from './testing/doctor.ts'

let stage: DoctorStage
beforeEach(async () => {
  stage = await DoctorStage.set()
})
afterEach(() => stage.remove())

/** In the addresses that are configured, and in what those that are asked say. */
const secret = 'hunter2'
const upstreams = [{ url: 'http://127.0.0.1:1' }]

/** What is found where chain 5 is served like this: never the secret. */
async function examine(chain: Record<string, unknown>) {
  await stage.healthy({ roles: ['relay', 'gateway'], gateway: { chains: { 5: chain } } })
  const found = await stage.examine()
  expect(JSON.stringify(found.all)).not.toContain(secret)
  return found
}

describe('providers', () => {
  const examineAt = async (port: Promise<number>) =>
    examine({ upstreams: [{ url: `http://user:${secret}@127.0.0.1:${await port}/${secret}` }] })

  test.each([
    ['the right chain', { result: '0x5' }, 'ok', 'serves chain 5'],
    ['another chain', { result: '0x1' }, 'problem', 'serves chain 1, not 5'],
    ['an error', { error: { message: secret } }, 'problem', 'gives no chain id'],
  ])('%s', async (_, answer, status, finding) => {
    const { all } = await examineAt(stage.serve(answering(answer)))
    expect(all).toContainEqual(expect.objectContaining({ subject: 'gateway.chains.5.upstreams.0', status, finding }))
  })

  test('nobody there', async () => {
    const { problems } = await examineAt(stage.freePort())
    expect(problems).toMatchObject([
      { code: 'upstream-failed', finding: expect.stringContaining('refuses connections') },
    ])
  })

  test.each([
    [401, 'status 401', 'key'],
    [404, 'status 404', 'path'],
    [429, 'status 429', 'quota'],
    [503, 'status 503', 'operator'],
  ])('one that answers with HTTP status %i', async (status, finding, remedy) => {
    const { problems } = await examineAt(
      stage.serve(createServer((_, response) => void response.writeHead(status).end(secret))),
    )
    expect(problems).toContainEqual(
      expect.objectContaining({
        subject: 'gateway.chains.5.upstreams.0',
        finding: expect.stringContaining(finding),
        remedy: expect.stringContaining(remedy),
        code: 'upstream-failed',
      }),
    )
  })

  test('one that answers with something else', async () => {
    const { problems } = await examineAt(
      stage.serve(createServer((_, response) => void response.end(`<html>${secret}`))),
    )
    expect(problems).toContainEqual(
      expect.objectContaining({ finding: expect.stringContaining('not with JSON'), code: 'upstream-failed' }),
    )
  })

  test('one that ends the connection', async () => {
    const { problems } = await examineAt(stage.serve(createServer(({ socket }) => void socket.destroy())))
    expect(problems).toMatchObject([{ finding: expect.stringContaining('ends the connection') }])
  })

  test('one that takes too long, is of another TLS, or is named wrongly', () => {
    const told = (error: Error) => ofError(error).finding
    const failed = (code: string) =>
      new TypeError('fetch failed', { cause: Object.assign(new Error(secret), { code }) })
    expect(told(new DOMException(secret, 'TimeoutError'))).toBe('gives no answer within 10 s')
    expect(told(failed('ENOTFOUND'))).toBe('its name has no address')
    expect(told(failed('CERT_HAS_EXPIRED'))).toBe('cannot be asked: CERT_HAS_EXPIRED')
    expect(told(failed(`${secret} in words`))).toBe('cannot be asked')
  })
})

describe('where new blocks are pushed from', () => {
  /** A provider that answers each question with what `answer` says, or ends. */
  async function provider(answer: (method: string) => unknown): Promise<number> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
    stage.closeLater({ close: () => void server.close() })
    server.on('connection', (socket) => {
      socket.on('message', (text: Buffer) => {
        const { id, method } = JSON.parse(String(text)) as { id: number; method: string }
        const result = answer(method)
        if (result === undefined) socket.close()
        else socket.send(JSON.stringify({ jsonrpc: '2.0', id, ...(result as object) }))
      })
    })
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  test.each<[string, (method: string) => unknown, object]>([
    [
      'one that does',
      (method) => ({ result: method === 'eth_chainId' ? '0x5' : '0xabc' }),
      { status: 'ok', finding: 'pushes blocks of chain 5' },
    ],
    ['one of another chain', () => ({ result: '0x1' }), { code: 'chain-not-served', finding: 'serves chain 1, not 5' }],
    [
      'one that only answers',
      (method) => (method === 'eth_chainId' ? { result: '0x5' } : { error: { code: -32601, message: 'no' } }),
      { code: 'upstream-failed', finding: expect.stringContaining('does not push') },
    ],
    ['one that ends', () => undefined, { code: 'upstream-failed', finding: expect.stringContaining('JSON-RPC') }],
  ])('%s', async (_, answer, expected) => {
    const heads_url = `ws://user:${secret}@127.0.0.1:${await provider(answer)}/${secret}`
    const { all } = await examine({ upstreams, heads_url })
    expect(all).toContainEqual(expect.objectContaining({ subject: 'gateway.chains.5.heads_url', ...expected }))
  })

  test('nobody there', async () => {
    const { problems } = await examine({ upstreams, heads_url: `ws://127.0.0.1:1/${secret}` })
    expect(problems).toContainEqual(
      expect.objectContaining({
        subject: 'gateway.chains.5.heads_url',
        finding: expect.stringContaining('refuses connections'),
      }),
    )
  })
})

test('a place that new blocks are pushed from and that speaks HTTP only says with which status', async () => {
  const port = await stage.serve(createServer((_, response) => void response.writeHead(403).end(secret)))
  const { problems } = await examine({ upstreams, heads_url: `ws://127.0.0.1:${port}/${secret}` })
  expect(problems).toContainEqual(
    expect.objectContaining({ subject: 'gateway.chains.5.heads_url', finding: 'answers with HTTP status 403' }),
  )
})

describe('where raw transactions go', () => {
  test.each<[string, unknown, object]>([
    ['the right chain', { result: '0x5' }, { status: 'ok', finding: 'serves chain 5' }],
    ['no word of it', { error: { code: -32601, message: secret } }, { status: 'ok' }],
    ['another chain', { result: '0x1' }, { code: 'chain-not-served', finding: 'serves chain 1, not 5' }],
    ['no JSON-RPC', {}, { code: 'upstream-failed' }],
  ])('%s', async (_, answer, expected) => {
    const url = `http://user:${secret}@127.0.0.1:${await stage.serve(answering(answer))}/${secret}`
    const { all } = await examine({ upstreams, transactions: { url } })
    expect(all).toContainEqual(expect.objectContaining({ subject: 'gateway.chains.5.transactions', ...expected }))
  })
})

describe('the clock', () => {
  const minute = 60_000
  /** A provider whose clock is ahead of ours by so much; as a cache it says when its copy was made. */
  const telling = (ahead: number, age = 0) =>
    createServer((_, response) => {
      const date = new Date(stage.cli.now + ahead - age).toUTCString()
      response.setHeader('date', date)
      if (age > 0) response.setHeader('age', age / 1000)
      response.end('{"result":"0x5"}')
    })

  test.each<[string, [number, number?][], object]>([
    ['that agrees', [[10_000]], { status: 'ok' }],
    ['that agrees with a cache', [[0, 60 * minute]], { status: 'ok' }],
    ['that agrees with one of two', [[90 * minute], [0]], { status: 'ok' }],
    [
      'that is behind',
      [[2 * minute]],
      { code: 'document-not-yet-valid', finding: expect.stringMatching(/^120 s behind/) },
    ],
    [
      'that is ahead of both',
      [[-3 * minute], [-2 * minute]],
      { code: 'document-expired', finding: expect.stringMatching(/^120 s ahead of/) },
    ],
  ])('%s', async (_, servers, expected) => {
    const ports = await Promise.all(servers.map(([ahead, age]) => stage.serve(telling(ahead, age))))
    const upstreams = ports.map((port) => ({ url: `http://127.0.0.1:${port}` }))
    expect((await examine({ upstreams })).all).toContainEqual(
      expect.objectContaining({ subject: 'clock', ...expected }),
    )
  })

  test('is not compared with anybody who is not configured', async () => {
    await stage.healthy()
    expect((await stage.examine()).all).toContainEqual(expect.objectContaining({ subject: 'clock', status: 'note' }))
  })
})
