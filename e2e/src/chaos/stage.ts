/**
 * What a chaos run runs on: a chain and one of another id, two providers for each gateway, a directory, relays with fronts
 * that can be cut, workers in some of them, and a file system of its own that can be full. All on loopback.
 */
import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  call,
  type LocalRelay,
  type Provider,
  type RelayPlan,
  type Relays,
  startChain,
  startProvider,
  startRelays,
} from '../network/index.ts'
import { type Front, startFront } from './front.ts'
import { insideEnvironment } from './inside.ts'
import { childrenOf } from './processes.ts'

export const chaosChain = 31337
const otherChain = 1

const plan: readonly RelayPlan[] = [
  { name: 'kestrel', roles: ['relay'], region: 'eu-west' },
  { name: 'swift', roles: ['relay'], region: 'us-east' },
  { name: 'plover', roles: ['relay'], region: 'ap-tokyo' },
  { name: 'curlew', roles: ['relay'], region: 'sa-paulo' },
  { name: 'petrel', roles: ['gateway'], region: 'eu-central' },
  { name: 'dunlin', roles: ['gateway'], region: 'us-west' },
  { name: 'whimbrel', roles: ['gateway'], region: 'ap-singapore' },
]
/** These have two event loops. */
const withWorkers: readonly string[] = ['swift', 'dunlin']
const workers = 2
/** Never ended: what leaks in a long life is seen in these. */
const spared: readonly string[] = ['plover', 'whimbrel']

/** Answers with its input: CALLDATACOPY all to 0, RETURN it. */
export const echoCode = '0x366000600037366000f3'
export const echoAddress = '0x000000000000000000000000000000000000ec40'

/** Large enough for all keys, small enough to be filled in no time. */
const diskSize = '8m'

/** A file system of the run's own; without the right to mount there is none, and the disk is never full. */
export interface Disk {
  /** Takes all that is left of it. */
  fill(): Promise<void>
  clear(): Promise<void>
}

export interface Directory {
  refuse(): Promise<void>
  listen(): Promise<void>
}

export interface Victims {
  readonly all: readonly LocalRelay[]
  /** Those that may be ended and started again. */
  readonly mortal: readonly LocalRelay[]
}

export interface Stage {
  readonly folder: string
  readonly node: string
  /** Of another chain id: what a provider of the wrong chain asks. */
  readonly otherNode: string
  readonly providers: readonly Provider[]
  readonly relays: Relays
  readonly gateways: Victims
  readonly middles: Victims
  readonly fronts: ReadonlyMap<LocalRelay, Front>
  readonly directory: Directory
  readonly disk: Disk | undefined
  readonly echo: string
  /** Every process of a relay: itself and its workers. */
  pidsOf(relay: LocalRelay): Promise<readonly number[]>
  stop(): Promise<void>
}

export async function setStage(onStep: (step: string) => void): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'nightjar-chaos-'))
  const undo: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })]
  const stop = async () => {
    for (const action of undo.splice(0).reverse()) await action()
  }
  try {
    const disk = mountDisk(folder)
    if (disk !== undefined) undo.push(async () => execFileSync('umount', [folder]))
    onStep('starting two Ethereum nodes')
    const home = await mkdtemp(join(tmpdir(), 'nightjar-chaos-nodes-'))
    undo.push(() => rm(home, { recursive: true, force: true }))
    const chain = await startChain(chaosChain, home, 1)
    undo.push(() => chain.stop())
    const other = await startChain(otherChain, home, 1)
    undo.push(() => other.stop())
    await call(chain.url, 'anvil_setCode', [echoAddress, echoCode])
    const providers = [await startProvider(chain.url), await startProvider(chain.url)]
    undo.push(() => Promise.all(providers.map((provider) => provider.close())))
    const directory = await serveDirectory(join(folder, 'network.json'))
    undo.push(() => directory.refuse())

    onStep(`making keys and starting ${plan.length} relays`)
    const relays = await startRelays({
      folder,
      plan,
      upstreams: { [chaosChain]: providers.map(({ url }) => url) },
      tls: 'none',
      tapped: false,
      fronted: true,
      logLevel: 'info',
      upstreamTimeout: 3,
      environment: insideEnvironment(folder),
      configure: (config, { name }) => ({
        ...config,
        network: { ...config.network, document: directory.url },
        ...(withWorkers.includes(name) ? { workers } : {}),
        limits: openLimits,
      }),
    })
    undo.push(() => relays.stop())
    const fronts = new Map<LocalRelay, Front>()
    undo.push(() => Promise.all([...fronts.values()].map((front) => front.close())))
    for (const relay of relays.all) {
      const { host, publicPort, port } = relay
      fronts.set(relay, await startFront({ host, port: publicPort, targetPort: port }))
    }
    return {
      folder,
      node: chain.url,
      otherNode: other.url,
      providers,
      relays,
      gateways: victimsOf(relays, 'gateway'),
      middles: victimsOf(relays, 'relay'),
      fronts,
      directory,
      disk,
      echo: echoAddress,
      pidsOf: async ({ process }) => [process.pid, ...(await childrenOf(process.pid))],
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

function victimsOf(relays: Relays, role: 'relay' | 'gateway'): Victims {
  const all = relays.all.filter(({ roles }) => roles.includes(role))
  return { all, mortal: all.filter(({ name }) => !spared.includes(name)) }
}

/** Hundreds of clients come from 127.0.0.1, through fronts at that: what is bounded per address is not what is tried here. */
export const openLimits = {
  max_connections: 10_000,
  connections_per_minute: 1_000_000,
  connections_per_ip: 1_000_000,
}

function mountDisk(folder: string): Disk | undefined {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskSize}`, 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    // No right to mount, or no such program: the run says that the disk was never full.
    return undefined
  }
  const filler = join(folder, 'filler')
  return {
    async fill() {
      // More than fits: what was written until then stays.
      await writeFile(filler, Buffer.alloc(16 * 1024 * 1024)).catch(expectFull)
    },
    clear: () => rm(filler, { force: true }),
  }
}

function expectFull(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOSPC') throw error
}

/** Serves the network document, as any web server may: relays check it. */
async function serveDirectory(file: string): Promise<Directory & { readonly url: string }> {
  const host = '127.0.0.1'
  const server = createServer(async (_, response) => {
    const text = await readFile(file).catch(() => undefined)
    if (text === undefined) return void response.writeHead(404).end()
    response.writeHead(200, { 'content-type': 'application/json' }).end(text)
  })
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${host}:${port}/network.json`,
    refuse() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
    listen: () => new Promise((resolve) => server.listen(port, host, resolve)),
  }
}
