/** One relay process: keys, network document, links in and out, and the services of its roles, put together. */
import { hex } from '@nightjar/shared/bytes'
import { size } from '@nightjar/shared/crypto'
import type { ResponderSecrets } from '@nightjar/shared/handshake'
import { minute, second } from '@nightjar/shared/runtime'
import { readSecret, readText } from '@nightjar/shared-node/config'
import { type Dial, listenForLinks } from '@nightjar/shared-node/link'
import { createLog } from '@nightjar/shared-node/log'
import { NetworkKeeper } from '@nightjar/shared-node/network'
import { loadRelayConfig, trustOf } from './config.ts'
import { serveHealth } from './health.ts'
import { loadKeys } from './keys.ts'
import type { CircuitHost } from './relay/circuit.ts'
import { LinkPool } from './relay/pool.ts'
import { createRelay } from './relay/relay.ts'
import { openServices, type ServicesContext } from './services.ts'

export interface RelayContext extends ServicesContext {
  readonly dial: Dial
}

export interface RelayServer {
  /** What to tell the world: ports. */
  readonly ready: Readonly<Record<string, unknown>>
  stop(): Promise<void>
}

/** Where directory relays serve the document, on the port of their links. */
const documentPath = '/network.json'

/** A bundle of certificates has some hundred kilobytes at most. */
const certificateBytes = 1024 * 1024

/** @throws NightjarError whatever keeps the relay from serving */
export async function startRelay(configFile: string, context: RelayContext): Promise<RelayServer> {
  const { crypto, clock } = context
  const config = await loadRelayConfig(configFile)
  const log = createLog({ name: config.server_name, level: config.log.level })
  const keys = await loadKeys(crypto, config)
  const idleAfter = config.limits.connection_timeout * second
  let stopping = false

  const keeper = new NetworkKeeper({
    crypto,
    clock,
    location: config.network.document,
    trust: trustOf(config),
    refreshEvery: config.network.refresh_minutes * minute,
    onAccepted: (network) => log.info('network document accepted', { version: network.version }),
    onProblem: (error) => log.warn('network document not refreshed', { error }),
  })

  // A relay serves without a document, so that it is there when its directory is; nothing can be extended until then.
  await keeper.refresh().catch((error: unknown) => log.warn('no network document yet', { error }))
  keeper.start()

  const caFile = config.network.ca_file
  const extraCa = caFile === undefined ? undefined : await readText(caFile, certificateBytes)
  const pool = new LinkPool({ dial: context.dial, clock, idleAfter, localAddress: config.outbound_address, extraCa })

  function secrets(): ResponderSecrets {
    const { network } = keeper
    return {
      identity: keys.identity.publicKey,
      findKey: (keyId, purpose) => keys.findKey(keyId, purpose, clock.now()),
      document: { version: network?.version ?? 0, hash: network?.hash ?? new Uint8Array(size.hash) },
    }
  }

  const services = openServices(config, context, secrets)
  const host: CircuitHost = {
    crypto,
    clock,
    secrets,
    findRelay: (identity) => keeper.network?.byIdentity.get(hex(identity)),
    linkTo: (relay) => pool.linkTo(relay),
    serve: services.serve,
  }
  const relay = createRelay(host)
  const { tls } = config.listen
  const listener = await listenForLinks({
    host: config.listen.host,
    port: config.listen.port,
    path: config.listen.path,
    tls:
      tls === undefined
        ? undefined
        : { cert: await readText(tls.cert_file, certificateBytes), key: (await readSecret(tls.key_file)).reveal() },
    maxConnections: config.limits.max_connections,
    idleAfter,
    clock,
    accept: relay.accept,
    document: (path) => (config.roles.includes('directory') && path === documentPath ? keeper.text : undefined),
  })
  const health = await serveHealth({
    host: config.admin.host,
    port: config.admin.health_port,
    health: () => ({ status: stopping ? 'draining' : keeper.network === undefined ? 'no network document' : 'ok' }),
  })
  log.info('serving', { roles: config.roles })

  return {
    ready: { port: listener.port, healthPort: health.port },
    async stop() {
      stopping = true
      keeper.stop()
      await listener.close()
      await pool.close()
      await services.close()
      await health.close()
      log.info('stopped')
    },
  }
}
