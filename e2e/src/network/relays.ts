/** The relays of a local network: folders, keys, configurations, a network document by two directories, processes. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Certificates } from './certificates.ts'
import { createInternet, type Internet, type Places } from './internet.ts'
import { freePorts } from './ports.ts'
import { programPath, type Running, runProgram, startProgram } from './programs.ts'
import { startTap, type Tap } from './tap.ts'

export type TlsMode = 'none' | 'pinned' | 'private-ca'

export interface RelayPlan {
  readonly name: string
  readonly roles: readonly ('relay' | 'gateway' | 'exit' | 'directory')[]
  readonly region: string
}

/** Eight relays of eight operators, three of them gateways and two of these exits; the first one is also the directory. */
export const standardPlan: readonly RelayPlan[] = [
  { name: 'kestrel', roles: ['relay', 'directory'], region: 'eu-west' },
  { name: 'swift', roles: ['relay'], region: 'us-east' },
  { name: 'plover', roles: ['relay'], region: 'ap-tokyo' },
  { name: 'curlew', roles: ['relay'], region: 'sa-paulo' },
  { name: 'avocet', roles: ['relay'], region: 'af-cape' },
  { name: 'petrel', roles: ['gateway'], region: 'eu-central' },
  { name: 'dunlin', roles: ['gateway', 'exit'], region: 'us-west' },
  { name: 'whimbrel', roles: ['gateway', 'exit'], region: 'ap-singapore' },
]

export interface RelaysOptions {
  readonly folder: string
  readonly plan: readonly RelayPlan[]
  /** Upstream URLs by chain id. */
  readonly upstreams: Readonly<Record<number, string | readonly string[]>>
  readonly tls: TlsMode
  readonly certificates?: Certificates | undefined
  /** Puts a tap in front of each relay. */
  readonly tapped: boolean
  /** Leaves the public ports free, for whoever puts something else in front of the relays. */
  readonly fronted?: boolean
  readonly logLevel: 'info' | 'debug' | 'warn'
  /** Where listed names lead to from the exits; without it they are in the real Internet. */
  readonly exitHosts?: Places | undefined
  /** Gateways write each question that they open into this file. */
  readonly viewFile?: string | undefined
  /** Seconds that gateways wait for their provider; the product's default where it is not given. */
  readonly upstreamTimeout?: number | undefined
  /** The configuration of a relay, where it is to differ. */
  readonly configure?: ((config: RelayYaml, plan: RelayPlan) => object) | undefined
  /** More of the environment that relays run in. */
  readonly environment?: Readonly<Record<string, string>> | undefined
}

/** relay.yaml, as far as a change of it has to know what is there. */
export interface RelayYaml {
  readonly network: object
  readonly gateway?: object
  readonly [key: string]: unknown
}

export interface LocalRelay {
  readonly name: string
  readonly operator: string
  readonly region: string
  readonly roles: readonly string[]
  readonly host: string
  /** Where the relay itself listens; behind a tap that is another port than the public one. */
  readonly port: number
  readonly publicPort: number
  readonly healthPort: number
  readonly configFile: string
  readonly tap: Tap | undefined
  process: Running
  /** Starts the process again after it ended. */
  restart(): Promise<void>
}

export interface Relays {
  readonly all: readonly LocalRelay[]
  readonly documentFile: string
  /** Where the directory relay serves the document. */
  readonly documentUrl: string
  readonly trust: { readonly keys: readonly string[]; readonly threshold: number }
  /** What the exits see, where `exitHosts` were given. */
  readonly internet: Internet | undefined
  stop(): Promise<void>
}

const relayProgram = () => programPath('nightjar-relay')

export async function startRelays(options: RelaysOptions): Promise<Relays> {
  const { folder, plan } = options
  const documentFile = join(folder, 'network.json')
  const trust = { keys: await makeDirectoryKeys(folder), threshold: 2 }
  const sites = await Promise.all(plan.map((each, index) => prepare(each, index, options, trust, documentFile)))
  await signDocument(folder, sites, documentFile)
  const { exitHosts } = options
  const internet = exitHosts === undefined ? undefined : await createInternet(join(folder, 'internet.json'), exitHosts)
  const all = await Promise.all(sites.map((site) => start(site, options, internet)))
  const directory = all.find((relay) => relay.roles.includes('directory'))
  const scheme = options.tls === 'none' ? 'http' : 'https'
  return {
    all,
    documentFile,
    documentUrl: directory === undefined ? '' : `${scheme}://${directory.host}:${directory.port}/network.json`,
    trust,
    internet,
    async stop() {
      await Promise.all(all.map((relay) => relay.process.stop()))
      await Promise.all(all.map((relay) => relay.tap?.close()))
    },
  }
}

interface Site {
  readonly plan: RelayPlan
  readonly host: string
  readonly port: number
  readonly publicPort: number
  readonly configFile: string
  readonly descriptorFile: string
}

