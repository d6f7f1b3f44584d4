/**
 * Going private, step by step, and staying so: each step is done once, shown as it happens, and done again when what it
 * stands on was lost. Steps up to the gateways are retried by themselves; those that show the user a dialog only when
 * the user asks.
 */
import type { Status } from '@nightjar/shared/bridge'
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import { type Clock, second, type Timer, within } from '@nightjar/shared/runtime'
import { type ChainView, type Snapshot, type Step, type StepId, stepIds } from '../../messages/ui.ts'
import type { Store } from '../store.ts'
import { chainInfo } from './chains.ts'
import { type Endpoint, parseEndpoint } from './endpointCheck.ts'
import { type Facts, problemOf, problemOfError, stateOf } from './facts.ts'
import { silentAfter } from './wallet.ts'

export interface ConnectionOptions {
  readonly clock: Clock
  readonly store: Store
  readonly host: {
    start(): void
    stop(): void
    hurry(): void
    /** Resolves once the daemon answers. @throws NightjarError why it does not */
    whenUp(): Promise<unknown>
    status(): Promise<Status>
    readonly info: { readonly version: string } | undefined
  }
  /** Fetches and verifies the network document. @throws NightjarError what is wrong with it */
  verifyNetwork(): Promise<{ readonly version: number }>
  /** Asks a gateway for its chain id over the private path. @throws NightjarError where none answers */
  checkChain(chain: number): Promise<void>
  /** @throws NightjarError `endpoint-not-ours` */
  checkEndpoint(endpoint: Endpoint): Promise<void>
  /** @throws NightjarError why the wallet does not ask at `url` now */
  askWallet(chain: number, url: string, signal: AbortSignal): Promise<void>
  onChange(): void
}

const firstPause = 1 * second
const longestPause = 30 * second
/** Trunks take a moment after the daemon's start. */
const trunksTimeout = 12 * second
/** How long a page's request waits for the network document. */
const verifiedTimeout = 8 * second
/** How long the wallet's first request is waited for before the user is told to open it. */
const watchTimeout = 20 * second

/** Steps that ask the user something: never repeated without being asked to. */
const userSteps: ReadonlySet<StepId> = new Set(['wallet', 'watch'])

export class Connection {
  readonly #options: ConnectionOptions
  readonly #statusListeners = new Set<() => void>()
  #steps: Step[] = freshSteps()
  #status: Status | undefined
  #chains = new Map<number, 'served' | 'unserved'>()
  #networkVersion: number | undefined
  #run: AbortController | undefined
  #retry: Timer | undefined
  #failures = 0
  #networkReady = deferred<void>()
  #networkFailed = false

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  get isOn(): boolean {
    return this.#options.store.state.enabled
  }

  /** The user's click, or a restart of browser or service worker while it is on. */
  start(): void {
    this.#options.host.start()
    this.#begin()
  }

  /** Turns off: nothing is sent any more, and nothing is touched. */
  stop(): void {
    this.#cancelRun()
    this.#options.host.stop()
    this.#steps = freshSteps()
    this.#status = undefined
    this.#chains.clear()
    this.#networkVersion = undefined
    this.#failures = 0
    this.#options.onChange()
  }

  /** The user wants the failed steps taken again, now. */
  retry(): void {
    this.#failures = 0
    this.#options.host.hurry()
    const failed = this.#steps.find(({ state }) => state === 'failed')?.id
    this.#begin(failed ?? (this.#facts.unserved.length > 0 ? 'gateways' : 'host'))
  }

