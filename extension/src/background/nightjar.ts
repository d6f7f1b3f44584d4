/** The background, put together: the daemon's connection, private requests, pages, the extension's own pages. */
import type { BridgeEvent } from '@nightjar/shared/bridge'
import type { Crypto } from '@nightjar/shared/crypto'
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import type { Call, Outcome } from '@nightjar/shared/rpc'
import type { Clock } from '@nightjar/shared/runtime'
import type { Problem, Snapshot } from '../messages/ui.ts'
import { Connection } from './connection/connection.ts'
import { checkEndpoint, type EndpointCheck } from './connection/endpointCheck.ts'
import { problemOfError } from './connection/facts.ts'
import { askWallet, type WalletOptions } from './connection/wallet.ts'
import { Carriers } from './host/bridgeCarrier.ts'
import { errorOfCode } from './host/errors.ts'
import { HostLink, type NativePort } from './host/hostLink.ts'
import { type PagePort, Pages } from './pages/pages.ts'
import { isChosen } from './pages/sites.ts'
import { groupLabel } from './requests/groups.ts'
import { type HeadChange, HeadFollower, type HeadsOptions } from './requests/heads.ts'
import { NetworkDocument } from './requests/network.ts'
import { PrivateRequests } from './requests/privateRequests.ts'
import { type State, type Store, unasked } from './store.ts'
import { Ui, type UiPort } from './ui.ts'

export interface NightjarOptions extends Pick<EndpointCheck, 'post'> {
  readonly crypto: Crypto
  readonly clock: Clock
  readonly store: Store
  readonly version: string
  connectNative(): NativePort
  readonly wallet: Omit<WalletOptions, 'clock'>
  /** Registers or removes the scripts in pages, as `store` says now. @throws where the browser refuses them */
  applyScripts(): Promise<void>
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
  const followers = new Map<string, HeadFollower>()
  let lastError: (Problem & { at: number }) | undefined

  const link = new HostLink({
    clock,
    version: options.version,
    connectNative: options.connectNative,
    onUp: () => connection.onHostUp(),
    onDown(error) {
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
  })
  const connection = new Connection({
    clock,
    store,
    host: {
      start: () => link.start(),
      stop: () => link.stop(),
      hurry: () => link.hurry(),
      whenUp: (patience) => link.whenUp(patience),
      status: () => link.ask('status', {}),
      get info() {
        return link.info
      },
    },
    verifyNetwork: () => network.refresh(),
    checkChain,
    async checkEndpoint(endpoint) {
      const { proofKey } = await link.whenUp()
      await checkEndpoint({ crypto, clock, post: options.post }, endpoint, proofKey)
    },
    askWallet: (chain, url, signal) =>
      askWallet({ clock, ...options.wallet }, { walletId: store.state.settings.wallet, chain, url, signal }),
    onChange: update,
  })
  const ui = new Ui({
    snapshot,
    connect() {
      store.change({ enabled: true })
      applyScripts()
      connection.start()
    },
    disconnect() {
      store.change({ enabled: false })
      applyScripts()
      connection.stop()
      network.forget()
    },
    retry: () => connection.retry(),
    save(settings) {
      const isOtherWallet = settings.wallet !== store.state.settings.wallet
      change({ settings })
      if (!isOtherWallet) return
      store.change({ wallet: unasked })
      if (connection.isOn) connection.start()
    },
    resetDirectory() {
      const { directory: _, ...settings } = store.state.settings
      change({ settings })
    },
  })

  function onEvent(event: BridgeEvent): void {
    switch (event.event) {
      case 'status':
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

  /** Other settings: what was built on the old ones is given up. */
  function change(changes: Pick<State, 'settings'>): void {
    const before = JSON.stringify(store.settings.directory)
    store.change(changes)
    if (JSON.stringify(store.settings.directory) !== before) {
      // Another network: what was seen of the old one says nothing about it.
      store.change({ mark: undefined })
      network.forget()
      requests.reset()
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

  function labelOf(group: string): string {
    return groupLabel(crypto, store.secret, group)
  }

  async function checkChain(chain: number): Promise<void> {
    const call: Call = { method: 'eth_chainId', params: [] }
    const outcome = await requests.request({ group: labelOf('check'), chain, call })
    const isRight = 'result' in outcome && Number(outcome.result) === chain
    if (!isRight) throw new NightjarError('chain-not-served')
  }

  const pages = new Pages({
    clock,
    randomBytes: (length) => crypto.randomBytes(length),
    isOnFor: (origin) => connection.isOn && isChosen(origin, store.state.settings.sites),
    request: (origin, chain, call) => requests.request({ group: labelOf(`site ${origin}`), chain, call }),
    heads,
    answered() {
      store.count(today())
      update()
    },
    failed: noteError,
  })

  /** One follower for each group and chain, while somebody listens. */
  function heads(origin: string, chain: number, listener: (change: HeadChange) => void): () => void {
    const group = labelOf(`site ${origin}`)
    const key = `${chain} ${group}`
    const read = (call: Call): Promise<Outcome> => requests.request({ group, chain, call })
    const follow: HeadsOptions['follow'] = (handler) => requests.followHeads(group, chain, handler)
    const follower = followers.get(key) ?? new HeadFollower({ clock, follow, read })
    followers.set(key, follower)
    const end = follower.listen(listener)
    return () => {
      end()
      if (!follower.isUsed && followers.get(key) === follower) followers.delete(key)
    }
  }

  function snapshot(): Snapshot {
    const { day, requests: count } = store.state.today
    return {
      ...connection.view(),
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
  if (connection.isOn) connection.resume()
  update()
  return { servePage: (port) => pages.serve(port), serveUi: (port) => ui.serve(port) }
}
