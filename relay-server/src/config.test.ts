import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { categories } from '@nightjar/shared/shield'
import { loadConfig, missingKeys } from '@nightjar/shared-node/config'
import * as v from 'valibot'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { relayConfig } from './cli/testing/harness.ts'
import { loadRelayConfig, relayConfigSchema, trustOf } from './config.ts'

const example = new URL('../relay.example.yaml', import.meta.url).pathname

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-relay-config-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function load(config: Record<string, unknown>) {
  const file = join(folder, 'relay.yaml')
  await writeFile(file, stringify(config))
  return loadRelayConfig(file)
}

async function findingOf(config: Record<string, unknown>): Promise<string> {
  const error: unknown = await load(config).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toMatchObject({ name: 'NightjarError', code: 'config-invalid' })
  return (error as { detail: string }).detail.replace(`${folder}/`, '')
}

const minimal = relayConfig('keys')
const key = (fill: number) => Buffer.alloc(32, fill).toString('base64')
const gateway = { chains: { 1: { upstreams: [{ url: 'https://rpc.example.org' }] } } }

/** `section` with one key more, at a path. */
function withKey(section: object, [key, ...rest]: readonly string[], value: unknown): Record<string, unknown> {
  const inner = (section as Record<string, unknown>)[key as string]
  return { ...section, [key as string]: rest.length === 0 ? value : withKey((inner as object) ?? {}, rest, value) }
}

