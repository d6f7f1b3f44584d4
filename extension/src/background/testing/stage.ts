/** The whole background on a stage: its own storage and clock, a scripted daemon, wallet and browser. */

import { nobleCrypto as crypto } from '@nightjar/shared/crypto/noble'
import type { ErrorCode } from '@nightjar/shared/errors'
import type { Json } from '@nightjar/shared/rpc'
import type { Clock } from '@nightjar/shared/runtime'
import { FakeClock, turn } from '@nightjar/shared/testing'
import type { Door, PageEvent, PageResponse } from '../../messages/page.ts'
import type { Snapshot, StepId, UiCommand, UiMessage } from '../../messages/ui.ts'
import { createNightjar, type Nightjar } from '../nightjar.ts'
import type { PageSender } from '../requests/groups.ts'
import { Session } from '../session.ts'
import type { ProxyConfig } from '../shield/elsewhere.ts'
import type { PageRequests, SeenRequest } from '../shield/leakWatch.ts'
import { RequestDoor } from '../shield/requestDoor.ts'
import { SettingDoor } from '../shield/settingDoor.ts'
import { type State, Store } from '../store.ts'
import { FakeSetting } from './browserSetting.ts'
import { ScriptedDaemon } from './daemon.ts'
import { endpointBase } from './fixtures.ts'
import type { TestNetwork } from './network.ts'
import { ScriptedPort } from './ports.ts'
import { FakeRequests } from './proxyRequests.ts'
import { ScriptedWallet } from './wallet.ts'

/** State that a stage may begin with, beside what is fresh. */
export type Begun = Partial<Pick<State, 'enabled' | 'mark' | 'wallet' | 'settings'>>

/** What differs between browsers is how the shield is put up. */
export type BrowserKind = 'chromium' | 'firefox'

export const agreed = (...chains: number[]) => ({ endpoint: endpointBase, chains, since: 0, seen: true })

export class Stage {
  readonly clock: FakeClock
  readonly daemon: ScriptedDaemon
  readonly wallet: ScriptedWallet
  /** What storage holds. */
  stored: unknown
  /** What the toolbar showed. */
  readonly states: Snapshot['state'][] = []
  /** Whether scripts were to be in pages, at each change. */
  readonly scripts: boolean[] = []
  applyScripts = async (): Promise<void> => undefined
  readonly proxy = new FakeSetting<ProxyConfig>({ mode: 'system' })
  readonly prediction = new FakeSetting(true)
  /** Firefox's questions, instead of `proxy`. */
  readonly proxyRequests = new FakeRequests()
  /** What the browser shows of pages' requests, once it is allowed. */
  readonly requests = new ScriptedRequests()
  nightjar!: Nightjar
  ui!: ScriptedPort<UiMessage>
  store!: Store
  readonly #network: TestNetwork
  readonly browser: BrowserKind
  /** Lasts as long as the browser. */
  #session: unknown
  /** Ends with the service worker. */
  #life = new AbortController()

  private constructor(network: TestNetwork, clock: FakeClock, document: string, browser: BrowserKind) {
    this.#network = network
    this.browser = browser
    this.clock = clock
    this.daemon = new ScriptedDaemon(network, document)
    this.wallet = new ScriptedWallet()
  }

  /** The extension as installed, or with `begun` from before. Nothing of it has run yet. */
  static async set(network: TestNetwork, begun: Begun = {}, browser: BrowserKind = 'chromium'): Promise<Stage> {
    const clock = new FakeClock()
    const stage = new Stage(network, clock, await network.document(clock.now()), browser)
    const store = await stage.#loadStore()
    store.change(begun)
    return stage
  }

  /** Starts the service worker: for the first time, or after the browser stopped it. */
  async start(): Promise<void> {
    this.#life = new AbortController()
    this.store = await this.#loadStore()
    const { daemon, wallet, store } = this
    this.nightjar = createNightjar({
      crypto,
      clock: this.#mortalClock(),
      store,
      session: await this.#loadSession(),
      version: '0.1.0',
      connectNative: daemon.connectNative,
      wallet,
      post: (url, body) => daemon.post(url, body),
      createShield: (init) => {
        const { prediction, proxy, proxyRequests: requests } = this
        return this.browser === 'firefox'
          ? new RequestDoor({ ...init, requests, prediction })
          : new SettingDoor({ ...init, proxy, prediction })
      },
      pageRequests: this.requests,
      applyScripts: () => {
        this.scripts.push(store.state.enabled)
        return this.applyScripts()
      },
      onState: (state) => this.states.push(state),
    })
    this.ui = this.openUi()
    await turn()
  }

  /** The service worker is stopped: whatever it was doing ends, with its ports and timers. */
  async restart(): Promise<void> {
    this.#life.abort()
    this.daemon.vanish()
    this.wallet.vanish()
    this.proxy.forgetListeners()
    this.proxyRequests.forgetListeners()
    await this.start()
  }

