/**
 * Going private, step by step, and staying so: each step is done once, shown as it happens, and done again when what it
 * stands on was lost. Steps are retried by themselves, except those that need the user: they wait for a click.
 */
import type { Status } from '@nightjar/shared/bridge'
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import { type Clock, hour, minute, second, type Timer, within } from '@nightjar/shared/runtime'
import { type ChainView, type Snapshot, type Step, type StepId, stepIds } from '../../messages/ui.ts'
import type { Store } from '../store.ts'
import { chainInfo } from './chains.ts'
import { type Endpoint, parseEndpoint } from './endpointCheck.ts'
import { type Facts, problemOf, problemOfError, stateOf } from './facts.ts'
import { Gate } from './gate.ts'
import { ServedChains } from './servedChains.ts'
import { StatusWatch } from './statusWatch.ts'
import { WalletDoor, type WalletDoorOptions } from './walletDoor.ts'

export interface ConnectionOptions extends Pick<WalletDoorOptions, 'askWallet'> {
  readonly clock: Clock
  readonly store: Store
  readonly host: {
    start(): void
    stop(): void
    hurry(): void
    /** Resolves once the daemon answers; `patience`: through failures for that long. @throws NightjarError why it does not */
    whenUp(patience?: number): Promise<unknown>
    status(): Promise<Status>
    readonly info: { readonly version: string } | undefined
  }
  /** Fetches and verifies the network document. @throws NightjarError what is wrong with it */
  verifyNetwork(): Promise<{ readonly version: number; readonly validUntil: number }>
  /** Asks a gateway for its chain id over the private path. @throws NightjarError where none answers */
  checkChain(chain: number): Promise<void>
  /** Puts the shield up. @throws NightjarError `proxy-taken`, `proxy-unknown` */
  raiseShield(): Promise<void>
  /** @throws NightjarError `endpoint-not-ours` */
  checkEndpoint(endpoint: Endpoint): Promise<void>
  onChange(): void
}

const firstPause = 1 * second
const longestPause = 30 * second
/** A daemon that restarts is back within this: nothing is said before. */
const restartPatience = 5 * second
/** Trunks take a moment after the daemon's start. */
const trunksTimeout = 12 * second
/** How long a page's request waits for the network document. */
const verifiedTimeout = 8 * second
/** How long the wallet's first request is waited for before the user is told to open it. */
const watchTimeout = 20 * second
/** How often it is looked whether a gateway has come for a chain that had none. */
const unservedEvery = 1 * minute
/** The network document is looked at again when it ends, or after this, which a timer can still count. */
const documentEvery = 1 * hour

/** Steps that ask the user something: never repeated without being asked to. */
const userSteps: ReadonlySet<StepId> = new Set(['wallet', 'watch'])