  /** Resolves once the network document was verified. @throws NightjarError why it cannot be */
  async whenVerified(): Promise<void> {
    if (!this.isOn) throw new NightjarError('turned-off')
    const late = () => new NightjarError('network-unreachable')
    await within(this.#options.clock, verifiedTimeout, this.#networkReady.promise, late)
  }

  onHostUp(): void {
    if (this.isOn) this.#begin()
  }

  onHostDown(): void {
    this.#status = undefined
    this.#networkVersion = undefined
    this.#networkReady = deferred<void>()
    this.#networkFailed = false
    // What stands on the daemon is to be done again; what the wallet agreed to holds.
    this.#steps = this.#steps.map((step) => (step.state === 'done' ? { id: step.id, state: 'waiting' } : step))
    this.#options.onChange()
  }

  onStatus(status: Status): void {
    this.#status = status
    this.#noteWallet(status)
    for (const listener of [...this.#statusListeners]) listener()
    this.#options.onChange()
  }

  /** There is a newer network document, or other keys are trusted. */
  onDocument(): void {
    if (this.isOn && this.#run === undefined) this.#begin()
  }

  view(): Omit<Snapshot, 'requestsToday' | 'lastError' | 'settings'> {
    const { store, host } = this.#options
    const facts = this.#facts
    const problem = problemOf(facts)
    const lastRequest = this.#walletRequests(this.#status).reduce((latest, { last }) => Math.max(latest, last), 0)
    const { chains, seen } = store.state.wallet
    return {
      state: stateOf(facts),
      steps: this.isOn ? this.#steps : [],
      ...(problem === undefined ? {} : { problem }),
      trunks: this.#status?.trunks ?? [],
      gateways: this.#status?.gateways ?? [],
      chains: (this.#status?.chains ?? []).map((id) => this.#chainView(id)),
      wallet: {
        id: store.state.settings.wallet,
        state: chains.length === 0 ? 'none' : seen ? 'seen' : 'agreed',
        ...(lastRequest === 0 ? {} : { lastRequest }),
      },
      ...(host.info === undefined ? {} : { hostVersion: host.info.version }),
      ...(this.#networkVersion === undefined ? {} : { networkVersion: this.#networkVersion }),
    }
  }

  get #facts(): Facts {
    const unserved = [...this.#chains].filter(([, state]) => state === 'unserved').map(([id]) => id)
    return { enabled: this.isOn, steps: this.#steps, status: this.#status, unserved }
  }

  #chainView(id: number): ChainView {
    const agreed = this.#options.store.state.wallet.chains.includes(id)
    return {
      id,
      name: chainInfo(id).name,
      state: this.#chains.get(id) ?? 'unchecked',
      wallet: agreed ? 'agreed' : 'unasked',
    }
  }

  /** Takes the steps from `from` on; those before it hold, unless the daemon itself is gone. */
  #begin(from: StepId = 'host'): void {
    this.#cancelRun()
    const run = new AbortController()
    this.#run = run
    const first = this.#options.host.info === undefined ? 0 : stepIds.indexOf(from)
    this.#steps = stepIds.map((id, index) => ({ id, state: index < first ? 'done' : 'waiting' }))
    void this.#takeSteps(stepIds.slice(first), run.signal)
  }

  #cancelRun(): void {
    this.#retry?.cancel()
    this.#retry = undefined
    this.#run?.abort()
    this.#run = undefined
  }

  async #takeSteps(ids: readonly StepId[], signal: AbortSignal): Promise<void> {
    for (const id of ids) {
      this.#set({ id, state: 'running' })
      try {
        await this.#take(id, signal)
        if (signal.aborted) return
        this.#set({ id, state: 'done' })
      } catch (error) {
        if (!signal.aborted) this.#fail(id, asNightjarError(error))
        return
      }
    }
    this.#failures = 0
    this.#run = undefined
  }

  #take(id: StepId, signal: AbortSignal): Promise<unknown> {
    switch (id) {
      case 'host':
        return this.#options.host.whenUp()
      case 'network':
        return this.#verifyNetwork()
      case 'trunks':
        return this.#waitForTrunks()
      case 'gateways':
        return this.#checkChains()
      case 'endpoint':
        return this.#checkEndpoint()
      case 'wallet':
        return this.#askWallet(signal)
      case 'watch':
        return this.#waitForWallet()
    }
  }

  #fail(id: StepId, error: NightjarError): void {
    this.#set({ id, state: 'failed', problem: problemOfError(error) })
    this.#run = undefined
    if (id === 'network') {
      this.#networkReady.reject(error)
      this.#networkFailed = true
    }
    // The connection to the daemon is retried by its own means, and begins anew when it stands.
    if (id === 'host' || userSteps.has(id)) return
    const pause = Math.min(firstPause * 2 ** Math.min(this.#failures, 10), longestPause)
    this.#failures += 1
    this.#retry = this.#options.clock.after(pause, () => this.#begin(id))
  }

  async #verifyNetwork(): Promise<void> {
    if (this.#networkFailed) this.#networkReady = deferred<void>()
    this.#networkFailed = false
    this.#networkVersion = (await this.#options.verifyNetwork()).version
    this.#networkReady.resolve()
  }

  async #waitForTrunks(): Promise<void> {
    this.onStatus(await this.#options.host.status())
    await this.#untilStatus(
      trunksTimeout,
      ({ state }) => state === 'private' || state === 'degraded',
      () => {
        const code = this.#status?.lastError
        return new NightjarError('network-unreachable', code ? { detail: code } : {})
      },
    )
  }

  /** Private for one chain is enough to go on; those without a gateway are shown. */
  async #checkChains(): Promise<void> {
    const chains = this.#status?.chains ?? []
    const results = await Promise.allSettled(chains.map((chain) => this.#options.checkChain(chain)))
    this.#chains = new Map(
      chains.map((chain, index) => [chain, results[index]?.status === 'fulfilled' ? 'served' : 'unserved']),
    )
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined && results.every(({ status }) => status === 'rejected')) throw failed.reason
  }

  async #checkEndpoint(): Promise<void> {
    await this.#options.checkEndpoint(this.#endpoint())
  }

