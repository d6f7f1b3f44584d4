/** Which accounts and chains an origin may use: EIP-1102, EIP-2255. */
import type { Address, Hex } from 'viem'
import { invalidParams, resourceUnavailable } from '../rpcError.ts'
import type { Prompts } from './prompts.ts'
import { mainnet, type Site, type Store } from './store.ts'

export interface Permissions {
  /** None while the wallet is locked. */
  accounts(origin: string): Promise<readonly Address[]>
  chainId(origin: string): Promise<Hex>
  requestAccounts(origin: string): Promise<readonly Address[]>
  request(origin: string, params: unknown): Promise<readonly Permission[]>
  list(origin: string): Promise<readonly Permission[]>
  revoke(origin: string): Promise<null>
  /** Lets the origin use the chain, and has it use it from now on. */
  useChain(origin: string, chainId: Hex): Promise<void>
  mayUseChain(origin: string, chainId: Hex): Promise<boolean>
}

export interface Permission {
  readonly id: string
  readonly invoker: string
  readonly parentCapability: string
  readonly date: number
  readonly caveats: readonly { readonly type: string; readonly value: readonly string[] }[]
}

const nothing: Site = { accounts: [], chains: [], chainId: mainnet }

/** @param onChange called when accounts or chain of an origin have changed, before that is answered */
export function createPermissions(
  store: Store,
  prompts: Prompts,
  onChange: (origin: string) => Promise<void>,
): Permissions {
  /** Origins whose `eth_requestAccounts` waits for the user. */
  const requesting = new Set<string>()

  async function siteOf(origin: string): Promise<Site> {
    return (await store.read()).sites[origin] ?? nothing
  }

  async function change(origin: string, next: (site: Site) => Site): Promise<void> {
    await store.update((state) => ({
      ...state,
      sites: { ...state.sites, [origin]: next(state.sites[origin] ?? nothing) },
    }))
    await onChange(origin)
  }

  async function connect(origin: string, method: string): Promise<void> {
    const { accounts = [] } = await prompts.ask(origin, method, { kind: 'connect' })
    // As in MetaMask, where all networks are ticked unless the user unticks some.
    const chains = Object.keys((await store.read()).networks) as Hex[]
    await change(origin, (site) => ({ ...site, accounts, chains: [...new Set([...site.chains, ...chains])] }))
  }

  async function accounts(origin: string): Promise<readonly Address[]> {
    return (await store.isUnlocked()) ? (await siteOf(origin)).accounts : []
  }

  async function list(origin: string): Promise<readonly Permission[]> {
    const site = await siteOf(origin)
    if (site.accounts.length === 0) return []
    const permission = (parentCapability: string, type: string, value: readonly string[]): Permission => ({
      id: `${origin} ${parentCapability}`,
      invoker: origin,
      parentCapability,
      date: Date.now(),
      caveats: [{ type, value }],
    })
    return [
      permission('eth_accounts', 'restrictReturnedAccounts', site.accounts),
      permission('endowment:permitted-chains', 'restrictNetworkSwitching', site.chains),
    ]
  }

  return {
    accounts,
    list,
    chainId: async (origin) => (await siteOf(origin)).chainId,
    mayUseChain: async (origin, chainId) => (await siteOf(origin)).chains.includes(chainId),
    async requestAccounts(origin) {
      if (requesting.has(origin)) throw resourceUnavailable('Already processing eth_requestAccounts. Please wait.')
      requesting.add(origin)
      try {
        if (!(await store.isUnlocked())) await prompts.ask(origin, 'eth_requestAccounts', { kind: 'unlock' })
        if ((await accounts(origin)).length === 0) await connect(origin, 'wallet_requestPermissions')
        return accounts(origin)
      } finally {
        requesting.delete(origin)
      }
    },
    async request(origin, params) {
      const [wanted] = Array.isArray(params) ? params : []
      if (typeof wanted !== 'object' || wanted === null || !('eth_accounts' in wanted)) {
        throw invalidParams('Expected the permission eth_accounts.')
      }
      await connect(origin, 'wallet_requestPermissions')
      return list(origin)
    },
    async revoke(origin) {
      await change(origin, (site) => ({ ...site, accounts: [], chains: [] }))
      return null
    },
    async useChain(origin, chainId) {
      await change(origin, (site) => ({ ...site, chainId, chains: [...new Set([...site.chains, chainId])] }))
    },
  }
}
