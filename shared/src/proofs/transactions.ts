/**
 * A block's transactions (a block with full transactions) against its transactionsRoot: each is encoded as its EIP-2718
 * type says, and all of them make the trie whose root the header has. A type that is not known here is not judged.
 *
 * The encoding is our own table and not ox's envelopes: those keep numbers in 53 bits and give legacy signatures another
 * form, and here each bit must come back.
 */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import * as Rlp from 'ox/Rlp'
import { concat, equalBytes } from '../bytes/index.ts'
import { bounds } from './bounds.ts'
import {
  bytesOf,
  data,
  type Fields,
  fieldsOf,
  fixed,
  type Hex,
  type Item,
  isAbsent,
  keccak,
  listOf,
  quantity,
  receiver,
  rlp,
  scalar,
} from './fields.ts'
import type { Header } from './header.ts'
import { rootOfList } from './trie.ts'
import { judge, lie, unverifiable, type Verdict } from './verdict.ts'

export interface Transaction {
  readonly hash: Hex
  readonly index: number
  /** EIP-2718; 0 for those from before. */
  readonly type: number
  readonly nonce: bigint
  /** undefined where it makes a contract. */
  readonly to: Hex | undefined
  readonly value: bigint
  readonly input: Hex
  /** What it paid for a unit of gas, in wei. */
  readonly effectiveGasPrice: bigint
  /** As it is hashed: the type's byte and the RLP of its fields, the signature last. */
  readonly encoded: Uint8Array
}

type Reader = (value: unknown) => Item

const number: Reader = (value) => scalar(quantity(value))
const bytes: Reader = (value) => data(value)
const hashes: Reader = (value) => listOf(value, bounds.listItems).map((hash) => fixed(hash, 32))
/** EIP-2930. */
const accessList: Reader = (value) =>
  listOf(value, bounds.listItems).map((entry) => {
    const { address, storageKeys } = fieldsOf(entry)
    return [fixed(address, 20), hashes(storageKeys)]
  })
/** EIP-7702. */
const authorizations: Reader = (value) =>
  listOf(value, bounds.listItems).map((entry) => {
    const { chainId, address, nonce, yParity, r, s } = fieldsOf(entry)
    return [number(chainId), fixed(address, 20), number(nonce), number(yParity), number(r), number(s)]
  })

const call = { gas: number, to: receiver, value: number, input: bytes }
const signature = { yParity: number, r: number, s: number }
const fees = { chainId: number, nonce: number, maxPriorityFeePerGas: number, maxFeePerGas: number }

/** The fields of each type, in the order in which they are hashed. */
const layouts: readonly { readonly [field: string]: Reader }[] = [
  { nonce: number, gasPrice: number, ...call, v: number, r: number, s: number },
  // EIP-2930
  { chainId: number, nonce: number, gasPrice: number, ...call, accessList, ...signature },
  // EIP-1559
  { ...fees, ...call, accessList, ...signature },
  // EIP-4844
  { ...fees, ...call, accessList, maxFeePerBlobGas: number, blobVersionedHashes: hashes, ...signature },
  // EIP-7702
  { ...fees, ...call, accessList, authorizationList: authorizations, ...signature },
]
const signatureItems = 3

/** The transactions of `block`, whose header was verified. */
export function verifyTransactions(block: unknown, header: Header): Promise<Verdict<readonly Transaction[]>> {
  return judge(async () => {
    const answers = listOf(fieldsOf(block).transactions, bounds.transactions).map(fieldsOf)
    const transactions = answers.map((fields, index) => read(fields, index, header))
    if ((await rootOfList(transactions.map(({ encoded }) => encoded))) !== header.transactionsRoot)
      throw lie('transactions')
    for (const [index, fields] of answers.entries()) {
      const transaction = transactions[index]
      if (transaction === undefined || !isTrue(fields, transaction, header)) throw lie('transaction')
    }
    return transactions
  })
}

/** One transaction (eth_getTransactionByHash and the like), `from` too, against the one verified with its block. */
export function verifyTransaction(
  answer: unknown,
  transaction: Transaction,
  header: Header,
): Promise<Verdict<Transaction>> {
  return judge(() => {
    const fields = fieldsOf(answer)
    const { encoded } = read(fields, transaction.index, header)
    const isItsSender = fixed(fields.from, 20) === senderOf(transaction)
    if (!equalBytes(encoded, transaction.encoded) || !isItsSender || !isTrue(fields, transaction, header))
      throw lie('transaction')
    return transaction
  })
}

