/**
 * Which relays to use. Guards and middles are pinned: chosen once by weighted chance and kept for weeks, so that a
 * growing attacker does not get a new chance every day. Each group has a gateway of its own and one that stands in for it,
 * as far as there are enough, ranked by a keyed rendezvous hash (rendezvous.ts) and kept while it is used (assignments.ts).
 * No two relays of a path share an operator or a network.
 */
import { equalBytes } from '@nightjar/shared/bytes'
import type { Crypto } from '@nightjar/shared/crypto'
import type { Network, Relay } from '@nightjar/shared/directory'
import { NightjarError } from '@nightjar/shared/errors'
import { day } from '@nightjar/shared/runtime'
import { allows } from '@nightjar/shared/shield'
import type { Pin, State } from '../state/store.ts'
import { currentAssignments, mostPerGroup } from './assignments.ts'
import { groupHash, rendezvous } from './rendezvous.ts'

/** One in use and one with a warm link for fail-over. */
export const guardCount = 2
/** One for each trunk and a spare. */
export const middleCount = 3
const guardLifetime = 60 * day
const middleLifetime = 30 * day
/** As many confirm each other (shared/accounts): no spare is worth their being fewer, though one is worth a third. */
const gatewayOperators = 2
const mostWeight = 2000
/** Gateways that are considered for a group, at most. */
const gatewaysTried = 8

/** Whether two relays may stand in one path. */
export function areApart(a: Relay, b: Relay): boolean {
  return a.operator !== b.operator && !a.networks.some((network) => b.networks.includes(network))
}

export function isApartFromAll(relay: Relay, others: readonly Relay[]): boolean {
  return others.every((other) => areApart(relay, other))
}

export interface Pins {
  readonly guards: readonly Relay[]
  readonly middles: readonly Relay[]
}

/**
 * The pinned relays, with pins that are too old or no longer in the document replaced; changes `state` accordingly.
 * @param random gives numbers in [0, 1)
 * @throws NightjarError `no-path` where not even one guard, one middle and one gateway are apart
 */
export function choosePins(network: Network, state: State, now: number, random: () => number): Pins {
  const guards = keptPins(network, state.guards, now - guardLifetime, [])
  const middles = keptPins(network, state.middles, now - middleLifetime, guards)
  const chosen = () => [...guards, ...middles].map(({ relay }) => relay)
  const candidates = network.relays.filter((relay) => relay.roles.includes('relay'))
  const gateways = network.relays.filter(isGateway)
  const exits = network.relays.filter(isExit)
  const operatorsLeft = (relays: readonly Relay[]) =>
    new Set(gateways.filter((gateway) => isApartFromAll(gateway, relays)).map(({ operator }) => operator)).size
  const leavesGateway = (relays: readonly Relay[]) => gateways.some((gateway) => isApartFromAll(gateway, relays))
  const leavesExit = (relays: readonly Relay[]) => exits.some((exit) => isApartFromAll(exit, relays))

  const fill = (pins: Kept[], count: number) => {
    while (pins.length < count) {
      // Whoever is pinned cannot be the gateway or exit of any path: the last one is left alone.
      const fitting = candidates.filter(
        (candidate) => isApartFromAll(candidate, chosen()) && leavesGateway([...chosen(), candidate]),
      )
      const isSpare = pins.length > 0
      const withExit = fitting.filter((candidate) => leavesExit([...chosen(), candidate]))
      // Without an exit there still is a path to a gateway, but no spare is worth an exit.
      const kind = withExit.length > 0 || (isSpare && leavesExit(chosen())) ? withExit : fitting
      const fewest = Math.min(gatewayOperators, operatorsLeft(chosen()))
      const sparing = kind.filter((candidate) => operatorsLeft([...chosen(), candidate]) >= fewest)
      const relay = pickByCapacity(sparing.length > 0 || isSpare ? sparing : kind, random)
      if (relay === undefined) return
      pins.push({ relay, since: now })
    }
  }
  // One of each first, so that a small network still gives a path.
  fill(guards, 1)
  fill(middles, 1)
  fill(guards, guardCount)
  fill(middles, middleCount)

  const [first] = guards
  const [second] = middles
  if (first === undefined || second === undefined || !leavesGateway([first.relay, second.relay])) {
    throw new NightjarError('no-path')
  }
  state.guards = guards.map(toPin)
  state.middles = middles.map(toPin)
  return { guards: guards.map(({ relay }) => relay), middles: middles.map(({ relay }) => relay) }
}

