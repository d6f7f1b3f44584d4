/** Wallets as pages meet them. */
import { EventEmitter } from 'node:events'

type Listener = (...args: never[]) => void

/** MetaMask, as far as a page can tell: EIP-1193, methods of old, private fields. Works when it is frozen, too. */
export class FakeMetaMask {
  readonly isMetaMask: boolean | undefined = true
  readonly #emitter = new EventEmitter()
  /** What it was asked itself. */
  readonly asked: { readonly method: string; readonly params?: unknown }[] = []
  #chain = '0x1'
  /** Holds back `eth_chainId` while a test wants it. */
  held: Promise<unknown> | undefined

  get chainId(): string {
    return this.#chain
  }

  async request({ method, params }: { method: string; params?: unknown }): Promise<unknown> {
    this.asked.push(params === undefined ? { method } : { method, params })
    if (method === 'eth_chainId') {
      const chain = this.#chain
      await this.held
      return chain
    }
    if (method === 'wallet_switchEthereumChain') {
      // As MetaMask: the event comes after the answer.
      const [{ chainId }] = params as [{ chainId: string }]
      this.#chain = chainId
      setImmediate(() => this.emit('chainChanged', chainId))
      return null
    }
    if (method === 'personal_sign') throw Object.assign(new Error('User rejected the request.'), { code: 4001 })
    return `wallet: ${method}`
  }

  on(event: string, listener: Listener): this {
    this.#emitter.on(event, listener as () => void)
    return this
  }

  once(event: string, listener: Listener): this {
    this.#emitter.once(event, listener as () => void)
    return this
  }

  removeListener(event: string, listener: Listener): this {
    this.#emitter.removeListener(event, listener as () => void)
    return this
  }

  emit(event: string, ...args: unknown[]): boolean {
    return this.#emitter.emit(event, ...args)
  }

  send(payload: unknown, callback?: unknown): unknown {
    if (callback !== undefined) throw new Error('asked the wallet itself')
    return { id: (payload as { id: unknown }).id, jsonrpc: '2.0', result: 'at once' }
  }

  sendAsync(): void {
    throw new Error('asked the wallet itself')
  }

  /** The user picks another chain in the wallet. */
  moveTo(chain: string): void {
    this.#chain = chain
    this.emit('chainChanged', chain)
  }

  get askedMethods(): string[] {
    return this.asked.map(({ method }) => method)
  }
}
