/**
 * Asks the wallet to use the endpoint as its RPC provider (EIP-3085, `wallet_addEthereumChain`), the way MetaMask lets
 * other extensions ask: over an external port. Where no wallet has the configured id, the provider in the page of the
 * active tab is asked instead.
 */
import { asNightjarError, type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { type Clock, minute, second } from '@nightjar/shared/runtime'
import { chainInfo } from './chains.ts'

/** An external port to a wallet, as far as it is used. */
export interface WalletPort {
  postMessage(message: unknown): void
  disconnect(): void
  onMessage(listener: (message: unknown) => void): void
  onDisconnect(listener: () => void): void
}

export interface WalletOptions {
  readonly clock: Clock
  connect(walletId: string): WalletPort
  /**
   * Asks the provider in the active tab's page; what it answers is the page's word and no evidence.
   * @throws NightjarError `wallet-absent` where there is no such page or provider in it
   */
  askPage(request: WalletRequest): Promise<WalletAnswer>
}

export interface WalletRequest {
  readonly method: 'wallet_addEthereumChain'
  readonly params: readonly [Readonly<Record<string, unknown>>]
}

export type WalletAnswer =
  | { readonly result: unknown }
  | { readonly error: { readonly code: number; readonly message?: unknown } }

/** Long enough to unlock a wallet and read two dialogs. */
const dialogTimeout = 5 * minute
/** Without an answer for this long, the user is told to look for the wallet's window. */
export const silentAfter = 8 * second

const codes: Readonly<Record<number, ErrorCode>> = {
  4001: 'wallet-refused',
  [-32002]: 'wallet-busy',
  4100: 'wallet-blocked',
}

export interface WalletQuestion {
  readonly walletId: string
  readonly chain: number
  /** Where the wallet is to ask from now on. */
  readonly url: string
  /** The user does not want it any more. */
  readonly signal: AbortSignal
}

/**
 * Resolves once the wallet agreed.
 * @throws NightjarError `wallet-absent`, `-refused`, `-busy`, `-blocked`, `-silent` or `-failed`, `cancelled`
 */
export async function askWallet(options: WalletOptions, question: WalletQuestion): Promise<void> {
  const { chain, url } = question
  const { name, currency, symbol } = chainInfo(chain)
  const request: WalletRequest = {
    method: 'wallet_addEthereumChain',
    params: [
      {
        chainId: `0x${chain.toString(16)}`,
        chainName: `${name} (Nightjar)`,
        rpcUrls: [url],
        nativeCurrency: { name: currency, symbol, decimals: 18 },
      },
    ],
  }
  const answer = await ask(options, question, request)
  if (!('error' in answer)) return
  const { code } = answer.error
  const known = codes[code]
  // Only the number: the words may be a page's, and would stand in our popup.
  throw known === undefined ? new NightjarError('wallet-failed', { detail: `code ${code}` }) : new NightjarError(known)
}

async function ask(options: WalletOptions, question: WalletQuestion, request: WalletRequest): Promise<WalletAnswer> {
  const { clock } = options
  const { walletId, signal } = question
  const over = Promise.withResolvers<never>()
  // Nobody waits for it where the wallet was quicker.
  over.promise.catch(() => undefined)
  const cancel = () => over.reject(new NightjarError('cancelled'))
  const timer = clock.after(dialogTimeout, () => over.reject(new NightjarError('wallet-silent')))
  signal.addEventListener('abort', cancel, { once: true })
  try {
    return await askExtension(options.connect(walletId), request, over.promise)
  } catch (error) {
    if (asNightjarError(error).code !== 'wallet-absent') throw error
    return await Promise.race([options.askPage(request), over.promise])
  } finally {
    timer.cancel()
    signal.removeEventListener('abort', cancel)
  }
}

/** @param over rejects when nobody waits for the answer any more */
async function askExtension(port: WalletPort, request: WalletRequest, over: Promise<never>): Promise<WalletAnswer> {
  const answer = Promise.withResolvers<WalletAnswer>()
  let wasHeard = false
  port.onMessage((message) => {
    wasHeard = true
    const ours = answerIn(message)
    if (ours !== undefined) answer.resolve(ours)
  })
  port.onDisconnect(() => answer.reject(new NightjarError(wasHeard ? 'wallet-silent' : 'wallet-absent')))
  try {
    port.postMessage({ name: 'metamask-provider', data: { jsonrpc: '2.0', id: 1, ...request } })
    return await Promise.race([answer.promise, over])
  } finally {
    // Without its port the wallet takes the dialog away.
    port.disconnect()
  }
}

/** The answer to our request; anything else that comes on the port, such as notifications, is not ours. */
function answerIn(message: unknown): WalletAnswer | undefined {
  const { name, data } = (message ?? {}) as { readonly name?: unknown; readonly data?: unknown }
  if (name !== 'metamask-provider' || typeof data !== 'object' || data === null) return undefined
  const { id, error } = data as { readonly id?: unknown; readonly error?: unknown }
  if (id !== 1) return undefined
  if (typeof error === 'object' && error !== null) {
    const { code, message: text } = error as { readonly code?: unknown; readonly message?: unknown }
    return { error: { code: typeof code === 'number' ? code : 0, message: text } }
  }
  return 'result' in data ? { result: data.result } : undefined
}