export interface GatewayChoice {
  readonly group: string
  readonly chain: number
  /** Relays that the gateway must be apart from. */
  readonly path: readonly Relay[]
  /** Milliseconds since the Unix epoch. */
  readonly now: number
}

/**
 * The gateways for a group, best first: those that are kept for it, then those that no other group has, then those that
 * only stand in for other groups, then the rest, each sort by its rendezvous hash. Only such as serve the chain and are
 * apart from the path.
 */
export function rankGateways(crypto: Crypto, network: Network, state: State, choice: GatewayChoice): Relay[] {
  const group = groupHash(crypto, state, choice.group)
  const assignments = currentAssignments(state, choice.now)
  const own = assignments.filter((assignment) => assignment.group === group).map(({ relay }) => relay)
  const taken = new Set(assignments.map(({ relay }) => relay))
  const firsts = new Map<string, string>()
  for (const { group: holder, relay } of assignments) {
    // The stand-in of one that has left the document is asked first.
    if (!firsts.has(holder) && network.byIdentity.has(relay)) firsts.set(holder, relay)
  }
  const firstOfSome = new Set(firsts.values())
  const sortOf = (id: string) => {
    if (own.includes(id)) return own.indexOf(id) - own.length
    return firstOfSome.has(id) ? 2 : taken.has(id) ? 1 : 0
  }
  return network.relays
    .filter((relay) => isGateway(relay) && relay.chains.includes(choice.chain) && isApartFromAll(relay, choice.path))
    .map((relay) => ({
      relay,
      sort: sortOf(relay.id),
      score: scoreOf(crypto, state, choice.group, relay),
    }))
    .sort((a, b) => a.sort - b.sort || b.score - a.score)
    .map(({ relay }) => relay)
}

/**
 * Those of `ranked` that are considered, in their order: the group's own, then the best of as many operators as there are.
 * Where two have to confirm each other, whoever sees only these would else take a large operator for the only one.
 */
export function shortlist(ranked: readonly Relay[]): Relay[] {
  const operators = new Set<string>()
  const isBest = ranked.map(({ operator }, place) => {
    const isFirst = !operators.has(operator)
    operators.add(operator)
    return isFirst || place < mostPerGroup
  })
  const rest = ranked.filter((_, place) => !isBest[place])
  const chosen = new Set([...ranked.filter((_, place) => isBest[place]), ...rest].slice(0, gatewaysTried))
  return ranked.filter((relay) => chosen.has(relay))
}

/**
 * All gateways that serve the chain and are apart from the path, in an order that depends on the group's name and nothing
 * that happens meanwhile.
 */
export function rankLastingly(crypto: Crypto, network: Network, state: State, choice: GatewayChoice): Relay[] {
  const { group, chain, path } = choice
  return network.relays
    .filter((relay) => isGateway(relay) && relay.chains.includes(chain) && isApartFromAll(relay, path))
    .map((relay) => ({ relay, score: scoreOf(crypto, state, group, relay) }))
    .sort((a, b) => b.score - a.score)
    .map(({ relay }) => relay)
}

export interface InnerChoice {
  readonly group: string
  /** Entry and middle of the trunk, and the end of the branch: it must be apart from these. */
  readonly path: readonly Relay[]
  /** Guards and middles: better apart from all of them, so that it does not depend on which trunk is up. */
  readonly pinned: readonly Relay[]
}

