/**
 * Ten accounts of one wallet, on real relays, gateways and chain: nobody sees two of them together, and every answer is the
 * node's. Times are shortened for the test: two minutes of Ethereum are ten blocks, and these come every second; values are
 * at most one second old, watches begin within six.
 */
import type { Hex } from 'viem'
import { beforeAll, describe, expect, test } from 'vitest'
import { type RelayPlan, standardPlan } from '../src/network/index.ts'
import { AccountsWallet, type Asked, type Sent } from './support/accountsWallet.ts'
import { fundedAccount, resultOf } from './support/chain.ts'
import { useNetwork } from './support/network.ts'
import { accountsByBranch, accountsByGateway, accountsByProvider, methodsSeen, type Names } from './support/views.ts'
import { placeWalletContracts } from './support/walletContracts.ts'

const chain = 31337
/** As many as there are accounts, and two more: then each account can have one of its own. */
const gateways = Array.from(
  { length: 12 },
  (_, index): RelayPlan => ({
    name: `gateway-${index}`,
    roles: ['gateway'],
    region: 'test',
  }),
)
const plan = [...standardPlan.filter(({ roles }) => !roles.includes('gateway')), ...gateways]
const shared = useNetwork({
  plan,
  chains: [chain],
  viewed: true,
  blockTime: 1,
  accounts: { apart: true, freshness_seconds: 1, cold_spread_seconds: 6 },
})
const node = () => shared.network.nodes[chain] as string
const accounts = Array.from({ length: 10 }, (_, index) => fundedAccount(index))
const names = new Map<string, Hex>(accounts.map(({ address }) => [address.toLowerCase(), address]))
const wallet = new AccountsWallet(() => shared.network.daemon.url(chain), node, chain, accounts)
const sent: Sent[] = []

beforeAll(async () => {
  await placeWalletContracts(node())
})

test('ten accounts that are polled, and two sends, are answered as the node does', async () => {
  await wallet.warmUp()
  for (let round = 0; round < 12; round++) {
    await wallet.nextBlock()
    await wallet.poll(3)
    if (round === 2 || round === 6) sent.push(await wallet.send(sent.length * 3))
  }
  for (const [index, { hash }] of sent.entries()) names.set(hash, accounts[index * 3]?.address as Hex)
  expect(wallet.failures()).toEqual([])
  await expectTrue(wallet.asked)
  // The next slot is one block later; the wallet has it before the one after.
  expect(sent.map(({ late }) => late).filter((blocks) => blocks > 1)).toEqual([])
  const { accounts: status } = await shared.network.daemon.status()
  expect(status).toMatchObject({ watched: 10, cold: 0, refuted: 0, lies: [], disputes: [], linking: [] })
  expect(status.verified).toBeGreaterThan(30)
})

describe('nobody sees two of them:', () => {
  const views: readonly [string, (names: Names) => ReadonlyMap<string, ReadonlySet<Hex>>][] = [
    ['no branch and envelope session', (all) => accountsByBranch(shared.network, all)],
    ['no gateway', (all) => accountsByGateway(shared.network, all)],
    ['no provider by where it is asked from', (all) => accountsByProvider(shared.network, chain, all)],
  ]
  test.each(views)('%s', (_, view) => {
    const seen = view(names)
    // All ten were seen, each by itself.
    expect(new Set([...seen.values()].flatMap((each) => [...each])).size).toBe(10)
    expect([...seen].filter(([, each]) => each.size > 1)).toEqual([])
    expect([...methodsSeen(shared.network)]).toEqual(
      expect.arrayContaining(['nightjar_watch', 'eth_sendRawTransaction']),
    )
  })
})

/** Each answer that can be asked of the node again, for the same block, is the node's. */
async function expectTrue(asked: readonly Asked[]): Promise<void> {
  const compared = { blocks: 0, calls: 0, receipts: 0 }
  for (const { method, params, body } of asked) {
    if (body.error !== undefined || !isFixed(method, params, body.result)) continue
    expect({ method, params, result: body.result }).toEqual({
      method,
      params,
      result: await resultOf(node(), method, params),
    })
    if (method === 'eth_getBlockByNumber') compared.blocks += 1
    else if (method === 'eth_getTransactionReceipt') compared.receipts += 1
    else compared.calls += 1
  }
  expect(compared.blocks).toBeGreaterThan(5)
  expect(compared.calls).toBeGreaterThan(10)
  expect(compared.receipts).toBe(2)
}

function isFixed(method: string, params: readonly unknown[], result: unknown): boolean {
  if (method === 'eth_getTransactionReceipt') return result !== null
  const block = method === 'eth_getBlockByNumber' ? params[0] : params[1]
  return typeof block === 'string' && /^0x[0-9a-f]{1,12}$/.test(block)
}
