import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { CircuitTable } from '@nightjar/shared/circuit'
import { listenForLinks } from '@nightjar/shared-node/link'
import { systemClock } from '@nightjar/shared-node/process'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { stringify } from 'yaml'
import { loadRelayConfig } from '../config.ts'
import { checkOpenFiles } from './machine.ts'
import { createHarness, type Harness, relayConfig } from './testing/harness.ts'

interface Finding {
  readonly subject: string
  readonly status: 'ok' | 'note' | 'problem'
  readonly finding: string
  readonly remedy?: string
  readonly code?: string
}

let cli: Harness
const closing: { close(): unknown }[] = []
beforeEach(async () => {
  cli = await createHarness()
})
afterEach(async () => {
  for (const each of closing.splice(0)) each.close()
  await cli.remove()
})

/** A relay whose files are in order, with a document that lists it. */
async function healthy(change: Record<string, unknown> = {}): Promise<void> {
  const key = (await cli.run('keygen', '--directory', '@directory.key')).out.trim()
  const network = { document: 'network.json', trust: { keys: [key], threshold: 1 } }
  await cli.relay('one', { network, admin: { health_port: 1, metrics_port: 2 }, ...change })
  await cli.write('relays.yaml', '- { descriptor: one.json, operator: alice }\n')
  await cli.run('network', 'sign', '--relays', '@relays.yaml', '--key', '@directory.key', '--out', '@network.json')
}

async function doctor(): Promise<{ all: readonly Finding[]; problems: readonly Finding[]; exitCode: number }> {
  const { out, exitCode } = await cli.run('doctor', '--config', '@one.yaml', '--json')
  const { ok, findings } = JSON.parse(out) as { ok: boolean; findings: Finding[] }
  const problems = findings.filter(({ status }) => status === 'problem')
  expect([ok, exitCode]).toEqual(problems.length === 0 ? [true, 0] : [false, 1])
  for (const { remedy, code } of problems)
    expect([remedy, code]).toEqual([expect.stringMatching(/\w/), expect.any(String)])
  return { all: findings, problems, exitCode }
}

/** A server of the test on loopback, and its port. */
async function serve(server: Server, host = '127.0.0.1'): Promise<number> {
  server.listen(0, host)
  await once(server, 'listening')
  closing.push(server)
  return (server.address() as AddressInfo).port
}

const answering = (value: unknown) => createServer((_, response) => void response.end(JSON.stringify(value)))

test('finds nothing wrong where nothing is', async () => {
  await healthy()
  const { all, problems } = await doctor()
  expect(problems).toEqual([])
  expect(all).toContainEqual({ subject: '127.1.0.1:0', status: 'ok', finding: 'free' })
  expect(all).toContainEqual(expect.objectContaining({ subject: cli.path('one'), status: 'ok' }))
  expect(all).toContainEqual(expect.objectContaining({ subject: 'open files', status: 'ok' }))
  expect(all).toContainEqual(
    expect.objectContaining({ status: 'note', finding: expect.stringContaining('does not run now') }),
  )
})

test('says what check-config says too, and stops there where the configuration cannot be read', async () => {
  await cli.write('one.yaml', 'server_name: one\nregoin: eu\n')
  const { problems } = await doctor()
  expect(problems).toContainEqual(expect.objectContaining({ finding: 'unknown key "regoin"' }))
  expect(problems.every(({ code }) => code === 'config-invalid')).toBe(true)
})

test('in words, with what to do', async () => {
  await healthy({ listen: { host: '127.1.0.1', port: 9545 } })
  await rm(cli.path('one/identity.key'))
  const { out, exitCode } = await cli.run('doctor', '--config', '@one.yaml')
  expect(exitCode).toBe(1)
  expect(out).toMatch(/PROBLEM {2}keys: .*\n {9}→ .*keygen/)
  expect(out).toMatch(/problems: 1\n$/)
})

