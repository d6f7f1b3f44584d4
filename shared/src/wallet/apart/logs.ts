/**
 * `eth_getLogs` that names several own accounts in one place of its filter: the addresses, or one position of the topics.
 * The alternatives at that place are dealt out by account, so each log answers one part, and the union in the chain's
 * order is the answer. (A node's limit on the number of logs holds for each part, so the whole may be larger than a node
 * would give.)
 */
import { type Address, isObject, type Json, type JsonObject, type Outcome } from '../call.ts'
import type { OwnAccounts } from '../own.ts'
import { mostPieces } from './pieces.ts'

export interface FilterSplit {
  /** Alternatives, by the account that they name. */
  readonly pieces: readonly { readonly account: Address | undefined; readonly value: readonly string[] }[]
  /** The filter with other alternatives in their place. */
  filterWith(value: Json): JsonObject
}

export function splitFilter(filter: JsonObject, own: OwnAccounts): FilterSplit | undefined {
  const topics: readonly Json[] = Array.isArray(filter.topics) ? filter.topics : []
  for (const [index, values] of [filter.address, ...topics].entries()) {
    const dealt = deal(values, own)
    if (dealt === undefined) continue
    return {
      pieces: [...dealt].map(([account, value]) => ({ account, value })),
      filterWith: (value) =>
        index === 0 ? { ...filter, address: value } : { ...filter, topics: topics.with(index - 1, value) },
    }
  }
  return undefined
}

/** The alternatives by the account that they name; undefined where they name fewer than two, or are no plain list. */
function deal(
  values: Json | undefined,
  own: OwnAccounts,
): ReadonlyMap<Address | undefined, readonly string[]> | undefined {
  if (!Array.isArray(values)) return undefined
  const dealt = new Map<Address | undefined, string[]>()
  for (const value of values as readonly Json[]) {
    // A null among alternatives matches everything.
    if (typeof value !== 'string') return undefined
    const [account, second] = own.namedInValue(value)
    if (second !== undefined) return undefined
    const group = dealt.get(account) ?? []
    dealt.set(account, group)
    group.push(value)
  }
  const accounts = dealt.size - (dealt.has(undefined) ? 1 : 0)
  return accounts < 2 || dealt.size > mostPieces ? undefined : dealt
}

/** All logs in the order of the chain, each once; undefined where they are none. */
export function joinLogs(results: readonly Json[]): Outcome | undefined {
  const logs = new Map<string, { readonly position: readonly number[]; readonly log: Json }>()
  for (const result of results) {
    if (!Array.isArray(result)) return undefined
    for (const log of result as readonly Json[]) {
      const position = positionOf(log)
      if (position === undefined || !isObject(log)) return undefined
      logs.set(`${log.blockHash} ${position}`, { position, log })
    }
  }
  const sorted = [...logs.values()].sort((one, other) => compare(one.position, other.position))
  return { result: sorted.map(({ log }) => log) }
}

/** Block, transaction in it, log in the block. */
function positionOf(log: Json): readonly number[] | undefined {
  if (!isObject(log)) return undefined
  const fields = [log.blockNumber, log.transactionIndex, log.logIndex]
  const position = fields.map((field) =>
    typeof field === 'string' && /^0x[0-9a-f]{1,13}$/i.test(field) ? Number(field) : -1,
  )
  return position.includes(-1) ? undefined : position
}

function compare(one: readonly number[], other: readonly number[]): number {
  const differing = one.findIndex((number, index) => number !== other[index])
  return differing < 0 ? 0 : (one[differing] as number) - (other[differing] as number)
}
