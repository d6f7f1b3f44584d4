/** What the wallet remembers. Read afresh each time: the service worker may have been another one a moment ago. */
import type { Address, Hex } from 'viem'
import type { Network, Settings } from '../ui.ts'

/** What a site or extension was allowed. */
export interface Site {
  readonly accounts: readonly Address[]
  readonly chains: readonly Hex[]
  readonly chainId: Hex
}

export interface State {
  readonly networks: Readonly<Record<Hex, Network>>
  /** By origin. */
  readonly sites: Readonly<Record<string, Site>>
  /** Rejections in a row, by origin. */
  readonly rejections: Readonly<Record<string, { readonly count: number; readonly last: number }>>
  readonly settings: Settings
}

export interface Store {
  read(): Promise<State>
  /** Changes follow one another: each is given what the one before it left. */
  update(change: (state: State) => State): Promise<State>
  isUnlocked(): Promise<boolean>
  setUnlocked(isUnlocked: boolean): Promise<void>
}

export const mainnet: Hex = '0x1'

/**
 * Nothing leaves for this address: browsers block the port. A test or `npm start` sets a listener of its own in its
 * place, so that what leaks is seen.
 */
const unsetInfuraUrl = 'http://127.0.0.1:9/infura'

const initial: State = {
  networks: {
    [mainnet]: {
      chainId: mainnet,
      name: 'Ethereum Mainnet',
      symbol: 'ETH',
      endpoints: [{ name: 'Infura', url: unsetInfuraUrl }],
      defaultEndpoint: 0,
    },
  },
  sites: {},
  rejections: {},
  settings: { pollPeriod: 15_000, retryDelay: 100 },
}

const stateKey = 'wallet'
const unlockedKey = 'unlocked'

/** @param session lives as long as the browser: a wallet is locked after a restart */
export function createStore(local: chrome.storage.StorageArea, session: chrome.storage.StorageArea): Store {
  const prepared = prepare()
  let lastUpdate: Promise<unknown> = prepared

  async function prepare(): Promise<void> {
    if (stateKey in (await local.get(stateKey))) return
    await local.set({ [stateKey]: initial })
    // The user has just chosen a password.
    await session.set({ [unlockedKey]: true })
  }

  async function read(): Promise<State> {
    await prepared
    return (await local.get(stateKey))[stateKey] as State
  }

  return {
    read,
    update(change) {
      const updated = lastUpdate.then(async () => {
        const next = change(await read())
        await local.set({ [stateKey]: next })
        return next
      })
      lastUpdate = updated.catch(() => {
        // Told to the caller; the next change begins with what was there before.
      })
      return updated
    },
    async isUnlocked() {
      await prepared
      return (await session.get(unlockedKey))[unlockedKey] === true
    },
    async setUnlocked(isUnlocked) {
      await prepared
      await session.set({ [unlockedKey]: isUnlocked })
    },
  }
}

export function defaultUrl(network: Network): string {
  return (network.endpoints[network.defaultEndpoint] as Network['endpoints'][number]).url
}
