/**
 * The third door in Chromium: the browser's proxy setting, and with it where the requests of wallets, other extensions
 * and pages to listed hosts go. The setting outlives service worker, daemon and browser.
 *
 * The browser is asked anew on each occasion, and `#settle` makes of whatever it finds what it should be.
 */
import type { SystemProxy } from '@nightjar/shared/bridge'
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import { chosenHosts } from './choices.ts'
import type { Ports } from './decision.ts'
import { type Elsewhere, elsewhereOf, elsewhereOfSystem, type ProxyConfig } from './elsewhere.ts'
import { pacScript } from './pac.ts'
import type { Shield, ShieldInit } from './shield.ts'

/** Who sets a setting of the browser, in the words of `levelOfControl`. */
export type Control =
  | 'not_controllable'
  | 'controlled_by_other_extensions'
  | 'controllable_by_this_extension'
  | 'controlled_by_this_extension'

/** One of the browser's settings that extensions may set (`types.ChromeSetting`). */
export interface BrowserSetting<T> {
  get(): Promise<{ readonly value: T; readonly levelOfControl: Control }>
  set(value: T): Promise<void>
  clear(): Promise<void>
  onChange(listener: () => void): void
}

export interface SettingDoorOptions extends ShieldInit {
  readonly proxy: BrowserSetting<ProxyConfig>
  /** Whether the browser looks names up, and connects, before it is asked to. */
  readonly prediction: BrowserSetting<boolean>
}

export class SettingDoor implements Shield {
  readonly #options: SettingDoorOptions
  #isWanted = false
  #isOurs = false
  #ports: Ports | undefined
  /** The system's proxy, once the native program has told it. */
  #system: SystemProxy | null | undefined
  #problem: NightjarError | undefined
  #last: Promise<void> = Promise.resolve()

  constructor(options: SettingDoorOptions) {
    this.#options = options
    const { proxy, session, store } = options
    // The port of before the browser's start may be somebody else's by now.
    this.#ports = session.isNew ? undefined : store.state.shield?.ports
    proxy.onChange(() => this.#refresh())
  }

  get state(): Shield['state'] {
    if (!this.#isOurs) return 'down'
    return this.#ports === undefined ? 'closed' : 'up'
  }

  get problem(): NightjarError | undefined {
    return this.#problem
  }

  begin(): void {
    const { enabled, shield } = this.#options.store.state
    if (!enabled) return this.lower()
    this.#isWanted = shield !== undefined
    this.#refresh()
  }

  /** @throws NightjarError `proxy-taken`, `proxy-unknown` */
  async raise(): Promise<void> {
    this.#isWanted = true
    await this.#serially(() => this.#settle())
    if (this.#problem !== undefined) throw this.#problem
  }

  lower(): void {
    const { proxy, prediction, store, session } = this.#options
    this.#isWanted = false
    void this.#serially(async () => {
      this.#problem = undefined
      await Promise.all([proxy.clear(), prediction.clear()])
      this.#isOurs = false
      if (store.state.shield !== undefined) store.change({ shield: undefined })
      if (session.state.restart === 'advised') session.change({ restart: 'none' })
    })
  }

  setPorts(ports: Ports | undefined): void {
    const { port, sinkPort } = this.#ports ?? {}
    if (port === ports?.port && sinkPort === ports?.sinkPort) return
    this.#ports = ports && { port: ports.port, sinkPort: ports.sinkPort }
    this.#refresh()
  }

  setSystemProxy(system: SystemProxy | null): void {
    this.#system = system
    this.#refresh()
  }

  onChoices(): void {
    this.#refresh()
  }

  #refresh(): void {
    if (this.#isWanted) void this.#serially(() => this.#settle())
  }

  /** One change of the settings after the other, or an earlier one could undo a later one. */
  #serially(change: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(change).catch((error: unknown) => {
      this.#problem = asNightjarError(error)
    })
    return this.#last.then(() => this.#options.onChange())
  }

  async #settle(): Promise<void> {
    if (!this.#isWanted) return
    const { proxy, prediction, session, store } = this.#options
    const found = await proxy.get()
    this.#isOurs = found.levelOfControl === 'controlled_by_this_extension'
    if (!this.#isOurs && found.levelOfControl !== 'controllable_by_this_extension') {
      this.#problem = new NightjarError('proxy-taken')
      return
    }
    const { elsewhere, isSystem, problem } = this.#plan(found.value)
    this.#problem = problem
    if (elsewhere === undefined) return
    // Whoever set it meanwhile: it is off while the shield is up.
    await prediction.set(false)
    const ports = this.#ports
    const data = pacScript({ hosts: chosenHosts(store.state.settings.shield), ports, elsewhere })
    if (this.#isOurs && found.value.pacScript?.data === data) return
    // First, or a stop in between would lose where the others went.
    store.change({ shield: { elsewhere, isSystem, ...(ports && { ports }) } })
    await proxy.set({ mode: 'pac_script', pacScript: { data, mandatory: true } })
    if (!this.#isOurs && session.state.restart === 'none') session.change({ restart: 'advised' })
    this.#isOurs = (await proxy.get()).levelOfControl === 'controlled_by_this_extension'
    if (!this.#isOurs) this.#problem = new NightjarError('proxy-taken')
  }

  /** Where other hosts are to go; as before, with the problem, where that cannot be known any more. */
  #plan(found: ProxyConfig): { elsewhere: Elsewhere | undefined; isSystem: boolean; problem?: NightjarError } {
    const before = this.#isOurs ? this.#options.store.state.shield : undefined
    const isSystem = this.#isOurs ? (before?.isSystem ?? true) : found.mode === 'system'
    // The native program has not told it again yet, after a start of the service worker.
    const isUntold = isSystem && this.#system === undefined
    if (before !== undefined && (!isSystem || isUntold)) return { elsewhere: before.elsewhere, isSystem }
    try {
      return { elsewhere: isSystem ? elsewhereOfSystem(this.#system ?? null) : elsewhereOf(found), isSystem }
    } catch (error) {
      return { elsewhere: before?.elsewhere, isSystem, problem: asNightjarError(error) }
    }
  }
}
