/**
 * What two traces have in common beyond chance. Counts are turned into log-likelihood ratios against what the rates of
 * both give by chance (Poisson); what many share at the same moment (a relay that restarts) weighs little.
 */
import { type Crowd, commonBlocks, commonLosses, commonOrigins } from './crowd.ts'
import type { Trace } from './traces.ts'

const second = 1000
const minute = 60 * second

/** A pause that ends a presence, or a burst of questions. */
const absence = 75 * second
const burstPause = 45 * second
/** MetaMask asks for the selected account with this period, whichever that is. */
const period = 30 * second

/** A trace with all that is compared many times. */
export interface Prepared {
  readonly trace: Trace
  readonly presence: readonly Interval[]
  readonly presentFor: number
  readonly starts: readonly number[]
  readonly ends: readonly number[]
  readonly bursts: readonly Interval[]
}

interface Interval {
  readonly from: number
  readonly to: number
}

export function prepare(trace: Trace, from: number, to: number): Prepared {
  const presence = intervals(trace.there, absence)
  const isInside = (time: number) => time > from + absence && time < to - absence
  return {
    trace,
    presence,
    presentFor: lengthOf(presence),
    // What the window cuts is neither a start nor an end.
    starts: presence.map((one) => one.from).filter(isInside),
    ends: presence.map((one) => one.to).filter(isInside),
    bursts: intervals(trace.asked, burstPause),
  }
}

/** By name; the same names in the same order for any two. */
export type Features = Readonly<Record<string, number>>

export function featuresOf(a: Prepared, b: Prepared, crowd: Crowd): Features {
  const window = crowd.to - crowd.from
  const [one, other] = [a.trace, b.trace]
  const common = overlapOf(a.presence, b.presence)
  const either = a.presentFor + b.presentFor - common
  const asked = (reach: number) => {
    // By chance, given when both were there at all: else every common session would count again for each event in it.
    const rate = ({ trace, presentFor }: Prepared) => trace.asked.length / (presentFor + minute)
    const expected = rate(a) * rate(b) * (common + minute) * 2 * reach
    return surprise(matches(one.asked, other.asked, reach), Math.max(expected, 0.01))
  }
  const meet = (some: readonly number[], others: readonly number[], reach: number) =>
    surprise(matches(some, others, reach), (some.length * others.length * 2 * reach) / window + 0.01)
  const closed = commonLosses(one.closed, other.closed, crowd)
  const blocks = commonBlocks(one, other, crowd)
  const origins = commonOrigins(one, other, crowd)
  const fewer = (some: readonly number[], others: readonly number[]) =>
    Math.max(1, Math.min(some.length, others.length))
  return {
    'asked within 0.1 s': asked(0.1 * second),
    'asked within 1 s': asked(second),
    'asked within 2 s': asked(2.2 * second),
    'asked within 10 s': asked(10 * second),
    'asked within 60 s': asked(minute),
    'share asked within 2 s': matches(one.asked, other.asked, 2.2 * second) / fewer(one.asked, other.asked),
    'asked in one order': orderOf(one.asked, other.asked),
    'asked in one rhythm': phaseOf(one.asked, other.asked),
    'one selected after the other': handOver(a, b, window),
    'begin within 2 s': meet(a.starts, b.starts, 2 * second),
    'begin within 15 s': meet(a.starts, b.starts, 15 * second),
    'begin within 2 min': meet(a.starts, b.starts, 130 * second),
    'end within 2 s': meet(a.ends, b.ends, 2 * second),
    'end within 1 min': meet(a.ends, b.ends, minute),
    'end within 10 min': meet(a.ends, b.ends, 10 * minute),
    'closest begin': nearest(a.starts, b.starts),
    'closest end': nearest(a.ends, b.ends),
    'share there together': common / Math.max(either, 1),
    'there together beyond chance': Math.log(
      (common / window + 1e-3) / ((a.presentFor * b.presentFor) / window ** 2 + 1e-3),
    ),
    'there as long': Math.min(a.presentFor, b.presentFor) / Math.max(a.presentFor, b.presentFor, 1),
    'branches opened within 0.5 s': meet(one.opened, other.opened, 0.5 * second),
    'branches opened within 30 s': meet(one.opened, other.opened, 30 * second),
    'came back within 5 min': meet(one.returned, other.returned, 5 * minute),
    'came back within 30 min': meet(one.returned, other.returned, 30 * minute),
    'branches lost together': closed.weight,
    'share of branches lost together': closed.count / fewer(one.closed, other.closed),
    'errors within 10 s': matches(one.errors, other.errors, 10 * second),
    'rare blocks asked for': blocks.weight,
    'share of blocks asked for': blocks.share,
    'same kinds and sizes': likeness(one.kinds, other.kinds),
    'comes from the same relays': origins.weight,
    'share of relays it comes from': origins.share,
    'named together': one.shared.length === 0 ? 0 : countCommon(one.shared, other.shared),
  }
}

