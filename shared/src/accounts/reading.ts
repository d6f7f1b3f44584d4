/** One account read once, in its own group, and checked: where it has no watch that can say. */
import { NightjarError } from '../errors/index.ts'
import { codeHash, type Json } from '../rpc/index.ts'
import type { Address } from '../wallet/index.ts'
import { type AccountsContext, accountGroup } from './context.ts'
import type { Heads } from './heads.ts'
import { type Claim, check, type State } from './state.ts'
import type { Trust } from './trust.ts'

export interface ReadingOptions {
  readonly context: AccountsContext
  readonly chain: number
  readonly account: Address
  readonly heads: Heads
  readonly trust: Trust
}

/**
 * The account at that block with its proof; undefined where there is none to be had.
 * @throws NightjarError `answer-refuted` where it is a lie, or the block is disputed, and what keeps the gateway from answering
 */
export async function readProven(options: ReadingOptions, number: number): Promise<State | undefined> {
  const proof = await ask(options, 'eth_getProof', [options.account, [], hex(number)])
  return isObject(proof) ? judged(options, { number, hash: undefined, fields: proof }) : undefined
}

/** The same from a provider that proves nothing. */
export async function readParts(options: ReadingOptions, number: number): Promise<State | undefined> {
  const params = [options.account, hex(number)]
  const methods = ['eth_getBalance', 'eth_getTransactionCount', 'eth_getCode']
  const [balance, nonce, code] = await Promise.all(methods.map((method) => ask(options, method, params)))
  if (balance === undefined || nonce === undefined || typeof code !== 'string') return undefined
  const fields = { balance, nonce, codeHash: codeHash(code) }
  return judged(options, { number, hash: undefined, fields })
}

async function judged(options: ReadingOptions, claim: Claim): Promise<State | undefined> {
  const { account, chain, heads, trust } = options
  const agreement = await heads.agree(claim.number, claim.hash)
  // Nobody knows which block that is.
  if (agreement.kind === 'disputed') throw new NightjarError('answer-refuted')
  const checked = await check(account, claim, agreement)
  if (checked.kind === 'state') return checked.state
  if (checked.kind === 'elsewhere') {
    trust.disagree({ chain, what: 'watch', number: claim.number, gateways: [] })
    throw new NightjarError('answer-refuted')
  }
  if (checked.kind !== 'lie') return undefined
  // An answer does not say of which block it is. Where the chain has just changed, it may be of another than was meant.
  const hash = claim.hash === undefined ? await hashAt(options, claim.number) : undefined
  if (hash !== undefined && agreement.hash !== hash) return judged(options, { ...claim, hash })
  const evidence = { claim, block: agreement }
  trust.lie({ group: accountGroup(account), gateway: '', chain, what: checked.what, evidence })
  throw new NightjarError('answer-refuted')
}

async function ask(options: ReadingOptions, method: string, params: readonly Json[]): Promise<Json | undefined> {
  const { context, chain, account } = options
  const outcome = await context.request({ group: accountGroup(account), chain, call: { method, params } })
  return 'result' in outcome ? outcome.result : undefined
}

/** Of the block, as the account's gateway has it. */
async function hashAt(options: ReadingOptions, number: number): Promise<string | undefined> {
  const header = await ask(options, 'eth_getBlockByNumber', [hex(number), false])
  return isObject(header) && typeof header.hash === 'string' ? header.hash.toLowerCase() : undefined
}

function isObject(value: Json | undefined): value is { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function hex(number: number): string {
  return `0x${number.toString(16)}`
}
