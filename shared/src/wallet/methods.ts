/**
 * Who answers a method that a page asks of its wallet's provider: the wallet itself, the chain over the private path, or
 * nobody.
 *
 * Whatever is not known is refused. Handed to the wallet it might be passed on to the wallet's own RPC provider, which
 * would then learn the user's address and IP.
 */

export type Owner =
  /** Keys, accounts, permissions, the choice of chain: answered by the wallet without asking a chain. */
  | 'wallet'
  /** A read or a raw transaction: sealed and sent to a gateway. */
  | 'network'
  /** `eth_subscribe` and `eth_unsubscribe`: pushed over the private path. */
  | 'subscription'
  /** `eth_newFilter` and its kin: kept here, answered with private reads. */
  | 'filter'
  | 'refused'

const wallet: ReadonlySet<string> = new Set([
  'eth_accounts',
  'eth_requestAccounts',
  'eth_coinbase',
  'eth_chainId',
  'net_version',
  'eth_sendTransaction',
  'eth_sign',
  'eth_signTransaction',
  'eth_signTypedData',
  'eth_signTypedData_v1',
  'eth_signTypedData_v3',
  'eth_signTypedData_v4',
  'eth_decrypt',
  'eth_getEncryptionPublicKey',
])

const walletPrefixes = ['wallet_', 'personal_', 'metamask_']

const subscription: ReadonlySet<string> = new Set(['eth_subscribe', 'eth_unsubscribe'])

const filter: ReadonlySet<string> = new Set([
  'eth_newFilter',
  'eth_newBlockFilter',
  'eth_getFilterChanges',
  'eth_getFilterLogs',
  'eth_uninstallFilter',
])

/** @param isForwarded whether gateways forward the method (the catalogue of shared/rpc) */
export function ownerOf(method: string, isForwarded: (method: string) => boolean): Owner {
  if (wallet.has(method) || walletPrefixes.some((prefix) => method.startsWith(prefix))) return 'wallet'
  if (subscription.has(method)) return 'subscription'
  if (filter.has(method)) return 'filter'
  return isForwarded(method) ? 'network' : 'refused'
}
