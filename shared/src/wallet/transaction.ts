/**
 * What a signed transaction tells: its hash, who signed it, and whom it names.
 *
 * All types that chains know: legacy with and without EIP-155, EIP-2930 (1), EIP-1559 (2), EIP-4844 (3, with or without
 * its sidecar) and EIP-7702 (4). In each the signature is the last three fields, so the signed text is the fields before
 * them as they stand; nothing is decoded that is not needed. Whether a chain would accept the transaction is not asked.
 */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { bytesToHex, concatBytes, hexToBytes } from '@noble/hashes/utils.js'
import type { Address } from './call.ts'
import { type Item, itemsOf, listOf } from './rlp.ts'

export interface SignedTransaction {
  /** 0x and 64 lower-case digits. */
  readonly hash: string
  readonly sender: Address
  /** Undefined where it makes a contract. */
  readonly to: Address | undefined
  /** Calldata, 0x and lower-case digits. */
  readonly data: string
  /** Who signed an authorization in it (EIP-7702). */
  readonly authorities: readonly Address[]
}

/** How many fields a transaction of each type has; the three of the signature are the last. */
const fieldCounts: Readonly<Record<number, number>> = { 0: 9, 1: 11, 2: 12, 3: 14, 4: 13 }
const mostFields = 14
/** Recovering a signer takes a millisecond or two; authorizations after these are not looked into. */
const mostAuthorities = 64
/** More than a block has gas for. */
const mostAuthorizations = 10_000
/** Of a legacy transaction's `v` before EIP-155. */
const firstParity = 27n

/** The transaction that `raw` writes in hexadecimal with 0x; undefined where it is none, or its signature none. */
export function readTransaction(raw: string): SignedTransaction | undefined {
  const bytes = bytesOf(raw)
  const first = bytes?.[0]
  if (bytes === undefined || first === undefined) return undefined
  const type = first >= 0xc0 ? 0 : first
  const fieldCount = fieldCounts[type]
  if (fieldCount === undefined) return undefined
  const prefix = bytes.subarray(0, type === 0 ? 0 : 1)
  const body = bodyOf(bytes.subarray(prefix.length), type)
  const fields = body && itemsOf(body.content, mostFields)
  if (body === undefined || fields?.length !== fieldCount) return undefined
  const unsigned = fields.slice(0, -3).map(({ whole }) => whole)
  const [v, r, s] = fields.slice(-3) as [Item, Item, Item]
  const parity = parityOf(numberOf(v), type)
  // EIP-155 signs the chain id and two empty strings in the place of the signature.
  if (parity?.chain !== undefined) unsigned.push(encodedNumber(parity.chain), empty, empty)
  const sender = signerOf(concatBytes(prefix, listOf(...unsigned)), parity?.odd, r, s)
  if (sender === undefined) return undefined
  const toIndex = type === 0 ? 3 : type === 1 ? 4 : 5
  const [to, , data] = fields.slice(toIndex) as [Item, Item, Item]
  return {
    hash: `0x${bytesToHex(keccak_256(concatBytes(prefix, body.whole)))}`,
    sender,
    to: to.content.length === 20 ? `0x${bytesToHex(to.content)}` : undefined,
    data: `0x${bytesToHex(data.content)}`,
    authorities: type === 4 ? authoritiesOf(fields[9] as Item) : [],
  }
}

/** The list of fields: with a blob transaction's sidecar it is the first item of the list (EIP-4844, "Networking"). */
function bodyOf(bytes: Uint8Array, type: number): Item | undefined {
  const list = onlyList(itemsOf(bytes, 1))
  if (type !== 3 || list === undefined) return list
  const [first] = itemsOf(list.content, mostFields) ?? []
  return first?.isList ? first : list
}

function onlyList(items: readonly Item[] | undefined): Item | undefined {
  return items?.[0]?.isList ? items[0] : undefined
}

/** The parity of the signature's point, and the chain id where a legacy transaction signs it (EIP-155). */
function parityOf(v: bigint, type: number): { odd: boolean; chain?: bigint } | undefined {
  if (type !== 0) return v > 1n ? undefined : { odd: v === 1n }
  if (v === firstParity || v === firstParity + 1n) return { odd: v === firstParity + 1n }
  return v < 35n ? undefined : { odd: v % 2n === 0n, chain: (v - 35n) / 2n }
}

/** EIP-7702: each signs `0x05 ‖ rlp([chain id, address, nonce])`. */
function authoritiesOf(list: Item): Address[] {
  const found: Address[] = []
  for (const authorization of itemsOf(list.content, mostAuthorizations)?.slice(0, mostAuthorities) ?? []) {
    const fields = authorization.isList ? itemsOf(authorization.content, 6) : undefined
    if (fields?.length !== 6) continue
    const [chain, address, nonce, parity, r, s] = fields as [Item, Item, Item, Item, Item, Item]
    const text = concatBytes(Uint8Array.of(0x05), listOf(chain.whole, address.whole, nonce.whole))
    const signer = signerOf(text, parityOf(numberOf(parity), 4)?.odd, r, s)
    if (signer !== undefined) found.push(signer)
  }
  return found
}

/** Who signed `text` (SEC 1, section 4.1.6): the last 20 bytes of the hash of the public key. */
function signerOf(text: Uint8Array, odd: boolean | undefined, r: Item, s: Item): Address | undefined {
  if (odd === undefined || r.content.length > 32 || s.content.length > 32) return undefined
  try {
    const signature = new secp256k1.Signature(numberOf(r), numberOf(s), odd ? 1 : 0)
    const key = signature.recoverPublicKey(keccak_256(text)).toBytes(false)
    return `0x${bytesToHex(keccak_256(key.subarray(1)).subarray(-20))}`
  } catch (_notASignature) {
    // r or s out of range, or r no point of the curve.
    return undefined
  }
}

function bytesOf(raw: string): Uint8Array | undefined {
  if (!raw.startsWith('0x') || raw.length % 2 !== 0 || /[^0-9a-f]/i.test(raw.slice(2))) return undefined
  return hexToBytes(raw.slice(2))
}

const empty = Uint8Array.of(0x80)

function numberOf({ content }: Item): bigint {
  // Longer than any field that counts: zero is out of range for each of them.
  return content.length === 0 || content.length > 32 ? 0n : BigInt(`0x${bytesToHex(content)}`)
}

function encodedNumber(value: bigint): Uint8Array {
  if (value === 0n) return empty
  const digits = value.toString(16)
  const bytes = hexToBytes(digits.length % 2 === 0 ? digits : `0${digits}`)
  return bytes.length === 1 && value < 0x80n ? bytes : concatBytes(Uint8Array.of(0x80 + bytes.length), bytes)
}
