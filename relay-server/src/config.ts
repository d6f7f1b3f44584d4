/**
 * relay.yaml: its schema, its defaults, and what must hold between its keys. The parsed object keeps the keys of the
 * file; relative paths in it count from the file's folder and are absolute afterwards. relay.example.yaml explains every key.
 */
import { isIP } from 'node:net'
import { dirname, join } from 'node:path'
import { fromBase64 } from '@nightjar/shared/bytes'
import { partSize } from '@nightjar/shared/circuit'
import { size } from '@nightjar/shared/crypto'
import { roles, type Trust } from '@nightjar/shared/directory'
import { NightjarError } from '@nightjar/shared/errors'
import { second } from '@nightjar/shared/runtime'
import { categories, normaliseHost } from '@nightjar/shared/shield'
import { type ConfigInspection, describeProblems, inspectConfig, resolveBeside } from '@nightjar/shared-node/config'
import { isAddressRange, isLoopback } from '@nightjar/shared-node/link'
import { logLevels } from '@nightjar/shared-node/log'
import * as v from 'valibot'
import { strategies } from './gateway/choice.ts'
import { limits } from './limits/limits.ts'

/** As in a descriptor, where both end up. */
const name = v.pipe(
  v.string(),
  v.regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$/, 'must be 1 to 64 letters, digits, dots, dashes or underscores'),
)
const path = v.pipe(v.string(), v.nonEmpty('must be a path'), v.maxLength(4096))
const port = whole(0, 65_535)
const ip = v.pipe(
  v.string(),
  v.check((text) => isIP(text) !== 0, 'must be an IP address'),
)
const host = v.pipe(
  v.string(),
  v.check((text) => isIP(text) !== 0 || text === 'localhost', 'must be an IP address or localhost'),
)
const addressRange = v.pipe(
  v.string(),
  v.check(isAddressRange, 'must be an IP address, or a range of them such as 10.0.0.0/8'),
)
const publicAddress = v.pipe(
  v.string(),
  v.maxLength(256),
  v.check(isRelayUrl, 'must be wss://host:port/path, or ws:// on loopback'),
)
const document = v.pipe(path, v.check(isDocumentLocation, 'must be a file, https://…, or http:// on loopback'))
const upstreamUrl = v.pipe(
  v.string(),
  v.check((text) => /^https?:$/.test(parseUrl(text)?.protocol ?? ''), 'must be a URL of http or https'),
)
const headsUrl = v.pipe(
  v.string(),
  v.check((text) => /^wss?:$/.test(parseUrl(text)?.protocol ?? ''), 'must be a URL of ws or wss'),
)
/** What goes there is not to be seen by others before it is in a block. */
const privateUrl = v.pipe(
  v.string(),
  v.check((text) => isEncryptedOrLocal(text), 'must be a URL of https, or of http on loopback'),
)
const directoryKey = v.pipe(v.string(), v.check(isKey, 'must be base64 of 32 bytes'))
const chainId = v.pipe(v.string(), v.regex(/^[1-9][0-9]{0,14}$/, 'must be a decimal chain id'))

const listen = v.strictObject({
  host,
  port,
  path: v.optional(v.pipe(v.string(), v.regex(/^\/[\w.~/-]*$/, 'must be a path that begins with /')), '/relay'),
  tls: v.optional(v.strictObject({ cert_file: path, key_file: path })),
  trusted_proxies: v.optional(v.pipe(v.array(addressRange), v.maxLength(256)), []),
})

const admin = v.pipe(
  v.strictObject({
    host: v.optional(host, '127.0.0.1'),
    health_port: v.optional(port, 8080),
    metrics_port: v.optional(port, 9090),
  }),
  v.forward(
    v.check(
      ({ health_port, metrics_port }) => metrics_port === 0 || metrics_port !== health_port,
      'must be another port than health_port',
    ),
    ['metrics_port'],
  ),
)

const trust = v.strictObject({
  keys: v.pipe(
    v.array(directoryKey),
    v.minLength(1),
    v.maxLength(64),
    v.check((keys) => new Set(keys).size === keys.length, 'must not name a key twice'),
  ),
  threshold: whole(1, 64),
})

/** More fits into no envelope. */
const longestAnswer = limits.answerCells * partSize

