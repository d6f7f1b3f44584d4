/** What dapps and other extensions may call. What the wallet does not answer itself goes to the chain's endpoint. */
import type { Hex } from 'viem'
import { methodNotFound } from '../rpcError.ts'
import type { Chains } from './chains.ts'
import type { Keyring } from './keyring.ts'
import type { Networks } from './networks.ts'
import type { Permissions } from './permissions.ts'
import { type Call, type Client, networkVersion } from './sites.ts'
import type { Store } from './store.ts'
import type { Subscriptions } from './subscriptions.ts'
import type { Transactions } from './transactions.ts'

export interface MethodsInit {
  readonly store: Store
  readonly chains: Chains
  readonly permissions: Permissions
  readonly networks: Networks
  readonly keyring: Keyring
  readonly transactions: Transactions
  readonly subscriptions: Subscriptions
}

/** What a page's provider begins with. */
export interface ProviderState {
  readonly chainId: Hex
  readonly networkVersion: string
  readonly isUnlocked: boolean
  readonly accounts: readonly Hex[]
}

export async function providerState(
  { store, permissions }: Pick<MethodsInit, 'store' | 'permissions'>,
  origin: string,
): Promise<ProviderState> {
  const chainId = await permissions.chainId(origin)
  return {
    chainId,
    networkVersion: networkVersion(chainId),
    isUnlocked: await store.isUnlocked(),
    accounts: await permissions.accounts(origin),
  }
}

type Method = (client: Client, params: unknown) => unknown

export function createMethods(init: MethodsInit): (client: Client, call: Call) => Promise<unknown> {
  const { chains, permissions, networks, keyring, transactions, subscriptions } = init
  const chainOf = ({ origin }: Client) => permissions.chainId(origin)

  const methods: Readonly<Record<string, Method>> = {
    metamask_getProviderState: ({ origin }) => providerState(init, origin),
    metamask_sendDomainMetadata: () => true,
    metamask_logWeb3ShimUsage: () => null,
    web3_clientVersion: () => 'MetaMask/v13.5.0',

    eth_chainId: chainOf,
    net_version: async (client) => networkVersion(await chainOf(client)),
    eth_accounts: ({ origin }) => permissions.accounts(origin),
    eth_coinbase: async ({ origin }) => (await permissions.accounts(origin))[0] ?? null,
    eth_requestAccounts: ({ origin }) => permissions.requestAccounts(origin),
    wallet_requestPermissions: ({ origin }, params) => permissions.request(origin, params),
    wallet_getPermissions: ({ origin }) => permissions.list(origin),
    wallet_revokePermissions: ({ origin }) => permissions.revoke(origin),

    wallet_addEthereumChain: ({ origin }, params) => networks.add(origin, params),
    wallet_switchEthereumChain: ({ origin }, params) => networks.switch(origin, params),

    personal_sign: ({ origin }, params) => keyring.personalSign(origin, params),
    personal_ecRecover: (_, params) => keyring.recover(params),
    eth_signTypedData_v3: ({ origin }, params) => keyring.signTypedData(origin, params),
    eth_signTypedData_v4: ({ origin }, params) => keyring.signTypedData(origin, params),
    eth_sendTransaction: ({ origin }, params) => transactions.send(origin, params),

    eth_subscribe: async (client, params) => subscriptions.subscribe(client, await chainOf(client), params),
    eth_unsubscribe: (client, params) => subscriptions.unsubscribe(client, params),
  }

  return async (client, { method, params }) => {
    if (Object.hasOwn(methods, method)) return methods[method]?.(client, params)
    if (isWalletsOwn(method)) throw methodNotFound(method)
    return chains.ask(await chainOf(client), method, Array.isArray(params) ? params : [])
  }
}

/** Would tell an endpoint about the wallet, and mean nothing to it. */
function isWalletsOwn(method: string): boolean {
  return /^(wallet|metamask|personal)_|^eth_(sign|decrypt|getEncryptionPublicKey)/.test(method)
}
