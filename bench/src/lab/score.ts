/** How well scores tell pairs of one user from pairs of two. */

export interface Scored {
  readonly score: number
  readonly isLinked: boolean
}

export interface Point {
  readonly falsePositives: number
  readonly truePositives: number
}

/**
 * The chance that a pair of one user has a higher score than a pair of two; half for equal ones. Exact, by ranks
 * (Mann–Whitney). Undefined where there are none of either.
 */
export function aucOf(pairs: readonly Scored[]): number | undefined {
  const sorted = pairs.toSorted((a, b) => a.score - b.score)
  let linked = 0
  let ranks = 0
  for (let from = 0; from < sorted.length; ) {
    let to = from
    let tied = 0
    for (; to < sorted.length && sorted[to]?.score === sorted[from]?.score; to++) if (sorted[to]?.isLinked) tied += 1
    linked += tied
    // Ranks from 1; equal scores share the mean of theirs.
    ranks += tied * ((from + 1 + to) / 2)
    from = to
  }
  const others = sorted.length - linked
  if (linked === 0 || others === 0) return undefined
  return (ranks - (linked * (linked + 1)) / 2) / (linked * others)
}

/** The receiver operating characteristic, from (0, 0) to (1, 1). */
export function rocOf(pairs: readonly Scored[]): readonly Point[] {
  const sorted = pairs.toSorted((a, b) => b.score - a.score)
  const linked = sorted.filter(({ isLinked }) => isLinked).length
  const others = sorted.length - linked
  const points: Point[] = [{ falsePositives: 0, truePositives: 0 }]
  let found = 0
  for (const [index, { score, isLinked }] of sorted.entries()) {
    if (isLinked) found += 1
    if (sorted[index + 1]?.score === score) continue
    points.push({ falsePositives: (index + 1 - found) / others, truePositives: found / linked })
  }
  return points
}

/** Of the pairs of one user, how many are found where at most `rate` of the others are taken for such. */
export function truePositivesAt(rate: number, roc: readonly Point[]): number {
  return Math.max(
    ...roc.filter(({ falsePositives }) => falsePositives <= rate).map(({ truePositives }) => truePositives),
  )
}