const gateway = v.strictObject({
  chains: v.pipe(
    v.record(
      chainId,
      v.strictObject({
        upstreams: v.pipe(
          v.array(v.strictObject({ url: upstreamUrl, weight: v.optional(whole(1, 1000), 1) })),
          v.minLength(1),
          v.maxLength(32),
        ),
        strategy: v.optional(v.picklist(strategies), 'weighted'),
        max_head_age_seconds: v.optional(whole(1, 24 * 60 * 60)),
        transactions: v.optional(v.strictObject({ url: privateUrl })),
        heads_poll_ms: v.optional(whole(100, 60_000), 2000),
        heads_url: v.optional(headsUrl),
      }),
    ),
    v.check((chains) => Object.keys(chains).length > 0, 'must name at least one chain'),
    v.check((chains) => Object.keys(chains).length <= 256, 'must name at most 256 chains'),
  ),
  request_timeout_seconds: v.optional(whole(1, 120), 10),
  batch_window_ms: v.optional(whole(0, 1000), 0),
  limits: v.optional(
    v.strictObject({
      max_log_blocks: v.optional(whole(1, 100_000_000), 10_000),
      max_call_gas: v.optional(whole(21_000, 10_000_000_000), 50_000_000),
      max_answer_bytes: v.optional(whole(1024, longestAnswer), longestAnswer),
    }),
    {},
  ),
})

const suffix = v.pipe(
  v.string(),
  v.maxLength(253),
  v.check((text) => normaliseHost(text) === text, 'must be a host name in lower case, such as infura.io'),
)

const exit = v.strictObject({
  categories: v.optional(
    v.pipe(
      v.array(v.picklist(categories)),
      v.minLength(1),
      v.check((list) => new Set(list).size === list.length, 'must not name a category twice'),
    ),
    [...categories],
  ),
  without: v.optional(v.pipe(v.array(suffix), v.maxLength(128)), []),
  max_streams: v.optional(whole(1, 1_000_000), 4096),
})

/** Every key; what must hold between them is `consistent`. */
export const relayConfigSchema = v.pipe(
  v.strictObject({
    server_name: name,
    region: name,
    roles: v.pipe(
      v.array(v.picklist(roles)),
      v.minLength(1),
      v.check((list) => new Set(list).size === list.length, 'must not name a role twice'),
    ),
    identity_file: path,
    onion_keys_file: v.optional(path),
    listen,
    public_address: publicAddress,
    outbound_address: v.optional(ip),
    admin: v.optional(admin, {}),
    network: v.strictObject({
      document,
      trust,
      ca_file: v.optional(path),
      refresh_minutes: v.optional(whole(1, 24 * 60), 15),
    }),
    gateway: v.optional(gateway),
    exit: v.optional(exit),
    limits: v.optional(
      v.strictObject({
        max_connections: v.optional(whole(1, 1_000_000), limits.connections),
        connection_timeout: v.optional(whole(1, 24 * 60 * 60), limits.connectionIdle / second),
        connections_per_minute: v.optional(whole(1, 1_000_000), limits.connectionsPerMinute),
        connections_per_ip: v.optional(whole(1, 1_000_000), limits.connectionsPerAddress),
        max_circuits: v.optional(whole(64, 100_000_000), limits.circuits),
        handshakes_per_second: v.optional(whole(1, 1_000_000), limits.handshakesPerSecond),
        cells_per_second: v.optional(whole(0, 10_000_000), limits.cellsPerSecond),
        bandwidth_mbit: v.optional(whole(0, 1_000_000), limits.bandwidthMbit),
        queue_mb: v.optional(whole(16, 1_000_000), limits.queueMb),
      }),
      {},
    ),
    workers: v.optional(whole(1, 64), 1),
    drain_timeout: v.optional(whole(0, 3600), 30),
    descriptor: v.optional(v.strictObject({ file: path, pin: v.optional(v.boolean(), false) })),
    log: v.optional(v.strictObject({ level: v.optional(v.picklist(logLevels), 'info') }), {}),
  }),
  consistent(),
)

type Parsed = v.InferOutput<typeof relayConfigSchema>

/** A checked relay.yaml: defaults filled in, paths absolute. */
export type RelayConfig = Parsed & { readonly onion_keys_file: string }

/** @throws NightjarError `file-unusable` where the file cannot be read at all */
export async function inspectRelayConfig(file: string): Promise<ConfigInspection<RelayConfig>> {
  const inspection = await inspectConfig(file, relayConfigSchema)
  return inspection.ok ? { ok: true, config: resolvePaths(file, inspection.config) } : inspection
}

