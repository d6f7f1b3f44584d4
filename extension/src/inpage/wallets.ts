/**
 * The wallets of a page that Nightjar stands in front of, each with its Proxy: one per original, whichever way the page
 * or the wallet shows it.
 *
 * Only MetaMask is touched, for only MetaMask is pointed at our endpoint; of other wallets Nightjar claims nothing, and
 * leaves them as they are.
 *
 * Left out: what MetaMask has behind `_metamask` and other names with an underscore. A page that asks there is answered
 * by the wallet itself, by way of the endpoint.
 */
import type { ShownAccounts } from '../messages/shown.ts'
import type { PageCall } from './call.ts'
import { Chain } from './chain.ts'
import { createSend, createSendAsync } from './legacy.ts'
import { type Background, createRequest } from './requests.ts'
import { shownBy, shownIn } from './shown.ts'
import { standIn } from './standIn.ts'
import type { SubscriptionMessage } from './subscriptions.ts'

/** MetaMask, and its builds for developers and institutions. */
const wrappedNames: ReadonlySet<unknown> = new Set(['io.metamask', 'io.metamask.flask', 'io.metamask.mmi'])

/** Calls after which the wallet may be on another chain. */
const switches: ReadonlySet<string> = new Set(['wallet_switchEthereumChain', 'wallet_addEthereumChain'])

/** EIP-1193, and what MetaMask adds to it. */
export interface Provider {
  request(call: PageCall): Promise<unknown>
  on(event: string, listener: (...args: never[]) => void): unknown
  emit?(event: string, ...args: unknown[]): unknown
  send?(payload: unknown): unknown
}

/** A wallet behind its Proxy. */
export interface Wallet {
  readonly original: Provider
  readonly proxy: Provider
  readonly chain: Chain
  /** The wallet's own answer. */
  ask(call: PageCall): Promise<unknown>
}

export class Wallets {
  readonly #background: Background
  #onFirst: ((wallet: Wallet) => void) | undefined
  /** By original and by Proxy. */
  readonly #known = new WeakMap<object, Wallet>()
  /** Announced by another wallet. */
  readonly #others = new WeakSet<object>()

  /** @param onFirst told of the wallet that Nightjar's own provider will ask */
  constructor(background: Background, onFirst: (wallet: Wallet) => void) {
    this.#background = background
    this.#onFirst = onFirst
  }

  /** What the page is given for a provider announced as `rdns`: the Proxy, or what was announced. */
  announced(rdns: unknown, provider: unknown): unknown {
    if (!isProvider(provider)) return provider
    if (wrappedNames.has(rdns)) return this.#wrap(provider).proxy
    this.#others.add(provider)
    return provider
  }

  /** What the page is given for a `value` found where MetaMask puts its provider. */
  found(value: unknown): unknown {
    if (!isProvider(value)) return value
    const isMetaMask =
      this.#known.has(value) || ((value as { isMetaMask?: unknown }).isMetaMask === true && !this.#others.has(value))
    return isMetaMask ? this.#wrap(value).proxy : value
  }

  #wrap(original: Provider): Wallet {
    const known = this.#known.get(original)
    if (known !== undefined) return known
    const wallet = createWallet(this.#background, original)
    this.#known.set(original, wallet)
    this.#known.set(wallet.proxy, wallet)
    this.#onFirst?.(wallet)
    this.#onFirst = undefined
    return wallet
  }
}

function createWallet(background: Background, original: Provider): Wallet {
  // Bound now: the wallet's own object may have to be changed later (globals.ts).
  const own = original.request.bind(original)
  const sendSync = original.send?.bind(original)
  const chain = new Chain({ request: own, on: (event, listener) => original.on(event, listener) })

  const show = (shown: ShownAccounts | undefined) => {
    if (shown !== undefined) background.exchange.show(shown)
  }
  original.on('accountsChanged', (accounts: unknown) => show(shownIn(accounts)))

  const ask = async (call: PageCall): Promise<unknown> => {
    try {
      const answer = await own(call)
      show(shownBy(call, answer))
      return answer
    } finally {
      if (switches.has(call.method)) chain.forget()
    }
  }
  // By the wallet's own emitter: who listens, how often and in which order is then its business, as with its own events.
  const emit = original.emit?.bind(original)
  const deliver = (message: SubscriptionMessage) => {
    emit?.('data', { jsonrpc: '2.0', method: message.type, params: message.data })
    emit?.('message', message)
  }
  const request = createRequest(background, {
    door: 'wallet',
    chain: () => chain.current(),
    askWallet: ask,
    pass: ask,
    ...(emit === undefined ? {} : { deliver }),
  })
  const proxy = standIn(original, {
    request,
    send: createSend(request, (payload) => sendSync?.(payload)),
    sendAsync: createSendAsync(request),
  })
  return { original, proxy, chain, ask }
}

function isProvider(value: unknown): value is Provider {
  if (typeof value !== 'object' || value === null) return false
  const { request, on } = value as { readonly [key: string]: unknown }
  return typeof request === 'function' && typeof on === 'function'
}
