/**
 * What a page's provider (inpage) and the background say to each other, copied unread by the content bridge.
 *
 *     page                                                     background
 *     { id, method, params, chain, door }                  →   { id, result } | { id, error } | { id, pass: true }
 *     { accounts }                                         →   what the wallet shows the page
 *     { accounts: [sender], transaction }                  →   it sent this one
 *                                                          ←   { event: 'subscription', subscription, result }
 *                                                          ←   { event: 'ended', subscription }
 *
 * `pass` means that Nightjar is off and the wallet may answer itself. It is only ever said to the `wallet` door, the
 * wrapped provider of the wallet; the `nightjar` door, which the user picked for its privacy, gets an error instead.
 * Everything from the page is untrusted; the isolation group comes from the browser, never from here.
 */
import type { Json, RpcError } from '@nightjar/shared/rpc'
import * as v from 'valibot'
import { type ShownAccounts, shownAtOnce } from './shown.ts'

/** Name of the port between content bridge and background. */
export const pagePort = 'page'

export const doors = ['wallet', 'nightjar'] as const
export type Door = (typeof doors)[number]

const pageRequest = v.strictObject({
  id: v.pipe(v.number(), v.safeInteger()),
  method: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
  params: v.optional(v.union([v.array(v.unknown()), v.record(v.string(), v.unknown())])),
  /** Decimal chain id that the page's wallet is on. */
  chain: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  door: v.picklist(doors),
})

export type PageRequest = v.InferOutput<typeof pageRequest>

const address = v.pipe(v.string(), v.regex(/^0x[0-9a-f]{40}$/i))

const shownAccounts = v.strictObject({
  accounts: v.pipe(v.array(address), v.minLength(1), v.maxLength(shownAtOnce)),
  /** Hash of one that the first of them sent. */
  transaction: v.optional(v.pipe(v.string(), v.regex(/^0x[0-9a-f]{64}$/i))),
})

export type PageMessage = PageRequest | ShownAccounts

export type PageResponse = { readonly id: number } & (
  | { readonly result: Json }
  | { readonly error: RpcError }
  | { readonly pass: true }
)

/** `subscription`: as `eth_subscribe` gave it. `ended`: it cannot go on, and is to be made anew. */
export type PageEvent =
  | { readonly event: 'subscription'; readonly subscription: string; readonly result: Json }
  | { readonly event: 'ended'; readonly subscription: string }

/** What `value` says, or undefined where it is none of this. */
export function parsePageMessage(value: unknown): PageMessage | undefined {
  const isShown = typeof value === 'object' && value !== null && 'accounts' in value
  const result = v.safeParse(isShown ? shownAccounts : pageRequest, value)
  return result.success ? result.output : undefined
}
