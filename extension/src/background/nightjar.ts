/** The background, put together: the daemon's connection, private requests, pages, the extension's own pages. */
import type { BridgeEvent, Status } from '@nightjar/shared/bridge'
import type { Crypto } from '@nightjar/shared/crypto'
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import type { Call } from '@nightjar/shared/rpc'
import type { Clock } from '@nightjar/shared/runtime'
import type { Problem, Snapshot } from '../messages/ui.ts'
import { SiteAccounts, siteGroup } from './accounts/siteAccounts.ts'
import { accountsView } from './accounts/view.ts'
import { Connection } from './connection/connection.ts'
import { checkEndpoint, type EndpointCheck } from './connection/endpointCheck.ts'
import { problemOfError } from './connection/facts.ts'
import { askWallet, type WalletOptions } from './connection/wallet.ts'
import { Carriers } from './host/bridgeCarrier.ts'
import { errorOfCode } from './host/errors.ts'
import { HostLink, type NativePort } from './host/hostLink.ts'
import { type PagePort, Pages } from './pages/pages.ts'
import { isChosen } from './pages/sites.ts'
import { HeadFollowers } from './requests/followers.ts'
import { groupLabel, watchKey } from './requests/groups.ts'
import { NetworkDocument } from './requests/network.ts'
import { PrivateRequests } from './requests/privateRequests.ts'
import type { Session } from './session.ts'
import { choose, isKnown } from './shield/choices.ts'
import { LeakWatch, type PageRequests } from './shield/leakWatch.ts'
import type { Shield, ShieldInit } from './shield/shield.ts'
import { shieldView } from './shield/view.ts'
import { type State, type Store, unasked } from './store.ts'
import { Ui, type UiPort } from './ui.ts'

export interface NightjarOptions extends Pick<EndpointCheck, 'post'> {
  readonly crypto: Crypto
  readonly clock: Clock
  readonly store: Store
  readonly session: Session
  readonly version: string
  connectNative(): NativePort
  readonly wallet: Omit<WalletOptions, 'clock'>
  /** Registers or removes the scripts in pages, as `store` says now. @throws where the browser refuses them */
  applyScripts(): Promise<void>
  /** As the browser lets it be put up. */
  createShield(init: ShieldInit): Shield
  readonly pageRequests: PageRequests
  /** What the toolbar shows changed. */
  onState(state: Snapshot['state']): void
}

export interface Nightjar {
  servePage(port: PagePort): void
  serveUi(port: UiPort): void
}

