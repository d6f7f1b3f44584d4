/**
 * The wallet's own door: which chains it agreed to ask at the endpoint, and the evidence that it does. Its dialogs are
 * shown in answer to a click of the user and never otherwise: a click stands for one round of them.
 */
import type { Caller, Status } from '@nightjar/shared/bridge'
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import type { Clock } from '@nightjar/shared/runtime'
import type { Snapshot } from '../../messages/ui.ts'
import { type Store, unasked } from '../store.ts'
import { chainInfo } from './chains.ts'
import { silentAfter } from './wallet.ts'

export interface WalletDoorOptions {
  readonly clock: Clock
  readonly store: Store
  /** @throws NightjarError why the wallet does not ask at `url` now */
  askWallet(chain: number, url: string, signal: AbortSignal): Promise<void>
  /** What the user has to do now. */
  onHint(hint: string): void
}

export class WalletDoor {
  readonly #options: WalletDoorOptions
  #mayAsk = false
  /** Why it did not agree when it was asked last. */
  #refusal = new NightjarError('wallet-unasked')

  constructor(options: WalletDoorOptions) {
    this.#options = options
  }

  /** The user clicked. */
  allowAsking(): void {
    this.#mayAsk = true
  }

  /** What it agreed to before may have been taken back since, which nobody tells us: it is asked anew. */
  forget(): void {
    this.#options.store.change({ wallet: unasked })
  }

  /**
   * Asks for one chain after the other, each with its dialogs. What the wallet agreed to before is not asked again.
   * @throws NightjarError why it does not agree, or did not when it was asked last
   */
  async ask(base: string, chains: readonly number[], signal: AbortSignal): Promise<void> {
    const { clock, store } = this.#options
    if (store.state.wallet.endpoint !== base) {
      store.change({ wallet: { ...unasked, endpoint: base, since: clock.now() } })
    }
    for (const chain of chains) {
      if (signal.aborted) return
      if (store.state.wallet.chains.includes(chain)) continue
      if (!this.#mayAsk) throw this.#refusal
      await this.#askFor(chain, `${base}/${chain}`, signal)
    }
    this.#mayAsk = false
  }

  /** What it asked at the endpoint, in the daemon's words. */
  requestsIn(status: Status | undefined): readonly Caller[] {
    const { wallet } = this.#options.store.state.settings
    return (status?.callers ?? []).filter(({ origin }) => origin.endsWith(`-extension://${wallet}`))
  }

  /** Takes note where the wallet was seen; whether it was, now or before. */
  note(status: Status | undefined): boolean {
    const { store } = this.#options
    const { wallet } = store.state
    // What came before it was asked is evidence of nothing.
    const isHeard = this.requestsIn(status).some(({ last }) => last >= wallet.since)
    if (wallet.seen || wallet.chains.length === 0 || !isHeard) return wallet.seen
    store.change({ wallet: { ...wallet, seen: true } })
    return true
  }

  view(status: Status | undefined): Snapshot['wallet'] {
    const { settings, wallet } = this.#options.store.state
    const lastRequest = this.requestsIn(status).reduce((latest, { last }) => Math.max(latest, last), 0)
    return {
      id: settings.wallet,
      state: wallet.chains.length === 0 ? 'none' : wallet.seen ? 'seen' : 'agreed',
      ...(lastRequest === 0 ? {} : { lastRequest }),
    }
  }

  async #askFor(chain: number, url: string, signal: AbortSignal): Promise<void> {
    const { askWallet, clock, onHint, store } = this.#options
    const { name } = chainInfo(chain)
    onHint(`Approve what your wallet shows for ${name}.`)
    const reminder = clock.after(silentAfter, () => {
      if (!signal.aborted) {
        onHint(`Still waiting for ${name}. Open your wallet: it may be locked, or its dialog hidden.`)
      }
    })
    try {
      await askWallet(chain, url, signal)
    } catch (error) {
      if (!signal.aborted) {
        this.#mayAsk = false
        this.#refusal = asNightjarError(error)
      }
      throw error
    } finally {
      reminder.cancel()
    }
    if (signal.aborted) return
    const { wallet } = store.state
    store.change({ wallet: { ...wallet, chains: [...wallet.chains, chain] } })
  }
}
