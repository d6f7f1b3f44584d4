/** Who sees what: the provider, the taps on every link, and how isolation groups are kept apart. */
import type { Hex } from 'viem'
import { keccak256 } from 'viem'
import { describe, expect, test } from 'vitest'
import type { LocalRelay } from '../src/network/index.ts'
import {
  deploy,
  echoContract,
  fundedAccount,
  loudContract,
  resultOf,
  sendAndWait,
  signTransfer,
  stranger,
} from './support/chain.ts'
import { useNetwork } from './support/network.ts'
import { pathOf, trafficDuring } from './support/paths.ts'
import { askedFor } from './support/provider.ts'
import { ask, encodeCall, fromWallet, http, type RpcBody } from './support/rpc.ts'

const chain = 31337
const firstWallet = 'nkbihfbeogaeaoehlefnkodbefgpgknn'
const secondWallet = 'abcdefghijklmnopabcdefghijklmnop'
// One question is one question: calls are not asked of a second gateway as well.
const accounts = { compare_calls: false }
const shared = useNetwork({ tapped: true, wallets: [firstWallet, secondWallet], accounts })

const endpoint = () => shared.network.daemon.url(chain)
const node = () => shared.network.nodes[chain] as string
const provider = () => {
  const found = shared.network.providers[chain]
  if (found === undefined) throw new Error('no provider')
  return found
}
const gateways = () => shared.network.relays.all.filter((relay) => relay.roles.includes('gateway'))
const { address } = fundedAccount(0)
/** Nobody asks for its balance, so it is taken for nobody's account, and no watch answers what is asked of it. */
const other = '0x0000000000000000000000000000000000c0ffee'
const storage = ['eth_getStorageAt', [other, '0x0', 'latest']] as const

describe('the RPC provider', () => {
  const marks = {
    'user-agent': 'Mozilla/5.0 (client-mark)',
    'accept-language': 'client-mark',
    cookie: 'session=client-mark',
    forwarded: 'for=198.51.100.7',
    'x-forwarded-for': '198.51.100.7',
    'x-client': 'client-mark',
    authorization: 'Bearer client-mark',
  }

  test('sees a gateway and the question, and nothing of the client', async () => {
    const wallet = fromWallet(firstWallet)
    const ids = ['client-mark', 987654321, null]
    provider().forget()
    for (const options of [{ headers: marks }, { headers: { ...marks, ...wallet.headers } }]) {
      for (const id of ids) {
        const answer = await http(endpoint(), encodeCall(...storage, id), options)
        expect(answer.json()).toMatchObject({ id, result: expect.stringMatching(/^0x/) })
      }
    }

    const hosts = gateways().map(({ host }) => host)
    const asked = askedFor(provider(), other)
    expect(asked).toHaveLength(6)
    for (const { body } of asked)
      expect(JSON.parse(body)).toEqual({ jsonrpc: '2.0', id: 1, method: storage[0], params: storage[1] })
    // What gateways ask by themselves comes in between: it must not tell more, and nothing may hide in it.
    for (const { from, headers, body } of provider().seen) {
      expect(hosts).toContain(from)
      expect(Object.keys(headers).sort()).toEqual(['connection', 'content-length', 'content-type', 'host'])
      expect(JSON.parse(body)).toMatchObject({ jsonrpc: '2.0', id: 1 })
      expect(body.includes(other) || isOfTheChain(body)).toBe(true)
    }
    const everything = JSON.stringify(provider().seen)
    for (const trace of ['client-mark', '987654321', '198.51.100.7', firstWallet])
      expect(everything).not.toContain(trace)
  })

  test('sees the calls of a batch one by one', async () => {
    provider().forget()
    const batch = [1, 2, 3].map((index) => ({
      jsonrpc: '2.0',
      id: `client-mark ${index}`,
      method: 'eth_getStorageAt',
      params: [other, `0x${index}`, 'latest'],
    }))
    await http(endpoint(), JSON.stringify(batch))
    expect(askedFor(provider(), 'eth_getStorageAt').map(({ body }) => JSON.parse(body).id)).toEqual([1, 1, 1])
    expect(JSON.stringify(provider().seen)).not.toContain('client-mark')
  })

  /** What gateways ask by themselves, to the letter: the same for every user of the chain. */
  function isOfTheChain(body: string): boolean {
    const { method, params } = JSON.parse(body) as { method: string; params: unknown }
    if (method === 'eth_getBlockByNumber') return /^\["(latest|0x[0-9a-f]+)",false\]$/.test(JSON.stringify(params))
    if (method === 'eth_feeHistory') return /^\["0x[45]","0x[0-9a-f]+",\[[0-9,]+\]\]$/.test(JSON.stringify(params))
    return ofTheChain.includes(method) && JSON.stringify(params) === '[]'
  }

  const ofTheChain = [
    ...['eth_gasPrice', 'eth_maxPriorityFeePerGas', 'eth_blobBaseFee'],
    ...['eth_chainId', 'net_version', 'web3_clientVersion'],
  ]
})

