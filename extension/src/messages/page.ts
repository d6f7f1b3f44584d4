/**
 * What a page's provider (inpage) and the background say to each other, copied unread by the content bridge.
 *
 *     page                                                     background
 *     { id, method, params, chain, door }                  →   { id, result } | { id, error } | { id, pass: true }
 *                                                          ←   { event: 'subscription', subscription, result }
 *                                                          ←   { event: 'ended', subscription }
 *
 * `pass` means that Nightjar is off and the wallet may answer itself. It is only ever said to the `wallet` door, the
 * wrapped provider of the wallet; the `nightjar` door, which the user picked for its privacy, gets an error instead.
 * Everything from the page is untrusted; the isolation group comes from the browser, never from here.
 */
import type { Json, RpcError } from '@nightjar/shared/rpc'
import * as v from 'valibot'

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

export type PageResponse = { readonly id: number } & (
  | { readonly result: Json }
  | { readonly error: RpcError }
  | { readonly pass: true }
)

/** `subscription`: as `eth_subscribe` gave it. `ended`: it cannot go on, and is to be made anew. */
export type PageEvent =
  | { readonly event: 'subscription'; readonly subscription: string; readonly result: Json }
  | { readonly event: 'ended'; readonly subscription: string }

/** The request in `value`, or undefined where it is none. */
export function parsePageRequest(value: unknown): PageRequest | undefined {
  const result = v.safeParse(pageRequest, value)
  return result.success ? result.output : undefined
}
