/** What a node behind a gateway answers, as far as the client under test looks at it; and which transactions it took. */
import { emptyCodeHash } from '@nightjar/shared/proofs'
import type { Call, Json, Outcome } from '@nightjar/shared/rpc'
import { transactionOf } from '@nightjar/shared/wallet'

/** What gas is estimated for in vain. */
export const hopelessValue = '0xffffffffffff'

export function wordOf(block: number): string {
  return `0x${block.toString(16).padStart(64, '0')}`
}

export function quantityOf(number: number): string {
  return `0x${number.toString(16)}`
}

/** With a field that the client does not know: then it checks nothing, as proofs are not what the lab is about. */
export function headerOf(block: number, time: number): { readonly [name: string]: Json } {
  return {
    number: quantityOf(block),
    hash: wordOf(block),
    parentHash: wordOf(block - 1),
    timestamp: quantityOf(Math.floor(time / 1000)),
    labsOwnField: '0x0',
  }
}

export const accountState = { balance: '0x1', nonce: '0x0', codeHash: emptyCodeHash, storageHash: null }

export class Node {
  /** By hash, the block that they get into. */
  readonly #blocks = new Map<string, number>()

  /** The block of the transaction that is broadcast. */
  take(call: Call, block: number): void {
    const hash = transactionOf(call)?.hash
    if (hash !== undefined) this.#blocks.set(hash, block)
  }

  receipt(hash: string, head: number): Json {
    const block = this.#blocks.get(hash)
    if (block === undefined || block > head) return null
    return { transactionHash: hash, blockNumber: quantityOf(block), blockHash: wordOf(block) }
  }

  /** @param head the newest block that is known where it is asked */
  answer({ method, params }: Call, head: number, timeOf: (block: number) => number): Outcome {
    const [first] = (params ?? []) as readonly Json[]
    switch (method) {
      case 'eth_blockNumber':
        return { result: quantityOf(head) }
      case 'eth_getBlockByNumber':
        return Number(first) > head ? { result: null } : { result: headerOf(Number(first), timeOf(Number(first))) }
      case 'eth_getProof':
        return { result: accountState }
      case 'eth_getTransactionReceipt':
        return { result: this.receipt(String(first), head) }
      case 'eth_sendRawTransaction':
        return { result: transactionOf({ method, params: [first as Json] })?.hash ?? null }
      case 'eth_estimateGas':
        return isHopeless(first) ? { error: { code: 3, message: 'execution reverted' } } : { result: '0x5208' }
      default:
        return { result: '0x' }
    }
  }
}

function isHopeless(message: Json | undefined): boolean {
  return typeof message === 'object' && message !== null && 'value' in message && message.value === hopelessValue
}
