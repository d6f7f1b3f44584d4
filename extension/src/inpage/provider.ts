/**
 * Nightjar's own provider, for pages that let the user pick one. Reads are private; signing, accounts and permissions are
 * asked of the first wallet found on the page. Where there is none it still reads, on a chain that is kept here.
 *
 * It is EIP-1193 and no more: no `isMetaMask`, no `send`, no `enable`.
 */
import type { PageCall } from './call.ts'
import { toChain } from './chain.ts'
import { Emitter, type Listener } from './emitter.ts'
import { badParams, pageOrphaned, providerError, turnedOff, walletMissing } from './failures.ts'
import { type Background, createRequest, type Request } from './requests.ts'
import type { Wallet } from './wallets.ts'

/** What the wallet tells of, and its page hears. */
const walletEvents = ['accountsChanged', 'chainChanged', 'connect', 'disconnect']

/** Ethereum, until a page without a wallet says otherwise. */
const firstChain = 1

export interface NightjarProvider {
  readonly request: Request
  isConnected(): boolean
  on(event: string, listener: Listener): this
  addListener(event: string, listener: Listener): this
  once(event: string, listener: Listener): this
  off(event: string, listener: Listener): this
  removeListener(event: string, listener: Listener): this
  removeAllListeners(event?: string): this
}

/**
 * @param search makes wallets show themselves. Called once at most: pages answer announcements with requests.
 * @returns the provider, and what is to be told of the first wallet
 */
export function createProvider(background: Background, search: () => void) {
  const emitter = new Emitter()
  let wallet: Wallet | undefined
  let hasSearched = false
  let isConnected = true
  /** Where no wallet has one. */
  let ownChain = firstChain
  /** Whether the page went by that chain. */
  let isTold = false

  const request = createRequest(background, {
    door: 'nightjar',
    chain: async () => findWallet()?.chain.current() ?? tellChain(),
    askWallet: async (call) => findWallet()?.ask(call) ?? answerAlone(call),
    pass: async () => {
      throw providerError(turnedOff)
    },
    deliver: (message) => emitter.emit('message', message),
  })

  background.exchange.onEvent(({ event }) => {
    if (event !== 'gone') return
    isConnected = false
    emitter.emit('disconnect', providerError(pageOrphaned))
  })

  function findWallet(): Wallet | undefined {
    if (wallet === undefined && !hasSearched) {
      hasSearched = true
      search()
    }
    return wallet
  }

  function useWallet(found: Wallet): void {
    wallet = found
    for (const event of walletEvents) found.original.on(event, (...args) => emitter.emit(event, ...args))
    if (isTold) void moveTo(found)
  }

  /** The page went by a chain of ours before this wallet came. */
  async function moveTo({ chain }: Wallet): Promise<void> {
    try {
      const current = await chain.current()
      if (current !== ownChain) emitter.emit('chainChanged', toHex(current))
    } catch {
      // The wallet names no chain. The page hears of it at its next request, which asks again.
    }
  }

  function tellChain(): number {
    if (!isTold) queueMicrotask(() => emitter.emit('connect', { chainId: toHex(ownChain) }))
    isTold = true
    return ownChain
  }

  function answerAlone({ method, params }: PageCall): unknown {
    if (method === 'eth_chainId') return toHex(tellChain())
    if (method === 'net_version') return String(tellChain())
    if (method === 'wallet_switchEthereumChain') return switchChain(params)
    throw providerError(walletMissing)
  }

  function switchChain(params: unknown): null {
    const chain = Array.isArray(params) ? toChain(params[0]?.chainId) : undefined
    if (chain === undefined) throw providerError(badParams("Expected '[{ chainId }]' with a chain id in hexadecimal."))
    if (chain !== ownChain) {
      ownChain = chain
      queueMicrotask(() => emitter.emit('chainChanged', toHex(chain)))
    }
    return null
  }

  const provider: NightjarProvider = {
    request,
    isConnected: () => isConnected,
    on: (event, listener) => add(event, listener),
    addListener: (event, listener) => add(event, listener),
    once: (event, listener) => add(event, listener, true),
    off: (event, listener) => remove(event, listener),
    removeListener: (event, listener) => remove(event, listener),
    removeAllListeners(event) {
      emitter.removeAll(event)
      return provider
    },
  }

  function add(event: string, listener: Listener, isOnce = false): NightjarProvider {
    emitter.add(event, listener, isOnce)
    return provider
  }

  function remove(event: string, listener: Listener): NightjarProvider {
    emitter.remove(event, listener)
    return provider
  }

  return { provider, useWallet }
}

function toHex(chain: number): string {
  return `0x${chain.toString(16)}`
}
