/**
 * Who of several operators may be asked by which of several groups that have to confirm each other: each operator belongs to
 * one share, and two shares have no operator in common. Which share that is hangs on the operator alone, as far as each
 * share has one by itself, so that others who come and go move nobody.
 */

/**
 * Of `gateways` those of share number `index` of `of`. Where there are fewer operators than shares the last shares are empty.
 * @param keyOf a keyed hash of what it is given: nobody else can foresee who confirms whom
 */
export function shareOf<Gateway extends { readonly operator: string }>(
  gateways: readonly Gateway[],
  { index, of }: { readonly index: number; readonly of: number },
  keyOf: (name: string) => string,
): readonly Gateway[] {
  const operators = [...new Set(gateways.map(({ operator }) => operator))]
  const indices = Array.from({ length: Math.min(of, operators.length) }, (_, each) => each)
  const keyed = (operator: string, share: number) => keyOf(`share ${share} ${operator}`)
  const shares = indices.map((): string[] => [])
  for (const operator of operators) {
    const home = best(indices, (share) => keyed(operator, share))
    shares[home ?? 0]?.push(operator)
  }
  for (const share of indices.filter((each) => shares[each]?.length === 0)) {
    // There are as many operators as shares: where one is empty another has more than one, and lends it.
    const lent = best(shares.filter(({ length }) => length > 1).flat(), (operator) => keyed(operator, share))
    for (const each of shares) if (lent !== undefined && each.includes(lent)) each.splice(each.indexOf(lent), 1)
    if (lent !== undefined) shares[share]?.push(lent)
  }
  return gateways.filter(({ operator }) => shares[index]?.includes(operator) === true)
}

/** The one with the highest key. */
function best<T>(candidates: readonly T[], keyOf: (candidate: T) => string): T | undefined {
  const keyed = candidates.map((candidate) => ({ candidate, key: keyOf(candidate) }))
  return keyed.sort((one, other) => (one.key > other.key ? -1 : 1))[0]?.candidate
}
