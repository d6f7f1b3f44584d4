/**
 * Hostile behaviours at a network of five relays, one after the other, while three ordinary clients ask at a steady rate.
 * What the relay does, that the others have no error, and that it serves on must hold; what it costs the others is measured.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  call,
  type LocalRelay,
  makeCertificates,
  type RelayPlan,
  startChain,
  startRelays,
  until,
} from '../../network/index.ts'
import { addUp, quantileOf, type SteadyDriver, startSteadyLoad } from '../load.ts'
import { chaosChain, echoAddress, echoCode } from '../stage.ts'
import type { Behaviour, Scene } from './behaviour.ts'
import { circuitBehaviours, heldTo } from './circuits.ts'
import { socketBehaviours } from './sockets.ts'
import { streamBehaviours } from './streams.ts'
import { type Party, partiesIn } from './wire.ts'

/** All twenty. Floods of handshakes come last: for a while after them a relay asks everybody for more. */
export const behaviours: readonly Behaviour[] = [...socketBehaviours, ...streamBehaviours, ...circuitBehaviours]

export interface BehaviourReport {
  readonly name: string
  /** What the relay did. */
  readonly outcome: string
  /** Whether that is what it should do. */
  readonly asExpected: boolean
  readonly seconds: number
  /** Of the ordinary clients meanwhile. */
  readonly answered: number
  readonly failed: Readonly<Record<string, number>>
  readonly p99Ms: number
  /** To their p99 when nobody meant harm. */
  readonly ratio: number
  /** Whether all relays are healthy afterwards, in the processes from before. */
  readonly servesOn: boolean
}

export interface Quiet {
  readonly answered: number
  readonly p99Ms: number
}

export interface HostileReport {
  readonly ok: boolean
  readonly broken: readonly string[]
  readonly quiet: Quiet
  readonly behaviours: readonly BehaviourReport[]
}

export interface HostileStage {
  readonly quiet: Quiet
  attack(behaviour: Behaviour): Promise<BehaviourReport>
  stop(): Promise<void>
}

const plan: readonly RelayPlan[] = [
  { name: 'kestrel', roles: ['relay'], region: 'eu-west' },
  { name: 'swift', roles: ['relay'], region: 'us-east' },
  { name: 'plover', roles: ['relay'], region: 'ap-tokyo' },
  { name: 'petrel', roles: ['gateway'], region: 'eu-central' },
  { name: 'dunlin', roles: ['gateway'], region: 'us-west' },
]
const ordinary = { clients: 3, rate: 30, mostInFlight: 500 } as const
/** Branches are built in the first of these. */
const warmFor = 4000
const quietFor = 6000
/** Enough answers for a p99 worth the name, in seconds of each behaviour. */
const leastForFigures = 6

/** Runs all of them. */
export async function runHostile(options: { stop: AbortSignal; onStep(step: string): void }): Promise<HostileReport> {
  const { stop, onStep } = options
  const stage = await setHostileStage({ onStep, leastSeconds: leastForFigures })
  try {
    const reports: BehaviourReport[] = []
    for (const behaviour of behaviours) {
      if (stop.aborted) break
      reports.push(await stage.attack(behaviour))
      onStep(describeBehaviour(reports.at(-1) as BehaviourReport))
    }
    const broken = reports.flatMap(findBroken)
    return { ok: broken.length === 0, broken, quiet: stage.quiet, behaviours: reports }
  } finally {
    await stage.stop()
  }
}

export function describeBehaviour({ name, outcome, p99Ms, ratio }: BehaviourReport): string {
  return `${name}: ${outcome} (others: p99 ${p99Ms} ms, ${ratio} ×)`
}

/** What should hold and does not, in words. */
export function findBroken({ name, outcome, asExpected, failed, answered, servesOn }: BehaviourReport): string[] {
  return [
    ...(asExpected ? [] : [`${name}: ${outcome}`]),
    ...Object.entries(failed).map(([code, count]) => `${name}: ${count} requests of others failed with ${code}`),
    ...(answered > 0 ? [] : [`${name}: no request of others was answered`]),
    ...(servesOn ? [] : [`${name}: a relay does not serve on`]),
  ]
}

