/** JSON-RPC 2.0 as wallets use it: types, checking of untrusted calls, and our errors in its form. */
import { type ErrorCode, errorTable, NightjarError } from '../errors/index.ts'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
export type Id = string | number | null
export type Params = readonly Json[] | { readonly [key: string]: Json }

/** A call without its envelope of version and id. */
export interface Call {
  readonly method: string
  readonly params?: Params
}

export interface RpcError {
  readonly code: number
  readonly message: string
  readonly data?: Json
}

export type Outcome = { readonly result: Json } | { readonly error: RpcError }
export type Response = { readonly jsonrpc: '2.0'; readonly id: Id } & Outcome

/** A call as it came in; `id` is undefined for a notification, which gets no answer. */
export interface Request extends Call {
  readonly id: Id | undefined
}

/** @throws NightjarError `bad-request` */
export function parseRequest(value: unknown): Request {
  if (!isObject(value)) throw bad('not an object')
  if (value.jsonrpc !== '2.0') throw bad('jsonrpc must be "2.0"')
  if (value.id !== undefined && !isId(value.id)) throw bad('id must be a string, a number or null')
  return { ...parseCall(value), id: value.id }
}

/** The method and params of `value`. @throws NightjarError `bad-request` */
export function parseCall(value: { readonly [key: string]: unknown }): Call {
  const { method, params } = value
  if (typeof method !== 'string' || method.length === 0 || method.length > 128)
    throw bad('method must be a short string')
  if (params === undefined || params === null) return { method }
  if (typeof params !== 'object') throw bad('params must be an array or an object')
  return { method, params: params as Params }
}

/** The id of a request that may be malformed otherwise, for the answer that says so. */
export function idOf(value: unknown): Id {
  return isObject(value) && isId(value.id) ? value.id : null
}

/** @throws NightjarError `bad-request` where `value` is neither a result nor an error. */
export function parseOutcome(value: unknown): Outcome {
  if (!isObject(value)) throw bad('the answer is not an object')
  if (value.error !== undefined && value.error !== null) {
    const { error } = value
    if (!isObject(error) || typeof error.code !== 'number' || typeof error.message !== 'string') {
      throw bad('the error of the answer is malformed')
    }
    const data = error.data as Json | undefined
    return { error: { code: error.code, message: error.message, ...(data === undefined ? {} : { data }) } }
  }
  if (value.result === undefined) throw bad('the answer has neither result nor error')
  return { result: value.result as Json }
}

/** One of our errors as the one who asked sees it: sentence and facts, and our stable code in `data.nightjar`. */
export function toRpcError(error: NightjarError): RpcError {
  const facts = Object.entries(error.facts ?? {}).map(([name, value]) => ` [${name}: ${String(value)}]`)
  return {
    code: errorTable[error.code].rpc,
    message: `${error.message}${facts.join('')}`,
    data: { ...(error.facts as { readonly [key: string]: Json } | undefined), nightjar: error.code },
  }
}

/** Our stable code inside an error that a gateway answered, if it is one of ours. */
export function nightjarCodeOf(error: RpcError): ErrorCode | undefined {
  const { data } = error
  if (!isObject(data) || typeof data.nightjar !== 'string') return undefined
  return Object.hasOwn(errorTable, data.nightjar) ? (data.nightjar as ErrorCode) : undefined
}

function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isId(value: unknown): value is Id {
  return value === null || typeof value === 'string' || typeof value === 'number'
}

function bad(detail: string): NightjarError {
  return new NightjarError('bad-request', { detail })
}
