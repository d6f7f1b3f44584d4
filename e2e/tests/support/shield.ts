/** A network whose exits lead to a TLS server of our own, and what a test file asks through the shield of its daemon. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import {
  type Backends,
  type Certificates,
  type LocalNetwork,
  type LocalNetworkOptions,
  makeCertificates,
  type Places,
  startBackends,
  startLocalNetwork,
} from '../../src/network/index.ts'
import { stopWithoutTrace } from './network.ts'
import { type PlainServer, startPlainServer } from './plainServer.ts'

/** Listed hosts that the TLS server has a certificate for: two of one registrable domain, and one of another. */
export const hosts = {
  infura: 'mainnet.infura.io',
  linea: 'linea-mainnet.infura.io',
  accounts: 'accounts.api.cx.metamask.io',
} as const
/** Listed hosts where a plain TCP server listens, of the same domains. */
export const plainHosts = {
  infura: 'plain.infura.io',
  linea: 'plainer.infura.io',
  accounts: 'plain.api.cx.metamask.io',
} as const
/** A listed host that leads to the TLS server, whose certificate is not for it. */
export const impostorHost = 'impostor.infura.io'

export interface ShieldNetwork extends LocalNetwork {
  readonly backends: Backends
  readonly plain: PlainServer
  readonly certificates: Certificates
  /** Addresses of the exits. */
  readonly exitHosts: readonly string[]
}

export interface SharedShield {
  readonly network: ShieldNetwork
  /** The shield's port; another one after each start of the daemon. */
  port(): Promise<number>
}

/** Starts it all for the tests of a file, and proves afterwards that it is gone. */
export function useShield(options: LocalNetworkOptions & { readonly morePlaces?: Places } = {}): SharedShield {
  let network: ShieldNetwork | undefined
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nightjar-shield-'))
    const certificates = makeCertificates(folder, Object.values(hosts))
    const backends = await startBackends(certificates)
    const plain = await startPlainServer()
    const at = (port: number, names: readonly string[]) => Object.fromEntries(names.map((name) => [name, port]))
    const exitHosts = {
      ...at(backends.port, [...Object.values(hosts), impostorHost]),
      ...at(plain.port, Object.values(plainHosts)),
      ...options.morePlaces,
    }
    const local = await startLocalNetwork({ chains: [1], recorded: false, ...options, exitHosts })
    const exits = local.relays.all.filter(({ roles }) => roles.includes('exit')).map(({ host }) => host)
    network = { ...local, backends, plain, certificates, exitHosts: exits }
  })
  afterAll(async () => {
    if (network === undefined) return
    // Nobody but exits ever came, in any test of the file.
    for (const peer of [...network.backends.peers, ...network.plain.peers]) expect(network.exitHosts).toContain(peer)
    await stopWithoutTrace(network)
    await network.backends.close()
    await network.plain.close()
    await rm(folder, { recursive: true, force: true })
  })
  let known: { readonly pid: number; readonly port: Promise<number> } | undefined
  const shared: SharedShield = {
    get network() {
      if (network === undefined) throw new Error('the network is up during tests only')
      return network
    },
    port() {
      const { process, status } = shared.network.daemon
      if (known?.pid !== process.pid) known = { pid: process.pid, port: status().then(({ shield }) => shield.port) }
      return known.port
    },
  }
  return shared
}