export interface HostileOptions {
  /** How long others are watched beside each behaviour, at least. */
  readonly leastSeconds: number
  onStep?(step: string): void
}

export async function setHostileStage(options: HostileOptions): Promise<HostileStage> {
  const { leastSeconds, onStep = () => {} } = options
  const folder = await mkdtemp(join(tmpdir(), 'nightjar-hostile-'))
  const undo: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })]
  const stop = async () => {
    for (const action of undo.splice(0).reverse()) await action()
  }
  try {
    onStep('starting an Ethereum node and five relays')
    const chain = await startChain(chaosChain, folder)
    undo.push(() => chain.stop())
    await call(chain.url, 'anvil_setCode', [echoAddress, echoCode])
    const hosts = plan.map((_, index) => `127.${index + 1}.0.1`)
    const relays = await startRelays({
      folder,
      plan,
      upstreams: { [chaosChain]: chain.url },
      tls: 'pinned',
      certificates: makeCertificates(folder, hosts),
      tapped: false,
      logLevel: 'info',
      configure: (config) => ({ ...config, limits: { cells_per_second: heldTo } }),
    })
    undo.push(() => relays.stop())
    const load = await startSteadyLoad({ ...ordinary, relays, chain: chaosChain, echo: echoAddress })
    undo.push(() => load.finish())
    onStep('three clients ask; quiet for a while')
    const begun = Date.now()
    await until(
      'the quiet start is over',
      () => load.between(begun + warmFor, Date.now()).length >= quietFor / 1000,
      60_000,
    )
    const windows = load.between(begun + warmFor, Date.now())
    const quiet = { answered: sumOf(windows), p99Ms: quantileOf(windows, 0.99) ?? 0 }
    const parties = await partiesIn(relays.documentFile)
    let attacks = 0
    return {
      quiet,
      attack: (behaviour) =>
        attack(behaviour, { relays: relays.all, load, quiet, leastSeconds, scene: sceneOf(parties, ++attacks) }),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

function sceneOf(parties: readonly Party[], attack: number): Scene {
  const named = (name: string) => parties.find((party) => party.name === name) as Party
  return { relay: named('kestrel'), middle: named('swift'), gateway: named('petrel'), from: `127.66.0.${attack}` }
}

interface Beside {
  readonly relays: readonly LocalRelay[]
  readonly load: SteadyDriver
  readonly quiet: Quiet
  readonly leastSeconds: number
  readonly scene: Scene
}

async function attack(behaviour: Behaviour, beside: Beside): Promise<BehaviourReport> {
  const { relays, load, quiet, leastSeconds, scene } = beside
  const pids = relays.map(({ process }) => process.pid)
  const begun = Date.now()
  const outcome = await behaviour
    .run(scene)
    .catch((error: unknown) => (error instanceof Error ? error.message : String(error)))
  const ended = Date.now()
  await until('others have asked enough', () => load.between(begun, Date.now()).length >= leastSeconds, 30_000)
  // What was asked during the attack may fail a little later.
  const windows = load.between(begun, Date.now())
  const p99Ms = quantileOf(windows, 0.99) ?? 0
  const healthy = await Promise.all(relays.map(isHealthy))
  return {
    name: behaviour.name,
    outcome,
    asExpected: behaviour.expected.test(outcome),
    seconds: Math.round((ended - begun) / 100) / 10,
    answered: sumOf(windows),
    failed: addUp(windows.map(({ failed }) => failed)),
    p99Ms,
    ratio: Math.round((10 * p99Ms) / Math.max(1, quiet.p99Ms)) / 10,
    servesOn: healthy.every(Boolean) && relays.every(({ process }, index) => process.pid === pids[index]),
  }
}

function sumOf(windows: readonly { readonly answered: number }[]): number {
  return windows.reduce((sum, { answered }) => sum + answered, 0)
}

async function isHealthy({ healthPort }: LocalRelay): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${healthPort}/health`)).status === 200
  } catch {
    // Nobody listens any more.
    return false
  }
}
