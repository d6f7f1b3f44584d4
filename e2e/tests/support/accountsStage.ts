/**
 * A wallet with eight accounts on a network whose gateways and provider answer as the test says: one provider stands behind
 * all gateways. Times are shortened: blocks of one second, values at most one second old, watches that begin within two.
 */
import type { Hex } from 'viem'
import { afterEach, beforeAll, expect } from 'vitest'
import { type Exchange, type LocalRelay, type RelayPlan, standardPlan, until } from '../../src/network/index.ts'
import { AccountsWallet } from './accountsWallet.ts'
import { fundedAccount, resultOf } from './chain.ts'
import { useNetwork } from './network.ts'
import { askedFor } from './provider.ts'
import { codeOf } from './rpc.ts'
import { placeWalletContracts } from './walletContracts.ts'

export const chain = 31337
export const otherChain = 1
const more: readonly RelayPlan[] = ['siskin', 'linnet', 'brambling'].map((name) => ({
  name,
  roles: ['gateway'],
  region: 'test',
}))

export function useAccounts() {
  const shared = useNetwork({
    plan: [...standardPlan, ...more],
    chains: [chain, otherChain],
    viewed: true,
    blockTime: 1,
    upstreamTimeout: 2,
    accounts: { apart: true, freshness_seconds: 1, cold_spread_seconds: 2 },
  })
  const node = () => shared.network.nodes[chain] as string
  const provider = () => shared.network.providers[chain]
  const accounts = Array.from({ length: 8 }, (_, index) => fundedAccount(index))
  const wallet = new AccountsWallet(() => shared.network.daemon.url(chain), node, chain, accounts)
  const addressOf = (index: number) => accounts[index]?.address.toLowerCase() as Hex

  beforeAll(async () => {
    await placeWalletContracts(node())
    await placeWalletContracts(shared.network.nodes[otherChain] as string)
    await wallet.warmUp()
  })

  afterEach(() => forge(undefined))

  function forge(change: ((exchange: Exchange) => object | Promise<object>) | undefined): void {
    const found = provider()
    if (found !== undefined) found.forge = change
  }

  /** The gateway that asks for the account now. */
  async function gatewayOf(index: number): Promise<LocalRelay> {
    provider()?.forget()
    let from: string | undefined
    await until('the account is read', () => {
      from = askedFor(provider(), 'eth_getProof', addressOf(index)).at(-1)?.from
      return from !== undefined
    })
    return shared.network.relays.all.find(({ host }) => host === from) as LocalRelay
  }

  /**
   * Some polls after each of which all accounts are answered with what the node says of the block that the wallet was told.
   * Meanwhile one that has lost its watch may say that it has to wait, and nothing else.
   */
  async function expectTrue(polls = 3): Promise<void> {
    for (let poll = 0; poll < polls; poll++) {
      await until('all accounts are answered', async () => {
        const block = `0x${(await wallet.nextBlock()).toString(16)}`
        let waiting = 0
        for (const [index] of accounts.entries()) {
          const params = [addressOf(index), block]
          const ours = await wallet.ask('eth_getBalance', params)
          if (codeOf(ours) === 'still-apart') {
            waiting += 1
            continue
          }
          const direct = await resultOf(node(), 'eth_getBalance', params)
          expect({ index, block, ours: ours.result ?? ours.error }).toEqual({ index, block, ours: direct })
        }
        return waiting === 0
      })
    }
  }

  return {
    get network() {
      return shared.network
    },
    ...{ accounts, addressOf, expectTrue, forge, gatewayOf, node, wallet },
    status: async () => (await shared.network.daemon.status()).accounts,
    /** Of the account's state, as that gateway asks for it. */
    isProofOf: (index: number, from: LocalRelay) => (exchange: Exchange) =>
      exchange.from === from.host && exchange.method === 'eth_getProof' && exchange.params[0] === addressOf(index),
  }
}

export function resultIn({ response }: Exchange): { readonly [name: string]: unknown } {
  return response.result as { readonly [name: string]: unknown }
}
