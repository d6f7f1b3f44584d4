/**
 * Accounts of the lab, and transactions of theirs that have a true sender. The signature's nonce k is 1, so that it needs
 * no curve: r is the generator's x, s = z + r·d. Whoever sees one such signature knows the key; nobody's money does.
 */
import { concat, fromHex, hex } from '@nightjar/shared/bytes'
import { transactionHash } from '@nightjar/shared/rpc'
import { type Address, transactionOf } from '@nightjar/shared/wallet'

/** Order of secp256k1, and x of its generator, whose y is even (SEC 2, section 2.4.1). */
const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const generatorX = 0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n

export interface Signer {
  readonly address: Address
  /** A legacy transaction, as eth_sendRawTransaction takes it. */
  sign(nonce: number, to: string): `0x${string}`
}

/** @param key between 1 and the order */
export function signerOf(key: bigint): Signer {
  const sign = (nonce: number, to: string): `0x${string}` => {
    const fields = [quantity(nonce), quantity(20e9), quantity(21_000), fromHex(to.slice(2)), quantity(1e15), bytes('')]
    const digest = BigInt(transactionHash(`0x${hex(list(fields))}`))
    const s = (digest + generatorX * key) % order
    // Of s and its negative only the lower counts (EIP-2), and the negative turns the parity.
    const isHigh = s > order / 2n
    const signature = [quantity(isHigh ? 28 : 27), quantity(generatorX), quantity(isHigh ? order - s : s)]
    return `0x${hex(list([...fields, ...signature]))}`
  }
  const sender = transactionOf({ method: 'eth_sendRawTransaction', params: [sign(0, `0x${'11'.repeat(20)}`)] })?.sender
  if (sender === undefined) throw new Error('a signature of the lab must be a signature')
  return { address: sender, sign }
}

/** RLP of a list of byte strings. */
function list(items: readonly Uint8Array[]): Uint8Array {
  const body = concat(
    ...items.map((item) => (item.length === 1 && (item[0] as number) < 0x80 ? item : prefixed(0x80, item))),
  )
  return prefixed(0xc0, body)
}

function prefixed(base: number, body: Uint8Array): Uint8Array {
  if (body.length < 56) return concat(Uint8Array.of(base + body.length), body)
  const length = quantity(body.length)
  return concat(Uint8Array.of(base + 55 + length.length), length, body)
}

/** Big-endian without leading zeros. */
function quantity(value: number | bigint): Uint8Array {
  const digits = BigInt(value).toString(16)
  return BigInt(value) === 0n ? bytes('') : bytes(digits.padStart(digits.length + (digits.length % 2), '0'))
}

function bytes(digits: string): Uint8Array {
  return fromHex(digits)
}