/** Signed log-likelihood ratio of seeing `count` where `expected` come by chance. */
function surprise(count: number, expected: number): number {
  const ratio = count === 0 ? expected : count * Math.log(count / expected) - (count - expected)
  return count >= expected ? ratio : -ratio
}

/** How many of both can be paired within `reach`, each once; both ascend. */
function matches(one: readonly number[], other: readonly number[], reach: number): number {
  let count = 0
  for (let i = 0, j = 0; i < one.length && j < other.length; ) {
    const difference = (one[i] as number) - (other[j] as number)
    if (Math.abs(difference) <= reach) {
      count += 1
      i += 1
      j += 1
    } else if (difference < 0) i += 1
    else j += 1
  }
  return count
}

function countCommon(one: readonly number[], other: readonly number[]): number {
  const all = new Set(one)
  return other.filter((item) => all.has(item)).length
}

/** Whether what they are asked together always has the same one first. */
function orderOf(one: readonly number[], other: readonly number[]): number {
  let sum = 0
  let count = 0
  for (let i = 0, j = 0; i < one.length && j < other.length; ) {
    const difference = (one[i] as number) - (other[j] as number)
    if (Math.abs(difference) <= 3 * second) {
      sum += Math.sign(difference)
      count += 1
      i += 1
      j += 1
    } else if (difference < 0) i += 1
    else j += 1
  }
  return count === 0 ? 0 : Math.abs(sum) / Math.sqrt(count)
}

/** Whether one is asked for in the rhythm of the other, in the minutes after it. */
function phaseOf(one: readonly number[], other: readonly number[]): number {
  const reach = 0.3 * second
  const longest = 10 * minute
  let count = 0
  let looked = 0
  for (const [first, then] of [
    [one, other],
    [other, one],
  ] as const) {
    for (let i = 0, j = 0; i < first.length; i++) {
      const time = first[i] as number
      while (j < then.length && (then[j] as number) <= time + 5 * second) j += 1
      const next = then[j]
      if (next === undefined) break
      if (next - time > longest) continue
      looked += 1
      const off = (next - time) % period
      if (off < reach || off > period - reach) count += 1
    }
  }
  return surprise(count, (looked * 2 * reach) / period + 0.01)
}

/** Whether questions about one begin where those about the other end: another account was selected. */
function handOver(a: Prepared, b: Prepared, window: number): number {
  const ends = (one: Prepared) => one.bursts.map(({ to }) => to)
  const starts = (one: Prepared) => one.bursts.map(({ from }) => from)
  const reach = 20 * second
  const after = (times: readonly number[]) => times.map((time) => time + 15 * second)
  const count = matches(after(ends(a)), starts(b), reach) + matches(after(ends(b)), starts(a), reach)
  return surprise(count, (a.bursts.length * b.bursts.length * 4 * reach) / window + 0.01)
}

/** How close the closest two are; 0 where there are none. */
function nearest(one: readonly number[], other: readonly number[]): number {
  let least = Number.POSITIVE_INFINITY
  for (let i = 0, j = 0; i < one.length && j < other.length; ) {
    const difference = (one[i] as number) - (other[j] as number)
    least = Math.min(least, Math.abs(difference))
    if (difference < 0) i += 1
    else j += 1
  }
  return least === Number.POSITIVE_INFINITY ? 0 : -Math.log((least + 100) / (20 * minute))
}

/** Cosine of the angle between what they are asked for, by kind and size. */
function likeness(one: ReadonlyMap<string, number>, other: ReadonlyMap<string, number>): number {
  let product = 0
  for (const [kind, count] of one) product += count * (other.get(kind) ?? 0)
  const norm = (kinds: ReadonlyMap<string, number>) => Math.hypot(...kinds.values())
  return product === 0 ? 0 : product / (norm(one) * norm(other))
}

function intervals(times: readonly number[], gap: number): readonly Interval[] {
  const found: { from: number; to: number }[] = []
  for (const time of times) {
    const last = found.at(-1)
    if (last === undefined || time - last.to > gap) found.push({ from: time, to: time })
    else last.to = time
  }
  return found
}

function lengthOf(some: readonly Interval[]): number {
  return some.reduce((sum, { from, to }) => sum + to - from, 0)
}

function overlapOf(one: readonly Interval[], other: readonly Interval[]): number {
  let sum = 0
  for (let i = 0, j = 0; i < one.length && j < other.length; ) {
    const a = one[i] as Interval
    const b = other[j] as Interval
    sum += Math.max(0, Math.min(a.to, b.to) - Math.max(a.from, b.from))
    if (a.to < b.to) i += 1
    else j += 1
  }
  return sum
}