  /** The browser is closed and started again. */
  async restartBrowser(): Promise<void> {
    this.#session = undefined
    await this.restart()
  }

  openUi(): ScriptedPort<UiMessage> {
    const port = new ScriptedPort<UiMessage>()
    this.nightjar.serveUi(port)
    return port
  }

  openPage(sender: PageSender | string): TestPage {
    const page = new TestPage(typeof sender === 'string' ? senderOf(sender) : sender)
    this.nightjar.servePage(page)
    return page
  }

  async command(command: UiCommand): Promise<void> {
    this.ui.receive(command)
    await turn()
  }

  get snapshot(): Snapshot {
    const [last] = this.ui.posted.flatMap((message) => ('snapshot' in message ? [message.snapshot] : [])).slice(-1)
    return last as Snapshot
  }

  get problem(): ErrorCode | undefined {
    return this.snapshot.problem?.code
  }

  /** The step that is under way or failed, with its state. */
  get at(): string {
    const step = this.snapshot.steps.find(({ state }) => state === 'running' || state === 'failed')
    return step === undefined ? 'nowhere' : `${step.id} ${step.state}`
  }

  stateOf(id: StepId): string | undefined {
    return this.snapshot.steps.find((step) => step.id === id)?.state
  }

  /** Timers do not outlive the service worker that set them. */
  #mortalClock(): Clock {
    const { clock } = this
    const { signal } = this.#life
    return {
      now: () => clock.now(),
      elapsed: () => clock.elapsed(),
      after: (delay, action) => clock.after(delay, () => void (signal.aborted || action())),
    }
  }

  #loadSession(): Promise<Session> {
    return Session.load({
      read: async () => this.#session,
      write: async (value) => {
        this.#session = JSON.parse(JSON.stringify(value))
      },
    })
  }

  #loadStore(): Promise<Store> {
    const { signal } = this.#life
    return Store.load({
      clock: this.#mortalClock(),
      storage: {
        read: async () => this.stored,
        write: async (value) => {
          if (!signal.aborted) this.stored = JSON.parse(JSON.stringify(value))
        },
      },
      builtIn: this.#network.directory,
      randomBytes: crypto.randomBytes,
    })
  }
}

export class ScriptedRequests implements PageRequests {
  areShown = false
  readonly #watchers = new Set<(request: SeenRequest) => void>()
  #listener: () => void = () => undefined

  readonly watch = (see: (request: SeenRequest) => void): (() => void) => {
    this.#watchers.add(see)
    return () => this.#watchers.delete(see)
  }

  readonly onChange = (listener: () => void): void => {
    this.#listener = listener
  }

  allow(areShown: boolean): void {
    this.areShown = areShown
    this.#listener()
  }

  /** A page posts to `url`. */
  post(url: string, text: string, initiator?: string): void {
    const { buffer } = new TextEncoder().encode(text)
    for (const see of this.#watchers) see({ url, method: 'POST', initiator, body: [buffer] })
  }

  get watchers(): number {
    return this.#watchers.size
  }
}

/** What the browser says of a page's own frame. */
export function senderOf(origin: string): PageSender {
  return { id: 'self', frameId: 0, url: `${origin}/path?query`, origin, tab: { url: `${origin}/path?query` } }
}

/** A page's end of its port, with the content script left out. */
export class TestPage extends ScriptedPort<PageResponse | PageEvent> {
  readonly sender: PageSender
  #lastId = 0

  constructor(sender: PageSender) {
    super()
    this.sender = sender
  }

  /** Asks, and gives the id of the question. */
  ask(method: string, params: readonly Json[] = [], { chain = 1, door = 'wallet' as Door } = {}): number {
    this.#lastId += 1
    this.receive({ id: this.#lastId, method, params, chain, door })
    return this.#lastId
  }

  /** Asks, and gives the answer that is there a turn later. */
  async request(method: string, params: readonly Json[] = [], options: { chain?: number; door?: Door } = {}) {
    const id = this.ask(method, params, options)
    await turn()
    return this.answerTo(id)
  }

  answerTo(id: number): Partial<{ result: Json; error: { code: number; data: Json }; pass: true }> | undefined {
    const found = this.posted.find((message) => 'id' in message && message.id === id)
    if (found === undefined) return undefined
    const { id: _, ...answer } = found as PageResponse & { id: number }
    return answer as ReturnType<TestPage['answerTo']>
  }

  codeOf(id: number): string | undefined {
    const data = this.answerTo(id)?.error?.data as { readonly nightjar?: string } | undefined
    return data?.nightjar
  }

  /** What came on a subscription. */
  pushed(subscription: Json | undefined): Json[] {
    return this.posted.flatMap((message) =>
      'result' in message && 'event' in message && message.subscription === subscription ? [message.result] : [],
    )
  }
}
