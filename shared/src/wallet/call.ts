/**
 * Calls and outcomes as this layer sees them (structurally those of shared/rpc, which it does not import), and the texts
 * that a call carries. Nothing of a call is trusted: it may be any JSON, as deep and as odd as its sender likes.
 */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

export interface Call {
  readonly method: string
  readonly params?: readonly Json[] | { readonly [key: string]: Json }
}

export interface RpcError {
  readonly code: number
  readonly message: string
  readonly data?: Json
}

export type Outcome = { readonly result: Json } | { readonly error: RpcError }

/** 0x and 40 lower-case hexadecimal digits. */
export type Address = `0x${string}`

export interface JsonObject {
  readonly [key: string]: Json
}

/** The address that `value` writes out, in lower case. */
export function addressOf(value: Json | undefined): Address | undefined {
  return typeof value === 'string' && /^0x[0-9a-f]{40}$/i.test(value) ? (value.toLowerCase() as Address) : undefined
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The parameter at `index`, where parameters are given by position. */
export function paramOf(call: Call, index: number): Json | undefined {
  return Array.isArray(call.params) ? call.params[index] : undefined
}

/** The call with another parameter at `index`; what is missing before it is null. */
export function withParam(call: Call, index: number, value: Json): Call {
  const params: Json[] = Array.isArray(call.params) ? [...call.params] : []
  while (params.length < index) params.push(null)
  params[index] = value
  return { ...call, params }
}

/**
 * The calldata of a message call, digits without 0x, and the field that holds it: `input` is the newer name of `data`.
 * Undefined where there are both, or neither.
 */
export function dataOf(message: JsonObject): { readonly field: 'data' | 'input'; readonly digits: string } | undefined {
  const field = isMissing(message.input) ? 'data' : 'input'
  const data = message[field]
  if (typeof data !== 'string' || !data.startsWith('0x')) return undefined
  if (field === 'input' && !isMissing(message.data)) return undefined
  return { field, digits: data.slice(2) }
}

export function isMissing(value: Json | undefined): value is null | undefined {
  return value === undefined || value === null
}

/** Every text in `whole`, keys of objects too. Walks with a list of its own: depth costs no stack. */
export function* textsIn(whole: Json): Generator<string> {
  const open: Json[] = [whole]
  while (open.length > 0) {
    const value = open.pop()
    if (typeof value === 'string') yield value
    else if (Array.isArray(value)) for (const item of value) open.push(item)
    else if (isObject(value)) {
      for (const [key, item] of Object.entries(value)) {
        yield key
        open.push(item)
      }
    }
  }
}