/**
 * The relays between a trunk and the group's gateway, best first. A gateway knows where a branch comes from: were that the
 * trunk's middle, which is the same for half of a client's groups for weeks, gateways could tell by it which belong together.
 */
export function rankInners(crypto: Crypto, network: Network, state: State, choice: InnerChoice): Relay[] {
  const { group, path, pinned } = choice
  return network.relays
    .filter((relay) => relay.roles.includes('relay') && isApartFromAll(relay, path))
    .map((relay) => ({
      relay,
      isUnpinned: isApartFromAll(relay, pinned),
      score: scoreOf(crypto, state, `inner ${group}`, relay),
    }))
    .sort((a, b) => Number(b.isUnpinned) - Number(a.isUnpinned) || b.score - a.score)
    .map(({ relay }) => relay)
}

export interface ExitChoice {
  readonly group: string
  /** A host of the list. */
  readonly host: string
  /** Digest of this client's host list. */
  readonly list: Uint8Array
  /** Relays that the exit must be apart from. */
  readonly path: readonly Relay[]
}

/**
 * The exits for a group and host, best first: those with this client's host list, then the rest, each sort by its
 * rendezvous hash. Only such as carry the host, as far as their policy and our list tell, and are apart from the path.
 */
export function rankExits(crypto: Crypto, network: Network, state: State, choice: ExitChoice): Relay[] {
  const { group, host, list, path } = choice
  return network.relays
    .flatMap((relay) => {
      const { exitPolicy } = relay
      if (!isExit(relay) || exitPolicy === undefined || !allows(exitPolicy, host)) return []
      if (!isApartFromAll(relay, path)) return []
      const hasOurList = equalBytes(exitPolicy.list, list)
      return [{ relay, hasOurList, score: scoreOf(crypto, state, `exit ${group}`, relay) }]
    })
    .sort((a, b) => Number(b.hasOurList) - Number(a.hasOurList) || b.score - a.score)
    .map(({ relay }) => relay)
}

/** Whether any gateway of the network serves `chain`. */
export function servesChain(network: Network, chain: number): boolean {
  return network.relays.some((relay) => isGateway(relay) && relay.chains.includes(chain))
}

export function isGateway(relay: Relay): boolean {
  return relay.roles.includes('gateway') && relay.envelopeKeys.length > 0
}

export function isExit(relay: Relay): boolean {
  return relay.roles.includes('exit')
}

interface Kept {
  readonly relay: Relay
  readonly since: number
}

function toPin({ relay, since }: Kept): Pin {
  return { relay: relay.id, since }
}

/** Of `pins` those that may stay: the directories may have learnt since that two belong together. */
function keptPins(network: Network, pins: readonly Pin[], notBefore: number, others: readonly Kept[]): Kept[] {
  const kept: Kept[] = []
  for (const { relay: id, since } of pins) {
    const relay = network.byIdentity.get(id)
    if (relay === undefined || !relay.roles.includes('relay') || since < notBefore) continue
    const chosen = [...others, ...kept].map((each) => each.relay)
    if (isApartFromAll(relay, chosen)) kept.push({ relay, since })
  }
  return kept
}

function scoreOf(crypto: Crypto, state: State, group: string, relay: Relay): number {
  return rendezvous(crypto, state, group, { identity: relay.identity, weight: weightOf(relay) })
}

/** Capacity is self-declared: beyond what one small machine serves it buys no more traffic. */
function weightOf(relay: Relay): number {
  return Math.min(relay.capacity, mostWeight)
}

function pickByCapacity(candidates: readonly Relay[], random: () => number): Relay | undefined {
  let mark = random() * candidates.reduce((sum, candidate) => sum + weightOf(candidate), 0)
  for (const candidate of candidates) {
    mark -= weightOf(candidate)
    if (mark < 0) return candidate
  }
  return candidates.at(-1)
}