/** Whether what stands beside the hashed fields follows from them; `from` is left to senderOf. */
function isTrue(fields: Fields, transaction: Transaction, header: Header): boolean {
  const { v, yParity, gasPrice, chainId } = fields
  const isParityTwice = transaction.type !== 0 && !isAbsent(v) && !isAbsent(yParity)
  return (
    isPlaced(fields, transaction.index, header) &&
    fixed(fields.hash, 32) === transaction.hash &&
    (!isParityTwice || quantity(v) === quantity(yParity)) &&
    (isAbsent(gasPrice) || quantity(gasPrice) === transaction.effectiveGasPrice) &&
    (transaction.type !== 0 || isAbsent(chainId) || quantity(chainId) === signedChainOf(quantity(v)))
  )
}

/** The chain that a legacy signature is bound to, EIP-155: v = 35 + 2 × chain + parity. Those of before have 27 or 28. */
function signedChainOf(v: bigint): bigint | undefined {
  return v < 35n ? undefined : (v - 35n) / 2n
}

/**
 * Who signed it, from the signature: an answer's `from` is hashed nowhere. Takes some milliseconds.
 * undefined where the signature is none, which no block of an honest chain holds.
 */
export function senderOf({ type, encoded }: Transaction): Hex | undefined {
  // Verified bytes, which the table above made: a list of items.
  const items = Rlp.toHex(encoded.subarray(type === 0 ? 0 : 1)) as readonly Hex[]
  const [v, r, s] = items.slice(-signatureItems).map((item) => (item === '0x' ? 0n : BigInt(item)))
  if (v === undefined || r === undefined || s === undefined) return undefined
  const fields: Item[] = items.slice(0, -signatureItems)
  const chain = type === 0 ? signedChainOf(v) : undefined
  if (chain !== undefined) fields.push(scalar(chain), '0x', '0x')
  const parity = type !== 0 ? v : chain === undefined ? v - 27n : (v - 35n) % 2n
  const digest = keccak(concat(prefixOf(type), rlp(fields)))
  try {
    const point = new secp256k1.Signature(r, s).addRecoveryBit(Number(parity)).recoverPublicKey(bytesOf(digest))
    return `0x${keccak(point.toBytes(false).subarray(1)).slice(-40)}`
  } catch {
    return undefined
  }
}

/** Whether a transaction, receipt or log says the block and the place in it that it has. */
export function isPlaced(fields: Fields, index: number, header: Header): boolean {
  return (
    fixed(fields.blockHash, 32) === header.hash &&
    quantity(fields.blockNumber) === header.number &&
    quantity(fields.transactionIndex) === BigInt(index)
  )
}

/** A type's byte in front of what is hashed; none before EIP-2718. */
export function prefixOf(type: number): Uint8Array {
  return type === 0 ? new Uint8Array(0) : Uint8Array.of(type)
}

function read(answer: Fields, index: number, header: Header): Transaction {
  const type = typeOf(answer)
  // Some nodes give the parity of a typed transaction as v only.
  const fields: Fields = { ...answer, yParity: answer.yParity ?? answer.v }
  const layout = layouts[type]
  if (layout === undefined) throw unverifiable('unknown-type')
  const items = Object.entries(layout).map(([name, reader]) => reader(fields[name]))
  const encoded = concat(prefixOf(type), rlp(items))
  const to = receiver(fields.to)
  return {
    hash: keccak(encoded),
    index,
    type,
    nonce: quantity(fields.nonce),
    to: to === '0x' ? undefined : to,
    value: quantity(fields.value),
    input: data(fields.input),
    effectiveGasPrice: priceOf(fields, type, header.baseFeePerGas ?? 0n),
    encoded,
  }
}

/** Answers from before EIP-2718 have no type. */
export function typeOf(fields: Fields): number {
  const type = quantity(fields.type ?? '0x0')
  if (type >= BigInt(layouts.length)) throw unverifiable('unknown-type')
  return Number(type)
}

/** EIP-1559: the base fee and the tip, but not more than the maximum. */
function priceOf(fields: Fields, type: number, baseFee: bigint): bigint {
  if (type < 2) return quantity(fields.gasPrice)
  const most = quantity(fields.maxFeePerGas)
  const withTip = baseFee + quantity(fields.maxPriorityFeePerGas)
  return withTip < most ? withTip : most
}

/** The address of the contract that a transaction of `sender` makes (Yellow Paper, section 7). */
export function createdBy(sender: Hex, nonce: bigint): Hex {
  return `0x${keccak(rlp([sender, scalar(nonce)])).slice(-40)}`
}
