/** Nothing works behind the endpoint, or the provider does not: a JSON-RPC error on a socket that stays, never HTTP's. */
import { describe, expect, test } from 'vitest'
import { type Misbehaviour, type Provider, until } from '../src/network/index.ts'
import { fundedAccount, resultOf, signTransfer } from './support/chain.ts'
import { useNetwork } from './support/network.ts'
import { codeOf, encodeCall, http, oneSocket } from './support/rpc.ts'

const chain = 31337
const shared = useNetwork({ upstreamTimeout: 1 })
const url = () => shared.network.daemon.url(chain)
const provider = () => shared.network.providers[chain] as Provider
const { address } = fundedAccount(0)
/** Nothing that a watch could answer. */
const storage = encodeCall('eth_getStorageAt', [address, '0x0', 'latest'], 'mine')

describe.each<Misbehaviour>(['hang', 'error', 'garbage', 'close'])('a provider that does this: %s', (misbehaviour) => {
  test('gives upstream-failed over HTTP 200, and is asked again when it is well', async () => {
    const agent = oneSocket()
    try {
      const before = await http(url(), storage, { agent })
      expect(before.json()).toHaveProperty('result')
      provider().misbehaviour = misbehaviour
      const during = await http(url(), storage, { agent })
      expect(during.status).toBe(200)
      expect(codeOf(during.json())).toBe('upstream-failed')
      expect(during.json()).toMatchObject({ jsonrpc: '2.0', id: 'mine', error: { code: -32603 } })
      provider().misbehaviour = 'none'
      const after = await http(url(), storage, { agent })
      expect(after.json()).toEqual(before.json())
      expect(new Set([before, during, after].map(({ localPort }) => localPort)).size).toBe(1)
    } finally {
      provider().misbehaviour = 'none'
      agent.destroy()
    }
  })
})

test('a transaction whose fate is unknown is said to be so, with its hash, and may be sent again', async () => {
  const sender = fundedAccount(1)
  const node = shared.network.nodes[chain] as string
  const raw = await signTransfer(sender, chain, 0)
  try {
    provider().misbehaviour = 'close'
    const lost = (await http(url(), encodeCall('eth_sendRawTransaction', [raw]))).json()
    expect(codeOf(lost)).toBe('outcome-unknown')
    expect(lost.error?.data).toMatchObject({ hash: expect.stringMatching(/^0x[0-9a-f]{64}$/) })
  } finally {
    provider().misbehaviour = 'none'
  }
  const sent = (await http(url(), encodeCall('eth_sendRawTransaction', [raw]))).json()
  expect(sent.result).toMatch(/^0x[0-9a-f]{64}$/)
  await until('it is in a block', async () => (await nonceAt(node, sender.address)) === 1)
})

test('all relays down: network-unreachable within 10 s, nothing goes direct; it recovers by itself', async () => {
  const { daemon, relays } = shared.network
  const agent = oneSocket()
  try {
    const before = await http(url(), storage, { agent })
    for (const { process } of relays.all) process.signal('SIGKILL')
    await Promise.all(relays.all.map(({ process }) => process.ended))
    provider().forget()

    const started = Date.now()
    const sender = fundedAccount(2)
    const calls = [storage, encodeCall('eth_sendRawTransaction', [await signTransfer(sender, chain, 0)], 'mine')]
    const [read, write, again] = await Promise.all([
      ...calls.map((body) => http(url(), body)),
      // On the socket from before, as MetaMask does it.
      http(url(), storage, { agent }),
    ])
    expect(Date.now() - started).toBeLessThan(10_000)
    for (const answer of [read, write, again]) {
      expect(answer?.status).toBe(200)
      expect(answer?.json()).toMatchObject({ jsonrpc: '2.0', id: 'mine', error: { code: 4900 } })
      expect(answer && codeOf(answer.json())).toBe('network-unreachable')
    }
    expect(again?.localPort).toBe(before.localPort)
    expect(provider().seen).toEqual([])
    expect((await daemon.status()).state).toBe('blocked')

    await Promise.all(relays.all.map((relay) => relay.restart()))
    await until('the daemon has both paths again', async () => (await daemon.status()).state === 'private')
    const after = await http(url(), storage, { agent })
    expect(after.json()).toEqual(before.json())
    expect(after.localPort).toBe(before.localPort)
    expect(await nonceAt(shared.network.nodes[chain] as string, sender.address)).toBe(0)
  } finally {
    agent.destroy()
  }
})

async function nonceAt(node: string, account: string): Promise<number> {
  return Number(await resultOf(node, 'eth_getTransactionCount', [account, 'latest']))
}