async function makeDirectoryKeys(folder: string): Promise<string[]> {
  return Promise.all(
    ['north', 'south'].map(async (name) => {
      const { stdout } = await runProgram(relayProgram(), ['keygen', '--directory', join(folder, `${name}.key`)])
      return lastLine(stdout)
    }),
  )
}

async function prepare(
  plan: RelayPlan,
  index: number,
  options: RelaysOptions,
  trust: Relays['trust'],
  documentFile: string,
): Promise<Site> {
  const host = `127.${index + 1}.0.1`
  const [port, tapPort] = (await freePorts(host, 2)) as [number, number]
  const publicPort = options.tapped || options.fronted ? tapPort : port
  const folder = join(options.folder, plan.name)
  await mkdir(folder)
  await runProgram(relayProgram(), ['keygen', folder])
  const configFile = join(folder, 'relay.yaml')
  const config = configOf(plan, { host, port, publicPort }, options, trust, documentFile)
  await writeFile(configFile, JSON.stringify(options.configure?.(config, plan) ?? config))
  const descriptorFile = join(folder, 'descriptor.json')
  const pin = options.tls === 'pinned' ? ['--pin'] : []
  await runProgram(relayProgram(), ['descriptor', '--config', configFile, '--out', descriptorFile, ...pin])
  return { plan, host, port, publicPort, configFile, descriptorFile }
}

/** JSON is YAML too. */
function configOf(
  plan: RelayPlan,
  place: { host: string; port: number; publicPort: number },
  options: RelaysOptions,
  trust: Relays['trust'],
  document: string,
): RelayYaml {
  const { certificates, tls, upstreams, upstreamTimeout } = options
  const timeout = upstreamTimeout === undefined ? {} : { request_timeout_seconds: upstreamTimeout }
  const chains = Object.entries(upstreams).map(([id, urls]) => [
    id,
    { upstreams: [urls].flat().map((url) => ({ url })), heads_poll_ms: 250 },
  ])
  return {
    server_name: plan.name,
    region: plan.region,
    roles: plan.roles,
    identity_file: 'identity.key',
    listen: {
      host: place.host,
      port: place.port,
      ...(tls === 'none' ? {} : { tls: { cert_file: certificates?.certFile, key_file: certificates?.keyFile } }),
    },
    public_address: `${tls === 'none' ? 'ws' : 'wss'}://${place.host}:${place.publicPort}/relay`,
    outbound_address: place.host,
    admin: { host: '127.0.0.1', health_port: 0, metrics_port: 0 },
    network: { document, trust, ...(tls === 'private-ca' ? { ca_file: certificates?.caFile } : {}) },
    ...(plan.roles.includes('gateway') ? { gateway: { chains: Object.fromEntries(chains), ...timeout } } : {}),
    ...(plan.roles.includes('exit') ? { exit: {} } : {}),
    // All of them have the address of this machine.
    limits: { connections_per_minute: 1_000_000, connections_per_ip: 1_000_000, cells_per_second: 0 },
    log: { level: options.logLevel },
  }
}

async function signDocument(folder: string, sites: readonly Site[], documentFile: string): Promise<void> {
  const listFile = join(folder, 'relays.yaml')
  const relays = sites.map(({ plan, descriptorFile }) => ({ descriptor: descriptorFile, operator: `op-${plan.name}` }))
  await writeFile(listFile, JSON.stringify(relays))
  const [north, south] = [join(folder, 'north.json'), join(folder, 'south.json')]
  const sign = (...args: string[]) => runProgram(relayProgram(), ['network', 'sign', ...args])
  await sign(
    '--relays',
    listFile,
    '--key',
    join(folder, 'north.key'),
    '--local',
    '--valid-hours',
    '168',
    '--out',
    north,
  )
  await sign('--local', '--payload', north, '--key', join(folder, 'south.key'), '--out', south)
  await runProgram(relayProgram(), ['network', 'merge', north, south, '--out', documentFile])
}

async function start(
  site: Site,
  { tapped, viewFile, environment }: RelaysOptions,
  internet: Internet | undefined,
): Promise<LocalRelay> {
  const { plan, host, port, publicPort, configFile } = site
  const launch = () => {
    const env = {
      ...(plan.roles.includes('exit') ? internet?.env : undefined),
      ...(plan.roles.includes('gateway') && viewFile !== undefined ? { NIGHTJAR_TESTING_VIEW: viewFile } : {}),
    }
    const program = Object.keys(env).length === 0 ? relayProgram() : programPath('testing/nightjar-relay')
    return startProgram(program, ['--config', configFile], { env: { ...environment, ...env } })
  }
  const process = await launch()
  const relay: LocalRelay = {
    name: plan.name,
    operator: `op-${plan.name}`,
    region: plan.region,
    roles: plan.roles,
    host,
    port,
    publicPort,
    /** Another one after each start. */
    get healthPort() {
      return Number(relay.process.ready.healthPort)
    },
    configFile,
    tap: tapped ? await startTap({ host, port: publicPort, targetPort: port }) : undefined,
    process,
    async restart() {
      relay.process = await launch()
    },
  }
  return relay
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}
