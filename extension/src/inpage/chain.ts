/**
 * The chain that a wallet is on for this page. The wallet is asked once, then its `chainChanged` is followed; after a
 * call that may have changed it (`forget`) it is asked again, since the event may come later than the call's answer.
 */

export interface ChainSource {
  request(call: { readonly method: string }): Promise<unknown>
  on(event: 'chainChanged', listener: (chain: unknown) => void): unknown
}

export class Chain {
  readonly #source: ChainSource
  #known: number | undefined
  #asking: Promise<number> | undefined
  /** Counts what may have changed the chain: an answer is of use only if nothing did since it was asked for. */
  #changes = 0

  constructor(source: ChainSource) {
    this.#source = source
    source.on('chainChanged', (chain) => {
      this.forget()
      this.#known = toChain(chain)
    })
  }

  /** Decimal chain id. @throws what the wallet throws, or TypeError where it names no chain */
  async current(): Promise<number> {
    if (this.#known !== undefined) return this.#known
    this.#asking ??= this.#ask()
    return this.#asking
  }

  forget(): void {
    this.#changes += 1
    this.#known = undefined
  }

  async #ask(): Promise<number> {
    try {
      while (this.#known === undefined) {
        const changes = this.#changes
        const chain = toChain(await this.#source.request({ method: 'eth_chainId' }))
        if (changes !== this.#changes) continue
        if (chain === undefined) throw new TypeError('The wallet named no chain.')
        this.#known = chain
      }
      return this.#known
    } finally {
      this.#asking = undefined
    }
  }
}

/** A chain id in hexadecimal as EIP-695 has it; undefined where `value` is none. */
export function toChain(value: unknown): number | undefined {
  if (typeof value !== 'string' || !/^0x[0-9a-f]{1,13}$/i.test(value)) return undefined
  const chain = Number(value)
  return chain >= 1 ? chain : undefined
}