export class Connection {
  readonly #options: ConnectionOptions
  readonly #status: StatusWatch
  readonly #wallet: WalletDoor
  readonly #chains: ServedChains
  readonly #verified = new Gate()
  #steps: Step[] = freshSteps()
  #networkVersion: number | undefined
  #run: AbortController | undefined
  #retry: Timer | undefined
  #documentTimer: Timer | undefined
  #failures = 0

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.#status = new StatusWatch(options.clock)
    this.#chains = new ServedChains((chain) => options.checkChain(chain))
    this.#wallet = new WalletDoor({ ...options, onHint: (hint) => this.#set({ id: 'wallet', state: 'running', hint }) })
  }

  get isOn(): boolean {
    return this.#options.store.state.enabled
  }

  /** The user's click. */
  start(): void {
    this.#wallet.forget()
    this.#wallet.allowAsking()
    this.resume()
  }

  /** Browser or service worker were restarted while it was on. */
  resume(): void {
    this.#options.host.start()
    this.#begin()
  }

  /** Turns off: nothing is sent any more, and nothing is touched. */
  stop(): void {
    this.#cancelRun()
    this.#documentTimer?.cancel()
    this.#options.host.stop()
    this.#verified.fail(new NightjarError('turned-off'))
    this.#verified.close()
    this.#steps = freshSteps()
    this.#chains.forget()
    this.#failures = 0
    this.#options.onChange()
  }

  /** The user wants the failed steps taken again, now. */
  retry(): void {
    this.#wallet.allowAsking()
    this.#failures = 0
    this.#options.host.hurry()
    const failed = this.#steps.find(({ state }) => state === 'failed')?.id
    if (this.#stateOf('watch') === 'failed') {
      // It said yes and does not ask: maybe it was another that said so.
      this.#wallet.forget()
      return this.#begin(failed === 'watch' ? 'wallet' : failed)
    }
    this.#begin(failed ?? (this.#chains.unserved.length > 0 ? 'gateways' : 'host'))
  }

  /** Resolves once the network document was verified. @throws NightjarError why it cannot be */
  async whenVerified(): Promise<void> {
    if (!this.isOn) throw new NightjarError('turned-off')
    const late = () => new NightjarError('network-unreachable')
    await within(this.#options.clock, verifiedTimeout, this.#verified.passed(), late)
  }

  onHostUp(): void {
    if (this.isOn) this.#begin()
  }

  /** The connection to the daemon was lost, or could not be made. What the wallet agreed to holds. */
  onHostDown(error: NightjarError): void {
    this.#status.set(undefined)
    this.#networkVersion = undefined
    this.#verified.close()
    const host = this.#stateOf('host')
    if (this.isOn && host === 'done') this.#begin('host', restartPatience)
    // Why it is not there may be another reason by now.
    else if (host === 'failed') this.#set({ id: 'host', state: 'failed', problem: problemOfError(error) })
    this.#options.onChange()
  }

  onStatus(status: Status): void {
    this.#status.set(status)
    // The wallet may have come after all, with nobody waiting any more.
    if (this.#wallet.note(status) && this.#stateOf('watch') === 'failed') this.#set({ id: 'watch', state: 'done' })
    this.#options.onChange()
  }

  /** The browser's proxy came free or was taken: the step's state follows, and no other step is touched. */
  onShield(problem: NightjarError | undefined): void {
    const state = this.#stateOf('shield')
    if (problem === undefined && state === 'failed') this.#set({ id: 'shield', state: 'done' })
    else if (problem !== undefined && (state === 'done' || state === 'failed')) this.#fail('shield', problem)
  }

  /** There is a newer network document, or the one in use has ended. */
  onDocument(): void {
    if (!this.isOn || this.#options.host.info === undefined) return
    const state = this.#stateOf('network')
    if (state === 'failed') this.#begin('network')
    // The other steps go on meanwhile: they hold with either document. Where it is refused, that is to be seen.
    else if (state !== 'waiting') this.#verifyNetwork().catch(() => this.#onRefused())
  }

  /** Other directory keys are trusted: what was verified before says nothing. */
  onOtherTrust(): void {
    this.#networkVersion = undefined
    this.#verified.close()
    if (this.isOn) this.#begin('network')
  }

  view(): Omit<Snapshot, 'shield' | 'accounts' | 'requestsToday' | 'lastError' | 'settings'> {
    const { host } = this.#options
    const facts = this.#facts
    const problem = problemOf(facts)
    const status = this.#status.current
    return {
      state: stateOf(facts),
      steps: this.isOn ? this.#steps : [],
      ...(problem === undefined ? {} : { problem }),
      trunks: status?.trunks ?? [],
      gateways: status?.gateways ?? [],
      chains: (status?.chains ?? []).map((id) => this.#chainView(id)),
      wallet: this.#wallet.view(status),
      ...(host.info === undefined ? {} : { hostVersion: host.info.version }),
      ...(this.#networkVersion === undefined ? {} : { networkVersion: this.#networkVersion }),
    }
  }

  get #facts(): Facts {
    const { unserved } = this.#chains
    return { enabled: this.isOn, steps: this.#steps, status: this.#status.current, unserved }
  }

  #chainView(id: number): ChainView {
    const agreed = this.#options.store.state.wallet.chains.includes(id)
    return {
      id,
      name: chainInfo(id).name,
      state: this.#chains.stateOf(id),
      wallet: agreed ? 'agreed' : 'unasked',
    }
  }

  /** Takes the steps from `from` on; those before it hold, unless the daemon itself is gone. */
  #begin(from: StepId = 'host', patience?: number): void {
    this.#cancelRun()
    const run = new AbortController()
    this.#run = run
    const first = this.#options.host.info === undefined ? 0 : stepIds.indexOf(from)
    this.#steps = stepIds.map((id, index) => ({ id, state: index < first ? 'done' : 'waiting' }))
    void this.#takeSteps(stepIds.slice(first), run.signal, patience)
  }

  #cancelRun(): void {
    this.#retry?.cancel()
    this.#retry = undefined
    this.#run?.abort()
    this.#run = undefined
  }

  async #takeSteps(ids: readonly StepId[], signal: AbortSignal, patience: number | undefined): Promise<void> {
    for (const id of ids) {
      this.#set({ id, state: 'running' })
      try {
        await this.#take(id, signal, patience)
        if (signal.aborted) return
        this.#set({ id, state: 'done' })
      } catch (error) {
        if (signal.aborted) return
        this.#fail(id, asNightjarError(error))
        // What is behind the other doors goes on without it.
        if (id !== 'shield') return
      }
    }
    this.#failures = 0
    this.#lookForGateways()
  }

  #take(id: StepId, signal: AbortSignal, patience: number | undefined): Promise<unknown> {
    switch (id) {
      case 'host':
        return this.#options.host.whenUp(patience)
      case 'network':
        return this.#verifyNetwork()
      case 'trunks':
        return this.#waitForTrunks(signal)
      case 'gateways':
        return this.#chains.checkAll(this.#status.current?.chains ?? [], signal)
      case 'shield':
        return this.#options.raiseShield()
      case 'endpoint':
        return this.#options.checkEndpoint(this.#endpoint())
      case 'wallet':
        return this.#wallet.ask(this.#endpoint().base, this.#chains.served, signal)
      case 'watch':
        return this.#waitForWallet(signal)
    }
  }

  #fail(id: StepId, error: NightjarError): void {
    this.#set({ id, state: 'failed', problem: problemOfError(error) })
    if (id === 'network') this.#verified.fail(error)
    // The connection to the daemon is retried by its own means, and begins anew when it stands.
    // The browser says when its proxy is free, the native program when the system's is another.
    if (id === 'host' || id === 'shield') return
    if (userSteps.has(id)) return this.#lookForGateways()
    const pause = Math.min(firstPause * 2 ** Math.min(this.#failures, 10), longestPause)
    this.#failures += 1
    this.#retry = this.#options.clock.after(pause, () => this.#begin(id))
  }

  async #verifyNetwork(): Promise<void> {
    if (this.#verified.hasFailed) this.#verified.close()
    const { version, validUntil } = await this.#options.verifyNetwork()
    const { clock, host } = this.#options
    // Lost meanwhile: on the next connection it is fetched again.
    if (host.info === undefined) return
    this.#networkVersion = version
    this.#verified.open()
    this.#documentTimer?.cancel()
    this.#documentTimer = clock.after(Math.min(validUntil - clock.now(), documentEvery), () => this.onDocument())
    this.#options.onChange()
  }

  #onRefused(): void {
    if (this.isOn && this.#options.host.info !== undefined) this.#begin('network')
  }

  async #waitForTrunks(signal: AbortSignal): Promise<void> {
    this.onStatus(await this.#options.host.status())
    await this.#status.until(({ state }) => state === 'private' || state === 'degraded', {
      timeout: trunksTimeout,
      onTimeout: () => {
        const code = this.#status.current?.lastError
        return new NightjarError('network-unreachable', code ? { detail: code } : {})
      },
      signal,
    })
  }

  /** From time to time, while a chain has no gateway and nothing else is under way. */
  #lookForGateways(): void {
    if (this.#chains.unserved.length === 0) return
    const timer = this.#options.clock.after(unservedEvery, async () => {
      const hasNew = await this.#chains.hasNew()
      // Something else has begun meanwhile.
      if (this.#retry !== timer) return
      if (hasNew) this.#begin('gateways')
      else this.#lookForGateways()
    })
    this.#retry = timer
  }

  #endpoint(): Endpoint {
    return parseEndpoint(this.#status.current?.endpoint ?? '')
  }

  async #waitForWallet(signal: AbortSignal): Promise<void> {
    if (this.#wallet.note(this.#status.current)) return
    this.#set({ id: 'watch', state: 'running', hint: 'Open your wallet once: it asks when its window is open.' })
    const onTimeout = () => new NightjarError('wallet-unseen')
    await this.#status.until((status) => this.#wallet.note(status), { timeout: watchTimeout, onTimeout, signal })
  }

  #stateOf(id: StepId): Step['state'] | undefined {
    return this.#steps.find((step) => step.id === id)?.state
  }

  #set(step: Step): void {
    this.#steps = this.#steps.map((each) => (each.id === step.id ? step : each))
    this.#options.onChange()
  }
}

function freshSteps(): Step[] {
  return stepIds.map((id) => ({ id, state: 'waiting' }))
}