describe('the taps', () => {
  test('find no method, address or JSON on any link, and only messages of whole cells', async () => {
    const echo = await deploy(node(), echoContract)
    const loud = await deploy(node(), loudContract)
    const { blockNumber } = await sendAndWait(node(), { to: loud })
    provider().forget()
    const asked: readonly [string, readonly unknown[]][] = [
      ['eth_getBalance', [address.toLowerCase(), 'pending']],
      ['eth_getBalance', [address, 'pending']],
      ['eth_call', [{ to: echo, data: '0x70a08231' }, 'latest']],
      ['eth_getLogs', [{ address: loud, fromBlock: blockNumber, toBlock: blockNumber }]],
      ['eth_getBlockByNumber', ['latest', true]],
      ['eth_noSuchMethod', []],
    ]
    for (const [method, params] of asked) await ask(endpoint(), method, params)
    await shared.network.daemon.run('rpc', 'eth_getBalance', stranger, '--chain', String(chain))

    const plain = [
      ...asked.map(([method]) => method),
      ...[address, address.toLowerCase(), echo, loud, stranger].map((hex) => hex.slice(2)),
      ...['"jsonrpc"', '"method"', '"params"', '"result"', '"latest"', '{"chain":', '{"error":'],
    ]
    const raw = [address, echo, loud, stranger].map((hex) => Buffer.from(hex.slice(2), 'hex'))
    // What is searched for did travel: the provider got it.
    const seen = provider()
      .seen.map(({ body }) => body)
      .join()
    for (const text of ['eth_getLogs', '"method"', address, loud]) expect(seen).toContain(text)

    let captured = 0
    for (const { tap, name } of shared.network.relays.all) {
      if (tap === undefined) throw new Error('no tap')
      const bytes = tap.captured()
      captured += bytes.length
      const found = [...plain, ...raw].filter((needle) => bytes.includes(needle))
      expect({ name, found }).toEqual({ name, found: [] })
      expect(tap.messages.otherSizes).toBe(0)
    }
    // Over a megabyte of logs crossed three links.
    expect(captured).toBeGreaterThan(3 * 1024 * 1024)
  })

  test('see only relays and the daemon connect, and the daemon at guards alone', async () => {
    const { trunks } = await shared.network.daemon.status()
    const middles = trunks.map(({ middle }) => middle.name)
    for (const { tap, name, roles } of shared.network.relays.all) {
      const fromClient = tap?.peers.has('127.0.0.1')
      if (roles.includes('gateway') || middles.includes(name))
        expect({ name, fromClient }).toEqual({ name, fromClient: false })
    }
    const entry = relayNamed(trunks[0]?.entry.name)
    expect([...(entry.tap?.peers ?? [])]).toEqual(['127.0.0.1'])
    // The provider is asked by gateways from their own address, which no other relay has.
    expect(new Set(gateways().map(({ host }) => host)).size).toBe(gateways().length)
  })

  test('see the same size for all requests of the small class', async () => {
    const echo = await deploy(node(), echoContract)
    const sender = fundedAccount(1)
    const raw = await signTransfer(
      sender,
      chain,
      Number(await resultOf(node(), 'eth_getTransactionCount', [sender.address, 'latest'])),
    )
    const small: readonly [string, readonly unknown[]][] = [
      ['eth_chainId', []],
      ['eth_getBalance', [address, 'pending']],
      ['eth_getTransactionCount', [stranger, 'pending']],
      ['eth_call', [{ to: echo, data: `0x70a08231${'00'.repeat(32)}` }, 'latest']],
      ['eth_call', [{ to: echo, data: '0xff' }, 'latest']],
      ['eth_getCode', [echo, 'latest']],
      ['eth_getTransactionReceipt', [keccak256('0x01')]],
      ['eth_sendRawTransaction', [raw]],
    ]
    const sizes = []
    for (const [method, params] of small) sizes.push(await sizeAtEntry(() => ask(endpoint(), method, params)))
    expect(sizes).toEqual(small.map(() => ({ forward: 1, backward: 4 })))
    // What no gateway forwards does not leave the machine.
    const unknown = await sizeAtEntry(() => ask(endpoint(), 'personal_unlockAccount', ['secret']))
    expect(unknown).toEqual({ forward: 0, backward: 0 })
    // The measure itself can tell sizes apart.
    const block = await sizeAtEntry(() => ask(endpoint(), 'eth_getBlockByNumber', ['latest', false]))
    expect(block.backward).toBeGreaterThan(4)
  })

  /** Cells between client and entry for one request: the least of several, as PINGs and credits come on top now and then. */
  async function sizeAtEntry(request: () => Promise<RpcBody>): Promise<{ forward: number; backward: number }> {
    const { trunks } = await shared.network.daemon.status()
    const entry = relayNamed(trunks[0]?.entry.name)
    const runs = []
    for (let run = 0; run < 5; run++) {
      const cells = [...((await trafficDuring(shared.network, request)).get(entry) ?? new Map()).values()]
      runs.push({
        forward: cells.reduce((sum, { forward }) => sum + forward, 0),
        backward: cells.reduce((sum, { backward }) => sum + backward, 0),
      })
    }
    return {
      forward: Math.min(...runs.map(({ forward }) => forward)),
      backward: Math.min(...runs.map(({ backward }) => backward)),
    }
  }
})

