/** What is known of all whom an attacker has in a window, and so how rare a thing is that two of them have in common. */
import type { Trace } from './traces.ts'

export interface Crowd {
  readonly from: number
  readonly to: number
  readonly size: number
  /** By number of the block, how many asked for it. */
  readonly blocks: ReadonlyMap<number, number>
  /** By relay, how many come from it. */
  readonly origins: ReadonlyMap<string, number>
  /** All times at which branches were lost. */
  readonly closed: readonly number[]
}

export function crowdOf(all: readonly Trace[], from: number, to: number): Crowd {
  const blocks = countsOf(all.map((trace) => new Set(trace.blocks.filter((block) => !Number.isNaN(block)))))
  const origins = countsOf(all.map((trace) => trace.origins))
  const closed = all.flatMap((trace) => trace.closed).sort((a, b) => a - b)
  return { from, to, size: all.length, blocks, origins, closed }
}

/** Branches lost at the same moment, each weighed by how few others were lost then. */
export function commonLosses(one: readonly number[], other: readonly number[], crowd: Crowd) {
  const reach = 300
  let weight = 0
  let count = 0
  for (let i = 0, j = 0; i < one.length && j < other.length; ) {
    const time = one[i] as number
    const difference = time - (other[j] as number)
    if (Math.abs(difference) <= reach) {
      const lost = firstAt(crowd.closed, time + reach) - firstAt(crowd.closed, time - reach)
      weight += Math.log(crowd.size / Math.max(lost, 1))
      count += 1
      i += 1
      j += 1
    } else if (difference < 0) i += 1
    else j += 1
  }
  return { weight, count }
}

/** Blocks that both were asked for, each weighed by how few others were. */
export function commonBlocks(one: Trace, other: Trace, { blocks, size }: Crowd) {
  return commonAmong(new Set(one.blocks), new Set(other.blocks), blocks, size)
}

/** Relays that both come from, each weighed by how few others do. */
export function commonOrigins(one: Trace, other: Trace, { origins, size }: Crowd) {
  return commonAmong(one.origins, other.origins, origins, size)
}

/** @param counts how many have each; what is not there does not count */
function commonAmong<T>(one: ReadonlySet<T>, other: ReadonlySet<T>, counts: ReadonlyMap<T, number>, size: number) {
  const weights = [...other].flatMap((item) => {
    const count = one.has(item) ? counts.get(item) : undefined
    return count === undefined ? [] : [Math.log(size / count)]
  })
  const fewer = Math.min(one.size, other.size)
  const weight = weights.reduce((sum, each) => sum + each, 0)
  return { weight, share: fewer === 0 ? 0 : weights.length / fewer }
}

function countsOf<T>(sets: readonly ReadonlySet<T>[]): ReadonlyMap<T, number> {
  const counts = new Map<T, number>()
  for (const item of sets.flatMap((set) => [...set])) counts.set(item, (counts.get(item) ?? 0) + 1)
  return counts
}

/** Index of the first time at or after `time`, in times that ascend. */
export function firstAt(times: readonly number[], time: number): number {
  let low = 0
  let high = times.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((times[middle] as number) < time) low = middle + 1
    else high = middle
  }
  return low
}
