/** Errors as MetaMask gives them to dapps: codes of EIP-1193, EIP-1474 and EIP-3326, MetaMask's wording. */

export class RpcError extends Error {
  override readonly name = 'RpcError'
  readonly code: number
  readonly data: unknown

  constructor(code: number, message: string, data?: unknown) {
    super(message)
    this.code = code
    this.data = data
  }
}

export interface RpcErrorObject {
  readonly code: number
  readonly message: string
  readonly data?: unknown
}

export function toErrorObject(error: unknown): RpcErrorObject {
  if (error instanceof RpcError) {
    return { code: error.code, message: error.message, ...(error.data === undefined ? {} : { data: error.data }) }
  }
  return { code: -32603, message: error instanceof Error ? error.message : 'Internal JSON-RPC error.' }
}

export const invalidParams = (message: string) => new RpcError(-32602, message)
export const methodNotFound = (method: string) =>
  new RpcError(-32601, `The method "${method}" does not exist / is not available.`)
/** Also what a broken circuit looks like: MetaMask calls both "resource unavailable". */
export const resourceUnavailable = (message: string) => new RpcError(-32002, message)
export const alreadyPending = (type: string, origin: string) =>
  resourceUnavailable(`Request of type '${type}' already pending for origin ${origin}. Please wait.`)
export const rejectedByUser = (message = 'User rejected the request.') => new RpcError(4001, message)
export const unauthorized = (message = 'The requested account and/or method has not been authorized by the user.') =>
  new RpcError(4100, message)
export const unknownChain = (chainId: string) =>
  new RpcError(4902, `Unrecognized chain ID "${chainId}". Try adding the chain using wallet_addEthereumChain first.`)
