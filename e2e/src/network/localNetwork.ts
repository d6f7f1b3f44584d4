/** A whole private network on loopback: nodes, their recording providers, relays, and a daemon. One call up, one down. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Certificates, makeCertificates } from './certificates.ts'
import { type Chain, startChain } from './chain.ts'
import { type Daemon, startDaemon } from './daemon.ts'
import type { Places } from './internet.ts'
import { until } from './ports.ts'
import { type Provider, startProvider } from './provider.ts'
import { type RelayPlan, type Relays, type RelaysOptions, standardPlan, startRelays, type TlsMode } from './relays.ts'

export interface LocalNetworkOptions {
  readonly plan?: readonly RelayPlan[]
  readonly chains?: readonly number[]
  /** A provider to use for the first chain instead of a local node. */
  readonly upstream?: string | undefined
  readonly tls?: TlsMode
  readonly tapped?: boolean
  /** Records what providers see; without it gateways ask the nodes directly. */
  readonly recorded?: boolean
  readonly endpointPort?: number
  readonly upstreamTimeout?: number
  /** Where listed names lead to from the exits; without it they are in the real Internet. */
  readonly exitHosts?: Places
  readonly wallets?: readonly string[]
  /** The section `accounts` of the daemon's configuration. */
  readonly accounts?: object
  /** Seconds from block to block of the local nodes; without it each transaction makes one. */
  readonly blockTime?: number
  /** Gateways write down each question that they open: `viewFileIn`. */
  readonly viewed?: boolean
  /** The configuration of a relay, where it is to differ. */
  readonly configure?: RelaysOptions['configure']
  readonly logLevel?: 'info' | 'debug' | 'warn'
  /** Told what is being done, for people who wait. */
  onStep?(step: string): void
}

export interface LocalNetwork {
  readonly folder: string
  readonly chains: readonly Chain[]
  /** Where each chain can be asked directly. */
  readonly nodes: Readonly<Record<number, string>>
  readonly providers: Readonly<Record<number, Provider>>
  readonly relays: Relays
  readonly certificates: Certificates | undefined
  readonly daemon: Daemon
  stop(): Promise<void>
}

export async function startLocalNetwork(options: LocalNetworkOptions = {}): Promise<LocalNetwork> {
  const { chains: ids = [1, 31337], logLevel = 'info', plan = standardPlan, tls = 'none', tapped = false } = options
  const step = options.onStep ?? (() => {})
  const folder = await mkdtemp(join(tmpdir(), 'nightjar-'))
  /** What to undo, last first. */
  const undo: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })]
  const stop = async () => {
    for (const action of undo.splice(0).reverse()) await action()
  }
  try {
    step('starting the Ethereum nodes')
    const local = options.upstream === undefined ? ids : ids.slice(1)
    const chains: Chain[] = []
    undo.push(() => Promise.all(chains.map((chain) => chain.stop())))
    // One after the other: two that look for a free port at once may find the same.
    for (const id of local) chains.push(await startChain(id, folder, options.blockTime))
    const nodes: Record<number, string> = Object.fromEntries(chains.map(({ id, url }) => [id, url]))
    if (options.upstream !== undefined) nodes[ids[0] as number] = options.upstream

    const providers: Record<number, Provider> = {}
    if (options.recorded !== false) {
      for (const id of ids) providers[id] = await startProvider(nodes[id] as string)
      undo.push(() => Promise.all(Object.values(providers).map((provider) => provider.close())))
    }
    const upstreams = Object.fromEntries(ids.map((id) => [id, providers[id]?.url ?? (nodes[id] as string)]))

    step(`making keys and starting ${plan.length} relays`)
    const hosts = plan.map((_, index) => `127.${index + 1}.0.1`)
    const certificates = tls === 'none' ? undefined : makeCertificates(folder, hosts)
    const relays = await startRelays({
      folder,
      plan,
      upstreams,
      tls,
      certificates,
      tapped,
      logLevel,
      upstreamTimeout: options.upstreamTimeout,
      exitHosts: options.exitHosts,
      viewFile: options.viewed ? viewFileIn(folder) : undefined,
      configure: options.configure,
    })
    undo.push(() => relays.stop())

    step('starting the daemon')
    const daemon = await startDaemon({
      home: join(folder, 'home'),
      relays,
      // Over https the document would need a public certificate; its place needs no trust anyway.
      document: tls === 'none' && relays.documentUrl !== '' ? relays.documentUrl : relays.documentFile,
      chains: ids,
      port: options.endpointPort ?? 0,
      caFile: tls === 'private-ca' ? certificates?.caFile : undefined,
      logLevel,
      wallets: options.wallets,
      accounts: options.accounts,
    })
    undo.push(() => daemon.process.stop())

    step('building paths')
    await until('the daemon is private', async () => (await daemon.status()).state === 'private')
    return { folder, chains, nodes, providers, relays, certificates, daemon, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Where what gateways see is written, if the network is `viewed`. */
export function viewFileIn(folder: string): string {
  return join(folder, 'view.jsonl')
}
