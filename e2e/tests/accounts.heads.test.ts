/** Gateways that tell of other blocks than the rest, and a chain that changes its mind. */
import { describe, expect, test } from 'vitest'
import { call, type Exchange, until } from '../src/network/index.ts'
import { otherChain, resultIn, useAccounts } from './support/accountsStage.ts'
import { resultOf } from './support/chain.ts'
import { headGateways } from './support/views.ts'

const stage = useAccounts()
const { addressOf, expectTrue, forge, node, status, wallet } = stage
const isBlock = ({ method }: Exchange) => method === 'eth_getBlockByNumber'
/** One whom heads are followed at now. */
const teller = () => headGateways(stage.network).at(-1)?.host

describe('a gateway that tells of other blocks', () => {
  test('is named where a header does not make its hash', async () => {
    const before = (await status()).lies.length
    // Whoever follows heads there is told so; one is enough.
    const liar = teller()
    forge((exchange) => {
      if (!isBlock(exchange) || exchange.from !== liar) return exchange.response
      return { ...exchange.response, result: { ...resultIn(exchange), stateRoot: `0x${'22'.repeat(32)}` } }
    })
    await until('the lie is listed', async () => (await status()).lies.length > before)
    forge(undefined)
    await expectTrue()
  })

  test('of another chain is outvoted, and named', async () => {
    const liar = teller()
    forge((exchange) => {
      const { method, params } = exchange
      if (!isBlock(exchange) || exchange.from !== liar) return exchange.response
      return call(stage.network.nodes[otherChain] as string, method, params) as Promise<object>
    })
    await until('the dispute is listed', async () => (await status()).disputes.length > 0, 60_000)
    forge(undefined)
    await expectTrue()
  })

  test('that are behind accuses nobody', async () => {
    const { lies, disputes } = await status()
    const late = teller()
    forge(async (exchange) => {
      if (!isBlock(exchange) || exchange.from !== late || exchange.params[0] !== 'latest') return exchange.response
      const number = Number(resultIn(exchange).number) - 4
      return { ...exchange.response, result: await exchange.ask(exchange.method, [`0x${number.toString(16)}`, false]) }
    })
    await expectTrue(6)
    expect(await status()).toMatchObject({ lies, disputes })
  })
})

test('a reorganisation that takes a transaction back', async () => {
  const { lies } = await status()
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
  // Nobody lied: gateways hear of it one after the other.
  expect((await status()).lies).toEqual(lies)
})
