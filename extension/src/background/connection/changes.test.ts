/** What changes once it is on, or nearly: the network document, and the chains that have a gateway. */
import { minute, second } from '@nightjar/shared/runtime'
import { FakeClock, turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { createNetwork } from '../testing/network.ts'
import { agreed, Stage } from '../testing/stage.ts'

const network = await createNetwork({ one: [1], two: [1, 10] })
const walletCalls = (stage: Stage) => [
  { origin: 'chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn', chain: 1, requests: 1, last: stage.clock.now() },
]
async function setUp(change: (stage: Stage) => void = () => undefined) {
  const stage = await Stage.set(network)
  change(stage)
  await stage.start()
  return stage
}

describe('the network document', () => {
  async function on(changes: Parameters<typeof network.document>[1] = {}) {
    const stage = await Stage.set(network, { enabled: true, wallet: agreed(1) })
    stage.daemon.document = await network.document(stage.clock.now(), changes)
    await stage.start()
    expect(stage.snapshot.state).toBe('private')
    stage.states.length = 0
    return stage
  }

  test('that is newer is taken quietly', async () => {
    const stage = await on()
    stage.daemon.document = await network.document(stage.clock.now(), { version: 2 })
    stage.daemon.tell({ event: 'document' })
    await turn()
    expect([stage.snapshot.networkVersion, stage.states]).toEqual([2, []])
  })

  // It was not fetched while the wallet's dialog was open, and never after.
  test('that comes while something else is under way is taken too', async () => {
    const stage = await setUp(({ wallet }) => Object.assign(wallet, { mood: 'silent' }))
    await stage.command({ command: 'connect' })
    stage.daemon.document = await network.document(stage.clock.now(), { version: 2 })
    stage.daemon.tell({ event: 'document' })
    await turn()
    expect([stage.snapshot.networkVersion, stage.wallet.isAsking]).toEqual([2, true])
  })

  test('that is refused is seen to be, and stops everything until there is a right one', async () => {
    const stage = await on()
    const { daemon, clock } = stage
    daemon.document = await network.document(clock.now(), { version: 2, signers: [2] })
    daemon.tell({ event: 'document' })
    await turn()
    expect([stage.snapshot.state, stage.problem]).toEqual(['blocked', 'document-under-signed'])
    const page = stage.openPage('https://dapp.example')
    expect((await page.request('eth_gasPrice'))?.error?.data).toMatchObject({ nightjar: 'document-under-signed' })
    daemon.document = await network.document(clock.now(), { version: 2 })
    daemon.tell({ event: 'document' })
    await turn()
    expect([stage.snapshot.state, stage.snapshot.networkVersion]).toEqual(['private', 2])
  })

  // The popup said Private while every request failed.
  test('that ends, with no newer one to be had, is seen', async () => {
    const stage = await on({ validUntil: new FakeClock().now() + 90 * minute })
    await stage.clock.elapse(90 * minute)
    expect([stage.snapshot.state, stage.problem]).toEqual(['blocked', 'document-expired'])
    stage.daemon.document = await network.document(stage.clock.now(), { version: 2 })
    await stage.clock.elapse(30 * second)
    expect([stage.snapshot.state, stage.snapshot.networkVersion]).toEqual(['private', 2])
  })
})

describe('several chains', () => {
  const ask = ({ daemon }: Stage) => {
    daemon.status = { ...daemon.status, chains: [1, 10] }
  }

  test('are each asked of the wallet, one after the other', async () => {
    const stage = await setUp((each) => {
      ask(each)
      each.wallet.mood = 'silent'
    })
    await stage.command({ command: 'connect' })
    expect([stage.wallet.chains, stage.snapshot.steps.at(6)?.hint]).toEqual([[1], expect.stringContaining('Ethereum')])
    stage.wallet.answer({ result: null })
    await turn()
    expect([stage.wallet.chains, stage.snapshot.steps.at(6)?.hint]).toEqual([
      [1, 10],
      expect.stringContaining('OP Mainnet'),
    ])
    stage.wallet.answer({ result: null })
    await turn()
    expect(stage.at).toBe('watch running')
  })

  test('of which one has no gateway: it is shown, not asked of the wallet, and looked for again', async () => {
    const stage = await setUp(ask)
    const { daemon, clock, wallet } = stage
    const ranking = daemon.ranking
    daemon.ranking = (chain) => (chain === 10 ? [] : ranking(chain))
    await stage.command({ command: 'connect' })
    daemon.setStatus({ callers: walletCalls(stage) })
    await turn()
    expect([stage.snapshot.state, stage.problem, wallet.chains]).toEqual(['degraded', 'chain-not-served', [1]])
    expect(stage.snapshot.chains.map(({ id, state }) => [id, state])).toEqual([
      [1, 'served'],
      [10, 'unserved'],
    ])
    await clock.elapse(5 * minute)
    expect(stage.snapshot.state).toBe('degraded')
    daemon.ranking = ranking
    await clock.elapse(minute)
    // Nothing is asked of the wallet without the user.
    expect([stage.snapshot.chains[1]?.state, stage.at, wallet.chains]).toEqual(['served', 'wallet failed', [1]])
    await stage.command({ command: 'retry' })
    expect([stage.snapshot.state, wallet.chains]).toEqual(['private', [1, 10]])
  })

  test('of which none has a gateway: blocked', async () => {
    const stage = await setUp(ask)
    stage.daemon.ranking = () => []
    await stage.command({ command: 'connect' })
    expect([stage.at, stage.snapshot.state, stage.problem]).toEqual(['gateways failed', 'blocked', 'chain-not-served'])
  })
})
