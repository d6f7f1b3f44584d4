/** Which way requests take, as somebody sees it who reads cell headers on every link (taps, and links without TLS). */
import { cellCommand, type Direction, type LocalNetwork, type LocalRelay, until } from '../../src/network/index.ts'

/** RELAY cells by relay and circuit id on the links that lead to that relay. */
export type Traffic = ReadonlyMap<LocalRelay, ReadonlyMap<number, CellCounts>>

export type CellCounts = Record<Direction, number>

/** The RELAY cells that pass all taps during `action`. */
export async function trafficDuring(network: LocalNetwork, action: () => Promise<unknown>): Promise<Traffic> {
  const traffic = new Map<LocalRelay, Map<number, CellCounts>>()
  for (const relay of network.relays.all) {
    const circuits = new Map<number, CellCounts>()
    traffic.set(relay, circuits)
    if (relay.tap === undefined) throw new Error('this needs a tapped network')
    relay.tap.watch = ({ circuitId, command }, direction) => {
      if (command !== cellCommand.relay) return
      const counts = circuits.get(circuitId) ?? { forward: 0, backward: 0 }
      circuits.set(circuitId, counts)
      counts[direction] += 1
    }
  }
  await action()
  for (const { tap } of network.relays.all) if (tap !== undefined) tap.watch = undefined
  return traffic
}

export const roles = ['entry', 'middle', 'gateway'] as const
export type Role = (typeof roles)[number]

export interface Path extends Readonly<Record<Role, LocalRelay>> {
  /** The circuit ids on the links that lead to these relays; the gateway's tells one branch from another. */
  readonly circuits: Readonly<Record<Role, number>>
}

const daemonHost = '127.0.0.1'
/** Each answer has four cells at least; a PING and its answer have one. */
const answersSeen = 5
const cellsOfAnswers = 4 * answersSeen

/** The path that one caller's requests take, once all of them take the same. */
export async function pathOf(network: LocalNetwork, ask: () => Promise<unknown>): Promise<Path> {
  let path: Path | undefined
  await until('the requests of one caller take one path', async () => {
    path = await findPath(network, ask)
    return path !== undefined
  })
  return path as unknown as Path
}

/** One that the daemon connects to; it is never a middle of the same daemon. */
export function isGuard({ tap }: LocalRelay): boolean {
  return tap?.peers.has(daemonHost) === true
}

async function findPath(network: LocalNetwork, ask: () => Promise<unknown>): Promise<Path | undefined> {
  const traffic = await trafficDuring(network, async () => {
    for (let count = 0; count < answersSeen; count++) await ask()
  })
  const busy = [...traffic].flatMap(([relay, circuits]) =>
    [...circuits].filter(([, { backward }]) => backward >= cellsOfAnswers).map(([circuit]) => ({ relay, circuit })),
  )
  const gateways = busy.filter(({ relay }) => relay.roles.includes('gateway'))
  const others = busy.filter(({ relay }) => !relay.roles.includes('gateway'))
  const entries = others.filter(({ relay }) => isGuard(relay))
  const middles = others.filter(({ relay }) => !isGuard(relay))
  const [entry, middle, gateway] = [entries[0], middles[0], gateways[0]]
  if (busy.length !== 3 || entry === undefined || middle === undefined || gateway === undefined) return undefined
  return {
    entry: entry.relay,
    middle: middle.relay,
    gateway: gateway.relay,
    circuits: { entry: entry.circuit, middle: middle.circuit, gateway: gateway.circuit },
  }
}
