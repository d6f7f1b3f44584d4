/** The composition root of the service worker. Listeners are set before anything is awaited, or events would be lost. */
import { nobleCrypto } from '@nightjar/shared/crypto/noble'
import { NightjarError } from '@nightjar/shared/errors'
import { type Clock, second } from '@nightjar/shared/runtime'
import browser, { type Runtime, type Tabs } from 'webextension-polyfill'
import content from '../content/content.iife.ts?script&iife'
import inpage from '../inpage/inpage.iife.ts?script&iife'
import { pagePort } from '../messages/page.ts'
import { type Snapshot, uiPort } from '../messages/ui.ts'
import type { WalletAnswer, WalletPort, WalletRequest } from './connection/wallet.ts'
import type { NativePort } from './host/hostLink.ts'
import { createNightjar } from './nightjar.ts'
import { coverEarlyTabs, type Tab, watchedFor } from './pages/earlyTabs.ts'
import type { PagePort } from './pages/pages.ts'
import { applyScripts, type ContentScript } from './pages/scripts.ts'
import { isChosen } from './pages/sites.ts'
import { Session } from './session.ts'
import { RequestDoor } from './shield/requestDoor.ts'
import { watchRequests } from './shield/requests.ts'
import { SettingDoor } from './shield/settingDoor.ts'
import { prediction, proxy } from './shield/settings.ts'
import type { Shield, ShieldInit } from './shield/shield.ts'
import { pageRequests } from './shield/webRequest.ts'
import { type Directory, Store } from './store.ts'

/** Of the build (NIGHTJAR_DIRECTORY); without it the user enters the keys of a network. */
declare const __DIRECTORY__: Directory | null

const hostName = 'io.nightjar.host'
const storageKey = 'state'
const sessionKey = 'session'

const clock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after(delay, action) {
    const timer = setTimeout(action, delay)
    return { cancel: () => clearTimeout(timer) }
  },
}

/** Firefox asks for each request; elsewhere there is only the setting. */
const requests = 'onRequest' in browser.proxy ? watchRequests() : undefined
const started = start()

browser.runtime.onConnect.addListener((port) => {
  if (port.sender?.id !== browser.runtime.id) return port.disconnect()
  const isOwnPage = port.sender.url?.startsWith(browser.runtime.getURL('')) === true
  // What is said before the stored state is read is kept until then.
  const early = holdMessages(port)
  started.then(
    (nightjar) => {
      if (early.isGone) return
      if (port.name === uiPort && isOwnPage) nightjar.serveUi(messagesOf(port, early))
      else if (port.name === pagePort && !isOwnPage)
        nightjar.servePage({ ...messagesOf(port, early), ...pageEnd(port) })
      else port.disconnect()
    },
    (error: unknown) => {
      // Whoever asks is refused by its own end then; nothing goes direct.
      console.error('Nightjar could not start', error)
      port.disconnect()
    },
  )
})
// What waits for an answer goes nowhere then.
started.catch(() => requests?.close())
// Only so that the service worker starts with the browser.
browser.runtime.onStartup.addListener(() => undefined)
browser.runtime.onInstalled.addListener(({ reason }) => {
  if (reason === 'install') void browser.tabs.create({ url: browser.runtime.getURL('src/first-run/index.html') })
})

async function start() {
  const store = await Store.load({
    clock,
    storage: {
      read: async () => (await browser.storage.local.get(storageKey))[storageKey],
      write: (value) => browser.storage.local.set({ [storageKey]: value }),
    },
    builtIn: __DIRECTORY__ ?? undefined,
    randomBytes: nobleCrypto.randomBytes,
  })
  const session = await Session.load({
    read: async () => (await browser.storage.session.get(sessionKey))[sessionKey],
    write: (value) => browser.storage.session.set({ [sessionKey]: value }),
  })
  if (await isEarly()) void coverTabs(store)
  let scripts: Promise<void> = Promise.resolve()
  return createNightjar({
    crypto: nobleCrypto,
    clock,
    store,
    session,
    version: browser.runtime.getManifest().version,
    connectNative,
    wallet: { connect: connectWallet, askPage },
    post,
    createShield,
    pageRequests,
    applyScripts() {
      const { enabled, settings } = store.state
      // One change after the other, or the later one could be undone by the earlier.
      const applied = scripts.then(() =>
        applyScripts(registry, { content, inpage }, { enabled, sites: settings.sites }),
      )
      scripts = applied.catch(() => undefined)
      return applied
    },
    onState: showState,
  })
}

function createShield(init: ShieldInit): Shield {
  return requests === undefined
    ? new SettingDoor({ ...init, proxy, prediction })
    : new RequestDoor({ ...init, requests, prediction })
}

/** The session's storage is empty after a start of the browser, and stays while the service worker comes and goes. */
async function isEarly(): Promise<boolean> {
  const { startedAt } = await browser.storage.session.get('startedAt')
  if (typeof startedAt === 'number') return clock.now() - startedAt < watchedFor
  await browser.storage.session.set({ startedAt: clock.now() })
  return true
}

function coverTabs(store: Store): Promise<void> {
  const web = ['http://*/*', 'https://*/*']
  const asTab = ({ id, url, discarded }: Tabs.Tab): Tab[] =>
    id === undefined || url === undefined || discarded === true ? [] : [{ id, url }]
  return coverEarlyTabs({
    clock,
    open: async () => (await browser.tabs.query({ url: web, status: 'complete' })).flatMap(asTab),
    // Without the script nobody is there to answer, and the question fails.
    isCovered: ({ id }) =>
      browser.tabs.sendMessage(id, { ping: true }, { frameId: 0 }).then(
        () => true,
        () => false,
      ),
    reload: ({ id }) => browser.tabs.reload(id),
    isWanted: ({ url }) => store.state.enabled && isChosen(new URL(url).origin, store.state.settings.sites),
  })
}

