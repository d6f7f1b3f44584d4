/** Fields of what an upstream answered, which may be anything: each is of its form, or the answer counts as none. */
import { NightjarError } from '@nightjar/shared/errors'
import type { Json, Outcome } from '@nightjar/shared/rpc'

export type JsonObject = { readonly [key: string]: Json }

export const quantity = /^0x[0-9a-f]{1,64}$/i
export const hash = /^0x[0-9a-f]{64}$/i
export const data = /^0x[0-9a-f]*$/i
export const wholeBytes = /^0x(?:[0-9a-f]{2})*$/i

/** @throws NightjarError `upstream-failed` where the answer is an error */
export function resultOf(outcome: Outcome): Json {
  if ('error' in outcome) throw malformed('error')
  return outcome.result
}

export function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** @throws NightjarError `upstream-failed` */
export function objectOf(value: Json, name: string): JsonObject {
  if (!isObject(value)) throw malformed(name)
  return value
}

/** @throws NightjarError `upstream-failed` */
export function textOf(value: Json | undefined, name: string, form: RegExp): string {
  if (typeof value !== 'string' || !form.test(value)) throw malformed(name)
  return value
}

export function malformed(field: string): NightjarError {
  return new NightjarError('upstream-failed', { detail: field })
}

/** A number as JSON-RPC writes it. */
export function hexadecimal(value: bigint): string {
  return `0x${value.toString(16)}`
}
