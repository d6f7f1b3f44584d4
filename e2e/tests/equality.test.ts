/** Whatever is asked through the network is answered as the node itself answers. */
import { parseEther as ethersParseEther, JsonRpcProvider, Wallet } from 'ethers'
import {
  createPublicClient,
  createWalletClient,
  defineChain,
  type Hex,
  http as httpTransport,
  keccak256,
  parseEther,
} from 'viem'
import { beforeAll, describe, expect, test } from 'vitest'
import { until } from '../src/network/index.ts'
import {
  deploy,
  echoContract,
  fundedAccount,
  loudContract,
  receiptOf,
  resultOf,
  sendAndWait,
  signTransfer,
  stranger,
} from './support/chain.ts'
import { useNetwork } from './support/network.ts'
import { ask, encodeCall, http } from './support/rpc.ts'

const chains = [1, 31337] as const
const megabyte = 1024 * 1024
/** Balances are as old as a slot at most: here that is as short as it can be. */
const shared = useNetwork({ accounts: { freshness_seconds: 1, cold_spread_seconds: 0 } })

describe.each(chains)('chain %i', (chain) => {
  const node = () => shared.network.nodes[chain] as string
  const endpoint = () => shared.network.daemon.url(chain)
  let echo: Hex
  let loud: Hex
  let loudBlock: Hex

  beforeAll(async () => {
    echo = await deploy(node(), echoContract)
    loud = await deploy(node(), loudContract)
    loudBlock = (await sendAndWait(node(), { to: loud })).blockNumber
  })

  /** Sends the same bytes to the endpoint and to the node; their answers must be the same. */
  async function expectSame(body: string): Promise<{ text: string; value: unknown }> {
    const [ours, direct] = [await http(endpoint(), body), await http(node(), body)]
    expect(ours.status).toBe(200)
    expect(ours.headers['content-type']).toBe('application/json')
    expect(ours.json()).toEqual(direct.json())
    return { text: ours.text, value: ours.json() }
  }

  /** Resolves once these are watched and have a value: what several ask about at once is answered from that. */
  async function known(...addresses: readonly Hex[]): Promise<void> {
    for (const address of addresses) await ask(endpoint(), 'eth_getBalance', [address, 'latest'])
    await until('all accounts are known', async () => (await shared.network.daemon.status()).accounts.cold === 0)
  }

  const account = fundedAccount(0).address
  const calls: readonly [string, () => readonly unknown[]][] = [
    ['eth_chainId', () => []],
    ['net_version', () => []],
    ['eth_blockNumber', () => []],
    ['eth_gasPrice', () => []],
    ['eth_feeHistory', () => ['0x2', 'latest', [25, 75]]],
    ['eth_getBalance', () => [account, 'latest']],
    ['eth_getBalance', () => [stranger, 'latest']],
    ['eth_getTransactionCount', () => [account, 'latest']],
    ['eth_getCode', () => [echo, 'latest']],
    ['eth_getStorageAt', () => [echo, '0x0', 'latest']],
    ['eth_call', () => [{ to: echo, data: `0x00${'a5'.repeat(2000)}` }, 'latest']],
    ['eth_estimateGas', () => [{ from: account, to: stranger, value: '0x1' }]],
    ['eth_estimateGas', () => [{ from: account, to: loud }]],
    ['eth_createAccessList', () => [{ from: account, to: echo, data: '0x01' }, 'latest']],
    ['eth_getProof', () => [echo, [`0x${'00'.repeat(32)}`, `0x${'00'.repeat(31)}01`], 'latest']],
    ['eth_getBlockByNumber', () => [loudBlock, true]],
    ['eth_getBlockReceipts', () => [loudBlock]],
    ['eth_getTransactionByHash', () => [`0x${'00'.repeat(32)}`]],
  ]
  test.each(calls)('%s', async (method, params) => {
    const { value } = await expectSame(encodeCall(method, params(), 'an id of the caller'))
    expect(value).toHaveProperty('result')
  })

  test('eth_getLogs with an answer over 1 MB', async () => {
    const range = { address: loud, fromBlock: loudBlock, toBlock: loudBlock }
    const { text, value } = await expectSame(encodeCall('eth_getLogs', [range]))
    expect(text.length).toBeGreaterThan(megabyte)
    expect((value as { result: unknown[] }).result).toHaveLength(20)
  })

  test('eth_call with a question and an answer of 100 KB', async () => {
    const data = `0x00${Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 251)).toString('hex')}`
    const { value } = await expectSame(encodeCall('eth_call', [{ to: echo, data }, 'latest']))
    expect(value).toHaveProperty('result', data)
  })

  test('a revert with its data, and other errors of the node', async () => {
    const revert = await expectSame(encodeCall('eth_call', [{ to: echo, data: '0xff00c0ffee' }, 'latest']))
    expect(revert.value).toMatchObject({ error: { code: 3, data: '0xff00c0ffee' } })
    const nonsense = await expectSame(encodeCall('eth_getBalance', ['0xnonsense', 'latest']))
    expect(nonsense.value).toHaveProperty('error')
    const refused = await expectSame(encodeCall('eth_sendRawTransaction', ['0x02c0']))
    expect(refused.value).toHaveProperty('error')
  })

  test('a batch, with an error in it and a notification that gets no answer', async () => {
    const batch = [
      { jsonrpc: '2.0', id: 1, method: 'eth_blockNumber', params: [] },
      { jsonrpc: '2.0', id: 'two', method: 'eth_getBalance', params: [account, 'latest'] },
      { jsonrpc: '2.0', method: 'eth_chainId', params: [] },
      { jsonrpc: '2.0', id: 3, method: 'eth_call', params: [{ to: echo, data: '0xff' }, 'latest'] },
      { jsonrpc: '2.0', id: 1, method: 'eth_getCode', params: [echo, 'latest'] },
    ]
    const { value } = await expectSame(JSON.stringify(batch))
    expect(value).toHaveLength(4)
  })

  test('a notification alone gets an empty answer', async () => {
    const answer = await http(endpoint(), JSON.stringify({ jsonrpc: '2.0', method: 'eth_blockNumber' }))
    expect(answer.text).toBe('')
    expect(answer.status).toBe(204)
  })

  test('eth_sendRawTransaction: its hash, once, and the receipt the node has', async () => {
    const sender = fundedAccount(1)
    const nonce = Number(await resultOf(node(), 'eth_getTransactionCount', [sender.address, 'latest']))
    const raw = await signTransfer(sender, chain, nonce)
    const first = await http(endpoint(), encodeCall('eth_sendRawTransaction', [raw]))
    expect(first.json()).toEqual({ jsonrpc: '2.0', id: 1, result: keccak256(raw) })
    const again = await http(endpoint(), encodeCall('eth_sendRawTransaction', [raw]))
    expect(again.json()).toEqual(first.json())

    await receiptOf(node(), keccak256(raw))
    await until('the wallet is told of the receipt', async () => {
      return (await resultOf(endpoint(), 'eth_getTransactionReceipt', [keccak256(raw)])) !== null
    })
    const receipt = await expectSame(encodeCall('eth_getTransactionReceipt', [keccak256(raw)]))
    expect(receipt.value).toMatchObject({ result: { status: '0x1', from: sender.address.toLowerCase() } })
    expect(await resultOf(node(), 'eth_getTransactionCount', [sender.address, 'latest'])).toBe(
      `0x${(nonce + 1).toString(16)}`,
    )
  })

  test("viem's public and wallet client", async () => {
    const transport = httpTransport(endpoint(), { retryCount: 0 })
    const local = defineChain({
      id: chain,
      name: 'local',
      nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
      rpcUrls: { default: { http: [endpoint()] } },
    })
    const reader = createPublicClient({ chain: local, transport, pollingInterval: 50 })
    const sender = fundedAccount(2)
    const wallet = createWalletClient({ chain: local, transport, account: sender })
    expect(await reader.getChainId()).toBe(chain)

    // Somebody who is not taken for an own account: what names two of those is refused.
    const recipient = `0x${chain.toString(16).padStart(40, 'e')}` as const
    const before = BigInt((await resultOf(node(), 'eth_getBalance', [recipient, 'latest'])) as string)
    const hash = await wallet.sendTransaction({ to: recipient, value: parseEther('1') })
    const receipt = await reader.waitForTransactionReceipt({ hash })
    expect(receipt.status).toBe('success')
    const { blockNumber } = receipt
    await known(recipient)
    expect(await reader.getBalance({ address: recipient, blockNumber })).toBe(before + parseEther('1'))
    expect(await reader.call({ to: echo, data: '0x0123' })).toEqual({ data: '0x0123' })
    await expect(reader.call({ to: echo, data: '0xff45' })).rejects.toThrow(/revert/)
    const logs = await reader.getLogs({ address: loud, fromBlock: BigInt(loudBlock), toBlock: BigInt(loudBlock) })
    expect(logs).toHaveLength(20)
  })

  test("viem's batching client", async () => {
    const reader = createPublicClient({ transport: httpTransport(endpoint(), { batch: true, retryCount: 0 }) })
    const indexes = Array.from({ length: 10 }, (_, index) => index)
    await known(...indexes.map((index) => fundedAccount(index).address))
    const blockNumber = BigInt((await resultOf(node(), 'eth_blockNumber')) as string)
    const balances = await Promise.all(
      indexes.map((index) => reader.getBalance({ address: fundedAccount(index).address, blockNumber })),
    )
    const direct = await Promise.all(
      indexes.map((index) => resultOf(node(), 'eth_getBalance', [fundedAccount(index).address, 'latest'])),
    )
    expect(balances).toEqual(direct.map((balance) => BigInt(balance as string)))
  })

  test("ethers' JsonRpcProvider, with batches", async () => {
    const provider = new JsonRpcProvider(endpoint(), chain, { staticNetwork: true, polling: true, pollingInterval: 50 })
    const sizes: number[] = []
    await provider.on('debug', (event: { action: string; payload?: unknown }) => {
      if (event.action === 'sendRpcPayload') sizes.push(Array.isArray(event.payload) ? event.payload.length : 1)
    })
    try {
      // The gateway answers with the newest block that it has seen, and looks for it a few times in a second.
      await until('the gateway has seen the newest block', async () => {
        const [ours, direct] = await Promise.all([endpoint(), node()].map((url) => resultOf(url, 'eth_blockNumber')))
        return ours === direct
      })
      const [number, balance, code, fee] = await Promise.all([
        provider.getBlockNumber(),
        provider.getBalance(account),
        provider.getCode(echo),
        provider.getFeeData(),
      ])
      expect(Math.max(...sizes)).toBeGreaterThan(2)
      expect(number).toBe(Number(await resultOf(node(), 'eth_blockNumber')))
      expect(balance).toBe(BigInt((await resultOf(node(), 'eth_getBalance', [account, 'latest'])) as string))
      expect(code).toBe(await resultOf(node(), 'eth_getCode', [echo, 'latest']))
      expect(fee.gasPrice).not.toBeNull()

      const wallet = Wallet.createRandom(provider)
      const gift = await signGift(wallet.address as Hex)
      await resultOf(node(), 'eth_sendRawTransaction', [gift])
      await receiptOf(node(), keccak256(gift))
      const sent = await wallet.sendTransaction({ to: stranger, value: ethersParseEther('0.25') })
      const receipt = await sent.wait()
      expect(receipt?.status).toBe(1)
    } finally {
      provider.destroy()
    }
  })

  async function signGift(to: Hex): Promise<Hex> {
    const sender = fundedAccount(4)
    const nonce = Number(await resultOf(node(), 'eth_getTransactionCount', [sender.address, 'latest']))
    return sender.signTransaction({
      chainId: chain,
      nonce,
      to,
      value: parseEther('1'),
      gas: 21_000n,
      gasPrice: 100_000_000_000n,
      type: 'legacy',
    })
  }
})