describe('isolation groups', () => {
  const callers: Record<string, () => Promise<unknown>> = {
    'the first wallet': () => ask(endpoint(), ...storage, fromWallet(firstWallet)),
    'the second wallet': () => ask(endpoint(), ...storage, fromWallet(secondWallet)),
    'a program of this machine': () => ask(endpoint(), ...storage),
    'the command line': () => shared.network.daemon.run('rpc', storage[0], ...storage[1], '--chain', String(chain)),
  }

  test('have branches of their own, which they keep', async () => {
    const branches = new Map<string, string>()
    for (const round of [1, 2]) {
      for (const [caller, request] of Object.entries(callers)) {
        provider().forget()
        const { gateway, circuits } = await pathOf(shared.network, request)
        const found = `${gateway.name} ${circuits.gateway}`
        if (round === 1) branches.set(caller, found)
        expect({ caller, branch: found }).toEqual({ caller, branch: branches.get(caller) })
        // All its requests came to the provider from that gateway. What other gateways ask by themselves names nobody.
        expect([...new Set(askedFor(provider(), other).map(({ from }) => from))]).toEqual([gateway.host])
      }
    }
    expect(new Set(branches.values()).size).toBe(4)
    const status = await shared.network.daemon.status()
    const named = [...branches.values()].map((text) => text.split(' ')[0] as string)
    expect(status.gateways.map(({ name }) => name)).toEqual(expect.arrayContaining([...new Set(named)]))
  })

  test('have paths of distinct operators', async () => {
    const { entry, middle, gateway } = await pathOf(shared.network, callers['the first wallet'] as () => Promise<Hex>)
    expect(new Set([entry, middle, gateway].map(({ operator }) => operator)).size).toBe(3)
    expect(new Set([entry, middle, gateway].map(({ host }) => host.split('.').slice(0, 2).join('.'))).size).toBe(3)
  })
})

function relayNamed(name: string | undefined): LocalRelay {
  const relay = shared.network.relays.all.find((candidate) => candidate.name === name)
  if (relay === undefined) throw new Error(`no relay ${name}`)
  return relay
}
