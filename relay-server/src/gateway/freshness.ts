/**
 * Which providers of a chain are behind: by what the others have, and by the clock where the operator says how old a head
 * may be. All were asked at the same time.
 */
import { second } from '@nightjar/shared/runtime'

export interface KnownHead {
  readonly number: bigint
  /** Milliseconds since the Unix epoch. */
  readonly time: number
}

/**
 * A head may be this much older than the newest of the others. A head from after the clock counts for nothing, and those of
 * live chains are less than this behind it: so a provider that lies about its head does not make the others look stale.
 */
const longestLag = 60 * second
const clockAllowance = 15 * second
/** One block behind is a matter of milliseconds, even on a chain that makes blocks rarely. */
const blocksBehind = 2n

/** For each of `heads` whether it is stale; undefined heads, of providers that did not answer, are not. */
export function findStale(
  heads: readonly (KnownHead | undefined)[],
  now: number,
  maxAge: number | undefined,
): readonly boolean[] {
  const believable = heads.filter((head) => head !== undefined && head.time <= now + clockAllowance) as KnownHead[]
  return heads.map((head) => {
    if (head === undefined) return false
    if (maxAge !== undefined && now - head.time > maxAge) return true
    return believable.some(({ number, time }) => number >= head.number + blocksBehind && time - head.time > longestLag)
  })
}
