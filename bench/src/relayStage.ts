/**
 * What `relay` and `relay-load` stand on: the relay under test, the relay behind it whose part the driver plays, and
 * the plain echo server; each of the first and last a process of its own, with the same certificate.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  makeCertificates,
  programPath,
  type RelayPlan,
  type Running,
  runProgram,
  startProgram,
  startRelays,
} from '@nightjar/e2e/network'

const plan: readonly RelayPlan[] = [
  { name: 'tested', roles: ['relay'], region: 'local' },
  { name: 'sink', roles: ['relay'], region: 'local' },
]

export interface Pair {
  readonly relay: Running
  readonly echo: Running
  /** Where the echo server listens. */
  readonly echoUrl: string
  stop(): Promise<void>
}

export interface RelayStage {
  /** Arguments of `nightjar-load` that name the relay under test. */
  readonly relayArgs: readonly string[]
  /** Arguments that name the relay behind it, too. */
  readonly sinkArgs: readonly string[]
  /** Starts relay and echo server anew; one pair at a time. */
  startPair(env?: Readonly<Record<string, string>>): Promise<Pair>
  close(): Promise<void>
}

/** @param limits of relay.yaml, where they are to differ from those of the local network */
export async function setRelayStage(
  tls: 'none' | 'pinned',
  limits: Readonly<Record<string, number>> = {},
): Promise<RelayStage> {
  const folder = await mkdtemp(join(tmpdir(), 'nightjar-bench-'))
  const certificates = tls === 'none' ? undefined : makeCertificates(folder, ['127.0.0.1', '127.1.0.1', '127.2.0.1'])
  const relays = await startRelays({
    folder,
    plan,
    upstreams: {},
    tls,
    certificates,
    tapped: false,
    logLevel: 'warn',
    configure: (config) => ({ ...config, limits: { ...Object(config.limits), ...limits } }),
  })
  // They were needed for the network document; the first is started again below, the driver takes the other's place.
  await relays.stop()
  const configFile = relays.all[0]?.configFile as string
  const network = ['--network', relays.documentFile, '--trust', ...relays.trust.keys, '--threshold', '2']
  const relayArgs = [...network, '--relay', 'tested']
  const { certFile, keyFile } = certificates ?? {}
  const echoTls = certFile === undefined || keyFile === undefined ? [] : ['--cert', certFile, '--key', keyFile]
  const sinkTls =
    certFile === undefined || keyFile === undefined ? [] : ['--sink-cert', certFile, '--sink-key', keyFile]
  return {
    relayArgs,
    sinkArgs: [...relayArgs, '--sink', 'sink', ...sinkTls],
    async startPair(env = {}) {
      const relay = await startProgram(programPath('nightjar-relay'), ['--config', configFile], { env })
      const echo = await startProgram(programPath('bench'), ['echo-server', ...echoTls], { env })
      return {
        relay,
        echo,
        echoUrl: `${tls === 'none' ? 'ws' : 'wss'}://127.0.0.1:${echo.ready.port}`,
        async stop() {
          await Promise.all([relay.stop(), echo.stop()])
        },
      }
    },
    close: () => rm(folder, { recursive: true, force: true }),
  }
}

/** Cells per second that one run of the driver measured. */
export async function drive(args: readonly string[]): Promise<number> {
  const { stdout } = await runProgram(programPath('nightjar-load'), args)
  return (JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { cellsPerS: number }).cellsPerS
}
