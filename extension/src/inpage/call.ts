/** What pages hand to `request`: checked as MetaMask checks it (EIP-1193, and MetaMask's words), and copied. */
import { badParams, badRequest, methodNotAllowed, providerError } from './failures.ts'

/** Taken before the page can replace them. */
const { parse, stringify } = JSON

/** A call as the page made it. `params` is still the page's own object. */
export interface PageCall {
  readonly method: string
  readonly params?: object
}

/** A copy of a call that no page can change any more. */
export interface Copy {
  readonly method: string
  readonly params?: unknown[] | Record<string, unknown>
}

/** No method of Ethereum comes near. */
const longestMethod = 128

/** @throws ProviderError -32600 */
export function readCall(args: unknown): PageCall {
  if (typeof args !== 'object' || args === null || Array.isArray(args)) {
    throw providerError(badRequest('Expected a single, non-array, object argument.'))
  }
  const { method, params } = args as { readonly [key: string]: unknown }
  if (typeof method !== 'string' || method.length === 0) {
    throw providerError(badRequest("'args.method' must be a non-empty string."))
  }
  if (method.length > longestMethod) throw providerError(methodNotAllowed)
  if (params === undefined) return { method }
  if (typeof params !== 'object' || params === null) {
    throw providerError(badRequest("'args.params' must be an object or array if provided."))
  }
  return { method, params }
}

/**
 * A copy, made by way of JSON, which is how it travels. What it held is read once, at this moment.
 * @throws ProviderError -32602 where it cannot be written as JSON
 */
export function copy({ method, params }: PageCall): Copy {
  if (params === undefined) return { method }
  const copied = throughJson(params)
  if (typeof copied !== 'object' || copied === null) throw providerError(badParams('Params must be JSON.'))
  return { method, params: copied as NonNullable<Copy['params']> }
}

function throughJson(value: object): unknown {
  try {
    return parse(stringify(value))
  } catch {
    // A circle, a bigint, or whatever a `toJSON` of the page throws: the caller is told that it is no JSON.
    return undefined
  }
}
