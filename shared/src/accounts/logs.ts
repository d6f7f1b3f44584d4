/**
 * eth_getLogs about one account: asked of its own gateway, and checked block by block, so that none can be left out. A block
 * whose bloom shuts the filter out has no such log; of the others the receipts are asked for where the heads are.
 *
 * Left out: long ranges, and many blocks that may have such logs. Those are used as they are, and counted unverified.
 */
import { asNightjarError, NightjarError } from '../errors/index.ts'
import { type Header, mayHoldLogs, verifyLogs } from '../proofs/index.ts'
import type { Call, Json, Outcome } from '../rpc/index.ts'
import { accountGroup } from './context.ts'
import type { Heads } from './heads.ts'
import { isObject, isSafeQuantity } from './json.ts'
import { askOwn, hashAt, hashLater, namesIn, type ReadingOptions } from './reading.ts'

/** Blocks of a range. */
const mostBlocks = 16
/** Blocks of a range whose receipts are asked for. */
const mostLists = 4

export interface LogsOptions extends ReadingOptions {
  readonly heads: Pick<Heads, 'agree' | 'receipts'>
}

export interface ReadLogs {
  readonly outcome: Outcome
  readonly trust: 'verified' | 'unverified'
}

export type LogsVerdict =
  | { readonly kind: 'verified' }
  /** Outside of the bounds above, or the blocks could not be had. */
  | { readonly kind: 'unverified' }
  /** As far as the gateway speaks of that block. */
  | { readonly kind: 'lie'; readonly what: string; readonly block: Header }

/** @throws NightjarError `answer-refuted`, and what keeps the gateway from answering */
export async function readLogs(options: LogsOptions, call: Call): Promise<ReadLogs> {
  try {
    return await readOnce(options, call)
  } catch (error) {
    if (asNightjarError(error).code !== 'answer-refuted') throw error
    // That gateway is left by now; the next one may be right.
    return readOnce(options, call)
  }
}

async function readOnce(options: LogsOptions, call: Call): Promise<ReadLogs> {
  const { account, chain, heads, trust } = options
  const { outcome } = await askOwn(options, call)
  const first = await proveLogs(options, call, outcome)
  if (first.kind !== 'lie') return { outcome, trust: first.kind }
  // An answer does not say of which blocks it is. Its gateway may have been behind, or ahead of a chain that has changed: so it
  // is asked again, between two looks at which block it has.
  const number = Number(first.block.number)
  const hash = await hashLater(options, number)
  if (hash !== undefined && hash !== first.block.hash) await heads.agree(number, hash)
  const again = await askOwn(options, call)
  const second = await proveLogs(options, call, again.outcome)
  if (second.kind !== 'lie') return { outcome: again.outcome, trust: second.kind }
  const { gateway } = again
  const isOfThatBlock = second.block.hash === hash && (await hashAt(options, number)) === hash
  if (isOfThatBlock)
    trust.lie({ group: accountGroup(account), gateway, chain, what: second.what, evidence: { call, again } })
  else trust.disagree({ chain, what: 'watch', number, gateways: namesIn(gateway) })
  throw new NightjarError('answer-refuted')
}

/** @param outcome what the gateway said to `call` */
export async function proveLogs(options: LogsOptions, call: Call, outcome: Outcome): Promise<LogsVerdict> {
  const { heads } = options
  const filter = Array.isArray(call.params) ? (call.params as readonly Json[])[0] : undefined
  const range = rangeOf(filter)
  const logs = 'result' in outcome && Array.isArray(outcome.result) ? (outcome.result as readonly Json[]) : undefined
  if (range === undefined || logs === undefined) return unverified
  const headers = await headersOf(heads, range)
  const last = headers?.at(-1)
  if (headers === undefined || last === undefined) return unverified

  const numbers = logs.map(numberOf)
  const isOutside = (number: number) => number < range.from || number > range.to
  if (numbers.some(isOutside)) return { kind: 'lie', what: 'log-added', block: last }
  if (numbers.some((number, index) => number < (numbers[index - 1] ?? 0)))
    return { kind: 'lie', what: 'log-order', block: last }

  const open: Header[] = []
  const inBlock = ({ number }: Header) => logs.filter((_, index) => numbers[index] === Number(number))
  for (const header of headers) {
    const may = await mayHoldLogs(filter, header)
    if (may.kind !== 'verified') return unverified
    if (may.value) open.push(header)
    else if (inBlock(header).length > 0) return { kind: 'lie', what: 'log-added', block: header }
  }
  if (open.length > mostLists) return unverified
  const verdicts = await Promise.all(open.map((header) => proveBlock(options, filter, header, inBlock(header))))
  return verdicts.find(({ kind }) => kind === 'lie') ?? verdicts.find(({ kind }) => kind === 'unverified') ?? verified
}

const verified: LogsVerdict = { kind: 'verified' }
const unverified: LogsVerdict = { kind: 'unverified' }

async function proveBlock(
  options: LogsOptions,
  filter: Json | undefined,
  header: Header,
  logs: readonly Json[],
): Promise<LogsVerdict> {
  const receipts = await options.heads.receipts(header, options)
  if (receipts === undefined) return unverified
  const verdict = await verifyLogs(logs, filter, header, receipts)
  if (verdict.kind === 'lie') return { kind: 'lie', what: verdict.reason, block: header }
  return verdict.kind === 'verified' ? verified : unverified
}

interface Range {
  readonly from: number
  readonly to: number
}

/** Of blocks by number, as far as it is not too long. */
function rangeOf(filter: Json | undefined): Range | undefined {
  if (!isObject(filter)) return undefined
  const { fromBlock, toBlock, blockHash } = filter
  if (blockHash !== undefined || !isSafeQuantity(fromBlock) || !isSafeQuantity(toBlock)) return undefined
  const [from, to] = [Number(fromBlock), Number(toBlock)]
  return from > to || to - from >= mostBlocks ? undefined : { from, to }
}

/** All headers of the range, ascending; undefined where one is not agreed on. */
async function headersOf(heads: LogsOptions['heads'], { from, to }: Range): Promise<readonly Header[] | undefined> {
  const headerAt = async (number: number) => {
    const agreement = await heads.agree(number)
    return agreement.kind === 'agreed' ? agreement.header : undefined
  }
  // The newest first: where that is yet to come, it is not waited for again with each of the others.
  const last = await headerAt(to)
  if (last === undefined) return undefined
  const before = await Promise.all(Array.from({ length: to - from }, (_, index) => headerAt(from + index)))
  const headers = [...before, last].filter((header) => header !== undefined)
  return headers.length === to - from + 1 ? headers : undefined
}

/** Of the log's block; -1 where it says none. */
function numberOf(log: Json): number {
  return isObject(log) && isSafeQuantity(log.blockNumber) ? Number(log.blockNumber) : -1
}
