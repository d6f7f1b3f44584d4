/** Who attacks, and with what: gateways, the provider behind them, middles, each with what it is told and no more. */
import { type AttackOptions, attack, type Place, type Result } from './attack.ts'
import { attackWithChain } from './middleChain.ts'
import type { Recorded } from './records.ts'
import { flowOf, type Log, logsOfGateways, logsOfMiddle, logsOfProvider } from './traces.ts'

export const attackers = ['gateway', 'gateways', 'provider', 'middle', 'middleGateway', 'middleChain'] as const
export type Attacker = (typeof attackers)[number]

export interface Windows {
  /** Of all that was recorded, in milliseconds. */
  readonly length: number
  readonly random: () => number
}

/** What each attacker makes of a window of that length. */
export function attackersOf(
  recorded: Recorded,
  { length, random }: Windows,
): Record<Attacker, (window: number) => Result> {
  const truth = truthOf(recorded)
  const byGateway = [...Map.groupBy(recorded.gateway, ({ gateway }) => gateway).values()]
  const common = { length, random, userOf: truth.userOf }
  const flows = flowsOf(recorded, truth)
  const lazily = <T>(make: () => T) => {
    let made: { readonly value: T } | undefined
    return () => {
      made ??= { value: make() }
      return made.value
    }
  }
  const one = lazily(() => byGateway.map((records): Place => ({ logs: logsOfGateways(records) })))
  const all = lazily(() => [{ logs: logsOfGateways(recorded.gateway) }])
  const provider = lazily(() => [{ logs: logsOfProvider(recorded.provider) }])
  const middles = { ...common, ...flows, places: flows.places }
  return {
    gateway: (window) => attack({ ...common, places: one(), window }),
    gateways: (window) => attack({ ...common, places: all(), window }),
    provider: (window) => attack({ ...common, places: provider(), window }),
    middle: (window) => attack({ ...middles, window }),
    middleGateway: (window) => attack({ ...middles, ...withOneGateway(middles), window }),
    middleChain: (window) => attackWithChain(recorded, { ...truth, length, window, random }),
  }
}

export interface Truth {
  /** Of an account. */
  userOf(account: string): number
  /** Those whose traffic the flow is: more than one where they share a branch, none where it is no account's. */
  accountsOf(flow: string): readonly string[]
}

function truthOf(recorded: Recorded): Truth {
  const users = new Map<string, number>()
  const accountOfBranch = new Map<string, string>()
  for (const { user, account, trunk, number } of recorded.truth) {
    if (account === undefined) continue
    users.set(account, user)
    if (trunk !== undefined) accountOfBranch.set(`${trunk} ${number}`, account)
  }
  const accounts = new Map<string, string>()
  for (const record of recorded.middle) {
    const account = accountOfBranch.get(`${record.trunk} ${record.branch}`)
    if (account !== undefined) accounts.set(flowOf(record), account)
  }
  return {
    userOf: (account) => users.get(account) ?? -1,
    accountsOf: (flow) => {
      const account = accounts.get(flow)
      return account === undefined ? [] : [account]
    },
  }
}

/**
 * What one middle has are flows without names. It knows which belong to one trunk; of two trunks of one user (one is lost,
 * another opened) it has to guess.
 */
function flowsOf(recorded: Recorded, truth: Truth) {
  const byMiddle = [...Map.groupBy(recorded.middle, ({ middle }) => middle).values()]
  const trunks = new Map<number, { from: number; to: number; readonly gateways: Set<string> }>()
  // What comes on a branch that is kept says nothing of how long its trunk stood.
  const leftAt = new Map(
    recorded.middle.filter(({ event }) => event === 'left').map(({ trunk, time }) => [trunk, time]),
  )
  for (const { trunk, time, gateway } of recorded.middle) {
    const known = trunks.get(trunk) ?? { from: time, to: time, gateways: new Set() }
    trunks.set(trunk, known)
    known.from = Math.min(known.from, time)
    known.to = Math.max(known.to, Math.min(time, leftAt.get(trunk) ?? time))
    known.gateways.add(gateway)
  }
  const accountOf = (flow: string) => truth.accountsOf(flow)[0] ?? ''
  const places = byMiddle.map((records): Place => {
    const logs = [...logsOfMiddle(records)].filter(([flow]) => accountOf(flow) !== '')
    return { logs: new Map<string, Log>(logs) }
  })
  const more = (a: string, b: string) => {
    const [one, other] = [trunkOf(a), trunkOf(b)]
    const [first, second] = [trunks.get(one), trunks.get(other)]
    if (one === other || first === undefined || second === undefined) return trunkFeatures(1, 0, 0)
    const gap = Math.max(first.from, second.from) - Math.min(first.to, second.to)
    const shared = [...first.gateways].filter((each) => second.gateways.has(each)).length
    return trunkFeatures(
      0,
      -Math.log(Math.abs(gap) / 60_000 + 1e-3),
      shared / (first.gateways.size + second.gateways.size - shared),
    )
  }
  return {
    places,
    more,
    userOf: (flow: string) => truth.userOf(accountOf(flow)),
    isPair: (a: string, b: string) => accountOf(a) !== accountOf(b),
  }
}

function trunkFeatures(isSame: number, follows: number, shares: number) {
  return { 'one trunk': isSame, 'one trunk soon after the other': follows, 'gateways that trunks share': shares }
}

/** One gateway of each middle's names the accounts of its flows: one of each pair is such a flow. */
function withOneGateway({ places, random, isPair }: Pick<AttackOptions, 'places' | 'random' | 'isPair'>) {
  const named = new Set<string>()
  for (const { logs } of places) {
    const gateways = [...new Set([...logs.keys()].map(gatewayOf))]
    const gateway = gateways[Math.floor(random() * gateways.length)]
    for (const flow of logs.keys()) if (gatewayOf(flow) === gateway) named.add(flow)
  }
  return { isPair: (a: string, b: string) => isPair?.(a, b) !== false && (named.has(a) || named.has(b)) }
}

function trunkOf(flow: string): number {
  return Number(flow.split(' ')[0])
}

function gatewayOf(flow: string): string {
  return flow.split(' ')[1] ?? ''
}
