/** Whose branch a call takes, and whether its answer may be shared. */
import { type Address, type Call, type Json, paramOf } from './call.ts'
import type { OwnAccounts } from './own.ts'

export type Group =
  /** It names no own account: the caller's common branch. */
  | { readonly kind: 'none' }
  | { readonly kind: 'account'; readonly account: Address }
  /** To be taken apart; `accounts` in ascending order. */
  | { readonly kind: 'several'; readonly accounts: readonly Address[] }

export function groupOf(call: Call, own: OwnAccounts): Group {
  const accounts = own.namedIn(call)
  const [account] = accounts
  if (account === undefined) return { kind: 'none' }
  return accounts.length === 1 ? { kind: 'account', account } : { kind: 'several', accounts }
}

/** A test of each parameter. One that may be left out has to accept undefined. */
type Shape = readonly ((param: Json | undefined) => boolean)[]

const block = (param: Json | undefined): boolean =>
  typeof param === 'string' && /^(latest|safe|finalized|earliest|0x[0-9a-f]{1,16})$/.test(param)
const blockHash = (param: Json | undefined): boolean => typeof param === 'string' && /^0x[0-9a-f]{64}$/.test(param)
const quantity = (param: Json | undefined): boolean =>
  typeof param === 'number' || (typeof param === 'string' && /^0x[0-9a-f]{1,16}$/.test(param))
const percentiles = (param: Json | undefined): boolean =>
  param === undefined || param === null || (Array.isArray(param) && param.every((one) => typeof one === 'number'))
/** Whole transactions name accounts. */
const hashesOnly = (param: Json | undefined): boolean => param === false

/** What is the same for everybody who asks, and tells nothing of who asks. */
const chainWide: ReadonlyMap<string, Shape> = new Map<string, Shape>([
  ['eth_chainId', []],
  ['net_version', []],
  ['eth_blockNumber', []],
  ['eth_gasPrice', []],
  ['eth_maxPriorityFeePerGas', []],
  ['eth_blobBaseFee', []],
  ['eth_feeHistory', [quantity, block, percentiles]],
  ['eth_getBlockByNumber', [block, hashesOnly]],
  ['eth_getBlockByHash', [blockHash, hashesOnly]],
  ['eth_getBlockTransactionCountByNumber', [block]],
  ['eth_getBlockTransactionCountByHash', [blockHash]],
])

/**
 * `chain-wide`: names no account and no transaction, by a method and parameters that are known, so one answer serves all.
 * Who shares answers among strangers still has to see to it that their age tells nobody which block another asked for.
 */
export function cacheability(call: Call): 'chain-wide' | 'never' {
  const shape = chainWide.get(call.method)
  const params = call.params ?? []
  if (shape === undefined || !Array.isArray(params) || params.length > shape.length) return 'never'
  return shape.every((fits, index) => fits(paramOf(call, index))) ? 'chain-wide' : 'never'
}