interface EarlyMessages {
  /** Whether the other end has gone away already. */
  readonly isGone: boolean
  taken(): readonly unknown[]
}

/** A frame that says more before it can be heard is cut off; its content script connects and asks again. */
const heldAtMost = 1000

function holdMessages(port: Runtime.Port): EarlyMessages {
  const held: unknown[] = []
  const hold = (message: unknown) => {
    if (held.push(message) > heldAtMost) port.disconnect()
  }
  let isGone = false
  port.onMessage.addListener(hold)
  port.onDisconnect.addListener(() => {
    isGone = true
  })
  return {
    get isGone() {
      return isGone
    },
    taken() {
      port.onMessage.removeListener(hold)
      return held
    },
  }
}

function messagesOf(port: Runtime.Port, early: EarlyMessages) {
  return {
    postMessage: (message: unknown) => port.postMessage(message),
    onMessage(listener: (message: unknown) => void) {
      for (const message of early.taken()) listener(message)
      port.onMessage.addListener((message) => listener(message))
    },
    onDisconnect: (listener: () => void) => port.onDisconnect.addListener(() => listener()),
  }
}

function pageEnd(port: Runtime.Port): Pick<PagePort, 'sender' | 'disconnect'> {
  return { sender: port.sender ?? {}, disconnect: () => port.disconnect() }
}

function connectNative(): NativePort {
  const port = browser.runtime.connectNative(hostName)
  return {
    postMessage: (message) => port.postMessage(message),
    disconnect: () => port.disconnect(),
    onMessage: (listener) => port.onMessage.addListener((message) => listener(message)),
    // The first is where Firefox says it.
    onDisconnect: (listener) => port.onDisconnect.addListener(() => listener(port.error?.message ?? lastError())),
  }
}

/** The polyfill leaves the reason of a port's end where Chrome puts it. */
function lastError(): string | undefined {
  return browser.runtime.lastError?.message
}

function connectWallet(walletId: string): WalletPort {
  const port = browser.runtime.connect(walletId)
  return {
    postMessage: (message) => port.postMessage(message),
    disconnect: () => port.disconnect(),
    onMessage: (listener) => port.onMessage.addListener((message) => listener(message)),
    onDisconnect: (listener) =>
      port.onDisconnect.addListener(() => {
        // Read, or Chrome reports it as an error that nobody looked at.
        lastError()
        listener()
      }),
  }
}

/** In the page's own world, where the wallet's provider is. */
async function askPage(request: WalletRequest): Promise<WalletAnswer> {
  const [tab] = await browser.tabs.query({ active: true, lastFocusedWindow: true, url: ['http://*/*', 'https://*/*'] })
  if (tab?.id === undefined) throw new NightjarError('wallet-absent')
  const [injected] = await browser.scripting.executeScript({
    target: { tabId: tab.id },
    world: 'MAIN',
    func: askProvider,
    args: [request],
  })
  const answer = injected?.result as WalletAnswer | null | undefined
  if (answer === null || answer === undefined) throw new NightjarError('wallet-absent')
  return answer
}

/** Runs in the page; must not use anything from here. */
async function askProvider(request: unknown): Promise<unknown> {
  const { ethereum } = window as { ethereum?: { request(request: unknown): Promise<unknown> } }
  if (ethereum === undefined) return null
  try {
    // Some wallets answer with nothing at all, which would not come across.
    return { result: (await ethereum.request(request)) ?? null }
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: unknown }
    return { error: { code: Number(code), message: String(message) } }
  }
}

/** Whoever answers may send without end: no more is read than the connection's check waits for. */
const postTimeout = 5 * second

async function post(url: string, body: string): Promise<string | undefined> {
  const signal = AbortSignal.timeout(postTimeout)
  const options = { method: 'POST', body, credentials: 'omit', cache: 'no-store', redirect: 'error', signal } as const
  const response = await fetch(url, options)
  return response.ok ? response.text() : undefined
}

const registry = {
  registered: () => browser.scripting.getRegisteredContentScripts(),
  register: (scripts: readonly ContentScript[]) => browser.scripting.registerContentScripts(scripts.map(toRegistered)),
  update: (scripts: readonly ContentScript[]) => browser.scripting.updateContentScripts(scripts.map(toRegistered)),
  unregister: () => browser.scripting.unregisterContentScripts(),
}

function toRegistered({ id, js, matches, world }: ContentScript) {
  return {
    id,
    js: [...js],
    matches: [...matches],
    world,
    runAt: 'document_start' as const,
    allFrames: true,
    matchOriginAsFallback: true,
    persistAcrossSessions: true,
  }
}

const badges: Readonly<Record<Snapshot['state'], readonly [text: string, colour: string]>> = {
  off: ['', '#6b7280'],
  connecting: ['…', '#b7791f'],
  private: ['', '#2f855a'],
  degraded: ['!', '#b7791f'],
  blocked: ['×', '#c53030'],
}

function showState(state: Snapshot['state']): void {
  const [text, color] = badges[state]
  void browser.action.setBadgeText({ text })
  void browser.action.setBadgeBackgroundColor({ color })
  void browser.action.setTitle({ title: `Nightjar: ${state}` })
}
