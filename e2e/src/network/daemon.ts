/** A user's daemon, in a home of its own. */
import { mkdir, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { encodeMessage, type Message, MessageReader } from './frames.ts'
import { programPath, type Running, runProgram, startProgram } from './programs.ts'
import type { Relays } from './relays.ts'

export interface DaemonOptions {
  readonly home: string
  readonly relays: Pick<Relays, 'trust'>
  /** Where its network document comes from: a path or URL. */
  readonly document: string
  readonly chains: readonly number[]
  /** 0 = any port. */
  readonly port: number
  readonly caFile?: string | undefined
  readonly logLevel: 'info' | 'debug' | 'warn'
  /** Ids of extensions that may call the endpoint; MetaMask's by default. */
  readonly wallets?: readonly string[] | undefined
  /** The section `accounts` of its configuration. */
  readonly accounts?: object | undefined
  /** More of the environment it runs in. */
  readonly environment?: Readonly<Record<string, string>> | undefined
}

export interface Daemon {
  readonly home: string
  readonly env: { readonly NIGHTJAR_HOME: string }
  readonly process: Running
  /** The endpoint's URL for a chain. */
  url(chain: number): string
  /** @throws Error where no daemon answers */
  status(): Promise<Status>
  /** `nightjar …` as a user would run it. */
  run(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }>
  restart(): Promise<void>
}

export interface Party {
  readonly name: string
  readonly operator: string
  readonly region: string
}

/** What `nightjar status --json` prints. */
export interface Status {
  readonly state: string
  readonly profile: string
  readonly trunks: readonly { readonly entry: Party; readonly middle: Party }[]
  readonly branches: number
  readonly gateways: readonly Party[]
  readonly requests: { readonly ok: number; readonly failed: number }
  readonly endpoint: string
  readonly callers: readonly { readonly origin: string }[]
  readonly shield: ShieldStatus
  readonly accounts: AccountsStatus
  readonly lastError: string | null
  readonly version: string
}

export interface AccountsStatus {
  readonly watched: number
  readonly cold: number
  readonly freshnessSeconds: number
  readonly verified: number
  readonly compared: number
  readonly unverified: number
  readonly refuted: number
  readonly linking: readonly { readonly reason: string; readonly count: number; readonly sent: boolean }[]
  readonly lies: readonly { readonly gateway: string; readonly what: string }[]
  readonly disputes: readonly { readonly gateways: readonly string[]; readonly what: string }[]
}

export interface ShieldStatus {
  readonly port: number
  readonly sinkPort: number
  readonly running: boolean
  readonly streams: number
  readonly refused: number
  readonly today: Readonly<Record<string, { readonly shielded: number; readonly blocked: number }>>
  readonly hosts: readonly {
    readonly suffix: string
    readonly category: string
    readonly shielded: number
    readonly blocked: number
    readonly lastError?: string
  }[]
  readonly lastError: string | null
}

export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  await mkdir(options.home, { recursive: true })
  const config = {
    network: {
      document: options.document,
      trust: options.relays.trust,
      ...(options.caFile === undefined ? {} : { ca_file: options.caFile }),
    },
    endpoint: { port: options.port },
    chains: options.chains,
    ...(options.wallets === undefined ? {} : { wallets: options.wallets }),
    ...(options.accounts === undefined ? {} : { accounts: options.accounts }),
    log: { level: options.logLevel },
  }
  await writeFile(join(options.home, 'config.yaml'), JSON.stringify(config))
  const env = { NIGHTJAR_HOME: options.home }
  const launch = () => startProgram(programPath('nightjar'), ['up'], { env: { ...options.environment, ...env } })
  const run = (...args: string[]) => runProgram(programPath('nightjar'), args, { env, mayFail: true })
  const start = async () => {
    const process = await launch()
    const socket = process.ready.socket as string
    return { process, socket, endpoint: (await askStatus(socket)).endpoint }
  }
  let current = await start()
  return {
    home: options.home,
    env,
    get process() {
      return current.process
    },
    url: (chain) => current.endpoint.replace(/[^/]*$/, String(chain)),
    status: () => askStatus(current.socket),
    run,
    async restart() {
      current = await start()
    },
  }
}

/** Asks on the local socket, as `nightjar status` does: tests ask often, and a process for each question costs 0.3 s. */
async function askStatus(path: string): Promise<Status> {
  const socket = connect(path)
  socket.write(encodeMessage({ id: 1, type: 'status' }))
  const reader = new MessageReader()
  for await (const bytes of socket) {
    for (const text of reader.push(bytes)) {
      const { result, error } = JSON.parse(text) as Message
      if (error !== undefined) throw new Error(error.message)
      return result as Status
    }
  }
  throw new Error('the daemon ended before it answered')
}