/** Starts at once where it was on when browser or service worker ended. */
export function createNightjar(options: NightjarOptions): Nightjar {
  const { crypto, clock, store } = options
  let lastError: (Problem & { at: number }) | undefined
  let told: Pick<Status, 'shield' | 'accounts'> | undefined
  let endWatch: (() => void) | undefined

  const link = new HostLink({
    clock,
    version: options.version,
    connectNative: options.connectNative,
    onUp: () => connection.onHostUp(),
    onDown(error) {
      told = undefined
      door.setPorts(undefined)
      carriers.loseAll(error)
      requests.reset()
      connection.onHostDown(error)
    },
    onEvent,
  })
  const carriers = new Carriers(link)
  const network = new NetworkDocument({
    crypto,
    clock,
    trust: () => store.trust,
    seen: () => store.mark,
    accepted: (mark) => store.setMark(mark),
    fetch: async () => (await link.ask('document', {})).text,
  })
  const requests = new PrivateRequests({
    crypto,
    clock,
    carriers,
    network: () => network.require(),
    whenVerified: () => connection.whenVerified(),
    label: (group) => groupLabel(crypto, store.secret, group),
  })
  const accounts = new SiteAccounts({
    clock,
    crypto,
    keyed: (name) => watchKey(crypto, store.secret, name),
    requests,
    choices: () => store.state.settings.accounts,
    onChange: update,
  })
  const followers = new HeadFollowers({ clock, requests })
  const connection = new Connection({
    clock,
    store,
    host: {
      start: () => link.start(),
      stop: () => link.stop(),
      hurry: () => link.hurry(),
      whenUp: (patience) => link.whenUp(patience),
      status: async () => {
        const status = await link.ask('status', {})
        onStatus(status)
        return status
      },
      get info() {
        return link.info
      },
    },
    verifyNetwork: () => network.refresh(),
    raiseShield: () => door.raise(),
    checkChain,
    async checkEndpoint(endpoint) {
      const { proofKey } = await link.whenUp()
      await checkEndpoint({ crypto, clock, post: options.post }, endpoint, proofKey)
    },
    askWallet: (chain, url, signal) =>
      askWallet({ clock, ...options.wallet }, { walletId: store.state.settings.wallet, chain, url, signal }),
    onChange: update,
  })
  const door = options.createShield({
    store,
    session: options.session,
    onChange() {
      connection.onShield(door.problem)
      update()
    },
  })
  const leaks = new LeakWatch({
    clock,
    session: options.session,
    isKnown: (host) => isKnown(store.state.settings.shield, host),
    onChange: update,
  })
  const ui = new Ui({
    snapshot,
    connect() {
      store.change({ enabled: true })
      applyScripts()
      watchLeaks()
      connection.start()
    },
    disconnect() {
      store.change({ enabled: false })
      applyScripts()
      watchLeaks()
      connection.stop()
      door.lower()
      accounts.stop()
      network.forget()
    },
    retry: () => connection.retry(),
    save(settings) {
      const isOtherWallet = settings.wallet !== store.state.settings.wallet
      change({ settings: { ...settings, shield: store.state.settings.shield } })
      if (!isOtherWallet) return
      store.change({ wallet: unasked })
      if (connection.isOn) connection.start()
    },
    resetDirectory() {
      const { directory: _, ...settings } = store.state.settings
      change({ settings })
    },
    choose(hosts, choice) {
      const { settings } = store.state
      store.change({ settings: { ...settings, shield: choose(settings.shield, hosts, choice) } })
      door.onChoices()
      update()
    },
    dismissRestart() {
      options.session.change({ restart: 'dismissed' })
      update()
    },
    forgetLeaks: () => leaks.forget(),
  })

  function onEvent(event: BridgeEvent): void {
    switch (event.event) {
      case 'browser':
        return door.setSystemProxy(event.systemProxy)
      case 'status':
        onStatus(event.status)
        return connection.onStatus(event.status)
      case 'document':
        return connection.onDocument()
      case 'record':
        return carriers.onRecord(event.request, event.record)
      case 'branch-lost':
        return carriers.onLost(event.branch, errorOfCode(event.code))
      case 'failed':
        // Said by the program when it cannot start the daemon; the connection ends then, with this as its reason.
        return
    }
  }

  function onStatus(status: Status): void {
    told = status
    door.setPorts(status.shield.running ? status.shield : undefined)
  }

  /** While it is on, where the user allowed it. */
  function watchLeaks(): void {
    endWatch?.()
    const isWatching = store.state.enabled && options.pageRequests.areShown
    endWatch = isWatching ? options.pageRequests.watch((request) => leaks.take(request)) : undefined
    update()
  }

  /** Other settings: what was built on the old ones is given up. */
  function change(changes: Pick<State, 'settings'>): void {
    const before = JSON.stringify(store.settings.directory)
    store.change(changes)
    if (JSON.stringify(store.settings.directory) !== before) {
      // Another network: what was seen of the old one says nothing about it.
      store.change({ mark: undefined })
      network.forget()
      requests.reset()
      accounts.stop()
      connection.onOtherTrust()
    }
    applyScripts()
    update()
  }

  function applyScripts(): void {
    options.applyScripts().catch((error: unknown) => noteError(asNightjarError(error)))
  }

  function noteError(error: NightjarError): void {
    lastError = { ...problemOfError(error), at: clock.now() }
    update()
  }

  function today(): string {
    return new Date(clock.now()).toISOString().slice(0, 10)
  }

  async function checkChain(chain: number): Promise<void> {
    const call: Call = { method: 'eth_chainId', params: [] }
    const outcome = await requests.request({ group: 'check', chain, call })
    const isRight = 'result' in outcome && Number(outcome.result) === chain
    if (!isRight) throw new NightjarError('chain-not-served')
  }

  const pages = new Pages({
    clock,
    randomBytes: (length) => crypto.randomBytes(length),
    isOnFor: (origin) => connection.isOn && isChosen(origin, store.state.settings.sites),
    request: (origin, chain, call) => accounts.request(origin, chain, call),
    shown: (origin, shown) => accounts.learn(origin, shown),
    heads: (origin, chain, listener) => followers.listen(siteGroup(origin), chain, listener),
    answered() {
      store.count(today())
      update()
    },
    failed: noteError,
  })

  function snapshot(): Snapshot {
    const { day, requests: count } = store.state.today
    return {
      ...connection.view(),
      shield: shieldView(door, told?.shield, options.session.state, options.pageRequests.areShown),
      accounts: accountsView(accounts.status, store.state.settings.accounts.freshness, told?.accounts),
      requestsToday: day === today() ? count : 0,
      ...(lastError === undefined ? {} : { lastError }),
      settings: store.settings,
    }
  }

  let shown: Snapshot['state'] | undefined
  let updating = false
  /** Once for all that changes in one turn. */
  function update(): void {
    if (updating) return
    updating = true
    queueMicrotask(() => {
      updating = false
      ui.update()
      const { state } = connection.view()
      if (state !== shown) options.onState(state)
      shown = state
    })
  }

  applyScripts()
  options.pageRequests.onChange(watchLeaks)
  watchLeaks()
  door.begin()
  if (connection.isOn) connection.resume()
  update()
  return { servePage: (port) => pages.serve(port), serveUi: (port) => ui.serve(port) }
}
