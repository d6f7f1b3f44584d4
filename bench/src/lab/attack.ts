/**
 * Are these two of one user? Learnt from the pairs of other users, told of pairs that were not learnt from: users are cut
 * in two halves, and each half is told by what the other teaches.
 */
import { type Crowd, crowdOf } from './crowd.ts'
import { type Features, featuresOf, type Prepared, prepare } from './features.ts'
import { type Example, learn } from './regression.ts'
import { aucOf, type Point, rocOf, type Scored } from './score.ts'
import { type Log, traceIn } from './traces.ts'

/** Where one attacker stands: whatever is in one place can be compared, what is in two cannot. */
export interface Place {
  readonly logs: ReadonlyMap<string, Log>
}

export interface AttackOptions {
  readonly places: readonly Place[]
  /** Length of the window, and of all that was recorded, in milliseconds. */
  readonly window: number
  readonly length: number
  /** For scoring: whose the name is. */
  userOf(name: string): number
  /** Whether the question makes sense for the two; two flows of one account are no pair. */
  isPair?(a: string, b: string): boolean
  /** What else the attacker knows of the two. */
  more?(a: string, b: string): Features
  readonly random: () => number
  /** Pairs of different users, at most, in each half. */
  readonly mostPairs?: number
}

export interface Result {
  /** Undefined where there are too few pairs of one user to say. */
  readonly auc: number | undefined
  readonly roc: readonly Point[]
  /** Pairs of one user, and of two, that were told. */
  readonly linked: number
  readonly others: number
  /** What tells most by itself, and the area under its own curve. */
  readonly telling: readonly (readonly [string, number])[]
}

/** With fewer nothing can be learnt, nor measured. */
const fewestLinked = 20

/** Those of one half of the users that one attacker has in one window. */
interface Pool {
  readonly crowd: Crowd
  readonly members: readonly Prepared[]
  readonly half: number
}

type Pair = readonly [Pool, Prepared, Prepared]

export function attack(options: AttackOptions): Result {
  const pools = poolsOf(options)
  const ofHalf = (half: number) => pools.filter((pool) => pool.half === half)
  return judge([0, 1].map((half) => examplesOf(options, ofHalf(half))))
}

/** Each half is told by what the other teaches. */
export function judge(halves: readonly (readonly NamedExample[])[]): Result {
  const linked = halves.flat().filter(({ isLinked }) => isLinked).length
  const others = halves.flat().length - linked
  const isEnough = halves.every((half) => half.filter(({ isLinked }) => isLinked).length >= fewestLinked / 2)
  if (!isEnough || others === 0) return { auc: undefined, roc: [], linked, others, telling: [] }
  const scored = halves.flatMap((half, index) => {
    const model = learn((halves[1 - index] as readonly NamedExample[]).map(valuesOf))
    return half.map((example): Scored => ({ score: model(valuesOf(example).features), isLinked: example.isLinked }))
  })
  return { auc: aucOf(scored), roc: rocOf(scored), linked, others, telling: tellingOf(halves.flat()) }
}

export interface NamedExample {
  readonly features: Features
  readonly isLinked: boolean
}

function valuesOf({ features, isLinked }: NamedExample): Example {
  return { features: Object.values(features), isLinked }
}

function tellingOf(examples: readonly NamedExample[]): Result['telling'] {
  const names = Object.keys(examples[0]?.features ?? {})
  const areas = names.map((name) => {
    const auc = aucOf(examples.map(({ features, isLinked }) => ({ score: features[name] ?? 0, isLinked }))) ?? 0.5
    return [name, Math.max(auc, 1 - auc)] as const
  })
  return areas.sort(([, a], [, b]) => b - a).slice(0, 6)
}

function poolsOf({ places, window, length, userOf }: AttackOptions): readonly Pool[] {
  const pools: Pool[] = []
  for (const { logs } of places) {
    for (let from = 0; from + window <= length; from += window) {
      const to = from + window
      const all: Prepared[] = []
      for (const [name, log] of logs) {
        const trace = traceIn(name, log, from, to)
        if (trace !== undefined) all.push(prepare(trace, from, to))
      }
      const crowd = crowdOf(
        all.map(({ trace }) => trace),
        from,
        to,
      )
      for (const half of [0, 1]) {
        const members = all.filter(({ trace }) => userOf(trace.name) % 2 === half)
        if (members.length > 1) pools.push({ crowd, members, half })
      }
    }
  }
  return pools
}

function examplesOf(options: AttackOptions, pools: readonly Pool[]): readonly NamedExample[] {
  const { mostPairs = 25_000 } = options
  const example = ([{ crowd }, a, b]: Pair, isLinked: boolean): NamedExample => ({
    features: { ...featuresOf(a, b, crowd), ...options.more?.(a.trace.name, b.trace.name) },
    isLinked,
  })
  const linked = sample(linkedPairs(options, pools), mostPairs / 4, options.random)
  return [
    ...linked.map((pair) => example(pair, true)),
    ...otherPairs(options, pools, mostPairs).map((pair) => example(pair, false)),
  ]
}

function linkedPairs({ userOf, isPair }: AttackOptions, pools: readonly Pool[]): Pair[] {
  const pairs: Pair[] = []
  for (const pool of pools) {
    const byUser = Map.groupBy(pool.members, ({ trace }) => userOf(trace.name))
    for (const own of byUser.values()) {
      for (const [index, a] of own.entries()) {
        for (const b of own.slice(index + 1)) {
          if (isPair?.(a.trace.name, b.trace.name) ?? true) pairs.push([pool, a, b])
        }
      }
    }
  }
  return pairs
}

/** Drawn so that each pair of any pool is as likely as another. */
function otherPairs({ userOf, isPair, random }: AttackOptions, pools: readonly Pool[], count: number): Pair[] {
  const sizes = pools.map(({ members }) => members.length * (members.length - 1))
  const total = sizes.reduce((sum, size) => sum + size, 0)
  const pairs: Pair[] = []
  if (pools.every(({ members }) => new Set(members.map(({ trace }) => userOf(trace.name))).size < 2)) return pairs
  for (let tries = 0; pairs.length < Math.min(count, total / 2) && tries < 40 * count; tries++) {
    let mark = random() * total
    const pool = pools.find((_, index) => {
      mark -= sizes[index] as number
      return mark < 0
    })
    if (pool === undefined) continue
    const { members } = pool
    const a = members[Math.floor(random() * members.length)] as Prepared
    const b = members[Math.floor(random() * members.length)] as Prepared
    if (userOf(a.trace.name) === userOf(b.trace.name)) continue
    if (isPair?.(a.trace.name, b.trace.name) ?? true) pairs.push([pool, a, b])
  }
  return pairs
}

/** So many of `items`, each as likely as another; changes their order. */
function sample<T>(items: T[], count: number, random: () => number): readonly T[] {
  const most = Math.min(items.length, Math.floor(count))
  for (let at = 0; at < most; at++) {
    const other = at + Math.floor(random() * (items.length - at))
    ;[items[at], items[other]] = [items[other] as T, items[at] as T]
  }
  return items.slice(0, most)
}
