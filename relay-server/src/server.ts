/** What carries cells in one process: keys, network document, links in and out, and the services of its roles, put together. */
import { createSecureContext } from 'node:tls'
import { NightjarError } from '@nightjar/shared/errors'
import { minute, second } from '@nightjar/shared/runtime'
import { readSecret, readText } from '@nightjar/shared-node/config'
import {
  type Dial,
  type HeldBack,
  type IpGate,
  type LinkTraffic,
  type Listener,
  listenForLinks,
  listProxies,
  type TlsIdentity,
} from '@nightjar/shared-node/link'
import type { LogFacts, ProcessLog } from '@nightjar/shared-node/log'
import { NetworkKeeper } from '@nightjar/shared-node/network'
import { createMetrics } from './admin/metrics.ts'
import type { Check } from './admin/status.ts'
import { type RelayConfig, trustOf } from './config.ts'
import { noExitCounts } from './exit/exit.ts'
import { usesOf } from './keys.ts'
import { type Carrier, type Leave, untilEmpty } from './life/carrier.ts'
import { errorFacts } from './life/errorFacts.ts'
import { Keyring } from './life/keyring.ts'
import { createAudit } from './limits/audit.ts'
import { bandwidthOf, boundsOf, ipGateOf, memoryOf, ratesOf } from './limits/fromConfig.ts'
import { createLinkShares } from './limits/linkShares.ts'
import type { OnRefused } from './limits/refusal.ts'
import type { CircuitHost } from './relay/host.ts'
import { createLinkPeers } from './relay/linkPeers.ts'
import { proveLink } from './relay/linkProof.ts'
import { LinkPool } from './relay/pool.ts'
import { createRelay } from './relay/relay.ts'
import { openServices, type ServicesContext } from './services.ts'

export interface RelayContext extends ServicesContext {
  readonly dial: Dial
  /** Name and version, such as `nightjar-relay 0.1.0`. */
  readonly software: string
}

export interface RelayOptions {
  readonly config: RelayConfig
  readonly log: ProcessLog
  /** Another process has the port, and hands its connections to `take`; it counts the clients of proxies too. */
  readonly handed?: { readonly ipGate: IpGate }
}

export interface LocalCarrier extends Carrier {
  readonly take: Listener['take']
}

/** Where directory relays serve the document, on the port of their links. */
const documentPath = '/network.json'

/** A bundle of certificates has some hundred kilobytes at most. */
const certificateBytes = 1024 * 1024

