/**
 * The methods that gateways forward, and what a request for each looks like from outside.
 *
 * Balance, nonce, call, receipt and the rest of what wallets poll share one class of answer, so that their sizes do not
 * tell them apart; only what is nearly always larger has a larger one. An answer that does not fit grows to the next
 * class that holds it. Every question starts at one cell and grows with its text.
 */

export interface Method {
  /** `read`: may be asked again, of anyone. `broadcast`: changes the chain, see protocol.md, "Retries and broadcasts". */
  readonly kind: 'read' | 'broadcast'
  /** Cells of the sealed answer, at least. */
  readonly answerCells: number
}

const small: Method = { kind: 'read', answerCells: 4 }
const block: Method = { kind: 'read', answerCells: 32 }
const large: Method = { kind: 'read', answerCells: 64 }

export const catalogue: ReadonlyMap<string, Method> = new Map<string, Method>([
  ['web3_clientVersion', small],
  ['web3_sha3', small],
  ['net_version', small],
  ['net_listening', small],
  ['eth_chainId', small],
  ['eth_protocolVersion', small],
  ['eth_syncing', small],
  ['eth_blockNumber', small],
  ['eth_gasPrice', small],
  ['eth_maxPriorityFeePerGas', small],
  ['eth_blobBaseFee', small],
  ['eth_feeHistory', small],
  ['eth_getBalance', small],
  ['eth_getStorageAt', small],
  ['eth_getTransactionCount', small],
  ['eth_getCode', small],
  ['eth_call', small],
  ['eth_estimateGas', small],
  ['eth_createAccessList', small],
  ['eth_getTransactionByHash', small],
  ['eth_getTransactionByBlockHashAndIndex', small],
  ['eth_getTransactionByBlockNumberAndIndex', small],
  ['eth_getTransactionReceipt', small],
  ['eth_getBlockTransactionCountByHash', small],
  ['eth_getBlockTransactionCountByNumber', small],
  ['eth_getUncleCountByBlockHash', small],
  ['eth_getUncleCountByBlockNumber', small],
  ['eth_getUncleByBlockHashAndIndex', small],
  ['eth_getUncleByBlockNumberAndIndex', small],
  ['eth_getBlockByHash', block],
  ['eth_getBlockByNumber', block],
  ['eth_getProof', block],
  ['eth_simulateV1', block],
  ['eth_getLogs', large],
  ['eth_getBlockReceipts', large],
  ['eth_sendRawTransaction', { kind: 'broadcast', answerCells: small.answerCells }],
])

/** What to ask for where the catalogue does not know the method (the gateway refuses it, in an answer of this class). */
export const unknownMethod: Method = small

export function methodOf(name: string): Method {
  return catalogue.get(name) ?? unknownMethod
}
