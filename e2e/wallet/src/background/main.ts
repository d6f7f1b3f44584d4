/**
 * The service worker of the stand-in wallet. Towards dapps, other extensions and RPC endpoints it behaves as MetaMask
 * 13.5 was seen to (shared/facts/metamask.md); it talks to no other host. Its keys are public: never use it with money.
 */
import { contentName } from '../page/stream.ts'
import { type Command, type Snapshot, type UiPort, uiPorts } from '../ui.ts'
import { createChains } from './chains.ts'
import { createEndpoints } from './endpoints.ts'
import { addresses, createKeyring } from './keyring.ts'
import { createMethods, providerState } from './methods.ts'
import { createNetworks } from './networks.ts'
import { createNotification } from './notification.ts'
import { createPermissions } from './permissions.ts'
import { createPolling } from './polling.ts'
import { createPrompts } from './prompts.ts'
import { type Client, createSites } from './sites.ts'
import { createStore, mainnet } from './store.ts'
import { createSubscriptions } from './subscriptions.ts'
import { createTransactions } from './transactions.ts'

const store = createStore(chrome.storage.local, chrome.storage.session)
const endpoints = createEndpoints(async () => (await store.read()).settings.retryDelay)
const chains = createChains(store, endpoints)
const prompts = createPrompts(store, () => {
  notification.refresh()
  show()
})
const notification = createNotification({
  isNeeded: () => prompts.pending.length > 0,
  onClosed: () => void prompts.rejectAll(),
})
const permissions = createPermissions(store, prompts, (origin) => tellState((client) => client.origin === origin))
const networks = createNetworks(store, prompts, permissions)
const keyring = createKeyring(permissions, prompts)
const transactions = createTransactions(chains, permissions, prompts, keyring)
const subscriptions = createSubscriptions(chains, async () => (await store.read()).settings.pollPeriod)
const methods = createMethods({ store, chains, permissions, networks, keyring, transactions, subscriptions })
const sites = createSites(methods, (client) => subscriptions.end(client))
const pages = new Map<chrome.runtime.Port, UiPort>()
const polling = createPolling({
  store,
  chains,
  accounts: addresses,
  isWatched: () => [...pages.values()].includes('home'),
  onResult: show,
})

chrome.runtime.onConnectExternal.addListener((port) => sites.attach(port))

chrome.runtime.onConnect.addListener((port) => {
  if (port.name === contentName) return sites.attach(port)
  const name = uiPorts.find((candidate) => candidate === port.name)
  if (name === undefined || !isOwnPage(port.sender)) return
  pages.set(port, name)
  port.onDisconnect.addListener(() => pages.delete(port))
  // A message now and then keeps the worker alive; its content says nothing.
  port.onMessage.addListener(() => {})
  show()
  if (name === 'notification') notification.attach(port)
  if (name === 'home') polling.refresh()
})

chrome.runtime.onMessage.addListener((command: Command, sender, answer) => {
  if (!isOwnPage(sender)) return
  void obey(command).then(answer)
  return true
})

// Only so that the service worker starts with the browser.
chrome.runtime.onStartup.addListener(() => undefined)
chrome.action.onClicked.addListener(() => void chrome.tabs.create({ url: chrome.runtime.getURL('home.html') }))

async function obey(command: Command): Promise<Snapshot> {
  switch (command.command) {
    case 'show':
      break
    case 'approve':
      await prompts.approve(command.id, command.accounts === undefined ? {} : { accounts: command.accounts })
      break
    case 'reject':
      await prompts.reject(command.id)
      break
    case 'lock':
    case 'unlock':
      await setUnlocked(command.command === 'unlock')
      break
    case 'configure': {
      const { settings, infuraUrl } = command
      await store.update((state) => ({ ...withInfura(state, infuraUrl), settings }))
      polling.refresh()
      break
    }
    case 'use-endpoint':
      await networks.useEndpoint(command.chainId, command.index)
      polling.refresh()
  }
  show()
  return snapshot()
}

async function setUnlocked(isUnlocked: boolean): Promise<void> {
  await store.setUnlocked(isUnlocked)
  for (const { id, kind } of prompts.pending) if (isUnlocked && kind === 'unlock') await prompts.approve(id, {})
  await tellState(() => true)
  polling.refresh()
}

function withInfura(state: Awaited<ReturnType<typeof store.read>>, url: string): typeof state {
  const network = state.networks[mainnet]
  if (network === undefined) return state
  const endpoints = network.endpoints.map((endpoint, index) => (index === 0 ? { ...endpoint, url } : endpoint))
  return { ...state, networks: { ...state.networks, [mainnet]: { ...network, endpoints } } }
}

/** Tells clients where they stand now; their providers find out what has changed. */
async function tellState(isMeant: (client: Client) => boolean): Promise<void> {
  for (const client of sites.clients.filter(isMeant)) {
    const { chainId, networkVersion, isUnlocked, accounts } = await providerState({ store, permissions }, client.origin)
    client.notify('metamask_unlockStateChanged', { accounts, isUnlocked })
    client.notify('metamask_chainChanged', { chainId, networkVersion, isConnected: true })
    client.notify('metamask_accountsChanged', accounts)
  }
}

async function snapshot(): Promise<Snapshot> {
  const state = await store.read()
  return {
    isUnlocked: await store.isUnlocked(),
    accounts: addresses,
    networks: Object.values(state.networks),
    settings: state.settings,
    prompts: prompts.pending,
    polls: polling.results,
    polled: polling.count,
  }
}

function show(): void {
  void snapshot().then((current) => {
    for (const port of pages.keys()) port.postMessage({ snapshot: current })
  })
}

function isOwnPage(sender: chrome.runtime.MessageSender | undefined): boolean {
  return sender?.url?.startsWith(chrome.runtime.getURL('')) === true
}

/** Pages that were connected to a worker before this one connect again. */
async function callPages(): Promise<void> {
  for (const { id } of await chrome.tabs.query({})) {
    if (id === undefined) continue
    await chrome.tabs.sendMessage(id, { name: 'METAMASK_EXTENSION_READY' }).catch(() => {
      // No page of ours in that tab.
    })
  }
}

void callPages()