/** @throws NightjarError whatever keeps the relay from serving */
export async function startRelay(context: RelayContext, options: RelayOptions): Promise<LocalCarrier> {
  const { crypto, clock } = context
  const { log } = options
  let { config } = options
  let files = await readFiles(config)
  const keyring = await Keyring.open(crypto, config)
  const metrics = createMetrics({ region: config.region, version: context.software })

  /** A URL is not told: it may hold a password. */
  function documentFacts(error: unknown): LogFacts {
    const { document } = config.network
    return errorFacts(error, /^https?:/.test(document) ? undefined : document)
  }
  const onNoDocument = (error: unknown) => log.warn('network document not refreshed', documentFacts(error))

  // Getters, where a new configuration is to be in use at once.
  const keeper = new NetworkKeeper({
    crypto,
    clock,
    get location() {
      return config.network.document
    },
    get trust() {
      return trustOf(config)
    },
    get refreshEvery() {
      return config.network.refresh_minutes * minute
    },
    onAccepted: (network) => log.info('network document accepted', { version: network.version }),
    onProblem: onNoDocument,
  })
  // A relay serves without a document, so that it is there when its directory is; nothing can be extended until then.
  await keeper.refresh().catch((error: unknown) => log.warn('no network document yet', documentFacts(error)))
  keeper.start()

  const audit = createAudit(log, clock)
  const onRefused: OnRefused = (refusal) => {
    audit.refused(refusal)
    metrics.onRefused(refusal)
  }
  const idleAfter = () => config.limits.connection_timeout * second
  const heldBack: HeldBack = { cells: 0, bandwidth: 0 }
  const traffic: LinkTraffic = { received: 0, sent: 0 }
  const sharedRates = { bandwidth: bandwidthOf(config, clock), memory: memoryOf(config), heldBack, traffic }
  const secrets = () => keyring.secrets(clock, keeper)
  const identity = () => secrets().identity
  const peers = createLinkPeers({ crypto, clock, log, onRefused, identity, relays: () => keeper.network?.byIdentity })
  const pool = new LinkPool({
    dial: (link) => context.dial({ ...link, onClocksDiffer: peers.onClocksDiffer }),
    clock,
    onRefused,
    localAddress: config.outbound_address,
    prove: (to) => proveLink(keyring.keys.identity, to.identity, clock.now()),
    rates: sharedRates,
    get idleAfter() {
      return idleAfter()
    },
    get extraCa() {
      return files.extraCa
    },
  })
  const exitCounts = noExitCounts()
  const { upstreamMetrics } = metrics
  const services = openServices(config, { ...context, upstreamMetrics, onRefused, exitCounts }, secrets)
  const host: CircuitHost = {
    crypto,
    clock,
    nextTurn: setImmediate,
    secrets,
    findRelay: peers.findRelay,
    isRelay: peers.isRelay,
    placeTo: (relay, from) => pool.placeTo(relay, from),
    serve: services.serve,
  }
  const relay = createRelay(host, boundsOf(config, { crypto, clock, onRefused }), metrics.onForwarded)
  const listener = await listenForLinks({
    host: config.listen.host,
    port: config.listen.port,
    path: config.listen.path,
    handed: options.handed,
    ipGate: ipGateOf(config, clock),
    proxies: listProxies(config.listen.trusted_proxies),
    tls: files.tls,
    clock,
    get maxConnections() {
      return Math.ceil(config.limits.max_connections / config.workers)
    },
    shares: createLinkShares(peers),
    get idleAfter() {
      return idleAfter()
    },
    get rates() {
      return ratesOf(config, sharedRates)
    },
    onRefused,
    onProblem: (error) => log.error('no connections come in', errorFacts(error)),
    onLink: audit.admitted,
    identify: peers.identify,
    accept: relay.accept,
    document: (path) => (config.roles.includes('directory') && path === documentPath ? keeper.text : undefined),
  })
  metrics.watchRelay({
    counts: relay.counts,
    connections: () => listener.connections,
    maxConnections: () => config.limits.max_connections,
    onwardLinks: () => pool.size,
    heldBack,
    traffic,
    keysValidFor: () => keyring.validFor(usesOf(config), clock.now()),
  })
  if (config.gateway !== undefined) {
    metrics.watchChains(() => services.chains())
    metrics.watchFollowed(() => services.followed())
  }
  if (config.exit !== undefined) metrics.watchExit(exitCounts)

  function checks(): readonly Check[] {
    const ok = keeper.network !== undefined
    const sentence = ok ? 'The network document is valid.' : 'There is no valid network document: see the log for why.'
    return [
      { name: 'network document', ok, sentence },
      keyring.check(usesOf(config), clock.now()),
      ...services.health(),
    ]
  }

  async function reload(next: RelayConfig): Promise<void> {
    const nextFiles = await readFiles(next)
    await keyring.reload()
    if (nextFiles.tls !== undefined) listener.renewTls(nextFiles.tls)
    config = next
    files = nextFiles
    services.renew(next)
    log.setLevel(next.log.level)
    if (!(await keeper.renewTrust())) log.warn('the network document is given up: those trusted now have not signed it')
    // Not waited for: a directory that hangs is no reason to take the rest for refused.
    void keeper.refresh().catch(onNoDocument)
  }

  async function stop({ seconds, hurry }: Leave): Promise<void> {
    listener.refuseNew()
    relay.drain(seconds)
    const { isEmpty } = relay
    await untilEmpty(clock, { isEmpty, milliseconds: seconds * second, hurry })
    keeper.stop()
    await listener.close()
    await pool.close()
    await services.close()
    audit.stop()
    metrics.close()
  }

  return {
    port: listener.port,
    take: listener.take,
    checks,
    read: () => metrics.serialise(),
    reload,
    reloadKeys: () => keyring.reload(),
    stop,
  }
}

interface RelayFiles {
  readonly tls: TlsIdentity | undefined
  /** PEM of a private CA. */
  readonly extraCa: string | undefined
}

/** The files that a configuration names, beside keys. @throws NightjarError `file-unusable` */
export async function readFiles({ listen: { tls }, network: { ca_file: caFile } }: RelayConfig): Promise<RelayFiles> {
  return {
    tls: tls === undefined ? undefined : await readIdentity(tls),
    extraCa: caFile === undefined ? undefined : await readText(caFile, certificateBytes),
  }
}

async function readIdentity(tls: NonNullable<RelayConfig['listen']['tls']>): Promise<TlsIdentity> {
  const identity = {
    cert: await readText(tls.cert_file, certificateBytes),
    key: (await readSecret(tls.key_file)).reveal(),
  }
  try {
    createSecureContext(identity)
    return identity
  } catch {
    // Without the cause: OpenSSL's words may quote what it was given.
    throw new NightjarError('file-unusable', { detail: `${tls.cert_file} and ${tls.key_file} do not fit together` })
  }
}
