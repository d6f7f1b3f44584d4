/**
 * The proof that `npm start` shows: real requests over the network, each compared with the node's direct answer, and
 * what every party on the way saw of them, read from taps on the links and from the provider's own record.
 */
import { isDeepStrictEqual } from 'node:util'
import { createWalletClient, http, parseEther } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { call, post } from './network/chain.ts'
import type { LocalNetwork } from './network/localNetwork.ts'
import type { LocalRelay } from './network/relays.ts'

export interface ProvenRequest {
  readonly method: string
  readonly ok: boolean
  readonly sameAsDirect: boolean
  readonly ms: number
}

export interface PartyView {
  readonly party: string
  readonly sawFrom: string
  readonly saw: string
}

export interface Proof {
  readonly ok: boolean
  readonly chainId: number
  readonly hops: readonly string[]
  readonly operators: readonly string[]
  readonly gateway: string
  readonly requests: readonly ProvenRequest[]
  readonly entry: { readonly messages: number; readonly otherSizes: number }
  readonly plaintextSeen: boolean
  readonly parties: readonly PartyView[]
}

/** The well-known test accounts of anvil; on a real provider they are just two addresses to ask about. */
const alice = mnemonicToAccount('test test test test test test test test test test test junk')
const bob = mnemonicToAccount('test test test test test test test test test test test junk', { addressIndex: 1 })
const client = '127.0.0.1'

/** @param canSend whether the chain is a local one that may be written to */
export async function prove(network: LocalNetwork, chainId: number, canSend: boolean): Promise<Proof> {
  const endpoint = network.daemon.url(chainId)
  const node = network.nodes[chainId] as string
  const transfer = { from: alice.address, to: bob.address, value: '0x1' }
  const asked: [string, readonly unknown[]][] = [
    ['eth_chainId', []],
    ['eth_blockNumber', []],
    ['eth_getBalance', [alice.address, 'latest']],
    ['eth_getTransactionCount', [alice.address, 'latest']],
    ['eth_call', [transfer, 'latest']],
    ['eth_estimateGas', [transfer]],
    ['eth_getLogs', [{ fromBlock: 'latest', toBlock: 'latest', address: bob.address }]],
  ]
  const requests: ProvenRequest[] = []
  for (const [method, params] of asked) {
    requests.push(
      await compare(
        method,
        () => call(endpoint, method, params),
        () => call(node, method, params),
      ),
    )
  }
  const batch = asked.slice(0, 3).map(([method, params], id) => ({ jsonrpc: '2.0', id, method, params }))
  requests.push(
    await compare(
      'batch of 3',
      () => post(endpoint, batch),
      () => post(node, batch),
    ),
  )
  if (canSend) requests.push(await send(endpoint, node, chainId))

  const path = await pathOf(network)
  const needles = needlesFor([...asked.map(([method]) => method), 'eth_sendRawTransaction'])
  const found = (bytes: Buffer) => needles.some((needle) => bytes.includes(needle))
  const plaintextSeen = network.relays.all.some(({ tap }) => tap !== undefined && found(tap.captured()))
  // The same search must find it where it does stand, at the provider; otherwise finding nothing proves nothing.
  const canFind = found(Buffer.from(network.providers[chainId]?.seen.map(({ body }) => body).join('') ?? ''))
  const { count: messages = 0, otherSizes = 0 } = path[0]?.tap?.messages ?? {}
  return {
    ok:
      requests.every(({ ok, sameAsDirect }) => ok && sameAsDirect) &&
      canFind &&
      !plaintextSeen &&
      messages > 0 &&
      otherSizes === 0 &&
      path.length === 3,
    chainId,
    hops: path.map(({ name }) => name),
    operators: path.map(({ operator }) => operator),
    gateway: path[2]?.name ?? '',
    requests,
    entry: { messages, otherSizes },
    plaintextSeen,
    parties: viewsOf(network, chainId, path),
  }
}

