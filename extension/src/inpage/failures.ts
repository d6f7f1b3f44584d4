/**
 * The errors that arise inside a page, as the page sees them: code, sentence, and our stable code in `data.nightjar`.
 * They repeat entries of shared/src/errors/codes.ts (a test compares them): the whole table would be half of what these
 * scripts weigh, in every page.
 */
import type { RpcError } from '@nightjar/shared/rpc'

const unauthorised = 4100
const disconnected = 4900
const invalidRequest = -32600
const methodNotFound = -32601
const invalidParams = -32602
const internal = -32603
const limitExceeded = -32005

function failure(nightjar: string, code: number, message: string): RpcError {
  return { code, message, data: { nightjar } }
}

export const requestTooLarge = failure('request-too-large', limitExceeded, 'The request is too large. Split it up.')

export const outcomeUnknown = failure(
  'outcome-unknown',
  internal,
  'The transaction may or may not have been accepted. Look it up by its hash before you send another with the same nonce.',
)

export const timedOut = failure('timed-out', disconnected, 'No answer came in time. Try again.')

export const turnedOff = failure('turned-off', disconnected, 'Nightjar is turned off. Open it and press Go private.')

export const methodNotAllowed = failure(
  'method-not-allowed',
  methodNotFound,
  'This method is not forwarded to RPC providers. Use one of the public Ethereum JSON-RPC API.',
)

export const walletMissing = failure(
  'wallet-missing',
  unauthorised,
  'This needs a wallet, and none was found on this page. Install one, or unlock it, and reload the page.',
)

/** The extension was updated, turned off in the browser or removed under a page that stays open. */
export const pageOrphaned = failure('page-orphaned', disconnected, 'Nightjar was updated or removed. Reload this page.')

/** A call that cannot be one. As MetaMask does, it gets no code of ours. */
export function badRequest(message: string): RpcError {
  return { code: invalidRequest, message }
}

export function badParams(message: string): RpcError {
  return { code: invalidParams, message }
}

/** As `request` of EIP-1193 rejects: an Error with code, message and data. */
export type ProviderError = Error & { readonly code: number; readonly data?: unknown }

export function providerError({ code, message, data }: RpcError): ProviderError {
  return Object.assign(new Error(message), data === undefined ? { code } : { code, data })
}
