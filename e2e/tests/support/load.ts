/** Two hundred requests at once, ten of them transactions, each with an answer that only it can have. */
import { type Hex, keccak256 } from 'viem'
import { expect } from 'vitest'
import { type LocalNetwork, type Provider, until } from '../../src/network/index.ts'
import { fundedAccount, receiptOf, resultOf, signTransfer } from './chain.ts'
import { askedFor } from './provider.ts'
import { ask, type RpcBody } from './rpc.ts'

const total = 200
const transactions = 10

export interface Load {
  /** Requests that have no answer yet. */
  readonly running: number
  /** All of them answered, and answered right. */
  expectAnswered(): Promise<void>
  /** How often the provider got each transaction. */
  submissions(): number[]
}

export interface LoadOptions {
  readonly network: LocalNetwork
  readonly chain: number
  /** The echo contract's address. */
  readonly echo: Hex
}

/** Starts the requests, and comes back when the provider holds many of them and most are still without an answer. */
export async function startLoad(options: LoadOptions): Promise<Load> {
  const { network, chain, echo } = options
  const url = network.daemon.url(chain)
  const node = network.nodes[chain] as string
  const provider = network.providers[chain] as Provider
  const senders = Array.from({ length: transactions }, (_, index) => fundedAccount(index))
  const nonces = await Promise.all(senders.map((sender) => nonceOf(node, sender.address)))
  const raws = await Promise.all(senders.map((sender, index) => signTransfer(sender, chain, nonces[index] as number)))

  const asked = () => [...askedFor(provider, echo), ...askedFor(provider, 'eth_sendRawTransaction')]
  provider.forget()
  provider.delay = 300
  let running = total
  const send = async (index: number): Promise<RpcBody> => {
    const raw = raws[index / (total / transactions)]
    const data = `0x00${index.toString(16).padStart(64, '0')}`
    const answer = await (raw === undefined
      ? ask(url, 'eth_call', [{ to: echo, data }, 'latest'])
      : ask(url, 'eth_sendRawTransaction', [raw]))
    running -= 1
    expect(answer).toEqual({ jsonrpc: '2.0', id: 1, result: raw === undefined ? data : keccak256(raw) })
    return answer
  }
  const answers = Promise.allSettled(Array.from({ length: total }, (_, index) => send(index)))
  await until('the provider holds requests', () => asked().length >= 40)
  expect(running).toBeGreaterThan(total / 2)

  return {
    get running() {
      return running
    },
    async expectAnswered() {
      const failures = (await answers).filter(({ status }) => status === 'rejected')
      provider.delay = 0
      expect(failures).toEqual([])
      for (const [index, raw] of raws.entries()) {
        expect((await receiptOf(node, keccak256(raw))).status).toBe('0x1')
        expect(await nonceOf(node, senders[index]?.address as Hex)).toBe((nonces[index] as number) + 1)
      }
    },
    submissions: () => raws.map((raw) => askedFor(provider, raw).length),
  }
}

async function nonceOf(node: string, address: Hex): Promise<number> {
  return Number(await resultOf(node, 'eth_getTransactionCount', [address, 'latest']))
}
