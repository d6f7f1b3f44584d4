/** An account's own gateway asked once, and what it said checked: where there is no watch that can say. */
import { NightjarError } from '../errors/index.ts'
import type { Order } from '../requests/index.ts'
import { type Call, codeHash, type Json, type Outcome } from '../rpc/index.ts'
import { pause, second } from '../runtime.ts'
import type { Address } from '../wallet/index.ts'
import { type AccountsContext, accountGroup } from './context.ts'
import type { Heads } from './heads.ts'
import { hashOf, isObject, quantityOf } from './json.ts'
import { type Checked, type Claim, check, type State } from './state.ts'
import type { Trust } from './trust.ts'

/**
 * Gateways look for new heads every few seconds (two, unless their operator says otherwise) and tell of what they have seen:
 * before this they may not know of a reorganisation that they have answered from.
 */
const unaware = 5 * second

export interface ReadingPlace {
  readonly context: Pick<AccountsContext, 'request' | 'clock'>
  readonly chain: number
  readonly account: Address
}

export interface ReadingOptions extends ReadingPlace {
  readonly heads: Pick<Heads, 'agree'>
  readonly trust: Pick<Trust, 'lie' | 'disagree'>
}

/**
 * The account at that block with its proof; undefined where there is none to be had.
 * @throws NightjarError `answer-refuted` where it is a lie, or the block is disputed, `answer-unconfirmed` where nobody else has
 * it, and what keeps the gateway from answering
 */
export async function readProven(options: ReadingOptions, number: number): Promise<State | undefined> {
  const first = await readProof(options, number)
  if (first?.checked.kind !== 'lie') return stateOf(options, number, first)
  // An answer does not say of which block it is. Where the chain has just changed it may be of another than was meant: so it is
  // asked for again, between two looks at which block its gateway has.
  const hash = await hashLater(options, number)
  const again = await readProof(options, number, hash)
  if (again?.checked.kind === 'lie' && again.agreed === hash && (await hashAt(options, number)) === hash) {
    const { account, chain, trust } = options
    const { gateway, claim, checked } = again
    trust.lie({ group: accountGroup(account), gateway, chain, what: checked.what, evidence: { claim, block: hash } })
    throw new NightjarError('answer-refuted')
  }
  return stateOf(options, number, again)
}

/** The same from a provider that proves nothing. */
export async function readParts(options: ReadingOptions, number: number): Promise<State | undefined> {
  const params = [options.account, quantityOf(number)]
  const methods = ['eth_getBalance', 'eth_getTransactionCount', 'eth_getCode']
  const answers = await Promise.all(methods.map((method) => ask(options, method, params)))
  const [balance, nonce, code] = answers.map(({ result }) => result)
  if (balance === undefined || nonce === undefined || typeof code !== 'string') return undefined
  const fields = { balance, nonce, codeHash: codeHash(code) }
  return stateOf(options, number, await judged(options, { number, hash: undefined, fields }, ''))
}

/**
 * Whether what does not fit block `number` was said of just that block: `there`. Else it may be true of the block that has
 * taken its place: `replaced` where the others have come round to that one, `disputed` where they have not.
 * @param hash of the block, as its gateway said before
 */
export async function whereabouts(
  options: ReadingOptions,
  number: number,
  hash: string,
): Promise<'there' | 'replaced' | 'disputed'> {
  const now = await hashLater(options, number)
  if (now === hash) return 'there'
  const agreement = now === undefined ? undefined : await options.heads.agree(number, now)
  return agreement?.kind === 'agreed' && agreement.hash === now ? 'replaced' : 'disputed'
}

/** Of the block, as the account's gateway has it; undefined where that has none of this number. */
export async function hashAt(options: ReadingOptions, number: number): Promise<string | undefined> {
  const { result } = await ask(options, 'eth_getBlockByNumber', [quantityOf(number), false])
  return hashOf(result)
}

/** The same, once the gateway has heard of what has just happened. */
export async function hashLater(options: ReadingOptions, number: number): Promise<string | undefined> {
  await pause(options.context.clock, unaware)
  return hashAt(options, number)
}

interface Judged {
  readonly claim: Claim
  readonly gateway: string
  readonly checked: Checked
  /** The hash that the block has, as far as others agree. */
  readonly agreed: string | undefined
}

async function readProof(options: ReadingOptions, number: number, expected?: string): Promise<Judged | undefined> {
  const { result, gateway } = await ask(options, 'eth_getProof', [options.account, [], quantityOf(number)])
  return isObject(result) ? judged(options, { number, hash: undefined, fields: result }, gateway, expected) : undefined
}

async function judged(options: ReadingOptions, claim: Claim, gateway: string, expected?: string): Promise<Judged> {
  const { account, heads } = options
  const agreement = await heads.agree(claim.number, expected)
  const checked = await check(account, claim, agreement)
  return { claim, gateway, checked, agreed: agreement.kind === 'agreed' ? agreement.hash : undefined }
}

/**
 * @throws NightjarError `answer-unconfirmed` where nobody else has that block, `answer-refuted` where it is not of the one that
 * others agree on, or of none that they agree on
 */
function stateOf({ chain, trust }: ReadingOptions, number: number, read: Judged | undefined): State | undefined {
  if (read === undefined || read.checked.kind === 'malformed') return undefined
  if (read.checked.kind === 'state') return read.checked.state
  if (read.checked.kind === 'unconfirmed') throw new NightjarError('answer-unconfirmed')
  // A disputed block has been reported itself.
  if (read.agreed !== undefined) trust.disagree({ chain, what: 'watch', number, gateways: namesIn(read.gateway) })
  throw new NightjarError('answer-refuted')
}

/** Those that are known. */
export function namesIn(gateway: string): readonly string[] {
  return gateway === '' ? [] : [gateway]
}

/** What a gateway answered, and which that was; '' where it is not known. */
export interface Answered {
  readonly outcome: Outcome
  readonly gateway: string
}

/** @throws NightjarError what keeps the path from answering */
export function askOwn({ context, chain, account }: ReadingPlace, call: Call): Promise<Answered> {
  return askNamed(context, { group: accountGroup(account), chain, call })
}

/** @throws NightjarError what keeps the path from answering */
export async function askNamed(context: Pick<AccountsContext, 'request'>, order: Order): Promise<Answered> {
  let gateway = ''
  const outcome = await context.request(order, (identity) => {
    gateway = identity
  })
  return { outcome, gateway }
}

async function ask(options: ReadingOptions, method: string, params: readonly Json[]) {
  const { outcome, gateway } = await askOwn(options, { method, params })
  return { result: 'result' in outcome ? outcome.result : undefined, gateway }
}
