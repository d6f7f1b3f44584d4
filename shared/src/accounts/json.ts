/** What gateways say, of which nothing is known but that it is JSON: whether it has the form that it should have. */
import type { Json } from '../rpc/index.ts'

export interface JsonObject {
  readonly [name: string]: Json
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A number that JavaScript holds exactly, such as a block's. */
export function isSafeQuantity(value: Json | undefined): value is `0x${string}` {
  return typeof value === 'string' && /^0x[0-9a-f]{1,13}$/i.test(value)
}

/** Of a block or a transaction. */
export function isHash(value: Json | undefined): value is `0x${string}` {
  return typeof value === 'string' && /^0x[0-9a-f]{64}$/i.test(value)
}

/** The block's own hash, in lower case. */
export function hashOf(block: Json | undefined): string | undefined {
  return isObject(block) && typeof block.hash === 'string' ? block.hash.toLowerCase() : undefined
}

/** As nodes write it. */
export function quantityOf(number: number | bigint): `0x${string}` {
  return `0x${number.toString(16)}`
}
