/**
 * Which gateways the state keeps for each group: its own and one that stands in for it, given when the group first asks, and
 * a third where it came to that, as both were away. An account is known to each gateway that it ever met: so it meets no
 * new one while those it has can be asked.
 *
 * What is kept lapses once it was not used for some weeks, each after a time of its own: else all accounts of a user would
 * move to others together, as all were given theirs on the same day.
 */
import type { Relay } from '@nightjar/shared/directory'
import { day } from '@nightjar/shared/runtime'
import type { State } from '../state/store.ts'

/** Its own, and one that stands in while that is away. */
export const gatewaysPerGroup = 2
/** With the one that it met while both were away. */
export const mostPerGroup = 3
/** For a thousand groups; those that were not used for longest are forgotten first. */
const assignmentsKept = 1000 * gatewaysPerGroup
const shortestLapse = 30 * day
const longestLapse = 60 * day

export interface Asking {
  /** As the state calls it (groupHash). */
  readonly group: string
  /** Milliseconds since the Unix epoch. */
  readonly now: number
  /** A number in [0, 1). */
  random(): number
}

type Assignment = State['gateways'][number]

/** Those that have not lapsed: of one group in the order in which they are asked. */
export function currentAssignments(state: State, now: number): readonly Assignment[] {
  return state.gateways.filter(({ usedOn, lapse }) => now <= usedOn + lapse)
}

/**
 * The group is going to ask: makes the first two of its ranking its own gateway and its stand-in, where they are not yet,
 * and puts off the end of all that it may ask. Says whether `state` changed.
 * One that cannot be asked now, as it has left the document, stays the group's until it lapses: it may come back.
 */
export function assignGateways(state: State, asking: Asking, ranked: readonly Relay[]): boolean {
  const { group, now } = asking
  const current = currentAssignments(state, now)
  const own = current.filter((each) => each.group === group)
  const added = ranked.slice(0, gatewaysPerGroup).filter(({ id }) => !own.some(({ relay }) => relay === id))
  const today = dayOf(now)
  const isDue = ({ relay, usedOn }: Assignment) => usedOn !== today && ranked.some(({ id }) => id === relay)
  if (added.length === 0 && !own.some(isDue)) return false
  keep(state, current, group, [
    ...own.map((each) => (isDue(each) ? { ...each, usedOn: today } : each)),
    ...added.map((relay) => assignmentOf(relay, asking)),
  ])
  return true
}

/**
 * The group has met `gateway`: keeps it too, unless there are three already that it could ask instead. Says whether `state`
 * changed. `relayOf` knows the relays of the network document. Nothing is kept for a group that was never given any: it asks
 * once only, or confirms what others say.
 */
export function keepGateway(
  state: State,
  asking: Asking,
  gateway: Relay,
  relayOf: (identity: string) => Relay | undefined,
): boolean {
  const { group, now } = asking
  const current = currentAssignments(state, now)
  const own = current.filter((each) => each.group === group)
  const rivals = own.filter(({ relay }) => relayOf(relay)?.chains.some((chain) => gateway.chains.includes(chain)))
  const isKnown = own.some(({ relay }) => relay === gateway.id)
  if (isKnown || rivals.length === 0 || rivals.length >= mostPerGroup) return false
  keep(state, current, group, [...own, assignmentOf(gateway, asking)])
  return true
}

/** Behind those of the groups that were used less lately. */
function keep(state: State, current: readonly Assignment[], group: string, own: readonly Assignment[]): void {
  const others = current.filter((each) => each.group !== group)
  state.gateways = [...others, ...own].slice(-assignmentsKept)
}

function assignmentOf({ id }: Relay, { group, now, random }: Asking): Assignment {
  const lapse = Math.round(shortestLapse + random() * (longestLapse - shortestLapse))
  return { group, relay: id, usedOn: dayOf(now), lapse }
}

/** The file need not tell at which hours somebody was there. */
function dayOf(now: number): number {
  return Math.floor(now / day) * day
}
