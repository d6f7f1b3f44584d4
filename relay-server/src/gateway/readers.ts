/** What watches read: the state of an account with its proof, and the receipt of a transaction. */
import { limits } from '@nightjar/shared/limits'
import { codeHash, type Json, type Outcome, packNodes, type RpcError } from '@nightjar/shared/rpc'
import type { Chain } from './broadcasts.ts'
import { data, hash, hexadecimal, malformed, objectOf, quantity, resultOf, textOf, wholeBytes } from './fields.ts'
import type { Heads } from './follower.ts'
import { headOf } from './header.ts'
import { failureAt, type Reader, type Reading } from './watch.ts'

export type Upstreams = Pick<Chain, 'read'>

export interface AccountOptions {
  readonly account: string
  readonly heads: Heads
  readonly upstreams: Upstreams
}

/** A proof has one node for each nibble of the key, 64, and one for the leaf. */
const proofNodes = 65

/** `{ number, hash, balance, nonce, codeHash, storageHash, proof }`; without a proof, `storageHash` and `proof` are null. */
export class AccountReader implements Reader {
  readonly #options: AccountOptions
  /** The block of the last answer. */
  #told: { readonly number: bigint; readonly hash: string } | undefined

  constructor(options: AccountOptions) {
    this.#options = options
  }

  /** The account at `number`; before it, once more at the block told last, where that is another one by now. */
  async read(number: bigint, signal: AbortSignal): Promise<Reading> {
    const told = this.#told
    const again = told === undefined || told.number >= number ? [] : await this.#unlessSame(told.number, signal)
    return { answers: [...again, ...(await this.#unlessSame(number, signal))], isLast: false }
  }

  async #unlessSame(number: bigint, signal: AbortSignal): Promise<readonly Json[]> {
    try {
      const hash = await this.#hashOf(number, signal)
      if (this.#told?.number === number && this.#told.hash === hash) return []
      const state = await this.#stateAt(hexadecimal(number), signal)
      this.#told = { number, hash }
      return [{ number: hexadecimal(number), hash, ...state }]
    } catch (error) {
      return [failureAt(number, error)]
    }
  }

  /** As the followed heads have it; where they have a gap, as an upstream does. */
  async #hashOf(number: bigint, signal: AbortSignal): Promise<string> {
    const { heads, upstreams } = this.#options
    const known = heads.hashAt(number)
    if (known !== undefined) return known
    const params = [hexadecimal(number), false]
    const head = headOf(await upstreams.read({ method: 'eth_getBlockByNumber', params }, signal))
    if (head.number !== number) throw malformed('number')
    return head.hash
  }

  async #stateAt(block: string, signal: AbortSignal): Promise<{ readonly [name: string]: Json }> {
    const { account, upstreams } = this.#options
    const outcome = await upstreams.read({ method: 'eth_getProof', params: [account, [], block] }, signal)
    if ('error' in outcome && isUnsupported(outcome.error)) return this.#partsAt(block, signal)
    return provenState(outcome)
  }

  /** The same from an upstream that proves nothing. */
  async #partsAt(block: string, signal: AbortSignal): Promise<{ readonly [name: string]: Json }> {
    const { account, upstreams } = this.#options
    const methods = ['eth_getBalance', 'eth_getTransactionCount', 'eth_getCode']
    const [balance, nonce, code] = await Promise.all(
      methods.map(async (method) => resultOf(await upstreams.read({ method, params: [account, block] }, signal))),
    )
    return {
      balance: textOf(balance, 'balance', quantity),
      nonce: textOf(nonce, 'nonce', quantity),
      codeHash: codeHash(textOf(code, 'code', data)),
      storageHash: null,
      proof: null,
    }
  }
}

function provenState(outcome: Outcome): { readonly [name: string]: Json } {
  const { balance, nonce, codeHash, storageHash, accountProof } = objectOf(resultOf(outcome), 'proof')
  if (!Array.isArray(accountProof) || accountProof.length > proofNodes) throw malformed('accountProof')
  return {
    balance: textOf(balance, 'balance', quantity),
    nonce: textOf(nonce, 'nonce', quantity),
    codeHash: textOf(codeHash, 'codeHash', hash),
    storageHash: textOf(storageHash, 'storageHash', hash),
    proof: packNodes(accountProof.map((node: Json) => textOf(node, 'accountProof', wholeBytes))),
  }
}

/** How nodes say that they have no proofs, or none of a block that old. */
function isUnsupported({ code, message }: RpcError): boolean {
  // JSON-RPC 2.0 "method not found", EIP-1474 "method not supported".
  if (code === -32601 || code === -32004) return true
  return /(not|un)[- ]?(supported|available|allowed)|does not exist|proof window/i.test(message)
}

export interface TransactionOptions {
  readonly transaction: string
  readonly stride: number
  readonly upstreams: Upstreams
}

/** `{ number, receipt }`; the receipt is null until the transaction is in a block. */
export class TransactionReader implements Reader {
  readonly #options: TransactionOptions
  /** The grid block at which there was a receipt first. */
  #since: bigint | undefined

  constructor(options: TransactionOptions) {
    this.#options = options
  }

  async read(number: bigint, signal: AbortSignal): Promise<Reading> {
    const { transaction, stride, upstreams } = this.#options
    const call = { method: 'eth_getTransactionReceipt', params: [transaction] }
    const receipt = resultOf(await upstreams.read(call, signal))
    if (receipt !== null) {
      objectOf(receipt, 'receipt')
      this.#since ??= number
    }
    const isLast = this.#since !== undefined && number >= this.#since + BigInt(limits.receiptSlots * stride)
    return { answers: [{ number: hexadecimal(number), receipt }], isLast }
  }
}
