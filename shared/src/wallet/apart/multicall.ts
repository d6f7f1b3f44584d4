/**
 * Multicall3 (https://github.com/mds1/multicall), the functions that pass on no ether.
 *
 * Failures stay as they are: a call that may fail fails in its piece as it would in the whole; one that may not reverts
 * its piece with the words with which it would revert the whole ("Multicall3: call failed"). Gas does not: each piece has
 * what the whole had, so a batch that runs out of gas in one piece may succeed in several.
 */
import { address, array, bool, bytes, decode, mapped, record, type Type, word } from '../abi.ts'
import type { Address } from '../call.ts'
import type { OwnAccounts } from '../own.ts'
import { balancesOf, splitBalances } from './balances.ts'
import { joinReturned, mostDigits, mostPieces, type Piece, type Pieces } from './pieces.ts'
import { isView, selectorDigits, selectorOf } from './views.ts'

/** Where it is: the same address nearly everywhere, another on chains of the ZK Stack. */
const contracts: ReadonlySet<Address> = new Set<Address>([
  '0xca11bde05977b3631167028862be2a173976ca11',
  '0xf9cda624fbc7e059355ce98a31693d299facd963',
])

interface SubCall {
  readonly target: Address
  /** Said of each call by aggregate3. */
  readonly mayFail?: boolean
  readonly data: string
}

interface Batch {
  /** Said of all calls by the functions that try. */
  readonly requireSuccess?: boolean
  readonly calls: readonly SubCall[]
}

interface Result {
  readonly success: boolean
  readonly data: string
}

interface Answer {
  /** The block, where the function tells it. */
  readonly number?: string
  readonly hash?: string
  readonly results: readonly Result[]
}

interface Kind {
  readonly input: Type<Batch>
  readonly output: Type<Answer>
}

const calls = array(record({ target: address, data: bytes }))
const flaggedCalls = array(record({ target: address, mayFail: bool, data: bytes }))
const results = array(record({ success: bool, data: bytes }))
/** Where all have succeeded, or there is no answer. */
const successes = array(
  mapped(
    bytes,
    (data): Result => ({ success: true, data }),
    ({ data }) => data,
  ),
)

const kinds: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  [
    selectorOf('aggregate((address,bytes)[])'),
    { input: record({ calls }), output: record({ number: word, results: successes }) },
  ],
  [
    selectorOf('aggregate3((address,bool,bytes)[])'),
    { input: record({ calls: flaggedCalls }), output: record({ results }) },
  ],
  [
    selectorOf('tryAggregate(bool,(address,bytes)[])'),
    { input: record({ requireSuccess: bool, calls }), output: record({ results }) },
  ],
  [
    selectorOf('blockAndAggregate((address,bytes)[])'),
    { input: record({ calls }), output: record({ number: word, hash: word, results }) },
  ],
  [
    selectorOf('tryBlockAndAggregate(bool,(address,bytes)[])'),
    { input: record({ requireSuccess: bool, calls }), output: record({ number: word, hash: word, results }) },
  ],
])

/** The calls in `data` (calldata, digits without 0x), if it is such a batch. */
export function batchOf(data: string): Batch | undefined {
  const kind = kindOf(data)
  return kind && decode(kind.input, data.slice(selectorDigits))
}

function kindOf(data: string): Kind | undefined {
  return kinds.get(data.slice(0, selectorDigits).toLowerCase())
}

/** A result of the whole comes from one piece, or is joined from several. */
interface Place {
  readonly index: number
  /** Which of the pieces of that call. */
  readonly piece: number
  readonly data: string
}

/** @param isInner in another batch: then no further batch is looked into */
export function splitBatch(target: Address, data: string, own: OwnAccounts, isInner = false): Pieces | undefined {
  const kind = contracts.has(target) ? kindOf(data) : undefined
  const batch = batchOf(data)
  if (kind === undefined || batch === undefined) return undefined
  const { calls } = batch
  const selector = data.slice(0, selectorDigits)
  const places = new Map<Address | undefined, Place[]>()
  const inner: Pieces[] = []
  let digits = 0
  for (const [index, call] of calls.entries()) {
    const split = splitSubCall(call, own, isInner)
    if (split === undefined) return undefined
    inner.push(split)
    for (const [piece, { account, data }] of split.pieces.entries()) {
      const group = places.get(account) ?? []
      places.set(account, group)
      group.push({ index, piece, data })
      digits += data.length
    }
    if (digits > mostDigits || places.size > mostPieces) return undefined
  }
  const groups = [...places.values()]
  const pieces = [...places].map(([account, group]): Piece => {
    const chosen = group.map(({ index, data }) => ({ ...(calls[index] as SubCall), data }))
    return { account, data: selector + kind.input.write({ ...batch, calls: chosen }) }
  })
  return { pieces, join: (returned) => joinBatch(returned, groups, inner, kind) }
}

function joinBatch(
  returned: readonly string[],
  groups: readonly (readonly Place[])[],
  inner: readonly Pieces[],
  { output }: Kind,
): string | undefined {
  const found: Result[][] = inner.map(() => [])
  let first: Answer | undefined
  for (const [which, group] of groups.entries()) {
    const answer = decode(output, returned[which] ?? '')
    if (answer === undefined || answer.results.length !== group.length) return undefined
    first ??= answer
    // Another block's answer.
    if (answer.number !== first.number || answer.hash !== first.hash) return undefined
    for (const [at, { index, piece }] of group.entries()) {
      const results = found[index] as Result[]
      results[piece] = answer.results[at] as Result
    }
  }
  const results: Result[] = []
  for (const [index, split] of inner.entries()) {
    const result = joinResult(found[index] as Result[], split)
    if (result === undefined) return undefined
    results.push(result)
  }
  return output.write({ ...first, results })
}

/** A call in the batch that was itself taken apart fails as the first of its pieces that fails. */
function joinResult(found: readonly Result[], split: Pieces): Result | undefined {
  const failed = found.find(({ success }) => !success)
  if (failed !== undefined) return failed
  const data = joinReturned(
    split,
    found.map(({ data }) => data),
  )
  return data === undefined ? undefined : { success: true, data }
}

/** As it is where it names one account or none, else taken apart itself; undefined where it may write or cannot be. */
function splitSubCall(call: SubCall, own: OwnAccounts, isInner: boolean): Pieces | undefined {
  const { target, data } = call
  const named = own.namedInValue([target, data])
  if (named.length > 1) return splitBalances(data, own) ?? (isInner ? undefined : splitBatch(target, data, own, true))
  if (!onlyReads(call, isInner)) return undefined
  return { pieces: [{ account: named[0], data }], join: ([only]) => only }
}

function onlyReads({ target, data }: SubCall, isInner: boolean): boolean {
  if (isView(data) || balancesOf(data) !== undefined) return true
  if (isInner || !contracts.has(target)) return false
  return batchOf(data)?.calls.every((call) => onlyReads(call, true)) ?? false
}