describe('the port', () => {
  const taken = async (host: string) => {
    const server = createTcpServer().listen(0, host)
    await once(server, 'listening')
    closing.push(server)
    return (server.address() as AddressInfo).port
  }

  test('is taken by another program', async () => {
    await healthy({ listen: { host: '127.1.0.1', port: await taken('127.1.0.1') } })
    expect((await doctor()).problems).toMatchObject([
      { code: 'connect-failed', finding: expect.stringContaining('another program') },
    ])
  })

  test('is at an address that is not of this machine', async () => {
    const tls = { cert_file: 'cert.pem', key_file: 'key.pem' }
    await healthy({ listen: { host: '192.0.2.1', port: 9545, tls }, public_address: 'wss://192.0.2.1:9545/relay' })
    expect((await doctor()).problems).toContainEqual(
      expect.objectContaining({ subject: '192.0.2.1:9545', remedy: expect.stringContaining('listen.host') }),
    )
  })
})

describe('a relay that runs', () => {
  test('can be reached as clients do it', async () => {
    const listener = await listenForLinks({
      host: '127.1.0.1',
      port: 0,
      path: '/relay',
      maxConnections: 1,
      idleAfter: 1000,
      clock: systemClock,
      accept: () => new CircuitTable(),
    })
    closing.push(listener)
    const { port } = listener
    const health = await serve(answering({ status: 'ok' }))
    const at = { listen: { host: '127.1.0.1', port }, public_address: `ws://127.1.0.1:${port}/relay` }
    await healthy({ ...at, admin: { health_port: health, metrics_port: 0 } })
    const { all, problems } = await doctor()
    expect(problems).toEqual([])
    expect(all).toContainEqual(expect.objectContaining({ subject: at.public_address, status: 'ok' }))
    expect(all).toContainEqual(expect.objectContaining({ subject: `127.1.0.1:${port}`, status: 'ok' }))
  })

  test('cannot be reached at the address that clients are told', async () => {
    const health = await serve(answering({ status: 'ok' }))
    await healthy({ public_address: 'ws://127.1.0.1:1/relay', admin: { health_port: health, metrics_port: 0 } })
    expect((await doctor()).problems).toMatchObject([{ subject: 'ws://127.1.0.1:1/relay', code: 'connect-failed' }])
  })
})

describe('providers', () => {
  const secret = 'hunter2'
  const gateway = (port: number) => ({
    roles: ['relay', 'gateway'],
    gateway: { chains: { 5: { upstreams: [{ url: `http://user:${secret}@127.0.0.1:${port}/${secret}` }] } } },
  })

  test.each([
    ['the right chain', { result: '0x5' }, 'ok', 'serves chain 5'],
    ['another chain', { result: '0x1' }, 'problem', 'serves chain 1, not 5'],
    ['an error', { error: { message: secret } }, 'problem', 'gives no chain id'],
  ])('%s', async (_, answer, status, finding) => {
    await healthy(gateway(await serve(answering(answer))))
    const { all } = await doctor()
    expect(all).toContainEqual(expect.objectContaining({ subject: 'gateway.chains.5.upstreams.0', status, finding }))
    expect(JSON.stringify(all)).not.toContain(secret)
  })

  test('nobody there', async () => {
    await healthy(gateway(1))
    const { problems } = await doctor()
    expect(problems).toMatchObject([{ code: 'upstream-failed' }])
    expect(JSON.stringify(problems)).not.toContain(secret)
  })
})

describe('where new blocks are pushed from', () => {
  /** A provider that answers each question with what `answer` says, or ends. */
  async function provider(answer: (method: string) => unknown): Promise<number> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
    closing.push({ close: () => void server.close() })
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
    const heads_url = `ws://user:hunter2@127.0.0.1:${await provider(answer)}/hunter2`
    const upstreams = [{ url: 'http://127.0.0.1:1' }]
    await healthy({ roles: ['relay', 'gateway'], gateway: { chains: { 5: { upstreams, heads_url } } } })
    const { all } = await doctor()
    expect(all).toContainEqual(expect.objectContaining({ subject: 'gateway.chains.5.heads_url', ...expected }))
    expect(JSON.stringify(all)).not.toContain('hunter2')
  })

  test('nobody there', async () => {
    const upstreams = [{ url: 'http://127.0.0.1:1' }]
    const chain = { upstreams, heads_url: 'ws://127.0.0.1:1/hunter2' }
    await healthy({ roles: ['relay', 'gateway'], gateway: { chains: { 5: chain } } })
    const { problems } = await doctor()
    expect(problems).toContainEqual(expect.objectContaining({ subject: 'gateway.chains.5.heads_url' }))
    expect(JSON.stringify(problems)).not.toContain('hunter2')
  })
})

