/**
 * The provider that pages see (EIP-1193), with the deprecated methods of MetaMask's that old dapps still call.
 * It keeps the chain and the accounts that the background told it last and emits what changed.
 */
import { Emitter } from './emitter.ts'
import type { RpcMessage } from './stream.ts'

interface RequestArguments {
  readonly method: string
  readonly params?: readonly unknown[] | Readonly<Record<string, unknown>>
}

interface ProviderState {
  readonly accounts: readonly string[]
  readonly chainId: string
  readonly networkVersion: string
  readonly isUnlocked: boolean
}

type Callback = (error: unknown, response?: { id: unknown; jsonrpc: '2.0'; result: unknown }) => void
type LegacyPayload = RequestArguments & { readonly id?: unknown }

interface Pending {
  readonly method: string
  resolve(result: unknown): void
  reject(error: unknown): void
}

export class Provider extends Emitter {
  readonly isMetaMask = true
  readonly _metamask = { isUnlocked: () => this.#ready.then(() => this.#isUnlocked) }
  readonly #send: (message: RpcMessage) => void
  readonly #pending = new Map<number, Pending>()
  readonly #ready: Promise<void>
  #nextId = Math.floor(Math.random() * 2 ** 32)
  #chainId: string | null = null
  #networkVersion: string | null = null
  #accounts: readonly string[] | null = null
  #isUnlocked = false
  /** No private field: methods that are not bound run with the Proxy as `this`. */
  readonly _state = { isConnected: false }
  /** Before it knows where it stands it emits nothing but `connect`. */
  #isInitialised = false

  constructor(send: (message: RpcMessage) => void) {
    super()
    this.#send = send
    // Dapps call these without their object.
    for (const name of ['request', 'send', 'sendAsync', 'enable'] as const) {
      Object.defineProperty(this, name, { value: this[name].bind(this), writable: true, configurable: true })
    }
    this.#ready = this.#initialise()
  }

  get chainId(): string | null {
    return this.#chainId
  }

  get networkVersion(): string | null {
    return this.#networkVersion
  }

  get selectedAddress(): string | null {
    return this.#accounts?.[0] ?? null
  }

  isConnected(): boolean {
    return this._state.isConnected
  }

  async request(args: RequestArguments): Promise<unknown> {
    if (typeof args !== 'object' || args === null || Array.isArray(args)) {
      throw providerError(-32600, 'Expected a single, non-array, object argument.', args)
    }
    const { method, params } = args
    if (typeof method !== 'string' || method.length === 0) {
      throw providerError(-32600, "'args.method' must be a non-empty string.", args)
    }
    if (params !== undefined && (typeof params !== 'object' || params === null)) {
      throw providerError(-32600, "'args.params' must be an object or array if provided.", args)
    }
    const id = this.#nextId++
    const result = await new Promise((resolve, reject) => {
      this.#pending.set(id, { method, resolve, reject })
      this.#send({ jsonrpc: '2.0', id, method, ...(params === undefined ? {} : { params }) })
    })
    if (method === 'eth_requestAccounts' || method === 'eth_accounts') this.#setAccounts(result)
    return result
  }

  /** @deprecated in MetaMask, as the three that follow */
  enable(): Promise<unknown> {
    return this.request({ method: 'eth_requestAccounts' })
  }

  sendAsync(payload: LegacyPayload, callback: Callback): void {
    this.request(payload).then(
      (result) => callback(null, { id: payload.id, jsonrpc: '2.0', result }),
      (error: unknown) => callback(error),
    )
  }

  send(methodOrPayload: string | LegacyPayload, paramsOrCallback?: unknown): unknown {
    if (typeof methodOrPayload === 'string') {
      const params = Array.isArray(paramsOrCallback) ? { params: paramsOrCallback } : {}
      return this.request({ method: methodOrPayload, ...params }).then((result) => ({ jsonrpc: '2.0', result }))
    }
    if (typeof paramsOrCallback === 'function') return this.sendAsync(methodOrPayload, paramsOrCallback as Callback)
    return { id: methodOrPayload.id, jsonrpc: '2.0', result: this.#knownResult(methodOrPayload.method) }
  }

  /** To be called with everything that comes from the background. */
  receive(message: RpcMessage): void {
    if (message.id !== undefined) return this.#settle(message)
    switch (message.method) {
      case 'metamask_chainChanged':
        return this.#setChain(message.params as ProviderState)
      case 'metamask_accountsChanged':
        return this.#setAccounts(message.params)
      case 'metamask_unlockStateChanged': {
        const { accounts, isUnlocked } = message.params as ProviderState
        this.#isUnlocked = isUnlocked
        return this.#setAccounts(accounts)
      }
      case 'eth_subscription':
        this.emit('data', message)
        this.emit('message', { type: message.method, data: message.params })
    }
  }

  async #initialise(): Promise<void> {
    const state = (await this.request({ method: 'metamask_getProviderState' })) as ProviderState
    this.#isUnlocked = state.isUnlocked
    this.#setChain(state)
    this.#setAccounts(state.accounts)
    this.#isInitialised = true
  }

  #settle({ id, result, error }: RpcMessage): void {
    const pending = this.#pending.get(id as number)
    if (pending === undefined) return
    this.#pending.delete(id as number)
    if (error === undefined) pending.resolve(result)
    else pending.reject(providerError(error.code, error.message, error.data))
  }

  #setChain({ chainId, networkVersion }: ProviderState): void {
    if (!this._state.isConnected) {
      this._state.isConnected = true
      this.emit('connect', { chainId })
    }
    this.#networkVersion = networkVersion
    if (chainId === this.#chainId) return
    this.#chainId = chainId
    if (this.#isInitialised) {
      this.emit('chainChanged', chainId)
      this.emit('networkChanged', networkVersion)
    }
  }

  #setAccounts(accounts: unknown): void {
    const next = accounts as readonly string[]
    if (JSON.stringify(next) === JSON.stringify(this.#accounts)) return
    this.#accounts = next
    if (this.#isInitialised) this.emit('accountsChanged', [...next])
  }

  #knownResult(method: string): unknown {
    switch (method) {
      case 'eth_accounts':
        return this.selectedAddress === null ? [] : [this.selectedAddress]
      case 'eth_coinbase':
        return this.selectedAddress
      case 'net_version':
        return this.networkVersion
      default:
        throw new Error(`The provider does not answer ${method} synchronously without a callback.`)
    }
  }
}

function providerError(code: number, message: string, data?: unknown): Error {
  return Object.assign(new Error(message), { code, ...(data === undefined ? {} : { data }) })
}
