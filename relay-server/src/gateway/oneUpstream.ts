/** One provider of a chain and how it stands: whether it is on that chain, up to date, and well. */
import { NightjarError } from '@nightjar/shared/errors'
import type { Call, Outcome } from '@nightjar/shared/rpc'
import { type Clock, second } from '@nightjar/shared/runtime'
import type { Candidate } from './choice.ts'
import { objectOf, quantity, resultOf, textOf } from './fields.ts'
import type { KnownHead } from './freshness.ts'
import { type Asker, outcomeOf, Provider, type ProviderOptions, type UpstreamOutcome } from './provider.ts'
import { Standing } from './standing.ts'

export interface OneUpstreamOptions extends Omit<ProviderOptions, 'localAddress'> {
  readonly localAddress?: string | undefined
  readonly weight: number
  /** The id that it has to give; undefined where it is not asked for one. */
  readonly chain: number | undefined
  readonly clock: Clock
  onOutcome(outcome: UpstreamOutcome, latency: number): void
  onEjected(): void
}

/** What says that the provider is at fault, and not the question or the one who asked. */
const faults: ReadonlySet<UpstreamOutcome> = new Set(['unreachable', 'timed-out', 'status', 'garbled'])

export class Upstream implements Candidate {
  readonly weight: number
  underWay = 0
  /** Its head is too old, as of the last look. */
  isStale = false
  readonly #options: OneUpstreamOptions
  readonly #provider: Provider
  readonly #standing: Standing
  readonly #closed = new AbortController()
  #chain: 'unknown' | 'right' | 'wrong'
  /** The question for the chain's id that is under way. */
  #finding: Promise<boolean> | undefined

  constructor(options: OneUpstreamOptions) {
    this.#options = options
    this.weight = options.weight
    this.#chain = options.chain === undefined ? 'right' : 'unknown'
    this.#provider = new Provider({ ...options, localAddress: options.localAddress })
    this.#standing = new Standing({
      clock: options.clock,
      probe: () => this.#findChain(),
      onEjected: options.onEjected,
    })
  }

  get mayBeAsked(): boolean {
    return this.#chain !== 'wrong' && !this.isStale
  }

  get isEjected(): boolean {
    return this.#standing.isEjected
  }

  /** @throws NightjarError `upstream-failed`, also where it is on another chain, or `answer-too-large` */
  async ask(call: Call, signal: AbortSignal | undefined, asker: Asker): Promise<Outcome> {
    if (this.#chain !== 'right' && !(await this.isOnChain(signal))) {
      throw new NightjarError('upstream-failed', { detail: 'chain not confirmed' })
    }
    return this.#ask(call, signal, asker)
  }

  /** Whether it is on its chain; asks it where that is not known. */
  async isOnChain(signal: AbortSignal | undefined): Promise<boolean> {
    if (signal?.aborted) return false
    if (this.#chain !== 'unknown') return this.#chain === 'right'
    this.#finding ??= this.#findChain().finally(() => {
      this.#finding = undefined
    })
    return this.#finding
  }

  /** Its newest block, where it answers; finds out anew which chain it is on. */
  async look(signal: AbortSignal): Promise<KnownHead | undefined> {
    if (this.#options.chain === undefined || !(await this.#findChain())) return undefined
    try {
      const block = resultOf(await this.#ask({ method: 'eth_getBlockByNumber', params: ['latest', false] }, signal))
      const { number, timestamp } = objectOf(block, 'block')
      return {
        number: BigInt(textOf(number, 'number', quantity)),
        time: Number(textOf(timestamp, 'timestamp', quantity)) * second,
      }
    } catch {
      // Counted by `#ask` already, where it is the provider's fault.
      return undefined
    }
  }

  close(): Promise<void> {
    this.#closed.abort()
    this.#standing.close()
    return this.#provider.close()
  }

  async #findChain(): Promise<boolean> {
    const { chain } = this.#options
    if (chain === undefined) return true
    try {
      const id = textOf(resultOf(await this.#ask({ method: 'eth_chainId' }, this.#closed.signal)), 'chain', quantity)
      this.#chain = BigInt(id) === BigInt(chain) ? 'right' : 'wrong'
      return this.#chain === 'right'
    } catch {
      // It did not say: what was known of it stays, and `#ask` has counted the failure.
      return false
    }
  }

  async #ask(call: Call, signal: AbortSignal | undefined, asker: Asker = 'gateway'): Promise<Outcome> {
    const { clock, onOutcome } = this.#options
    const begun = clock.elapsed()
    this.underWay += 1
    try {
      const outcome = await this.#provider.ask(call, signal, asker)
      this.#standing.succeeded()
      onOutcome('answered', clock.elapsed() - begun)
      return outcome
    } catch (error) {
      const kind = outcomeOf(error)
      if (faults.has(kind)) this.#standing.failed()
      onOutcome(kind, clock.elapsed() - begun)
      throw error
    } finally {
      this.underWay -= 1
    }
  }
}
