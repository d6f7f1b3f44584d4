/**
 * Gateways that lie, lag, stall and die, and a chain that changes its mind: what the wallet is told stays what the node
 * says, and whoever lied is named and avoided. One provider stands behind all gateways and answers each as the test says.
 * Times are shortened as in accounts.test.ts.
 */
import type { Hex } from 'viem'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { call, type Exchange, type LocalRelay, type RelayPlan, standardPlan, until } from '../src/network/index.ts'
import { AccountsWallet } from '../tests/support/accountsWallet.ts'
import { fundedAccount, receiptOf, resultOf, sendAndWait } from '../tests/support/chain.ts'
import { useNetwork } from '../tests/support/network.ts'
import { askedFor } from '../tests/support/provider.ts'
import { headGateways } from '../tests/support/views.ts'
import { placeWalletContracts } from '../tests/support/walletContracts.ts'

const chain = 31337
const otherChain = 1
const more: readonly RelayPlan[] = ['siskin', 'linnet', 'brambling'].map((name) => ({
  name,
  roles: ['gateway'],
  region: 'test',
}))
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
const status = async () => (await shared.network.daemon.status()).accounts

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

/** Some polls, each answered with what the node says of the blocks that the wallet was told. */
async function expectTrue(polls = 3): Promise<void> {
  for (let poll = 0; poll < polls; poll++) {
    const newest = await wallet.nextBlock()
    const block = `0x${newest.toString(16)}`
    for (const [index] of accounts.entries()) {
      const params = [addressOf(index), block]
      const [ours, direct] = [
        await wallet.ask('eth_getBalance', params),
        await resultOf(node(), 'eth_getBalance', params),
      ]
      expect({ index, block, ours: ours.result ?? ours.error }).toEqual({ index, block, ours: direct })
    }
  }
}

const proofOf = (index: number, from: LocalRelay) => (exchange: Exchange) =>
  exchange.from === from.host && exchange.method === 'eth_getProof' && exchange.params[0] === addressOf(index)

const resultIn = ({ response }: Exchange) => response.result as { readonly [name: string]: unknown }

describe('a gateway that lies about an account', () => {
  test.each([
    ['its balance', 0, { balance: '0x1' }],
    ['its nonce', 1, { nonce: '0x77' }],
    ['its code', 2, { codeHash: `0x${'11'.repeat(32)}` }],
  ] as const)('by %s is found out, named, and left; the wallet sees nothing of it', async (_, index, lie) => {
    const liar = await gatewayOf(index)
    const isForged = proofOf(index, liar)
    forge((exchange) =>
      isForged(exchange) ? { ...exchange.response, result: { ...resultIn(exchange), ...lie } } : exchange.response,
    )
    await until('the lie is listed', async () => (await status()).lies.some(({ gateway }) => gateway === liar.name))
    await expectTrue()
    expect((await gatewayOf(index)).name).not.toBe(liar.name)
  })

  test('by what was true once', async () => {
    const liar = await gatewayOf(3)
    const isForged = proofOf(3, liar)
    const before = (await status()).lies.length
    await sendAndWait(node(), { to: addressOf(3) })
    forge(async (exchange) => {
      if (!isForged(exchange)) return exchange.response
      return { ...exchange.response, result: await exchange.ask('eth_getProof', [addressOf(3), [], '0x1']) }
    })
    await until('the lie is listed', async () => (await status()).lies.length > before)
    await expectTrue()
    expect((await gatewayOf(3)).name).not.toBe(liar.name)
  })

  test('by a receipt that says that a transaction failed', async () => {
    const liar = await gatewayOf(4)
    forge((exchange) => {
      const isForged = exchange.from === liar.host && exchange.method === 'eth_getTransactionReceipt'
      if (!isForged || exchange.response.result === null) return exchange.response
      return { ...exchange.response, result: { ...resultIn(exchange), status: '0x0' } }
    })
    const { hash, receipt } = await wallet.send(4)
    expect(receipt).toEqual(await receiptOf(node(), hash))
    expect((await status()).lies).toEqual(expect.arrayContaining([expect.objectContaining({ what: 'receipt' })]))
  })
})

