import { once } from 'node:events'
import { readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import { dirname } from 'node:path'
import { hex } from '@nightjar/shared/bytes'
import { CircuitTable } from '@nightjar/shared/circuit'
import { nobleCrypto } from '@nightjar/shared/crypto/noble'
import { fileError } from '@nightjar/shared-node/config'
import { listenForLinks } from '@nightjar/shared-node/link'
import { systemClock } from '@nightjar/shared-node/process'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { parse, stringify } from 'yaml'
import { loadRelayConfig } from '../config.ts'
import { loadSigningKey } from '../keys.ts'
import { checkFolders, checkOpenFiles } from './machine.ts'
import { ofError } from './rpcQuestion.ts'
import { certificate, certificateKey, otherCertificate } from './testing/certificate.ts'
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

/** A relay whose files are in order, with a document that lists it. @param options for its descriptor */
async function healthy(change: Record<string, unknown> = {}, ...options: readonly string[]): Promise<void> {
  const key = (await cli.run('keygen', '--directory', '@directory.key')).out.trim()
  const network = { document: 'network.json', trust: { keys: [key], threshold: 1 } }
  await cli.relay('one', { network, admin: { health_port: 0, metrics_port: 0 }, ...change })
  if (options.length > 0) await cli.run('descriptor', '--config', '@one.yaml', '--out', '@one.json', ...options)
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

/** One on which nobody listens. */
async function freePort(): Promise<number> {
  const server = createTcpServer()
  const port = await serve(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

const answering = (value: unknown) => createServer((_, response) => void response.end(JSON.stringify(value)))

test('finds nothing wrong where nothing is', async () => {
  await healthy()
  const { all, problems } = await doctor()
  expect(problems).toEqual([])
  for (const subject of ['listen.port 127.1.0.1:0', 'admin.health_port 127.0.0.1:0', 'admin.metrics_port 127.0.0.1:0'])
    expect(all).toContainEqual({ subject, status: 'ok', finding: 'free' })
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

describe('a port', () => {
  const taken = async (host: string) => {
    const server = createTcpServer((socket) => void socket.destroy()).listen(0, host)
    await once(server, 'listening')
    closing.push(server)
    return (server.address() as AddressInfo).port
  }

  test('of links is taken by another program', async () => {
    await healthy({ listen: { host: '127.1.0.1', port: await taken('127.1.0.1') } })
    expect((await doctor()).problems).toMatchObject([
      { code: 'config-invalid', finding: expect.stringContaining('another program') },
    ])
  })

  test.each(['health_port', 'metrics_port'])('of operators is taken by another program: %s', async (key) => {
    const port = await taken('127.0.0.1')
    await healthy({ admin: { health_port: 0, metrics_port: 0, [key]: port } })
    const { all, problems } = await doctor()
    expect(problems).toMatchObject([
      {
        subject: `admin.${key} 127.0.0.1:${port}`,
        finding: expect.stringContaining('another program'),
        remedy: expect.stringContaining(`admin.${key}`),
      },
    ])
    expect(all).toContainEqual(expect.objectContaining({ finding: expect.stringContaining('does not run now') }))
  })

  test('of health is that of another relay, even one of the same name', async () => {
    const status = { status: 'ok', server_name: 'one', identity: '00'.repeat(32) }
    const port = await serve(answering(status))
    await healthy({ admin: { health_port: port, metrics_port: 0 } })
    const { all, problems } = await doctor()
    expect(problems).toMatchObject([{ subject: `admin.health_port 127.0.0.1:${port}`, code: 'config-invalid' }])
    expect(all).toContainEqual(expect.objectContaining({ finding: expect.stringContaining('does not run now') }))
  })

  test('is named by two settings', async () => {
    const port = await freePort()
    await healthy({
      listen: { host: '127.0.0.1', port },
      public_address: 'ws://127.0.0.1:1/relay',
      admin: { health_port: port, metrics_port: 0 },
    })
    expect((await doctor()).problems).toMatchObject([{ subject: `admin.health_port 127.0.0.1:${port}` }])
  })

  test('is at an address that is not of this machine', async () => {
    const tls = { cert_file: 'cert.pem', key_file: 'key.pem' }
    await healthy({ listen: { host: '192.0.2.1', port: 9545, tls }, public_address: 'wss://192.0.2.1:9545/relay' })
    expect((await doctor()).problems).toContainEqual(
      expect.objectContaining({
        subject: 'listen.port 192.0.2.1:9545',
        remedy: expect.stringContaining('listen.host'),
      }),
    )
  })
})

describe('a relay that runs', () => {
  /** Its health port; it has the identity that `healthy` makes. */
  async function health(): Promise<number> {
    return serve(
      createServer(async (_, response) => {
        const { publicKey } = await loadSigningKey(nobleCrypto, cli.path('one/identity.key'))
        response.end(JSON.stringify({ status: 'ok', server_name: 'one', identity: hex(publicKey) }))
      }),
    )
  }

  /** Where it listens for links. */
  async function links(tls?: { cert: string; key: string }): Promise<number> {
    const listener = await listenForLinks({
      host: '127.1.0.1',
      port: 0,
      path: '/relay',
      maxConnections: 1,
      idleAfter: 1000,
      clock: systemClock,
      tls,
      accept: () => new CircuitTable(),
    })
    closing.push(listener)
    return listener.port
  }

  test('can be reached as clients do it', async () => {
    const port = await links()
    const at = { listen: { host: '127.1.0.1', port }, public_address: `ws://127.1.0.1:${port}/relay` }
    await healthy({ ...at, admin: { health_port: await health(), metrics_port: 0 } })
    const { all, problems } = await doctor()
    expect(problems).toEqual([])
    expect(all).toContainEqual(expect.objectContaining({ subject: at.public_address, status: 'ok' }))
    expect(all).toContainEqual(expect.objectContaining({ subject: `listen.port 127.1.0.1:${port}`, status: 'ok' }))
  })

  test('cannot be reached at the address that clients are told', async () => {
    await healthy({ public_address: 'ws://127.1.0.1:1/relay', admin: { health_port: await health(), metrics_port: 0 } })
    expect((await doctor()).problems).toMatchObject([{ subject: 'ws://127.1.0.1:1/relay', code: 'connect-failed' }])
  })

  test('with another certificate than the one whose pin clients have', async () => {
    const other = otherCertificate
    await cli.write('cert.pem', certificate)
    await cli.write('key.pem', certificateKey, 0o600)
    const port = await links(other)
    const tls = { cert_file: 'cert.pem', key_file: 'key.pem' }
    // The pin is in the document, and not in the configuration.
    await healthy(
      {
        listen: { host: '127.1.0.1', port, tls },
        public_address: `wss://127.1.0.1:${port}/relay`,
        admin: { health_port: await health(), metrics_port: 0 },
      },
      '--pin',
    )
    const { problems } = await doctor()
    expect(problems).toMatchObject([
      { subject: `wss://127.1.0.1:${port}/relay`, finding: expect.stringContaining('another TLS key') },
    ])
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
    await healthy(gateway(await freePort()))
    const { problems } = await doctor()
    expect(problems).toMatchObject([
      { code: 'upstream-failed', finding: expect.stringContaining('refuses connections') },
    ])
    expect(JSON.stringify(problems)).not.toContain(secret)
  })

  test.each([
    [401, 'status 401', 'key'],
    [404, 'status 404', 'path'],
    [429, 'status 429', 'quota'],
    [503, 'status 503', 'operator'],
  ])('one that answers with HTTP status %i', async (status, finding, remedy) => {
    await healthy(gateway(await serve(createServer((_, response) => void response.writeHead(status).end(secret)))))
    const { problems } = await doctor()
    expect(problems).toContainEqual(
      expect.objectContaining({
        subject: 'gateway.chains.5.upstreams.0',
        finding: expect.stringContaining(finding),
        remedy: expect.stringContaining(remedy),
        code: 'upstream-failed',
      }),
    )
    expect(JSON.stringify(problems)).not.toContain(secret)
  })

  test('one that answers with something else', async () => {
    await healthy(gateway(await serve(createServer((_, response) => void response.end(`<html>${secret}`)))))
    const { problems } = await doctor()
    expect(problems).toContainEqual(
      expect.objectContaining({ finding: expect.stringContaining('not with JSON'), code: 'upstream-failed' }),
    )
    expect(JSON.stringify(problems)).not.toContain(secret)
  })

  test('one that ends the connection', async () => {
    await healthy(gateway(await serve(createServer(({ socket }) => void socket.destroy()))))
    expect((await doctor()).problems).toMatchObject([{ finding: expect.stringContaining('ends the connection') }])
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
    expect(problems).toContainEqual(
      expect.objectContaining({
        subject: 'gateway.chains.5.heads_url',
        finding: expect.stringContaining('refuses connections'),
      }),
    )
    expect(JSON.stringify(problems)).not.toContain('hunter2')
  })
})

test('a place that new blocks are pushed from and that speaks HTTP only says with which status', async () => {
  const port = await serve(createServer((_, response) => void response.writeHead(403).end('hunter2')))
  const chain = { upstreams: [{ url: 'http://127.0.0.1:1' }], heads_url: `ws://127.0.0.1:${port}/hunter2` }
  await healthy({ roles: ['relay', 'gateway'], gateway: { chains: { 5: chain } } })
  const { problems } = await doctor()
  expect(problems).toContainEqual(
    expect.objectContaining({ subject: 'gateway.chains.5.heads_url', finding: 'answers with HTTP status 403' }),
  )
  expect(JSON.stringify(problems)).not.toContain('hunter2')
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

describe('what the document says of this relay', () => {
  const chains = (...ids: readonly number[]) =>
    Object.fromEntries(ids.map((id) => [id, { upstreams: [{ url: 'http://127.0.0.1:1' }] }]))

  /** The configuration after the document was made of it. */
  async function changed(change: Record<string, unknown>): Promise<readonly Finding[]> {
    const before = parse(await cli.read('one.yaml')) as Record<string, unknown>
    await cli.write('one.yaml', stringify({ ...before, ...change }))
    return (await doctor()).problems.filter(({ subject }) => subject === cli.path('network.json'))
  }

  test('is another address', async () => {
    await healthy()
    expect(await changed({ public_address: 'ws://127.1.0.1:7777/relay' })).toMatchObject([
      {
        finding: expect.stringMatching(/at ws:\/\/127\.1\.0\.1:9545\/relay, and public_address is .*:7777/),
        remedy: expect.stringContaining('nightjar-relay descriptor'),
      },
    ])
  })

  test('is the same address in other words', async () => {
    await healthy({ public_address: 'wss://127.1.0.1:443/relay' })
    expect(await changed({ public_address: 'wss://127.1.0.1/relay' })).toEqual([])
  })

  test('is other roles and chains', async () => {
    await healthy({ roles: ['gateway'], gateway: { chains: chains(1, 5) } })
    expect(await changed({ roles: ['relay', 'gateway'], gateway: { chains: chains(10, 5) } })).toMatchObject([
      { finding: expect.stringContaining('roles gateway, and roles has relay, gateway'), code: 'unknown-service' },
      { finding: expect.stringContaining('chains 1, 5, and gateway.chains has 5, 10'), code: 'chain-not-served' },
    ])
  })

  test('is the pin of another key', async () => {
    const tls = { cert_file: 'cert.pem', key_file: 'key.pem' }
    const other = otherCertificate
    await cli.write('cert.pem', other.cert)
    await cli.write('key.pem', other.key, 0o600)
    const pinned = { listen: { host: '127.0.0.1', port: 0, tls }, public_address: 'wss://127.1.0.1:1/relay' }
    await healthy(pinned, '--pin')
    expect(await changed({})).toEqual([])
    await cli.write('cert.pem', certificate)
    await cli.write('key.pem', certificateKey, 0o600)
    expect(await changed({})).toMatchObject([
      { finding: expect.stringContaining('pin of another key'), remedy: expect.stringContaining('--pin') },
    ])
  })

  test('is no pin, where there should be one', async () => {
    const tls = { cert_file: 'cert.pem', key_file: 'key.pem' }
    await cli.write('cert.pem', certificate)
    await cli.write('key.pem', certificateKey, 0o600)
    await healthy({ listen: { host: '127.0.0.1', port: 0, tls }, public_address: 'wss://127.1.0.1:1/relay' })
    const wanted = { descriptor: { file: 'one.json', pin: true } }
    expect(await changed(wanted)).toMatchObject([{ finding: expect.stringContaining('no pin') }])
  })
})

describe('a certificate', () => {
  const tls = { cert_file: 'cert.pem', key_file: 'key.pem' }
  /** What is found of one for localhost. */
  async function found(public_address: string, ...options: readonly string[]): Promise<readonly Finding[]> {
    await cli.write('cert.pem', certificate)
    await cli.write('key.pem', certificateKey, 0o600)
    await healthy({ listen: { host: '127.0.0.1', port: 0, tls }, public_address }, ...options)
    return (await doctor()).problems.filter(({ subject }) => subject === cli.path('cert.pem'))
  }

  test.each(['wss://relay.example.org/relay', 'wss://127.1.0.1:1/relay', 'wss://[::1]:1/relay'])(
    'of another name than %s',
    async (url) => {
      cli.names['relay.example.org'] = ['192.0.2.7']
      const host = new URL(url).hostname.replace(/[[\]]/g, '')
      expect(await found(url)).toMatchObject([
        { finding: expect.stringContaining(`not for ${host}`), remedy: expect.stringContaining('public_address') },
      ])
    },
  )

  test('of the right name, or that clients have the pin of', async () => {
    cli.names.localhost = ['127.0.0.1']
    expect(await found('wss://localhost:1/relay')).toEqual([])
    await rm(cli.path('one'), { recursive: true })
    await rm(cli.path('directory.key'))
    expect(await found('wss://127.1.0.1:1/relay', '--pin')).toEqual([])
  })
})

test('a folder on a disk that is full', async () => {
  await healthy()
  const config = await loadRelayConfig(cli.path('one.yaml'))
  const written: string[] = []
  const full = async (file: string) => {
    written.push(dirname(file))
    throw fileError(file, Object.assign(new Error(), { code: 'ENOSPC' }))
  }
  expect(await checkFolders(config, full)).toMatchObject([
    {
      status: 'problem',
      finding: expect.stringContaining('no space is left'),
      remedy: expect.stringMatching(/^Make room/),
    },
  ])
  expect(written).toEqual([cli.path('one')])
  // Where there is room nothing stays behind.
  const before = await readdir(cli.path('one'))
  expect(await checkFolders(config)).toMatchObject([{ status: 'ok' }])
  expect(await readdir(cli.path('one'))).toEqual(before)
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
