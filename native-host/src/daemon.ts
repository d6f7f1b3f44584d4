/** The daemon: network document, client, endpoint, shield and local socket, put together and taken apart in order. */
import { mkdir } from 'node:fs/promises'
import { endpointProof, type Status } from '@nightjar/shared/bridge'
import { base64 } from '@nightjar/shared/bytes'
import type { Crypto } from '@nightjar/shared/crypto'
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { type Clock, millisecond, minute } from '@nightjar/shared/runtime'
import { loadConfig, readText, resolveBeside, writeAtomically } from '@nightjar/shared-node/config'
import type { Dial } from '@nightjar/shared-node/link'
import { createLog, type Log } from '@nightjar/shared-node/log'
import { NetworkKeeper } from '@nightjar/shared-node/network'
import { openAccounts } from './accounts.ts'
import { createClient } from './client/client.ts'
import { watchKey } from './client/rendezvous.ts'
import { type Config, configSchema, type Places, trustOf } from './config.ts'
import { type Bridge, openBridge } from './control/bridge.ts'
import { Callers } from './endpoint/callers.ts'
import { listenEndpoint } from './endpoint/endpoint.ts'
import { openShield } from './shield/shield.ts'
import { documentMarkOf, loadState, type State, saveState } from './state/store.ts'

export interface DaemonContext {
  readonly crypto: Crypto
  readonly clock: Clock
  readonly dial: Dial
  readonly places: Places
  readonly version: string
}

export interface Daemon {
  /** What to tell the world: ports and paths. */
  readonly ready: Readonly<Record<string, unknown>>
  stop(): Promise<void>
}

/** How often extensions are told of changes, at most. */
const statusEvery = 100 * millisecond

/** A bundle of certificates has some hundred kilobytes at most. */
const certificateBytes = 1024 * 1024

/** @throws NightjarError whatever keeps the daemon from serving */
export async function startDaemon(context: DaemonContext): Promise<Daemon> {
  const { places } = context
  for (const folder of places.folders) await mkdir(folder, { recursive: true, mode: 0o700 })
  const config = await loadConfig(places.config, configSchema)
  // Before the state is read: of two daemons that start at once, one would write what the other has read.
  const bridge = await openBridge(places.socket)
  try {
    return await serve(context, config, bridge)
  } catch (error) {
    await bridge.close()
    throw error
  }
}

