/** A transaction that may be out: its sender's gateway could not say. */
import { privateKeyToAccount } from 'viem/accounts'
import { expect, it } from 'vitest'
import { NightjarError } from '../errors/index.ts'
import type { Json } from '../rpc/index.ts'
import { minute, second } from '../runtime.ts'
import { accountOf, type Stage, setStage } from './testing/stage.ts'

const a = accountOf(0)
const signer = privateKeyToAccount('0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80')
const sender = signer.address.toLowerCase()

/** The sender's transaction, and what the wallet was told when it sent it. */
async function sendWith(error: NightjarError) {
  const stage = await setStage({ settings: { coldSpread: second } })
  const request = stage.gateways.request.bind(stage.gateways)
  stage.gateways.request = async (order, onAnswered) => {
    const outcome = await request(order, onAnswered)
    if (order.call.method !== 'eth_sendRawTransaction') return outcome
    throw error
  }
  stage.run()
  const raw = await signer.signTransaction({
    ...{ chainId: 1, type: 'eip1559', to: a, gas: 21_000n, nonce: 0 },
    ...{ maxFeePerGas: 9n, maxPriorityFeePerGas: 1n },
  })
  const told = await stage.settled(stage.ask('eth_sendRawTransaction', [raw]))
  await stage.clock.elapse(minute)
  return { stage, told, raw }
}

function watched({ gateways }: Stage): Json[] {
  return gateways.asked
    .filter(({ what, group }) => what === 'follow' && group === `account ${sender}`)
    .map(({ params }) => params)
}

it('has its receipt watched, so that polls for it need not wait for the account’s turn', async () => {
  const { stage, told } = await sendWith(new NightjarError('outcome-unknown'))
  expect(told).toMatchObject({ code: 'outcome-unknown' })
  const [params] = watched(stage)
  const { transaction } = (params as readonly [{ readonly transaction: string }])[0]
  // The user is at another account.
  await stage.settled(stage.ask('eth_getStorageAt', [a, '0x0', 'latest']))
  const from = stage.gateways.asked.length
  expect(await stage.settled(stage.ask('eth_getTransactionReceipt', [transaction]))).toEqual({ result: null })
  expect(stage.gateways.asked.slice(from).filter(({ group }) => group.startsWith('account'))).toEqual([])
})

it('has none watched where it cannot be out', async () => {
  const { stage } = await sendWith(new NightjarError('network-unreachable'))
  expect(watched(stage)).toEqual([])
})

it('has none watched where everything was ended meanwhile', async () => {
  const { stage, raw } = await sendWith(new NightjarError('network-unreachable'))
  const { gateways, clock } = stage
  gateways.request = async () => {
    stage.accounts.stop()
    throw new NightjarError('outcome-unknown')
  }
  await stage.settled(stage.ask('eth_sendRawTransaction', [raw]))
  await clock.elapse(minute)
  expect(watched(stage)).toEqual([])
})