  #endpoint(): Endpoint {
    return parseEndpoint(this.#status?.endpoint ?? '')
  }

  /** Chain by chain, each with its dialogs. What the wallet agreed to before is not asked again. */
  async #askWallet(signal: AbortSignal): Promise<void> {
    const { store, askWallet, clock } = this.#options
    const { base } = this.#endpoint()
    if (store.state.wallet.endpoint !== base) {
      store.change({ wallet: { endpoint: base, chains: [], seen: false } })
    }
    for (const [chain, state] of this.#chains) {
      if (signal.aborted) return
      if (state === 'unserved' || store.state.wallet.chains.includes(chain)) continue
      const { name } = chainInfo(chain)
      const running = { id: 'wallet', state: 'running' } as const
      this.#set({ ...running, hint: `Approve what your wallet shows for ${name}.` })
      const reminder = clock.after(silentAfter, () => {
        if (!signal.aborted) {
          this.#set({
            ...running,
            hint: `Still waiting for ${name}. Open your wallet: it may be locked, or its dialog hidden.`,
          })
        }
      })
      try {
        await askWallet(chain, `${base}/${chain}`, signal)
      } finally {
        reminder.cancel()
      }
      if (signal.aborted) return
      const { wallet } = store.state
      store.change({ wallet: { ...wallet, chains: [...wallet.chains, chain] } })
    }
  }

  async #waitForWallet(): Promise<void> {
    if (this.#options.store.state.wallet.seen) return
    this.#set({ id: 'watch', state: 'running', hint: 'Open your wallet once: it asks when its window is open.' })
    const unseen = () => new NightjarError('wallet-unseen')
    await this.#untilStatus(watchTimeout, () => this.#options.store.state.wallet.seen, unseen)
  }

  /** The wallet's requests to the endpoint, in the daemon's words. */
  #walletRequests(status: Status | undefined) {
    const { wallet } = this.#options.store.state.settings
    const isWallet = (origin: string) => origin.endsWith(`-extension://${wallet}`)
    return (status?.callers ?? []).filter(({ origin }) => isWallet(origin))
  }

  #noteWallet(status: Status): void {
    const { store } = this.#options
    const { wallet } = store.state
    if (wallet.seen || wallet.chains.length === 0 || this.#walletRequests(status).length === 0) return
    store.change({ wallet: { ...wallet, seen: true } })
    // It came after all, with nobody waiting any more.
    const watch = this.#steps.find(({ id }) => id === 'watch')
    if (watch?.state === 'failed') this.#set({ id: 'watch', state: 'done' })
  }

  #set(step: Step): void {
    this.#steps = this.#steps.map((each) => (each.id === step.id ? step : each))
    this.#options.onChange()
  }

  /** Until the daemon's status is as wanted. @throws what `onTimeout` gives after `timeout` milliseconds */
  #untilStatus(timeout: number, isWanted: (status: Status) => boolean, onTimeout: () => Error): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (this.#status === undefined || !isWanted(this.#status)) return
        finish()
        resolve()
      }
      const timer = this.#options.clock.after(timeout, () => {
        finish()
        reject(onTimeout())
      })
      const finish = () => {
        timer.cancel()
        this.#statusListeners.delete(look)
      }
      this.#statusListeners.add(look)
      look()
    })
  }
}

function freshSteps(): Step[] {
  return stepIds.map((id) => ({ id, state: 'waiting' }))
}

interface Deferred<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
  reject(error: Error): void
}

function deferred<T>(): Deferred<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  // Nobody may be waiting.
  promise.catch(() => undefined)
  return { promise, resolve, reject }
}
