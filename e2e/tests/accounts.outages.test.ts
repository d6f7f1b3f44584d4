/** Gateways that stall and die, and a daemon that is restarted: what the wallet is told stays what the node says. */
import { expect, test } from 'vitest'
import { type LocalRelay, until } from '../src/network/index.ts'
import { chain, useAccounts } from './support/accountsStage.ts'
import { askedFor } from './support/provider.ts'

const stage = useAccounts()
const { accounts, addressOf, expectTrue, forge, gatewayOf, isProofOf, wallet } = stage

/** The gateway of the account: others, which it had before, may go on reading. */
async function gatewayAsked(index: number): Promise<string> {
  const { providers, relays } = stage.network
  providers[chain]?.forget()
  await wallet.result('eth_getStorageAt', [addressOf(index), '0x0', 'latest'])
  const from = askedFor(providers[chain], 'eth_getStorageAt', addressOf(index)).at(-1)?.from
  return relays.all.find(({ host }) => host === from)?.name ?? ''
}

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

test('a relay on the way that drains: every account is answered all the while', async () => {
  const { daemon, relays } = stage.network
  await expectTrue()
  const { trunks } = await daemon.status()
  const entry = relays.all.find(({ name }) => name === trunks[0]?.entry.name) as LocalRelay
  let isThere = true
  entry.process.signal('SIGTERM')
  const ended = entry.process.ended.then((code) => {
    isThere = false
    return code
  })
  try {
    while (isThere) {
      const block = `0x${(await wallet.nextBlock()).toString(16)}`
      const answers = await Promise.all(
        accounts.map((_, index) => wallet.ask('eth_getBalance', [addressOf(index), block])),
      )
      expect(answers.map(({ error }) => error)).toEqual(accounts.map(() => undefined))
    }
    expect(await ended).toBe(0)
  } finally {
    await entry.restart()
  }
})

test('a daemon that is ended: the gateways go on reading, so that their provider does not see whose accounts stop', async () => {
  const { daemon, providers } = stage.network
  const isPrivate = async () => (await daemon.status()).state === 'private'
  daemon.process.signal('SIGTERM')
  expect(await daemon.process.ended).toBe(0)
  try {
    providers[chain]?.forget()
    const areRead = () =>
      accounts.filter((_, index) => askedFor(providers[chain], 'eth_getProof', addressOf(index)).length > 2)
    // For half an hour in the mean: that two of eight are not read any more after some seconds is once in ten thousand times.
    await until('they are read', () => areRead().length >= accounts.length - 1)
  } finally {
    await daemon.restart()
    await until('it is private again', isPrivate)
    await wallet.warmUp()
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
  const own: string[] = []
  for (const index of accounts.keys()) own.push(await gatewayAsked(index))
  await expectTrue()
  daemon.process.signal('SIGKILL')
  await daemon.process.ended
  await daemon.restart()
  await until('it is private again', isPrivate)
  await wallet.warmUp()
  for (const index of accounts.keys())
    expect({ index, name: await gatewayAsked(index) }).toEqual({ index, name: own[index] })
})
