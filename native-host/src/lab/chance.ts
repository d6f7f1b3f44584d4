/** Chance that is the same on every run with the same seed (mulberry32), in the shapes that the lab's models need. */

export interface Chance {
  /** A number in [0, 1). */
  next(): number
  between(least: number, most: number): number
  /** Exponential with this mean. */
  waiting(mean: number): number
  /** How often something comes that comes `mean` times on average (Poisson). */
  count(mean: number): number
  /** A whole number in [0, count). */
  index(count: number): number
  pick<T>(items: readonly T[]): T
  /** Chance of its own: what is drawn there changes nothing here. */
  fork(label: number): Chance
}

export function chanceOf(seed: number): Chance {
  let state = Math.imul(seed + 1, 0x9e3779b1)
  function next(): number {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const index = (count: number) => Math.floor(next() * count)
  return {
    next,
    between: (least, most) => least + next() * (most - least),
    waiting: (mean) => -mean * Math.log(1 - next()),
    count(mean) {
      const least = Math.exp(-mean)
      let product = next()
      let count = 0
      for (; product > least; count++) product *= next()
      return count
    },
    index,
    pick: (items) => items[index(items.length)] as (typeof items)[number],
    fork: (label) => chanceOf(Math.imul(seed ^ 0x5bd1e995, 0x85ebca6b) + Math.imul(label + 1, 0xc2b2ae35)),
  }
}
