/**
 * Untrusted JSON read field by field into what is hashed: hexadecimal in one spelling, so that equal values are equal
 * texts, and RLP (Yellow Paper, appendix B; ox encodes it).
 * Every function ends the check as `malformed` or `too-large` where a field has not its form.
 */
import { keccak_256 } from '@noble/hashes/sha3.js'
import * as Rlp from 'ox/Rlp'
import { fromHex, hex } from '../bytes/index.ts'
import { bounds } from './bounds.ts'
import { unverifiable } from './verdict.ts'

/** 0x and lower-case digits, two for each byte. */
export type Hex = `0x${string}`
export type Fields = { readonly [name: string]: unknown }
export type Item = Hex | readonly Item[]

const empty = '0x'

export function fieldsOf(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw unverifiable('malformed')
  // Without a prototype, a field that the answer lacks is not found on Object either.
  return Object.assign(Object.create(null), value) as Fields
}

export function listOf(value: unknown, most: number): readonly unknown[] {
  if (!Array.isArray(value)) throw unverifiable('malformed')
  if (value.length > most) throw unverifiable('too-large')
  return value
}

/** Bytes of any length up to `most`. */
export function data(value: unknown, most: number = bounds.dataBytes): Hex {
  if (typeof value !== 'string') throw unverifiable('malformed')
  if (value.length > 2 + 2 * most) throw unverifiable('too-large')
  if (value.length % 2 !== 0 || !/^0x[0-9a-f]*$/i.test(value)) throw unverifiable('malformed')
  return value.toLowerCase() as Hex
}

/** Exactly `size` bytes. */
export function fixed(value: unknown, size: number): Hex {
  if (typeof value !== 'string' || value.length !== 2 + 2 * size) throw unverifiable('malformed')
  return data(value, size)
}

/** A number below 2^256. */
export function quantity(value: unknown): bigint {
  if (typeof value !== 'string' || !/^0x[0-9a-f]{1,64}$/i.test(value)) throw unverifiable('malformed')
  return BigInt(value)
}

/** A number as RLP has it: big-endian without leading zeros, zero being no byte. */
export function scalar(value: bigint): Hex {
  if (value === 0n) return empty
  const digits = value.toString(16)
  return digits.length % 2 === 0 ? `0x${digits}` : `0x0${digits}`
}

/** Nodes leave a field out, or write null, where there is nothing. */
export function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null
}

/** A contract's creation has no receiver: JSON has null there, RLP no byte. */
export function receiver(value: unknown): Hex {
  return isAbsent(value) ? empty : fixed(value, 20)
}

export function bytesOf(text: Hex): Uint8Array {
  return fromHex(text.slice(2))
}

export function hexOf(bytes: Uint8Array): Hex {
  return `0x${hex(bytes)}`
}

export function rlp(item: Item): Uint8Array {
  // ox asks for a mutable list and changes none.
  return Rlp.fromHex(item as Hex, { as: 'Bytes' })
}

export function keccak(bytes: Uint8Array): Hex {
  return hexOf(keccak_256(bytes))
}