async function compare(
  method: string,
  ask: () => Promise<unknown>,
  askDirectly: () => Promise<unknown>,
): Promise<ProvenRequest> {
  const begun = performance.now()
  const answer = await ask()
  const ms = Math.round((performance.now() - begun) * 10) / 10
  const answers = Array.isArray(answer) ? answer : [answer]
  const ok = answers.every((each) => typeof each === 'object' && each !== null && 'result' in each)
  return { method, ok, sameAsDirect: isDeepStrictEqual(answer, await askDirectly()), ms }
}

/** Signs and sends a transfer privately; the node, asked directly, must know it by the hash that came back. */
async function send(endpoint: string, node: string, chainId: number): Promise<ProvenRequest> {
  const chain = {
    id: chainId,
    name: 'local',
    nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
    rpcUrls: { default: { http: [endpoint] } },
  }
  const wallet = createWalletClient({ account: alice, chain, transport: http(endpoint) })
  const request = await wallet.prepareTransactionRequest({ to: bob.address, value: parseEther('1') })
  const raw = await wallet.signTransaction(request)
  const begun = performance.now()
  const answer = (await call(endpoint, 'eth_sendRawTransaction', [raw])) as { result?: string }
  const ms = Math.round((performance.now() - begun) * 10) / 10
  const known = (await call(node, 'eth_getTransactionByHash', [answer.result])) as { result?: { hash?: string } }
  const ok = typeof answer.result === 'string'
  return { method: 'eth_sendRawTransaction', ok, sameAsDirect: ok && known.result?.hash === answer.result, ms }
}

/** Entry, middle and gateway as they were really used: followed backwards from the gateway along who connected. */
async function pathOf(network: LocalNetwork): Promise<LocalRelay[]> {
  const [used] = (await network.daemon.status()).gateways
  const gateway = network.relays.all.find(({ name }) => name === used?.name)
  const middle = network.relays.all.find(({ host }) => gateway?.tap?.peers.has(host))
  const entry = network.relays.all.find(({ host }) => middle?.tap?.peers.has(host))
  return [entry, middle, gateway].filter((relay) => relay !== undefined)
}

/** What would be readable: methods, addresses as text and as bytes, pieces of JSON. */
function needlesFor(methods: readonly string[]): Buffer[] {
  const addresses = [alice.address, bob.address].map((address) => address.slice(2))
  return [
    ...methods.map((method) => Buffer.from(method)),
    ...addresses.flatMap((text) => [Buffer.from(text), Buffer.from(text.toLowerCase()), Buffer.from(text, 'hex')]),
    ...['"jsonrpc"', '"method"', '"params"', '"result"'].map((fragment) => Buffer.from(fragment)),
  ]
}

function viewsOf(network: LocalNetwork, chainId: number, path: readonly LocalRelay[]): PartyView[] {
  const nameOf = (host: string) =>
    host === client ? 'you' : (network.relays.all.find((relay) => relay.host === host)?.name ?? host)
  const peers = (relay: LocalRelay) => [...(relay.tap?.peers ?? [])].map(nameOf).join(', ')
  const links = path.map((relay, index) => ({
    party: `${['entry', 'middle', 'gateway'][index]} relay ${relay.name}`,
    sawFrom: peers(relay),
    saw:
      index < 2
        ? `${relay.tap?.messages.count ?? 0} messages of whole 1024-byte cells, nothing readable`
        : `the requests of one isolation group, and the middle relay instead of you`,
  }))
  const seen = (network.providers[chainId]?.seen ?? []).filter(({ body }) => namesUser(body))
  const from = [...new Set(seen.map((request) => nameOf(request.from)))].join(', ')
  const headers = [...new Set(seen.flatMap((request) => Object.keys(request.headers)))].sort().join(', ')
  return [
    ...links,
    { party: 'RPC provider', sawFrom: from, saw: `${seen.length} requests with the headers ${headers}` },
  ]
}

/** Gateways ask the provider for some things by themselves; these questions are the user's. */
function namesUser(body: string): boolean {
  return [alice, bob].some(({ address }) => body.toLowerCase().includes(address.slice(2).toLowerCase()))
}
