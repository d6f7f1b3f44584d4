/** What one exit carries of the published list: an operator may take away from it, and never add to it. */
import { findHost, isBelow, type ListedHost, normaliseHost } from './hostList.ts'

/** As a descriptor holds it. */
export interface ExitPolicy {
  /** `listDigest` of the list that the exit has. */
  readonly list: Uint8Array
  /** Those it carries. As text, since an exit may be newer than its client and know others. */
  readonly categories: readonly string[]
  /** Suffixes that it leaves out, wherever they stand in the list. */
  readonly without: readonly string[]
}

/** Whether the exit carries `name`, as far as its list and `list` agree. */
export function allows(
  { categories, without }: Omit<ExitPolicy, 'list'>,
  name: string,
  list?: readonly ListedHost[],
): boolean {
  const host = normaliseHost(name)
  const entry = findHost(name, list)
  if (host === undefined || entry === undefined || !categories.includes(entry.category)) return false
  return !without.some((suffix) => isBelow(host, suffix))
}
