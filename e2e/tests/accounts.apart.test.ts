/**
 * Calls about several accounts, taken apart and put together again, are to the byte what a real node answers to the whole:
 * random batches for Multicall3, balances and logs.
 */
import { encodeFunctionData, type Hex, pad, parseAbi } from 'viem'
import { beforeAll, expect, test } from 'vitest'
import { deploy, fundedAccount, resultOf } from './support/chain.ts'
import { useNetwork } from './support/network.ts'
import { askedFor } from './support/provider.ts'
import { encodeCall, http, type RpcBody } from './support/rpc.ts'
import { loggerCode, multicall3, placeWalletContracts, refuserCode, token } from './support/walletContracts.ts'

const chain = 31337
const batches = 200
const shared = useNetwork({ chains: [chain], accounts: { apart: true, cold_spread_seconds: 0 } })
const node = () => shared.network.nodes[chain] as string
const url = () => shared.network.daemon.url(chain)
/** The first four are the wallet's. */
const accounts = Array.from({ length: 6 }, (_, index) => fundedAccount(index).address)
const own = accounts.slice(0, 4)
let refuser: Hex
let logger: Hex
let block: Hex

const abi = parseAbi([
  'function aggregate((address target, bytes callData)[] calls)',
  'function aggregate3((address target, bool allowFailure, bytes callData)[] calls)',
  'function tryAggregate(bool requireSuccess, (address target, bytes callData)[] calls)',
  'function blockAndAggregate((address target, bytes callData)[] calls)',
  'function tryBlockAndAggregate(bool requireSuccess, (address target, bytes callData)[] calls)',
  'function getEthBalance(address)',
  'function balanceOf(address)',
  'function getBlockNumber()',
  'function getCurrentBlockTimestamp()',
  'function getBasefee()',
  'function getChainId()',
])

beforeAll(async () => {
  await placeWalletContracts(node())
  refuser = await deploy(node(), refuserCode)
  logger = await deploy(node(), loggerCode)
  for (let each = 0; each < 8; each++) {
    const data = `${pad(accounts[each % 5] as Hex)}${pad(accounts[(each * 3) % 5] as Hex).slice(2)}`
    await resultOf(node(), 'eth_sendTransaction', [{ from: fundedAccount(9).address, to: logger, data }])
  }
  await resultOf(node(), 'evm_mine')
  block = (await resultOf(node(), 'eth_blockNumber')) as Hex
  // From now on the daemon knows whose they are.
  await Promise.all(own.map((account) => http(url(), encodeCall('eth_getBalance', [account, 'latest']))))
})

test('batches for Multicall3, whatever is in them', async () => {
  const random = numbers(7)
  const calls = Array.from({ length: batches }, (_, index) => {
    return ['eth_call', [{ to: multicall3, data: batchOf(random, true, index % 3 === 0) }, block]] as const
  })
  shared.network.providers[chain]?.forget()
  const kinds = await compare(calls)
  expect(kinds.linking).toBeLessThan(batches / 10)
  expect(kinds.errors).toBeGreaterThan(5)
  expect(kinds.results).toBeGreaterThan(batches / 2)
  for (const { body } of askedFor(shared.network.providers[chain], 'eth_call')) {
    expect(own.filter((account) => body.includes(account.slice(2).toLowerCase())).length).toBeLessThan(2)
  }
})

test('logs of several accounts, in the order of the chain', async () => {
  const topics = accounts.map((account) => pad(account))
  const filters = [[topics], [null, topics], [topics, null]]
  const kinds = await compare(
    filters.map((each) => ['eth_getLogs', [{ fromBlock: '0x0', toBlock: block, address: logger, topics: each }]]),
  )
  expect(kinds).toEqual({ results: filters.length, errors: 0, linking: 0 })
})

test('nobody is taken for a liar', async () => {
  expect((await shared.network.daemon.status()).accounts).toMatchObject({ lies: [], disputes: [], refuted: 0 })
})

/** All are answered as the node answers, or refused because they would link accounts. */
async function compare(calls: readonly (readonly [string, readonly unknown[]])[]) {
  const kinds = { results: 0, errors: 0, linking: 0 }
  const answers = await Promise.all(
    calls.map(async (call) => {
      const body = encodeCall(...call)
      return { ours: (await http(url(), body)).json(), direct: (await http(node(), body)).json() }
    }),
  )
  for (const { ours, direct } of answers) {
    const isRefused = (ours.error?.data as { nightjar?: unknown } | undefined)?.nightjar === 'would-link'
    if (!isRefused) expect(ours).toEqual(direct)
    kinds[isRefused ? 'linking' : kindOf(ours)] += 1
  }
  return kinds
}

function kindOf({ error }: RpcBody): 'results' | 'errors' {
  return error === undefined ? 'results' : 'errors'
}

type Random = (below: number) => number

/** The same on every run. */
function numbers(seed: number): Random {
  let state = seed
  return (below) => {
    state = (state * 1103515245 + 12345) % 2147483648
    return Math.floor(state / 65536) % below
  }
}

function batchOf(random: Random, mayNest: boolean, mayFail: boolean): Hex {
  const calls = Array.from({ length: random(7) }, () => subCall(random, mayNest, mayFail))
  const names = [
    'aggregate',
    'aggregate3',
    'aggregate3',
    'tryAggregate',
    'blockAndAggregate',
    'tryBlockAndAggregate',
  ] as const
  const functionName = names[random(names.length)] ?? 'aggregate3'
  if (functionName === 'tryAggregate' || functionName === 'tryBlockAndAggregate') {
    return encodeFunctionData({ abi, functionName, args: [random(2) === 1, calls] })
  }
  return encodeFunctionData({ abi, functionName, args: [calls] })
}

interface SubCall {
  readonly target: Hex
  readonly allowFailure: boolean
  readonly callData: Hex
}

function subCall(random: Random, mayNest: boolean, mayFail: boolean): SubCall {
  const kind = random(mayNest ? 8 : 7)
  const user = accounts[random(accounts.length)] as Hex
  const allowFailure = random(4) > 0
  if (kind < 2) {
    return {
      target: multicall3,
      allowFailure,
      callData: encodeFunctionData({ abi, functionName: 'getEthBalance', args: [user] }),
    }
  }
  const balanceOf = encodeFunctionData({ abi, functionName: 'balanceOf', args: [user] })
  if (kind < 4) return { target: token, allowFailure, callData: balanceOf }
  if (kind < 5 && mayFail) return { target: refuser, allowFailure, callData: balanceOf }
  if (kind === 7) return { target: multicall3, allowFailure, callData: batchOf(random, false, mayFail) }
  const views = ['getBlockNumber', 'getCurrentBlockTimestamp', 'getBasefee', 'getChainId'] as const
  const callData = encodeFunctionData({ abi, functionName: views[random(views.length)] ?? 'getChainId' })
  return { target: multicall3, allowFailure, callData }
}
