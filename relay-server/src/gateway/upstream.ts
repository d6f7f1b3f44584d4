/**
 * The RPC providers of one chain. Which one is asked is decided by the operator's strategy among those that stand well:
 * one on another chain, or behind the others, gets no request at all; one that failed several times in a row is asked only
 * where no other is left. A read is asked of the next where one fails, and of a second one where the first is unusually
 * slow; a broadcast is asked of one, once.
 */
import { NightjarError } from '@nightjar/shared/errors'
import type { Call, Outcome } from '@nightjar/shared/rpc'
import { type Clock, minute, type Timer } from '@nightjar/shared/runtime'
import type { AnswerMemory } from './answerMemory.ts'
import { type Choose, createChoice, type Strategy } from './choice.ts'
import { findStale } from './freshness.ts'
import { Hedges } from './hedges.ts'
import { askInTurn } from './inTurn.ts'
import { Upstream } from './oneUpstream.ts'
import { type Asker, outcomeOf, type UpstreamOutcome } from './provider.ts'

export interface UpstreamConfig {
  readonly url: string
  /** Share of the requests, beside the other upstreams of the chain. */
  readonly weight: number
}

/** Told what becomes of questions to providers; `upstream` is the provider's place in the configuration. */
export interface UpstreamMetrics {
  /** @param latency milliseconds */
  onOutcome(upstream: number, outcome: UpstreamOutcome, latency: number): void
  onEjected(upstream: number): void
  /** A second provider was asked the same. */
  onHedged(): void
}

export interface UpstreamOptions {
  readonly upstreams: readonly UpstreamConfig[]
  /** The id that providers have to give for their chain; undefined where they serve no reads and are not looked at. */
  readonly chain: number | undefined
  readonly strategy: Strategy
  /** Milliseconds for an answer. */
  readonly timeout: number
  readonly maxAnswerBytes: number
  /** Of the process. */
  readonly memory: AnswerMemory
  /** Milliseconds between two looks at the providers while the chain is in use. */
  readonly lookEvery: number
  /** Milliseconds; without it a head is only compared with those of the others. */
  readonly maxHeadAge?: number | undefined
  readonly localAddress?: string | undefined
  readonly clock: Clock
  /** A number in [0, 1). */
  random(): number
  readonly metrics: UpstreamMetrics
}

/** A chain that nobody has asked about for this long is not in use: then the providers are looked at that rarely. */
const quiet = 5 * minute
/** Looks come this much earlier or later, by chance, so that those of many gateways do not fall together. */
const jitter = 0.25

export class Upstreams {
  readonly #options: UpstreamOptions
  readonly #all: readonly Upstream[]
  readonly #choose: Choose
  readonly #hedges = new Hedges()
  readonly #closed = new AbortController()
  #usedAt = Number.NEGATIVE_INFINITY
  /** The next look; undefined before `start`. */
  #next: Timer | undefined

  constructor(options: UpstreamOptions) {
    const { metrics, random } = options
    this.#options = options
    this.#choose = createChoice(options.strategy, random)
    this.#all = options.upstreams.map(
      (config, index) =>
        new Upstream({
          ...options,
          ...config,
          onOutcome: (outcome, latency) => metrics.onOutcome(index, outcome, latency),
          onEjected: () => metrics.onEjected(index),
        }),
    )
  }

  /** Looks at the providers now, and from now on. */
  start(): void {
    void this.#look()
  }

  /** By provider: whether it stands well, so that it gets questions. */
  get areWell(): readonly boolean[] {
    return this.#all.map((each) => each.mayBeAsked && !each.isEjected)
  }

  /**
   * Asks for something that may be asked twice.
   * @throws NightjarError `upstream-failed`, `answer-too-large` or `limit-reached`
   */
  async read(call: Call, signal: AbortSignal, asker: Asker = 'gateway'): Promise<Outcome> {
    this.#use()
    const order = this.#inOrder()
    const [only] = order
    if (only !== undefined && order.length === 1) return only.ask(call, signal, asker)
    const { clock, metrics } = this.#options
    let crowded: unknown
    return askInTurn({
      asks: order.map((upstream) => async (own) => {
        const begun = clock.elapsed()
        const outcome = await upstream.ask(call, own, asker).catch((error: unknown) => {
          if (outcomeOf(error) === 'crowded') crowded = error
          throw error
        })
        this.#hedges.learn(clock.elapsed() - begun)
        return outcome
      }),
      signal,
      clock,
      patience: this.#hedges.begin(),
      maySecond: () => this.#hedges.spend(),
      onSecond: () => metrics.onHedged(),
    }).catch((error: unknown) => {
      // That another failed says little where one that is well was only not asked.
      throw error instanceof NightjarError && error.code === 'upstream-failed' ? (crowded ?? error) : error
    })
  }

  /** Asks one provider, once. @throws NightjarError `upstream-failed`: whether it was accepted is then unknown */
  async once(call: Call): Promise<Outcome> {
    this.#use()
    for (const upstream of this.#inOrder()) {
      if (await upstream.isOnChain(undefined)) return upstream.ask(call, undefined, 'gateway')
    }
    throw noneLeft()
  }

  async close(): Promise<void> {
    this.#closed.abort()
    this.#next?.cancel()
    await Promise.all(this.#all.map((each) => each.close()))
  }

  /** Those that were ejected come last. @throws NightjarError `upstream-failed` where no provider may be asked */
  #inOrder(): readonly Upstream[] {
    const able = this.#all.filter((each) => each.mayBeAsked)
    if (able.length === 0) throw noneLeft()
    const well = able.filter((each) => !each.isEjected)
    return [...this.#choose(well), ...able.filter((each) => each.isEjected)]
  }

  #use(): void {
    const wasInUse = this.#isInUse
    this.#usedAt = this.#options.clock.elapsed()
    if (wasInUse || this.#next === undefined) return
    this.#next.cancel()
    void this.#look()
  }

  get #isInUse(): boolean {
    return this.#options.clock.elapsed() - this.#usedAt < quiet
  }

  async #look(): Promise<void> {
    const { clock, random, maxHeadAge, lookEvery } = this.#options
    const { signal } = this.#closed
    // Set before anything is awaited, so that two looks never begin beside each other; moved when it is over.
    this.#next = clock.after(quiet, () => void this.#look())
    const heads = await Promise.all(this.#all.map((each) => each.look(signal)))
    if (signal.aborted) return
    const stale = findStale(heads, clock.now(), maxHeadAge)
    for (const [index, each] of this.#all.entries()) each.isStale = stale[index] === true
    this.#next.cancel()
    const wait = (this.#isInUse ? lookEvery : quiet) * (1 + jitter * (2 * random() - 1))
    this.#next = clock.after(wait, () => void this.#look())
  }
}

function noneLeft(): NightjarError {
  return new NightjarError('upstream-failed', { detail: 'no provider is on this chain and up to date' })
}
