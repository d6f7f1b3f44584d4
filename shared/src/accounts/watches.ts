/** What is watched, on all chains; and which block the wallet was told as the newest, which never goes back by itself. */
import { LRUCache } from 'lru-cache'
import type { Address } from '../wallet/index.ts'
import { type Asker, ChainWatches } from './chainWatches.ts'
import type { AccountsContext } from './context.ts'
import type { Trust } from './trust.ts'

/** Chains that are watched at once. */
const mostChains = 5
/** Chains of which is remembered what the wallet was told. */
const mostTold = 64

export class Watches {
  readonly #context: AccountsContext
  readonly #trust: Trust
  readonly #chains = new Map<number, ChainWatches>()
  /** By chain, the newest block that the wallet was told. */
  readonly #told = new LRUCache<number, number>({ max: mostTold })

  constructor(context: AccountsContext, trust: Trust) {
    this.#context = context
    this.#trust = trust
  }

  get counts(): { readonly watched: number; readonly cold: number } {
    const sums = { watched: 0, cold: 0 }
    for (const { counts } of this.#chains.values()) {
      sums.watched += counts.watched
      sums.cold += counts.cold
    }
    return sums
  }

  of(chain: number): ChainWatches | undefined {
    return this.#chains.get(chain)
  }

  /** The chain's watches, unless too many other chains are watched. */
  open(chain: number): ChainWatches | undefined {
    const known = this.#chains.get(chain)
    if (known !== undefined || this.#chains.size >= mostChains) return known
    const watches = new ChainWatches({
      context: this.#context,
      chain,
      trust: this.#trust,
      onReplaced: (number) => {
        if ((this.#told.get(chain) ?? -1) >= number) this.#told.delete(chain)
      },
      onOver: () => this.#chains.delete(chain),
    })
    this.#chains.set(chain, watches)
    return watches
  }

  /** The wallet asks for accounts: see ChainWatches.touch. */
  touch(chain: number, account: Address, asker: Asker): boolean {
    return this.open(chain)?.touch(account, asker) ?? false
  }

  /** What the wallet is told as the newest block; undefined where nothing is watched. */
  async newest(chain: number): Promise<number | undefined> {
    const watches = this.#chains.get(chain)
    if (watches === undefined || watches.counts.watched === 0) return undefined
    const onGrid = watches.head ?? (await watches.newestOnGrid())
    // Replaced meanwhile, it is forgotten; beyond what heads are known of, it was one gateway's word.
    const told = Math.min(this.#told.get(chain) ?? 0, watches.heads.newest ?? 0)
    const head = Math.max(onGrid ?? 0, told)
    return head === 0 ? undefined : this.tell(chain, head)
  }

  tell(chain: number, number: number): number {
    this.#told.set(chain, number)
    return number
  }

  stop(): void {
    for (const watches of this.#chains.values()) watches.stop()
    this.#chains.clear()
  }
}
