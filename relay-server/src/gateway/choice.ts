/** In which order the providers of a chain are asked: the first is chosen by the operator's strategy. */

export const strategies = ['weighted', 'round-robin', 'least-connections'] as const
export type Strategy = (typeof strategies)[number]

export interface Candidate {
  /** Share of the requests, beside the other candidates. */
  readonly weight: number
  /** Questions that it has not answered yet. */
  readonly underWay: number
}

/** Puts candidates in order; the first is the chosen one. */
export type Choose = <T extends Candidate>(candidates: readonly T[]) => readonly T[]

/** @param random a number in [0, 1) */
export function createChoice(strategy: Strategy, random: () => number): Choose {
  switch (strategy) {
    case 'weighted':
      return (candidates) => firstBy(candidates, byChance(candidates, random))
    case 'round-robin':
      return inTurn()
    case 'least-connections':
      return (candidates) => byLoad(candidates, random)
  }
}

/** The rest follows as configured. */
function firstBy<T>(candidates: readonly T[], first: T | undefined): readonly T[] {
  return first === undefined ? candidates : [first, ...candidates.filter((other) => other !== first)]
}

function byChance<T extends Candidate>(candidates: readonly T[], random: () => number): T | undefined {
  let mark = random() * candidates.reduce((sum, { weight }) => sum + weight, 0)
  return candidates.find(({ weight }) => {
    mark -= weight
    return mark < 0
  })
}

/** Smooth weighted round-robin, as nginx does it: each gains its weight, the one that has most is chosen and pays all. */
function inTurn(): Choose {
  const gained = new Map<Candidate, number>()
  return (candidates) => {
    const total = candidates.reduce((sum, { weight }) => sum + weight, 0)
    for (const each of candidates) gained.set(each, (gained.get(each) ?? 0) + each.weight)
    const most = (one: Candidate, other: Candidate) => ((gained.get(other) ?? 0) > (gained.get(one) ?? 0) ? other : one)
    const [first, ...rest] = candidates
    if (first === undefined) return candidates
    // `reduce` gives the type of what it begins with.
    const chosen = rest.reduce<Candidate>(most, first) as (typeof candidates)[number]
    gained.set(chosen, (gained.get(chosen) ?? 0) - total)
    return firstBy(candidates, chosen)
  }
}

/** Those with fewer questions under way for their weight first; chance decides among equals. */
function byLoad<T extends Candidate>(candidates: readonly T[], random: () => number): readonly T[] {
  const load = ({ underWay, weight }: Candidate) => underWay / weight
  const shifted = Math.floor(random() * candidates.length)
  const rotated = [...candidates.slice(shifted), ...candidates.slice(0, shifted)]
  return rotated.sort((one, other) => load(one) - load(other))
}
