/** Gateways that stall and die, and a daemon that is restarted: what the wallet is told stays what the node says. */
import { describe, expect, test } from 'vitest'
import { type LocalRelay, until } from '../src/network/index.ts'
import { chain, useAccounts } from './support/accountsStage.ts'
import { askedFor } from './support/provider.ts'
import { codeOf } from './support/rpc.ts'

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

describe('a relay on the way that drains', () => {
  /** Polls until the relay has ended. @returns the codes of what was no answer */
  async function pollWhileDraining(role: 'entry' | 'middle'): Promise<ReadonlySet<unknown>> {
    const { daemon, relays } = stage.network
    await expectTrue()
    const { trunks } = await daemon.status()
    const relay = relays.all.find(({ name }) => name === trunks[0]?.[role].name) as LocalRelay
    let isThere = true
    relay.process.signal('SIGTERM')
    const ended = relay.process.ended.then((code) => {
      isThere = false
      return code
    })
    const codes = new Set<unknown>()
    try {
      while (isThere) {
        const block = `0x${(await wallet.nextBlock()).toString(16)}`
        const answers = await Promise.all(
          accounts.map((_, index) => wallet.ask('eth_getBalance', [addressOf(index), block])),
        )
        for (const answer of answers) if (answer.error !== undefined) codes.add(codeOf(answer))
      }
      expect(await ended).toBe(0)
    } finally {
      await relay.restart()
    }
    return codes
  }

  test('the middle: every account is answered all the while', async () => {
    expect([...(await pollWhileDraining('middle'))]).toEqual([])
  })

  // Their gateways are not to see which accounts are behind it.
  test('the entry: accounts have to wait for their turn, as after any loss, and none gets anything else', async () => {
    expect([...(await pollWhileDraining('entry'))].filter((code) => code !== 'still-apart')).toEqual([])
    await expectTrue()
  })
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
    // For two hours in the mean: that two of eight are not read any more after some seconds is once in ten thousand times.
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
