/** What the page's forms do. Each gets the provider and the form's fields, and gives what is shown as the answer. */
import {
  type Address,
  createPublicClient,
  createWalletClient,
  custom,
  type Hex,
  numberToHex,
  type PublicClient,
  parseEther,
} from 'viem'
import type { Provider } from './providers.ts'

export type Fields = Readonly<Record<string, string>>
export type Action = (provider: Provider, fields: Fields) => Promise<unknown>

/** Every question is sent once: what the page shows is what was answered. */
const once = { retryCount: 0 }

export function publicClient(provider: Provider): PublicClient {
  return createPublicClient({ transport: custom(provider, once), cacheTime: 0 })
}

export async function accountsOf(provider: Provider): Promise<readonly Address[]> {
  return (await provider.request({ method: 'eth_accounts' })) as Address[]
}

async function firstAccount(provider: Provider): Promise<Address> {
  const [account] = await accountsOf(provider)
  if (account === undefined) throw new Error('Connect an account first.')
  return account
}

async function walletClient(provider: Provider) {
  return createWalletClient({ account: await firstAccount(provider), transport: custom(provider, once) })
}

export const actions: Readonly<Record<string, Action>> = {
  async 'read-balance'(provider) {
    return publicClient(provider).getBalance({ address: await firstAccount(provider) })
  },

  'switch-chain'(provider, { chainId }) {
    const params = [{ chainId: numberToHex(Number(chainId)) }]
    return provider.request({ method: 'wallet_switchEthereumChain', params })
  },

  async send(provider, { to, value = '0', data }) {
    const transaction = { to: to as Address, value: parseEther(value), data: data as Hex }
    return (await walletClient(provider)).sendTransaction({ ...transaction, chain: null })
  },

  async sign(provider, { message = '' }) {
    return (await walletClient(provider)).signMessage({ message })
  },

  'get-logs'(provider, { fromBlock, toBlock, address }) {
    const filter = { fromBlock, toBlock, ...(address === '' ? {} : { address }) }
    return provider.request({ method: 'eth_getLogs', params: [filter] })
  },
}