describe('a gateway that tells of other blocks', () => {
  const isBlock = ({ method }: Exchange) => method === 'eth_getBlockByNumber'

  test('is named where a header does not make its hash', async () => {
    const before = (await status()).lies.length
    // Whoever follows heads there is told so; one is enough.
    const liar = headGateways(shared.network).at(-1)?.host
    forge((exchange) => {
      if (!isBlock(exchange) || exchange.from !== liar) return exchange.response
      return { ...exchange.response, result: { ...resultIn(exchange), stateRoot: `0x${'22'.repeat(32)}` } }
    })
    await until('the lie is listed', async () => (await status()).lies.length > before)
    forge(undefined)
    await expectTrue()
  })

  test('of another chain is outvoted, and named', async () => {
    const liar = headGateways(shared.network).at(-1)?.host
    forge((exchange) => {
      const { method, params } = exchange
      if (!isBlock(exchange) || exchange.from !== liar) return exchange.response
      return call(shared.network.nodes[otherChain] as string, method, params) as Promise<object>
    })
    await until('the dispute is listed', async () => (await status()).disputes.length > 0, 60_000)
    forge(undefined)
    await expectTrue()
  })

  test('that are behind accuses nobody', async () => {
    const { lies, disputes } = await status()
    const late = headGateways(shared.network).at(-1)?.host
    forge(async (exchange) => {
      if (!isBlock(exchange) || exchange.from !== late || exchange.params[0] !== 'latest') return exchange.response
      const number = Number(resultIn(exchange).number) - 4
      return { ...exchange.response, result: await exchange.ask(exchange.method, [`0x${number.toString(16)}`, false]) }
    })
    await expectTrue(6)
    expect(await status()).toMatchObject({ lies, disputes })
  })
})

test('a gateway that stalls is asked no longer', async () => {
  const stalled = await gatewayOf(5)
  const isForged = proofOf(5, stalled)
  forge((exchange) => (isForged(exchange) ? new Promise(() => {}) : exchange.response))
  await expectTrue(8)
})

test('a gateway that is killed costs its account another one', async () => {
  const gone = await gatewayOf(6)
  gone.process.signal('SIGKILL')
  await gone.process.ended
  try {
    await expectTrue(4)
    await until('it is read elsewhere', async () => (await gatewayOf(6)).name !== gone.name)
  } finally {
    await gone.restart()
  }
})

test('a reorganisation that takes a transaction back', async () => {
  const before = await resultOf(node(), 'eth_getBalance', [addressOf(7), 'latest'])
  await wallet.send(7)
  await resultOf(node(), 'anvil_reorg', [4, []])
  await until('the node has it no longer', async () => {
    return (await resultOf(node(), 'eth_getBalance', [addressOf(7), 'latest'])) === before
  })
  await until(
    'nor has the wallet',
    async () => (await wallet.ask('eth_getBalance', [addressOf(7), 'latest'])).result === before,
  )
  await expectTrue(4)
})

test('a daemon that is restarted: each account has the gateway that it had', async () => {
  const indexes = accounts.map((_, index) => index)
  const { daemon } = shared.network
  daemon.process.signal('SIGTERM')
  await daemon.process.ended
  await daemon.restart()
  await until('it is private again', async () => (await daemon.status()).state === 'private')
  await wallet.warmUp()
  const own = []
  for (const index of indexes) own.push((await gatewayOf(index)).name)
  await expectTrue()
  daemon.process.signal('SIGKILL')
  await daemon.process.ended
  await daemon.restart()
  await until('it is private again', async () => (await daemon.status()).state === 'private')
  await wallet.warmUp()
  for (const index of indexes)
    expect({ index, name: (await gatewayOf(index)).name }).toEqual({ index, name: own[index] })
})
