/** `eth_subscribe` for `newHeads` and `logs`: found by asking for blocks, pushed to the one who subscribed. */
import { type Hex, hexToBigInt, numberToHex } from 'viem'
import { invalidParams } from '../rpcError.ts'
import type { Chains } from './chains.ts'
import type { Client } from './sites.ts'

export interface Subscriptions {
  subscribe(client: Client, chainId: Hex, params: unknown): Promise<Hex>
  unsubscribe(client: Client, params: unknown): boolean
  /** The client has gone. */
  end(client: Client): void
}

interface Subscription {
  readonly id: Hex
  readonly client: Client
  readonly chainId: Hex
  readonly kind: string
  readonly filter: Readonly<Record<string, unknown>>
  /** The last block that was looked at. */
  block: bigint
}

/** @param period milliseconds between two looks */
export function createSubscriptions(chains: Chains, period: () => Promise<number>): Subscriptions {
  const active = new Map<Hex, Subscription>()
  let isLooking = false

  async function look(): Promise<void> {
    isLooking = true
    while (active.size > 0) {
      const wait = await period()
      await new Promise((resolve) => setTimeout(resolve, wait))
      // What fails now is looked for again next time, from the same block.
      await Promise.allSettled([...active.values()].map(advance))
    }
    isLooking = false
  }

  async function advance(subscription: Subscription): Promise<void> {
    const { chainId, kind, filter } = subscription
    const latest = await latestBlock(chainId)
    if (latest <= subscription.block) return
    const from = subscription.block + 1n
    const found =
      kind === 'newHeads'
        ? [await chains.ask(chainId, 'eth_getBlockByNumber', [numberToHex(latest), false])]
        : await chains.ask(chainId, 'eth_getLogs', [
            { ...filter, fromBlock: numberToHex(from), toBlock: numberToHex(latest) },
          ])
    subscription.block = latest
    for (const result of found as readonly unknown[]) push(subscription, result)
  }

  function push({ id, client }: Subscription, result: unknown): void {
    if (active.has(id)) client.notify('eth_subscription', { subscription: id, result })
  }

  async function latestBlock(chainId: Hex): Promise<bigint> {
    return hexToBigInt((await chains.ask(chainId, 'eth_blockNumber')) as Hex)
  }

  return {
    async subscribe(client, chainId, params) {
      const [kind, filter] = Array.isArray(params) ? params : []
      if (kind !== 'newHeads' && kind !== 'logs') throw invalidParams(`unsupported subscription type "${String(kind)}"`)
      const id: Hex = `0x${crypto.randomUUID().replaceAll('-', '')}`
      const block = await latestBlock(chainId)
      active.set(id, { id, client, chainId, kind, filter: typeof filter === 'object' ? filter : {}, block })
      if (!isLooking) void look()
      return id
    },
    unsubscribe(client, params) {
      const [id] = Array.isArray(params) ? params : []
      return active.get(id)?.client === client && active.delete(id)
    },
    end(client) {
      for (const subscription of active.values()) if (subscription.client === client) active.delete(subscription.id)
    },
  }
}
