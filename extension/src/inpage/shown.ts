/**
 * What a wallet's own answers show of its user's accounts. The background is told, so that it keeps them apart: it sees
 * neither `eth_accounts` nor who sends what the wallet signs.
 */
import { type ShownAccounts, shownAtOnce } from '../messages/shown.ts'
import type { PageCall } from './call.ts'

/** Taken before the page can replace them. */
const { isArray } = Array

/** Undefined where it shows none. */
export function shownBy({ method, params }: PageCall, answer: unknown): ShownAccounts | undefined {
  if (method === 'eth_accounts' || method === 'eth_requestAccounts') return shownIn(answer)
  if (method !== 'eth_sendTransaction' || !isArray(params) || !isHash(answer)) return undefined
  const sender: unknown = (params[0] as { readonly from?: unknown } | null | undefined)?.from
  return isAddress(sender) ? { accounts: [sender], transaction: answer } : undefined
}

/** The accounts of a list as `accountsChanged` has it. */
export function shownIn(list: unknown): ShownAccounts | undefined {
  if (!isArray(list)) return undefined
  const accounts = list.filter(isAddress).slice(0, shownAtOnce)
  return accounts.length === 0 ? undefined : { accounts }
}

function isAddress(value: unknown): value is string {
  return typeof value === 'string' && /^0x[0-9a-f]{40}$/i.test(value)
}

function isHash(value: unknown): value is string {
  return typeof value === 'string' && /^0x[0-9a-f]{64}$/i.test(value)
}
