/**
 * What the wallet asks while its home page is open and it is unlocked: of every network the latest block and the
 * balances of all accounts in one call to the balance checker; every second time two calls to Multicall3 as well.
 * Who has no home page open is left alone.
 */
import {
  type Address,
  decodeAbiParameters,
  encodeFunctionData,
  formatEther,
  type Hex,
  hexToBigInt,
  parseAbi,
} from 'viem'
import { RpcError } from '../rpcError.ts'
import type { PollResult } from '../ui.ts'
import type { Chains } from './chains.ts'
import type { Store } from './store.ts'

export interface Polling {
  /** The last result of each network. */
  readonly results: Readonly<Record<Hex, PollResult>>
  /** How often it was done. */
  readonly count: number
  /** Starts or goes on at once where it should run, ends where it should not. */
  refresh(): void
}

export interface PollingInit {
  readonly store: Store
  readonly chains: Chains
  readonly accounts: readonly Address[]
  readonly isWatched: () => boolean
  readonly onResult: () => void
}

const balanceChecker: Address = '0xb1f8e55c7f64d203c1400b9d8555d050f94adf39'
const multicall3: Address = '0xca11bde05977b3631167028862be2a173976ca11'
/** Any token of the user's; DAI here. */
const token: Address = '0x6b175474e89094c44da98b954eedeac495271d0f'
const noToken: Address = '0x0000000000000000000000000000000000000000'

const abi = parseAbi([
  // Selector 0xf0002ea9.
  'function balances(address[] users, address[] tokens) view returns (uint256[])',
  // Selector 0x82ad56cb.
  'function aggregate3((address target, bool allowFailure, bytes callData)[] calls) payable returns ((bool success, bytes returnData)[])',
  'function getEthBalance(address account) view returns (uint256)',
  'function balanceOf(address account) view returns (uint256)',
])

export function createPolling({ store, chains, accounts, isWatched, onResult }: PollingInit): Polling {
  let results: Record<Hex, PollResult> = {}
  let count = 0
  /** Identifies the run; an older one ends when it sees another. */
  let run = 0

  async function start(): Promise<void> {
    const own = ++run
    while (own === run && isWatched() && (await store.isUnlocked())) {
      const { networks, settings } = await store.read()
      const withMulticalls = count % 2 === 0
      await Promise.all(Object.values(networks).map(({ chainId }) => poll(chainId, withMulticalls)))
      count += 1
      onResult()
      await new Promise((resolve) => setTimeout(resolve, settings.pollPeriod))
    }
  }

  async function poll(chainId: Hex, withMulticalls: boolean): Promise<void> {
    const before = results[chainId] ?? { at: 0, balances: {} }
    try {
      const block = (await chains.ask(chainId, 'eth_blockNumber')) as Hex
      await chains.ask(chainId, 'eth_getBlockByNumber', [block, false])
      // In MetaMask two controllers ask, and neither cares what the other one is refused.
      const balances = await balancesAt(chainId, block).finally(() =>
        withMulticalls ? multicalls(chainId, block) : undefined,
      )
      results = { ...results, [chainId]: { at: Date.now(), block, balances } }
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error)
      results = { ...results, [chainId]: { ...before, at: Date.now(), problem } }
    }
  }

  async function balancesAt(chainId: Hex, block: Hex): Promise<Record<Address, string>> {
    const data = encodeFunctionData({ abi, functionName: 'balances', args: [accounts, [noToken]] })
    const found = await checkedBalances(chainId, [{ to: balanceChecker, data }, block])
    const balances = found ?? (await Promise.all(accounts.map((account) => balanceOf(chainId, account, block))))
    return Object.fromEntries(accounts.map((account, index) => [account, formatEther(balances[index] as bigint)]))
  }

  /** Undefined where the chain has no balance checker or the endpoint refuses it. */
  async function checkedBalances(chainId: Hex, params: readonly unknown[]): Promise<readonly bigint[] | undefined> {
    try {
      const answer = (await chains.ask(chainId, 'eth_call', params)) as Hex
      return answer === '0x' ? undefined : decodeAbiParameters([{ type: 'uint256[]' }], answer)[0]
    } catch (error) {
      if (error instanceof RpcError && error.code === -32601) return undefined
      throw error
    }
  }

  async function balanceOf(chainId: Hex, account: Address, block: Hex): Promise<bigint> {
    return hexToBigInt((await chains.ask(chainId, 'eth_getBalance', [account, block])) as Hex)
  }

  async function multicalls(chainId: Hex, block: Hex): Promise<void> {
    const selected = accounts[0] as Address
    const calls = [
      { target: multicall3, functionName: 'getEthBalance' },
      { target: token, functionName: 'balanceOf' },
    ] as const
    const asked = calls.map(({ target, functionName }) => {
      const callData = encodeFunctionData({ abi, functionName, args: [selected] })
      const data = encodeFunctionData({
        abi,
        functionName: 'aggregate3',
        args: [[{ target, allowFailure: true, callData }]],
      })
      return chains.ask(chainId, 'eth_call', [{ to: multicall3, data }, block])
    })
    // A chain may lack the contract, and an endpoint refuse the call.
    await Promise.allSettled(asked)
  }

  return {
    get results() {
      return results
    },
    get count() {
      return count
    },
    refresh: () => void start(),
  }
}