describe('where raw transactions go', () => {
  test.each<[string, unknown, object]>([
    ['the right chain', { result: '0x5' }, { status: 'ok', finding: 'serves chain 5' }],
    ['no word of it', { error: { code: -32601, message: 'hunter2' } }, { status: 'ok' }],
    ['another chain', { result: '0x1' }, { code: 'chain-not-served', finding: 'serves chain 1, not 5' }],
    ['no JSON-RPC', {}, { code: 'upstream-failed' }],
  ])('%s', async (_, answer, expected) => {
    const url = `http://user:hunter2@127.0.0.1:${await serve(answering(answer))}/hunter2`
    const chain = { upstreams: [{ url: 'http://127.0.0.1:1' }], transactions: { url } }
    await healthy({ roles: ['relay', 'gateway'], gateway: { chains: { 5: chain } } })
    const { all } = await doctor()
    expect(all).toContainEqual(expect.objectContaining({ subject: 'gateway.chains.5.transactions', ...expected }))
    expect(JSON.stringify(all)).not.toContain('hunter2')
  })
})

describe('the clock', () => {
  const minute = 60_000
  /** A provider whose clock is ahead of ours by so much; as a cache it says when its copy was made. */
  const telling = (ahead: number, age = 0) =>
    createServer((_, response) => {
      const date = new Date(cli.now + ahead - age).toUTCString()
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
    const ports = await Promise.all(servers.map(([ahead, age]) => serve(telling(ahead, age))))
    const upstreams = ports.map((port) => ({ url: `http://127.0.0.1:${port}` }))
    await healthy({ roles: ['relay', 'gateway'], gateway: { chains: { 5: { upstreams } } } })
    expect((await doctor()).all).toContainEqual(expect.objectContaining({ subject: 'clock', ...expected }))
  })

  test('is not compared with anybody who is not configured', async () => {
    await healthy()
    expect((await doctor()).all).toContainEqual(expect.objectContaining({ subject: 'clock', status: 'note' }))
  })
})

test('names that have no address', async () => {
  const tls = { cert_file: 'cert.pem', key_file: 'key.pem' }
  const change = { listen: { host: '127.0.0.1', port: 0, tls }, public_address: 'wss://relay.example.org/relay' }
  cli.names['relay.example.org'] = ['192.0.2.7']
  await healthy(change)
  expect((await doctor()).all).toContainEqual({
    subject: 'public_address',
    status: 'ok',
    finding: 'its name has an address',
  })
  delete cli.names['relay.example.org']
  expect((await doctor()).problems).toContainEqual(
    expect.objectContaining({ subject: 'public_address', code: 'name-not-found' }),
  )
})

test('a folder in which nothing can be written', async () => {
  await healthy({ descriptor: { file: 'nowhere/one.json' } })
  expect((await doctor()).problems).toMatchObject([{ subject: cli.path('nowhere'), code: 'file-unusable' }])
})

test('fewer open files than the limits take', async () => {
  const line = (soft: string) =>
    `Limit  Soft Limit  Hard Limit  Units\nMax open files            ${soft}    1048576    files\n`
  await cli.write('one.yaml', stringify({ ...relayConfig('one'), limits: { max_connections: 1000 } }))
  const config = await loadRelayConfig(cli.path('one.yaml'))
  const found = async (text: string) => (await checkOpenFiles(config, await cli.write('limits', text)))[0]
  expect(await found(line('1024'))).toMatchObject({
    status: 'problem',
    remedy: expect.stringContaining('LimitNOFILE=1256'),
  })
  expect(await found(line('1256'))).toMatchObject({ status: 'ok' })
  expect(await found(line('unlimited'))).toMatchObject({ status: 'ok' })
  expect(await found('nothing of the kind')).toMatchObject({ status: 'note' })
  expect((await checkOpenFiles({ ...config, workers: 4 }, await cli.write('limits', line('1024'))))[0]?.status).toBe(
    'ok',
  )
})
