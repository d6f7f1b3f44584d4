/** For which chains a gateway answers over the private path. */
import type { ChainView } from '../../messages/ui.ts'

export class ServedChains {
  readonly #check: (chain: number) => Promise<void>
  #states: ReadonlyMap<number, 'served' | 'unserved'> = new Map()

  /** @param check asks a gateway for its chain id. @throws NightjarError where none answers */
  constructor(check: (chain: number) => Promise<void>) {
    this.#check = check
  }

  /**
   * Private for one chain is enough to go on; those without a gateway are shown.
   * @throws NightjarError why no gateway answered, where none did for any chain
   */
  async checkAll(chains: readonly number[], signal: AbortSignal): Promise<void> {
    const results = await Promise.allSettled(chains.map(this.#check))
    if (signal.aborted) return
    this.#states = new Map(
      chains.map((chain, index) => [chain, results[index]?.status === 'fulfilled' ? 'served' : 'unserved']),
    )
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined && this.served.length === 0) throw failed.reason
  }

  /** Whether a gateway has come for a chain that had none. */
  async hasNew(): Promise<boolean> {
    const results = await Promise.allSettled(this.unserved.map(this.#check))
    return results.some(({ status }) => status === 'fulfilled')
  }

  get served(): readonly number[] {
    return this.#thatAre('served')
  }

  get unserved(): readonly number[] {
    return this.#thatAre('unserved')
  }

  stateOf(chain: number): ChainView['state'] {
    return this.#states.get(chain) ?? 'unchecked'
  }

  forget(): void {
    this.#states = new Map()
  }

  #thatAre(wanted: 'served' | 'unserved'): number[] {
    return [...this.#states].filter(([, state]) => state === wanted).map(([chain]) => chain)
  }
}