/** @throws NightjarError `config-invalid`, naming file, line and key, or `file-unusable` */
export async function loadRelayConfig(file: string): Promise<RelayConfig> {
  const inspection = await inspectRelayConfig(file)
  if (inspection.ok) return inspection.config
  throw new NightjarError('config-invalid', { detail: describeProblems(file, inspection.problems) })
}

/** Whom the configuration trusts for network documents. */
export function trustOf(config: Pick<RelayConfig, 'network'>): Trust {
  const { keys, threshold } = config.network.trust
  return { keys: keys.map(fromBase64), threshold }
}

function resolvePaths(file: string, config: Parsed): RelayConfig {
  const beside = (relative: string) => resolveBeside(file, relative)
  const { listen, network } = config
  const identity = beside(config.identity_file)
  return {
    ...config,
    identity_file: identity,
    onion_keys_file:
      config.onion_keys_file === undefined ? join(dirname(identity), 'onion.keys') : beside(config.onion_keys_file),
    listen:
      listen.tls === undefined
        ? listen
        : { ...listen, tls: { cert_file: beside(listen.tls.cert_file), key_file: beside(listen.tls.key_file) } },
    network: {
      ...network,
      document: isUrl(network.document) ? network.document : beside(network.document),
      ...(network.ca_file === undefined ? {} : { ca_file: beside(network.ca_file) }),
    },
    ...(config.descriptor === undefined
      ? {}
      : { descriptor: { ...config.descriptor, file: beside(config.descriptor.file) } }),
  }
}

/** What must hold between keys: each finding is put at the key to change. */
function consistent<T extends ConsistentInput>() {
  return v.rawCheck<T>(({ dataset, addIssue }) => {
    if (!dataset.typed) return
    const { value } = dataset
    const report = (keys: readonly string[], message: string) => {
      const [first, ...rest] = keys.map((key) => ({
        type: 'object' as const,
        origin: 'value' as const,
        input: {},
        key,
        value: undefined,
      }))
      if (first !== undefined) addIssue({ message, path: [first, ...rest] })
    }

    for (const role of ['gateway', 'exit'] as const) {
      if (value.roles.includes(role) && value[role] === undefined) {
        report(['roles'], `must not name ${role} unless the section ${role} is there`)
      }
      if (!value.roles.includes(role) && value[role] !== undefined) {
        report([role], `must not be there unless roles names ${role}`)
      }
    }
    if (value.listen.tls === undefined && !isLoopback(value.listen.host)) {
      report(
        ['listen', 'host'],
        'must be a loopback address as listen.tls is not set: plain WebSocket is for loopback only',
      )
    }
    if (value.listen.tls === undefined && value.descriptor?.pin === true) {
      report(['descriptor', 'pin'], 'must be false as listen.tls is not set: there is no key to pin')
    }
    if (value.listen.tls !== undefined && value.public_address.startsWith('ws:')) {
      report(['public_address'], 'must be wss:// as listen.tls is set')
    }
    const { keys, threshold } = value.network.trust
    if (threshold > keys.length) {
      report(['network', 'trust', 'threshold'], `must be at most ${keys.length}, the number of network.trust.keys`)
    }
  })
}

interface ConsistentInput {
  readonly roles: readonly string[]
  readonly gateway?: unknown
  readonly exit?: unknown
  readonly descriptor?: { readonly pin: boolean } | undefined
  readonly listen: { readonly host: string; readonly tls?: unknown }
  readonly public_address: string
  readonly network: { readonly trust: { readonly keys: readonly string[]; readonly threshold: number } }
}

function whole(least: number, most: number) {
  return v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most))
}

function parseUrl(text: string): URL | undefined {
  return URL.parse(text) ?? undefined
}

/** Whether `text` may stand in a descriptor: nothing but an origin and a path, and encrypted unless it stays here. */
export function isRelayUrl(text: string): boolean {
  const url = parseUrl(text)
  if (url === undefined || `${url.username}${url.password}${url.search}${url.hash}` !== '') return false
  return url.protocol === 'wss:' || (url.protocol === 'ws:' && isLoopback(url.hostname))
}

function isUrl(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text)
}

function isDocumentLocation(text: string): boolean {
  return !isUrl(text) || isEncryptedOrLocal(text)
}

function isEncryptedOrLocal(text: string): boolean {
  const url = parseUrl(text)
  return url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname))
}

function isKey(text: string): boolean {
  try {
    return fromBase64(text).length === size.key
  } catch {
    // Reported by the schema, with the key's place.
    return false
  }
}
