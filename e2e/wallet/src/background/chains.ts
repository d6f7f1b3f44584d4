/** Asks the chains: each through the endpoint that its network uses now, always at a block that has a number. */
import type { Hex } from 'viem'
import { unknownChain } from '../rpcError.ts'
import type { Network } from '../ui.ts'
import type { Endpoints } from './endpoints.ts'
import { defaultUrl, type Store } from './store.ts'

export interface Chains {
  ask(chainId: Hex, method: string, params?: readonly unknown[]): Promise<unknown>
  /** @throws RpcError 4902 */
  network(chainId: Hex): Promise<Network>
}

/** Where these methods take the block; MetaMask never sends `latest` there. */
const blockIndex: Readonly<Record<string, number>> = {
  eth_call: 1,
  eth_getBalance: 1,
  eth_getCode: 1,
  eth_getTransactionCount: 1,
  eth_getStorageAt: 2,
}

export function createChains(store: Store, endpoints: Endpoints): Chains {
  async function network(chainId: Hex): Promise<Network> {
    const { networks } = await store.read()
    const found = networks[chainId]
    if (found === undefined) throw unknownChain(chainId)
    return found
  }

  return {
    network,
    async ask(chainId, method, params = []) {
      const url = defaultUrl(await network(chainId))
      const index = blockIndex[method]
      if (index === undefined || (params[index] !== undefined && params[index] !== 'latest')) {
        return endpoints.send(url, method, params)
      }
      const block = await endpoints.send(url, 'eth_blockNumber', [])
      return endpoints.send(url, method, [...params.slice(0, index), block, ...params.slice(index + 1)])
    },
  }
}
