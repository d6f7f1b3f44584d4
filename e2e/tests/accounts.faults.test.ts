/** Gateways that lie about an account: what the wallet is told stays what the node says, and whoever lied is named and left. */
import { pad } from 'viem'
import { beforeAll, describe, expect, test } from 'vitest'
import { type LocalRelay, until } from '../src/network/index.ts'
import { resultIn, useAccounts } from './support/accountsStage.ts'
import { deploy, receiptOf, resultOf, sendAndWait } from './support/chain.ts'
import { loggerCode } from './support/walletContracts.ts'

const stage = useAccounts()
const { addressOf, expectTrue, forge, gatewayOf, isProofOf, node, status, wallet } = stage

describe('a gateway that lies about an account', () => {
  test.each([
    ['its balance', 0, { balance: '0x1' }],
    ['its nonce', 1, { nonce: '0x77' }],
    ['its code', 2, { codeHash: `0x${'11'.repeat(32)}` }],
  ] as const)('by %s is found out, named, and left; the wallet sees nothing of it', async (_, index, lie) => {
    const liar = await gatewayOf(index)
    const isForged = isProofOf(index, liar)
    forge((exchange) =>
      isForged(exchange) ? { ...exchange.response, result: { ...resultIn(exchange), ...lie } } : exchange.response,
    )
    await until('the lie is listed', async () => (await status()).lies.some(({ gateway }) => gateway === liar.name))
    await expectTrue()
    expect((await gatewayOf(index)).name).not.toBe(liar.name)
  })

  test('by what was true once', async () => {
    const liar = await gatewayOf(3)
    const isForged = isProofOf(3, liar)
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

describe('a missing log', () => {
  /** Two ranges with the same log: what was asked just now is not asked again. */
  let filters: readonly [object, object]

  beforeAll(async () => {
    const logger = await deploy(node(), loggerCode)
    const { blockNumber } = await sendAndWait(node(), { to: logger, data: `${pad(addressOf(5))}${'00'.repeat(32)}` })
    const filterFrom = (before: number) => ({
      address: logger,
      topics: [pad(addressOf(5))],
      fromBlock: `0x${(Number(blockNumber) - before).toString(16)}`,
      toBlock: `0x${(Number(blockNumber) + 1).toString(16)}`,
    })
    filters = [filterFrom(1), filterFrom(2)]
    await until('the wallet is told of the block', async () => (await wallet.nextBlock()) > Number(blockNumber) + 1)
  })

  test('is found out, and its gateway named; the wallet has it from another', async () => {
    const direct = await resultOf(node(), 'eth_getLogs', [filters[0]])
    expect(direct).toHaveLength(1)
    const { verified } = await status()
    expect(await wallet.result('eth_getLogs', [filters[0]])).toEqual(direct)
    expect((await status()).verified).toBe(verified + 1)

    // Whoever is asked first: who was seen to read the account last may only linger there.
    let liar: string | undefined
    forge((exchange) => {
      if (exchange.method !== 'eth_getLogs') return exchange.response
      liar ??= exchange.from
      return exchange.from === liar ? { ...exchange.response, result: [] } : exchange.response
    })
    expect(await wallet.result('eth_getLogs', [filters[1]])).toEqual(direct)
    const { name } = stage.network.relays.all.find(({ host }) => host === liar) as LocalRelay
    expect((await status()).lies).toEqual(
      expect.arrayContaining([expect.objectContaining({ what: 'log-missing', gateway: name })]),
    )
  })
})