describe('relay.example.yaml', () => {
  test('loads', async () => {
    const config = await loadRelayConfig(example)
    expect(config.gateway?.chains['1']?.upstreams).toEqual([
      { url: 'https://ethereum-rpc.example.com/v1', weight: 2 },
      { url: 'http://127.0.0.1:8545', weight: 1 },
    ])
    expect(config.gateway?.chains['1']?.transactions).toEqual({ url: 'https://rpc.flashbots.net/?hint=hash' })
    expect(config.gateway?.chains['11155111']?.transactions).toBeUndefined()
    expect(trustOf(config)).toMatchObject({ threshold: 2, keys: { length: 3 } })
  })

  test('names every key', async () => {
    expect(missingKeys(relayConfigSchema, await loadConfig(example, v.unknown()))).toEqual([])
  })

  test('what it calls a default is the default', async () => {
    const lines = (await readFile(example, 'utf8')).split('\n')
    const { admin, exit, limits, network, log, listen } = await load({ ...minimal, roles: ['exit'], exit: {} })
    // Named in full there: the whole list is the default.
    expect((await loadRelayConfig(example)).exit?.categories).toEqual(exit?.categories)
    expect(exit).toMatchObject({ categories: [...categories], without: [] })
    const said = Object.fromEntries(
      lines.filter((line) => /# .*default/.test(line)).map((line) => line.split('#')[0]?.trim().split(': ') ?? []),
    )
    expect(said).toEqual({
      onion_keys_file: 'onion.keys',
      path: listen.path,
      refresh_minutes: String(network.refresh_minutes),
      weight: '2',
      strategy: 'weighted',
      heads_poll_ms: '2000',
      request_timeout_seconds: '10',
      batch_window_ms: '0',
      max_log_blocks: '10000',
      max_call_gas: '50000000',
      max_answer_bytes: '30408704',
      max_streams: String(exit?.max_streams),
      max_connections: String(limits.max_connections),
      connection_timeout: String(limits.connection_timeout),
      connections_per_minute: '20',
      connections_per_ip: '50',
      max_circuits: String(limits.max_circuits),
      handshakes_per_second: String(limits.handshakes_per_second),
      cells_per_second: String(limits.cells_per_second),
      bandwidth_mbit: String(limits.bandwidth_mbit),
      queue_mb: String(limits.queue_mb),
      workers: '1',
      drain_timeout: '30',
      pin: 'false',
      level: log.level,
    })
    expect(admin).toEqual({ host: '127.0.0.1', health_port: 8080, metrics_port: 9090 })
  })
})

test('both ports of admin may be any free one', async () => {
  const admin = { health_port: 0, metrics_port: 0 }
  expect((await load({ ...minimal, admin })).admin).toEqual({ host: '127.0.0.1', ...admin })
})

test('what a gateway does unless it is told otherwise', async () => {
  const config = await load({ ...minimal, roles: ['gateway'], gateway })
  expect(config.gateway).toEqual({
    chains: {
      1: { upstreams: [{ url: 'https://rpc.example.org', weight: 1 }], strategy: 'weighted', heads_poll_ms: 2000 },
    },
    request_timeout_seconds: 10,
    batch_window_ms: 0,
    limits: { max_log_blocks: 10_000, max_call_gas: 50_000_000, max_answer_bytes: 30_408_704 },
  })
})

test('gateway.example.yaml is a gateway alone, on port 9003', async () => {
  const config = await loadRelayConfig(new URL('../gateway.example.yaml', import.meta.url).pathname)
  expect(config).toMatchObject({ roles: ['gateway'], listen: { port: 9003, path: '/relay' } })
})

describe('loadRelayConfig', () => {
  test('fills in defaults and makes paths absolute', async () => {
    expect(await load(minimal)).toEqual({
      ...minimal,
      identity_file: join(folder, 'keys/identity.key'),
      onion_keys_file: join(folder, 'keys/onion.keys'),
      listen: { host: '127.1.0.1', port: 0, path: '/relay', trusted_proxies: [] },
      admin: { host: '127.0.0.1', health_port: 8080, metrics_port: 9090 },
      network: { document: join(folder, 'network.json'), trust: minimal.network && trustPart(), refresh_minutes: 15 },
      limits: {
        max_connections: 1000,
        connection_timeout: 300,
        connections_per_minute: 20,
        connections_per_ip: 50,
        max_circuits: 65_536,
        handshakes_per_second: 1000,
        cells_per_second: 65_536,
        bandwidth_mbit: 0,
        queue_mb: 256,
      },
      workers: 1,
      drain_timeout: 30,
      log: { level: 'info' },
    })

    function trustPart() {
      return { keys: [key(1)], threshold: 1 }
    }
  })

  test('every path counts from the folder of the file; URLs stay', async () => {
    const config = await load({
      ...minimal,
      onion_keys_file: 'a/onion',
      listen: { host: '0.0.0.0', port: 1, tls: { cert_file: 'tls/cert', key_file: '/tls/key' } },
      descriptor: { file: 'out/one.json' },
      public_address: 'wss://relay.example.org/relay',
      network: { document: 'https://example.org/n.json', trust: { keys: [key(1)], threshold: 1 }, ca_file: 'ca.pem' },
    })
    expect(config.onion_keys_file).toBe(join(folder, 'a/onion'))
    expect(config.listen.tls).toEqual({ cert_file: join(folder, 'tls/cert'), key_file: '/tls/key' })
    expect(config.descriptor).toEqual({ file: join(folder, 'out/one.json'), pin: false })
    expect(config.network).toMatchObject({ document: 'https://example.org/n.json', ca_file: join(folder, 'ca.pem') })
  })

  test.each([
    ['a gateway', { roles: ['relay', 'gateway'], gateway }],
    ['an exit', { roles: ['exit'], exit: {} }],
    ['a gateway that is an exit', { roles: ['gateway', 'exit'], gateway, exit: { categories: ['rpc'] } }],
    ['a proxy that does TLS in front', { listen: { host: '::1', port: 0 }, public_address: 'wss://relay.example.org' }],
    ['an address to connect from', { outbound_address: '2001:db8::1' }],
    [
      'a document on loopback',
      { network: { document: 'http://127.0.0.1:1/n', trust: { keys: [key(1)], threshold: 1 } } },
    ],
  ])('accepts %s', async (_, change) => {
    await expect(load({ ...minimal, ...change })).resolves.toMatchObject({ server_name: 'keys' })
  })

  test.each<[string, Record<string, unknown>, string]>([
    ['a misspelt key', { gatway: {} }, 'unknown key "gatway"; did you mean "gateway"?'],
    [
      'a misspelt inner key',
      { admin: { health_prot: 1 } },
      'unknown key "admin.health_prot"; did you mean "admin.health_port"?',
    ],
    ['a missing key', { region: undefined }, 'region is missing'],
    ['no worker', { workers: 0 }, 'workers must be'],
    [
      'a pin where there is no key',
      { descriptor: { file: 'one.json', pin: true } },
      'descriptor.pin must be false as listen.tls is not set',
    ],
    [
      'one port for health and metrics',
      { admin: { health_port: 9090 } },
      'admin.metrics_port must be another port than health_port',
    ],
    ...['proxy.example.org', '10.0.0.0/33', '10.0.0.0/8/8', '10.0.0.0/', '::/129'].map<
      [string, Record<string, unknown>, string]
    >((range) => [
      `a proxy at ${range}`,
      { listen: { ...(minimal.listen as object), trusted_proxies: [range] } },
      'listen.trusted_proxies.0 must be an IP address, or a range of them such as 10.0.0.0/8',
    ]),
    ['no queue', { limits: { queue_mb: 0 } }, 'limits.queue_mb must be at least 16'],
    ['a name with spaces', { server_name: 'a b' }, 'server_name must be 1 to 64 letters'],
    ['an unknown role', { roles: ['spy'] }, 'roles.0 must be relay or gateway or exit or directory'],
    ['no role', { roles: [] }, 'roles must have at least 1 elements'],
    ['a role twice', { roles: ['relay', 'relay'] }, 'roles must not name a role twice'],
    [
      'the role gateway alone',
      { roles: ['gateway'] },
      'roles must not name gateway unless the section gateway is there',
    ],
    ['the section gateway alone', { gateway }, 'gateway must not be there unless roles names gateway'],
    ['the role exit alone', { roles: ['exit'] }, 'roles must not name exit unless the section exit is there'],
    ['the section exit alone', { exit: {} }, 'exit must not be there unless roles names exit'],
    [
      'a category that there is not',
      { roles: ['exit'], exit: { categories: ['everything'] } },
      'exit.categories.0 must be wallet or rpc or explorer or price or bridge or phishing-list',
    ],
    ['no category', { roles: ['exit'], exit: { categories: [] } }, 'exit.categories must have at least 1'],
    [
      'a category twice',
      { roles: ['exit'], exit: { categories: ['rpc', 'rpc'] } },
      'exit.categories must not name a category twice',
    ],
    ...['*.infura.io', 'Infura.io', 'infura.io.', '127.0.0.1', 'https://infura.io'].map<
      [string, Record<string, unknown>, string]
    >((suffix) => [
      `an exit without ${suffix}`,
      { roles: ['exit'], exit: { without: [suffix] } },
      'exit.without.0 must be a host name in lower case',
    ]),
    ['a host to add to the list', { roles: ['exit'], exit: { with: ['example.org'] } }, 'unknown key "exit.with"'],
    ['no stream', { roles: ['exit'], exit: { max_streams: 0 } }, 'exit.max_streams must be at least 1'],
    ...['http://rpc.example.org', 'ws://127.0.0.1:1', 'rpc.example.org'].map(
      (url): [string, Record<string, unknown>, string] => [
        `transactions that go to ${url}`,
        { roles: ['gateway'], gateway: { chains: { 1: { ...gateway.chains[1], transactions: { url } } } } },
        'gateway.chains.1.transactions.url must be a URL of https, or of http on loopback',
      ],
    ),
    ['no chain', { roles: ['gateway'], gateway: { chains: {} } }, 'gateway.chains must name at least one chain'],
    [
      'a chain that is no number',
      { roles: ['gateway'], gateway: { chains: { mainnet: gateway.chains[1] } } },
      'gateway.chains.mainnet must be a decimal chain id',
    ],
    [
      'no upstream',
      { roles: ['gateway'], gateway: { chains: { 1: { upstreams: [] } } } },
      'gateway.chains.1.upstreams must have at least 1',
    ],
    [
      'an upstream that is no URL of HTTP',
      { roles: ['gateway'], gateway: { chains: { 1: { upstreams: [{ url: 'ftp://hunter2' }] } } } },
      'gateway.chains.1.upstreams.0.url must be a URL of http or https',
    ],
    ...[99, 60_001].map<[string, Record<string, unknown>, string]>((heads_poll_ms) => [
      `a look for heads every ${heads_poll_ms} ms`,
      {
        roles: ['relay', 'gateway'],
        gateway: { chains: { 1: { ...gateway.chains[1], heads_poll_ms } } },
      },
      `gateway.chains.1.heads_poll_ms must be at ${heads_poll_ms < 100 ? 'least 100' : 'most 60000'}`,
    ]),
    ...['https://rpc.example.org', 'rpc.example.org'].map<[string, Record<string, unknown>, string]>((heads_url) => [
      `heads pushed by ${heads_url}`,
      { roles: ['gateway'], gateway: { chains: { 1: { ...gateway.chains[1], heads_url } } } },
      'gateway.chains.1.heads_url must be a URL of ws or wss',
    ]),
    [
      'a strategy that there is not',
      { roles: ['gateway'], gateway: { chains: { 1: { ...gateway.chains[1], strategy: 'fastest' } } } },
      'gateway.chains.1.strategy must be weighted or round-robin or least-connections',
    ],
    ...(
      [
        ['batch_window_ms', 1001, 'most 1000'],
        ['limits.max_log_blocks', 0, 'least 1'],
        ['limits.max_call_gas', 20_999, 'least 21000'],
        ['limits.max_answer_bytes', 30_408_705, 'most 30408704'],
        ['chains.1.max_head_age_seconds', 0, 'least 1'],
      ] as const
    ).map<[string, Record<string, unknown>, string]>(([key, value, bound]) => [
      `${key} of ${value}`,
      { roles: ['gateway'], gateway: withKey(gateway, key.split('.'), value) },
      `gateway.${key} must be at ${bound}`,
    ]),
    [
      'a weight of zero',
      { roles: ['gateway'], gateway: { chains: { 1: { upstreams: [{ url: 'http://a', weight: 0 }] } } } },
      'gateway.chains.1.upstreams.0.weight must be at least 1',
    ],
    [
      'plain WebSocket beyond loopback',
      { listen: { host: '0.0.0.0', port: 1 } },
      'listen.host must be a loopback address',
    ],
    [
      'a host that is a name',
      { listen: { host: 'example.org', port: 1 } },
      'listen.host must be an IP address or localhost',
    ],
    ['a port out of range', { listen: { host: '127.0.0.1', port: 65536 } }, 'listen.port must be at most 65535'],
    [
      'half of tls',
      { listen: { host: '127.0.0.1', port: 1, tls: { cert_file: 'a' } } },
      'listen.tls.key_file is missing',
    ],
    [
      'an unencrypted public address',
      { public_address: 'ws://relay.example.org/relay' },
      'public_address must be wss://',
    ],
    [
      'a public address with a query',
      { public_address: 'wss://relay.example.org/?a' },
      'public_address must be wss://',
    ],
    ['a public address with a user', { public_address: 'wss://u@relay.example.org/' }, 'public_address must be wss://'],
    [
      'a public address that contradicts tls',
      { listen: { host: '127.0.0.1', port: 1, tls: { cert_file: 'a', key_file: 'b' } } },
      'public_address must be wss:// as listen.tls is set',
    ],
    ['an outbound name', { outbound_address: 'example.org' }, 'outbound_address must be an IP address'],
  ])('refuses %s', async (_, change, finding) => {
    const detail = await findingOf({ ...minimal, ...change })
    expect(detail).toContain(finding)
    expect(detail).not.toContain('hunter2')
  })

  test.each<[string, Record<string, unknown>, string]>([
    ['no trusted key', { trust: { keys: [], threshold: 1 } }, 'network.trust.keys must have at least 1'],
    [
      'a key that is none',
      { trust: { keys: ['AAAA'], threshold: 1 } },
      'network.trust.keys.0 must be base64 of 32 bytes',
    ],
    [
      'a key twice',
      { trust: { keys: [key(1), key(1)], threshold: 1 } },
      'network.trust.keys must not name a key twice',
    ],
    ['no threshold', { trust: { keys: [key(1)], threshold: 0 } }, 'network.trust.threshold must be at least 1'],
    [
      'a threshold out of reach',
      { trust: { keys: [key(1)], threshold: 2 } },
      'network.trust.threshold must be at most 1',
    ],
    [
      'a document over plain HTTP',
      { document: 'http://example.org/n.json' },
      'network.document must be a file, https://…',
    ],
    ['a document from elsewhere', { document: 'ftp://127.0.0.1/n.json' }, 'network.document must be a file, https://…'],
    ['no refresh', { refresh_minutes: 0 }, 'network.refresh_minutes must be at least 1'],
  ])('refuses a network with %s', async (_, change, finding) => {
    expect(await findingOf({ ...minimal, network: { ...(minimal.network as object), ...change } })).toContain(finding)
  })
})
