/** Why a call links accounts, as a stable word for which the popup has a sentence. */
import { type Address, addressOf, type Call, dataOf, isObject, type Json, paramOf } from '../call.ts'
import type { OwnAccounts } from '../own.ts'
import { selectorDigits, selectorOf } from './views.ts'

/**
 * `transfer`: a transaction, or a trial of one, from one own account to another: public once it is sent. `multicall`: many
 * calls in one. `logs`: a search for events.
 */
export type LinkingReason = 'transfer' | 'multicall' | 'logs' | 'other'

const transfers: ReadonlySet<string> = new Set(
  [
    ...['transfer(address,uint256)', 'transferFrom(address,address,uint256)', 'approve(address,uint256)'],
    ...['safeTransferFrom(address,address,uint256)', 'safeTransferFrom(address,address,uint256,bytes)'],
    'safeTransferFrom(address,address,uint256,uint256,bytes)',
    'safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)',
  ].map(selectorOf),
)

const batches: ReadonlySet<string> = new Set(
  [
    ...['balances(address[],address[])', 'aggregate((address,bytes)[])', 'aggregate3((address,bool,bytes)[])'],
    ...['aggregate3Value((address,bool,uint256,bytes)[])', 'tryAggregate(bool,(address,bytes)[])'],
    ...['blockAndAggregate((address,bytes)[])', 'tryBlockAndAggregate(bool,(address,bytes)[])', 'multicall(bytes[])'],
  ].map(selectorOf),
)

/** @param call names several own accounts */
export function reasonOf(call: Call, own: OwnAccounts): LinkingReason {
  if (call.method === 'eth_sendRawTransaction') return 'transfer'
  const message = paramOf(call, 0)
  if (call.method === 'eth_getLogs') return 'logs'
  if (!isObject(message)) return 'other'
  const selector = dataOf(message)?.digits.slice(0, selectorDigits).toLowerCase() ?? ''
  if (batches.has(selector)) return 'multicall'
  const [from, to] = [addressOf(message.from), addressOf(message.to)]
  if (from === undefined || !own.has(from)) return 'other'
  return (to !== undefined && own.has(to)) || transfers.has(selector) ? 'transfer' : 'other'
}

/**
 * Who pays, where the call tries out a transfer between own accounts that can only be a transaction to come: what it names
 * stands in the transaction too, and will be public.
 */
export function transferOf(call: Call, own: OwnAccounts): Address | undefined {
  if (call.method !== 'eth_estimateGas' || !Array.isArray(call.params) || reasonOf(call, own) !== 'transfer')
    return undefined
  const [message, ...besides] = call.params as readonly Json[]
  // Overrides of the state are in no transaction.
  if (!isObject(message) || own.namedInValue(besides).length > 0) return undefined
  return addressOf(message.from)
}