async function serve(context: DaemonContext, config: Config, bridge: Bridge): Promise<Daemon> {
  const { crypto, clock, dial, places, version } = context
  const log = createLog({ name: 'nightjar', level: config.log.level })
  const state = await loadState(places.state, crypto.randomBytes)
  const { save, saved } = makeSaver(places.state, state, log)

  const keeper = new NetworkKeeper({
    crypto,
    clock,
    location: locationOf(config, places),
    trust: trustOf(config),
    refreshEvery: config.network.refresh_minutes * minute,
    seen: documentMarkOf(state),
    onAccepted(network, text) {
      bridge.tell({ event: 'document' })
      state.document = { version: network.version, hash: base64(network.hash) }
      save()
      writeAtomically(places.document, text, 0o600).catch((error: unknown) => log.error('document not kept', { error }))
      log.info('network document accepted', { relays: network.relays.length, rejected: network.rejected })
    },
    onProblem: (error) => log.warn('network document not refreshed', { error }),
  })
  await findDocument(keeper, places, log)
  keeper.start()

  const caFile = config.network.ca_file
  const extraCa =
    caFile === undefined ? undefined : await readText(resolveBeside(places.config, caFile), certificateBytes)
  const tellStatus = coalesce(clock, () => bridge.tell({ event: 'status', status: status() }))
  const client = createClient({
    crypto,
    clock,
    dial,
    extraCa,
    network: () => keeper.require(),
    state,
    onStateChange: save,
    onChange: tellStatus,
  })
  const keyed = watchKey(crypto, state)
  const accounts = openAccounts({ crypto, clock, client, keyed, settings: config.accounts, onChange: tellStatus })
  const callers = new Callers(clock)
  const proofKey = crypto.randomBytes(32)
  const status = (): Status => ({
    ...client.status(),
    profile: config.profile,
    endpoint: `${url}/${config.chains[0] ?? 1}`,
    chains: config.chains,
    callers: callers.all,
    shield: shield.status,
    accounts: accounts.status,
    version,
  })
  const document = () => {
    keeper.require()
    return keeper.text ?? ''
  }

  const endpoint = await listenEndpoint({
    port: config.endpoint.port,
    token: state.token,
    wallets: config.wallets,
    request: (order) => accounts.request(order),
    onCall(origin, chain) {
      callers.note(origin, chain)
      tellStatus()
    },
    prove: (challenge, port) => endpointProof(crypto.hash.hmac, proofKey, port, challenge),
  })
  const url = `http://127.0.0.1:${endpoint.port}/${state.token}`
  const shield = await openShield({ clock, port: config.shield.port, client, onChange: tellStatus }).catch(
    async (error: unknown) => {
      await endpoint.close()
      throw error
    },
  )
  save()
  client.start()
  bridge.serve({ client, accounts, version, proofKey, status, document })
  log.info('serving')

  return {
    // Without the endpoint's token: this line may end up in the log of a service.
    ready: {
      port: endpoint.port,
      shieldPort: shield.port,
      sinkPort: shield.sinkPort,
      socket: places.socket,
      version,
    },
    async stop() {
      keeper.stop()
      await endpoint.close()
      await shield.close()
      // In this order: a watch that is lost with its branch lingers at its gateway (docs/protocol.md). Ended one by one, in the
      // same second, they would show the gateways' provider which accounts are of one wallet.
      await client.stop()
      accounts.stop()
      await saved()
      // Last: whoever waits for the daemon's end takes the closing socket for it.
      await bridge.close()
      log.info('stopped')
    },
  }
}

/** Calls `action` at most every so often, and once more after the last call. */
function coalesce(clock: Clock, action: () => void): () => void {
  let isDue = false
  return () => {
    if (isDue) return
    isDue = true
    clock.after(statusEvery, () => {
      isDue = false
      action()
    })
  }
}

/**
 * The newest document that can be had: from its place, else the one kept from before. Without either the daemon serves
 * all the same, fails every request, and goes on looking.
 * @throws NightjarError where a document was found and is refused
 */
async function findDocument(keeper: NetworkKeeper, places: Places, log: Log): Promise<void> {
  try {
    await keeper.refresh()
  } catch (error) {
    const { code } = asNightjarError(error)
    if (code !== 'connect-failed' && code !== 'file-unusable') throw error
    log.warn('network document not to be had', { error })
    await useKeptDocument(keeper, places, log)
  }
}

async function useKeptDocument(keeper: NetworkKeeper, places: Places, log: Log): Promise<void> {
  try {
    await keeper.accept(await readText(places.document, limits.documentBytes))
  } catch (error) {
    log.warn('no network document was kept from before', { error })
  }
}

/** Writes the state, one writing at a time; a change during one is written after it. */
function makeSaver(path: string, state: State, log: Log): { save(): void; saved(): Promise<void> } {
  let writing: Promise<void> | undefined
  let again = false
  const write = async () => {
    try {
      do {
        again = false
        await saveState(path, state)
      } while (again)
    } catch (error) {
      log.error('state not saved', { error })
    } finally {
      writing = undefined
    }
  }
  return {
    save() {
      again = true
      writing ??= write()
    },
    saved: async () => writing,
  }
}

function locationOf(config: Config, places: Places): string {
  const { document } = config.network
  if (/^https?:/.test(document)) return document
  if (/^[a-z]+:/i.test(document) && process.platform !== 'win32') {
    throw new NightjarError('config-invalid', { detail: 'network.document must be a path or an https URL' })
  }
  return resolveBeside(places.config, document)
}
