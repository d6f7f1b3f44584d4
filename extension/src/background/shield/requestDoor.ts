/**
 * The third door in Firefox, which asks for each request, its own and those of every other extension, which proxy it is
 * to take. Other hosts go where they would without us, whoever sets that.
 *
 * Spec: https://developer.mozilla.org/docs/Mozilla/Add-ons/WebExtensions/API/proxy/onRequest. Left out: another extension
 * that is asked after this one can send the request elsewhere, and Firefox tells nobody (docs/known-issues.md).
 */
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import type { Choice } from '../../messages/ui.ts'
import { chosenHosts } from './choices.ts'
import { decide, nowhere, type Ports } from './decision.ts'
import { direct } from './elsewhere.ts'
import type { BrowserSetting } from './settingDoor.ts'
import type { Shield, ShieldInit } from './shield.ts'

interface Socks {
  readonly type: 'socks'
  readonly host: '127.0.0.1'
  readonly port: number
  /** The name is resolved at the other end. */
  readonly proxyDNS: true
}

/** Without the `null` at its end a proxy that fails is followed by the one of the browser, or by none. */
export type ProxyAnswer = readonly [Socks, null]

export const socksAt = (port: number): ProxyAnswer => [{ type: 'socks', host: '127.0.0.1', port, proxyDNS: true }, null]

/** The requests to listed hosts, which wait for their answer. */
export interface ProxyRequests {
  /** Undefined: it is not ours to decide. */
  answerBy(answer: (url: string) => ProxyAnswer | undefined): void
  /** Hosts beside the list, requests to which are to be asked about as well. */
  cover(hosts: readonly string[]): void
  /** Whether the user lets the extension see requests to all hosts; it can be taken back at any time. */
  areShown(): Promise<boolean>
  /** The user allowed it, or took it back. */
  onChange(listener: () => void): void
}

export interface RequestDoorOptions extends ShieldInit {
  readonly requests: ProxyRequests
  readonly prediction: BrowserSetting<boolean>
}

export class RequestDoor implements Shield {
  readonly #options: RequestDoorOptions
  #isWanted = false
  #ports: Ports | undefined
  #hosts: ReadonlyMap<string, Choice> = new Map()
  #problem: NightjarError | undefined

  constructor(options: RequestDoorOptions) {
    this.#options = options
    const { session, store } = options
    // The port of before the browser's start may be somebody else's by now.
    this.#ports = session.isNew ? undefined : store.state.shield?.ports
  }

  get state(): Shield['state'] {
    if (!this.#isWanted || this.#problem !== undefined) return 'down'
    return this.#ports === undefined ? 'closed' : 'up'
  }

  get problem(): NightjarError | undefined {
    return this.#problem
  }

  begin(): void {
    const { requests, store } = this.#options
    this.#isWanted = store.state.enabled && store.state.shield !== undefined
    if (!store.state.enabled) this.lower()
    this.onChoices()
    requests.answerBy((url) => this.#answer(url))
    requests.onChange(() => this.#refresh())
    this.#refresh()
  }

  async raise(): Promise<void> {
    const { session } = this.#options
    if (!this.#isWanted && session.state.restart === 'none') session.change({ restart: 'advised' })
    this.#isWanted = true
    this.#remember()
    await this.#check()
    if (this.#problem !== undefined) throw this.#problem
  }

  lower(): void {
    const { prediction, session, store } = this.#options
    this.#isWanted = false
    this.#problem = undefined
    prediction.clear().catch((error: unknown) => this.#setProblem(asNightjarError(error)))
    if (store.state.shield !== undefined) store.change({ shield: undefined })
    if (session.state.restart === 'advised') session.change({ restart: 'none' })
    this.#options.onChange()
  }

  setPorts(ports: Ports | undefined): void {
    const { port, sinkPort } = this.#ports ?? {}
    if (port === ports?.port && sinkPort === ports?.sinkPort) return
    this.#ports = ports && { port: ports.port, sinkPort: ports.sinkPort }
    if (this.#isWanted) this.#remember()
    this.#options.onChange()
  }

  /** Firefox sees to it by itself. */
  setSystemProxy(): void {}

  onChoices(): void {
    const { shield } = this.#options.store.state.settings
    this.#hosts = new Map(chosenHosts(shield))
    this.#options.requests.cover(shield.added)
  }

  #answer(url: string): ProxyAnswer | undefined {
    if (!this.#isWanted) return undefined
    const { way } = decide(this.#hosts, url, new URL(url).hostname)
    if (way === 'elsewhere') return undefined
    const { port, sinkPort } = this.#ports ?? nowhere
    return socksAt(way === 'shield' ? port : sinkPort)
  }

  #refresh(): void {
    if (this.#isWanted) void this.#check()
  }

  async #check(): Promise<void> {
    const { prediction, requests } = this.#options
    try {
      await prediction.set(false)
      const isRight = !this.#isWanted || (await requests.areShown())
      this.#setProblem(isRight ? undefined : new NightjarError('requests-hidden'))
    } catch (error) {
      this.#setProblem(asNightjarError(error))
    }
  }

  #setProblem(problem: NightjarError | undefined): void {
    this.#problem = problem
    this.#options.onChange()
  }

  /** For the next start of the background. */
  #remember(): void {
    const ports = this.#ports
    this.#options.store.change({ shield: { elsewhere: direct, isSystem: true, ...(ports && { ports }) } })
  }
}
