/** Gateways that stall and die, and a daemon that is restarted: what the wallet is told stays what the node says. */
import { expect, test } from 'vitest'
import { until } from '../src/network/index.ts'
import { useAccounts } from './support/accountsStage.ts'

const stage = useAccounts()
const { accounts, expectTrue, forge, gatewayOf, isProofOf, wallet } = stage

test('a gateway that stalls is asked no longer', async () => {
  const stalled = await gatewayOf(5)
  const isForged = isProofOf(5, stalled)
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

test('a daemon that is restarted: each account has the gateway that it had', async () => {
  const { daemon } = stage.network
  const isPrivate = async () => (await daemon.status()).state === 'private'
  daemon.process.signal('SIGTERM')
  await daemon.process.ended
  await daemon.restart()
  await until('it is private again', isPrivate)
  await wallet.warmUp()
  const own = []
  for (const index of accounts.keys()) own.push((await gatewayOf(index)).name)
  await expectTrue()
  daemon.process.signal('SIGKILL')
  await daemon.process.ended
  await daemon.restart()
  await until('it is private again', isPrivate)
  await wallet.warmUp()
  for (const index of accounts.keys())
    expect({ index, name: (await gatewayOf(index)).name }).toEqual({ index, name: own[index] })
})
