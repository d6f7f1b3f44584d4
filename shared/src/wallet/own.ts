/**
 * The user's own accounts, as far as they have shown themselves, and which of them a call names.
 *
 * Recognition errs towards "own": an account that is taken for the user's costs a branch, one that is not costs the
 * user's privacy. So an account is found wherever its twenty bytes stand in any text of a call, aligned or not, and
 * under the other names by which it is asked for: its ENS reverse name, and the transactions that it sent.
 *
 * Accounts that the wallet itself listed stay. Those that were only seen in a call make room for them and for each other,
 * oldest first, so that a page that names strangers cannot push the wallet's out.
 */
import { keccak_256 } from '@noble/hashes/sha3.js'
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js'
import { transactionOf } from './addresses.ts'
import { type Address, type Call, type Json, type Outcome, textsIn } from './call.ts'
import { learntFrom } from './learnt.ts'

/** Accounts that are known at once: more than people have, few enough to search for in each call. */
const mostAccounts = 1000
const mostTransactions = 1000

export class OwnAccounts {
  /** By age: what was learnt last is last. */
  readonly #accounts = new Map<Address, Known>()
  readonly #transactions = new Map<string, Address>()
  /** Made when first searched for after a change. */
  #index: Index | undefined

  /** @param evidence `wallet` where the wallet listed it as its own, `call` where a call made it likely */
  learn(account: Address, evidence: 'wallet' | 'call' = 'call'): void {
    const address = account.toLowerCase() as Address
    const known = this.#accounts.get(address)
    this.#accounts.delete(address)
    this.#accounts.set(address, {
      names: known?.names ?? namesOf(address),
      isListed: known?.isListed === true || evidence === 'wallet',
    })
    if (known !== undefined) return
    this.#index = undefined
    if (this.#accounts.size > mostAccounts) this.#accounts.delete(this.#leastWorthy())
  }

  /** @param hash of a transaction that `account` sent: who asks for it asks for the account */
  learnTransaction(hash: string, account: Address): void {
    this.#transactions.delete(hash)
    this.#transactions.set(hash, account)
    for (const oldest of this.#transactions.keys()) {
      if (this.#transactions.size <= mostTransactions) break
      this.#transactions.delete(oldest)
    }
    this.#index = undefined
  }

  /** Learns from a call before it is sent, and again with its outcome. */
  learnFrom(call: Call, outcome?: Outcome): void {
    const { listed, seen, transaction } = learntFrom(call, outcome)
    for (const address of listed) this.learn(address, 'wallet')
    for (const address of seen) this.learn(address)
    if (transaction !== undefined) this.learnTransaction(transaction.hash, transaction.account)
  }

  has(address: Address): boolean {
    return this.#accounts.has(address)
  }

  /** Those that the call names, in ascending order. */
  namedIn(call: Call): readonly Address[] {
    const found = new Set(this.namedInValue(call.params ?? null))
    // Who signed stands nowhere in the text.
    const transaction = transactionOf(call)
    for (const signer of transaction ? [transaction.sender, ...transaction.authorities] : []) {
      if (this.has(signer)) found.add(signer)
    }
    return [...found].sort()
  }

  /** Those whose names stand in the texts of `value`, in ascending order. */
  namedInValue(value: Json): readonly Address[] {
    const found = new Set<Address>()
    for (const text of textsIn(value)) this.#search(text, found)
    return [...found].sort()
  }

  /** The oldest that the wallet did not list; where it listed all, the oldest. */
  #leastWorthy(): Address {
    const oldest = [...this.#accounts]
    const [address] = (oldest.find(([, { isListed }]) => !isListed) ?? oldest[0]) as [Address, Known]
    return address
  }

  /** One pass: the last eight digits that were read tell whether a name may end here, and only then is one compared. */
  #search(text: string, found: Set<Address>): void {
    this.#index ??= indexOf(this.#accounts, this.#transactions)
    const { names, endings } = this.#index
    const lower = text.toLowerCase()
    let digits = 0
    let ending = 0
    for (let at = 0; at < lower.length; at++) {
      const digit = digitOf(lower.charCodeAt(at))
      digits = digit < 0 ? 0 : digits + 1
      ending = ((ending << 4) | digit) >>> 0
      if (digits < addressDigits) continue
      for (const length of endings.get(ending) ?? []) {
        const account = digits < length ? undefined : names.get(lower.slice(at + 1 - length, at + 1))
        if (account !== undefined) found.add(account)
      }
    }
  }
}

interface Known {
  /** Lower-case digits without 0x. */
  readonly names: readonly string[]
  readonly isListed: boolean
}

interface Index {
  readonly names: ReadonlyMap<string, Address>
  /** The last eight digits of each name as a number, and how long the names are that end so. */
  readonly endings: ReadonlyMap<number, ReadonlySet<number>>
}

const addressDigits = 40

function indexOf(accounts: ReadonlyMap<Address, Known>, transactions: ReadonlyMap<string, Address>): Index {
  const names = new Map<string, Address>()
  for (const [hash, account] of transactions) names.set(hash.slice(2), account)
  for (const [account, known] of accounts) for (const name of known.names) names.set(name, account)
  const endings = new Map<number, Set<number>>()
  for (const name of names.keys()) {
    const ending = Number.parseInt(name.slice(-8), 16)
    const lengths = endings.get(ending) ?? new Set()
    endings.set(ending, lengths.add(name.length))
  }
  return { names, endings }
}

/** The ENS node `addr.reverse` (ENSIP-3). */
const reverseNode = hexToBytes('91d1777781884d03a6757a803996e38de2a42967fb37eeaca72729271025a9e2')

/** An account's digits; the same as ASCII, as a reverse name stands in calldata; the node of that name (ENSIP-1). */
function namesOf(account: Address): readonly string[] {
  const digits = account.slice(2)
  const ascii = Uint8Array.from(digits, (digit) => digit.charCodeAt(0))
  const node = keccak_256(Uint8Array.of(...reverseNode, ...keccak_256(ascii)))
  return [digits, bytesToHex(ascii), bytesToHex(node)]
}

/** What the lower-case hexadecimal digit stands for, -1 where it is none. */
function digitOf(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  return code >= 0x61 && code <= 0x66 ? code - 0x57 : -1
}
