/** The wallet's dialogs: shown for a click of the user, and never otherwise. */
import type { ErrorCode } from '@nightjar/shared/errors'
import { hour, minute, second } from '@nightjar/shared/runtime'
import { turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { metaMask } from '../store.ts'
import { endpointBase, endpointUrl } from '../testing/fixtures.ts'
import { createNetwork } from '../testing/network.ts'
import { agreed, type Begun, Stage } from '../testing/stage.ts'
import type { Mood } from '../testing/wallet.ts'

const network = await createNetwork({ one: [1, 10] })

async function setUp(begun: Begun = {}, change: (stage: Stage) => void = () => undefined) {
  const stage = await Stage.set(network, begun)
  change(stage)
  await stage.start()
  return stage
}

const seen = (stage: Stage, origin = `chrome-extension://${metaMask}`) =>
  stage.daemon.setStatus({ callers: [{ origin, chain: 1, requests: 3, last: stage.clock.now() }] })

const anotherEndpoint = endpointUrl.replace('8645', '9999')

describe('the wallet', () => {
  test.each<[string, Mood, ErrorCode]>([
    ['rejects its dialog', { code: 4001 }, 'wallet-refused'],
    ['shows another one', { code: -32002 }, 'wallet-busy'],
    ['refuses to be asked', { code: 4100 }, 'wallet-blocked'],
    ['does not want it that way', { code: -32602 }, 'wallet-failed'],
    ['is not there', 'absent', 'wallet-absent'],
  ])('%s: sites are private, the rest waits for the user', async (_, mood, code) => {
    const stage = await setUp({}, ({ wallet }) => Object.assign(wallet, { mood: mood }))
    await stage.command({ command: 'connect' })
    expect([stage.at, stage.snapshot.state, stage.problem]).toEqual(['wallet failed', 'degraded', code])
    const page = stage.openPage('https://dapp.example')
    expect(await page.request('eth_gasPrice')).toEqual({ result: 'eth_gasPrice of 1' })
    const { length } = stage.wallet.askedIds
    await stage.clock.elapse(hour)
    expect(stage.wallet.askedIds).toHaveLength(length)
    stage.wallet.mood = 'approves'
    await stage.command({ command: 'retry' })
    expect([stage.at, stage.problem]).toEqual(['watch running', undefined])
  })

  test('that says nothing: the user is told to look for it, and after five minutes that it did not answer', async () => {
    const stage = await setUp({}, ({ wallet }) => Object.assign(wallet, { mood: 'silent' }))
    await stage.command({ command: 'connect' })
    const hint = () => stage.snapshot.steps.find(({ id }) => id === 'wallet')?.hint
    expect(hint()).toMatch(/Approve what your wallet shows for Ethereum/)
    await stage.clock.elapse(8 * second)
    expect(hint()).toMatch(/Still waiting for Ethereum/)
    await stage.clock.elapse(5 * minute)
    expect([stage.at, stage.problem, stage.wallet.isAsking]).toEqual(['wallet failed', 'wallet-silent', false])
  })

  test('that agreed is asked no more, whatever restarts', async () => {
    const stage = await setUp()
    await stage.command({ command: 'connect' })
    seen(stage)
    await turn()
    expect(stage.wallet.chains).toEqual([1])
    stage.daemon.exit()
    await stage.clock.elapse(second)
    await stage.restart()
    expect([stage.snapshot.state, stage.wallet.chains]).toEqual(['private', [1]])
  })

  test('is asked again by each click: what it agreed to may have been taken back, and what came before is no proof', async () => {
    const stage = await setUp()
    await stage.command({ command: 'connect' })
    seen(stage)
    await turn()
    await stage.command({ command: 'disconnect' })
    await stage.clock.elapse(second)
    await stage.command({ command: 'connect' })
    expect([stage.at, stage.wallet.chains]).toEqual(['watch running', [1, 1]])
    seen(stage)
    await turn()
    expect(stage.snapshot.state).toBe('private')
  })

  test('that agreed and never asked is asked again by Retry: maybe somebody else had agreed', async () => {
    const stage = await setUp()
    await stage.command({ command: 'connect' })
    await stage.clock.elapse(minute)
    expect([stage.at, stage.problem]).toEqual(['watch failed', 'wallet-unseen'])
    await stage.command({ command: 'retry' })
    expect([stage.at, stage.wallet.chains]).toEqual(['watch running', [1, 1]])
  })

  test('that has no provider of its own id is asked in the page', async () => {
    const stage = await setUp({}, ({ wallet }) => Object.assign(wallet, { mood: 'absent', page: { result: null } }))
    await stage.command({ command: 'connect' })
    expect([stage.at, stage.wallet.pageAsked]).toEqual(['watch running', 1])
  })
})

describe('without the user no dialog is shown', () => {
  // Each restart of browser or daemon asked again what the user had just refused.
  test.each<[string, (stage: Stage) => Promise<void> | void]>([
    ['as the daemon restarts', ({ daemon }) => daemon.exit()],
    ['as the browser restarts', (stage) => stage.restart()],
    ['as the network document is renewed', ({ daemon }) => daemon.tell({ event: 'document' })],
    ['as a site setting changes', (stage) => stage.command(saving(stage, { sites: ['https://a.example/*'] }))],
  ])('after a refusal, %s', async (_, happen) => {
    const stage = await setUp({}, ({ wallet }) => Object.assign(wallet, { mood: { code: 4001 } }))
    await stage.command({ command: 'connect' })
    stage.wallet.mood = 'approves'
    await happen(stage)
    await stage.clock.elapse(minute)
    expect([stage.wallet.chains, stage.at, stage.snapshot.state]).toEqual([[1], 'wallet failed', 'degraded'])
    await stage.command({ command: 'retry' })
    expect(stage.wallet.chains).toEqual([1, 1])
  })

  test('at a start, where the wallet was never asked', async () => {
    const stage = await setUp({ enabled: true })
    expect([stage.at, stage.snapshot.state, stage.wallet.asked]).toEqual(['wallet failed', 'degraded', []])
  })

  test('for a chain that the daemon has got since', async () => {
    const stage = await setUp({ enabled: true, wallet: agreed(1) }, ({ daemon }) => {
      daemon.status = { ...daemon.status, chains: [1, 10] }
    })
    expect([stage.at, stage.wallet.asked]).toEqual(['wallet failed', []])
    await stage.command({ command: 'retry' })
    expect([stage.snapshot.state, stage.wallet.chains]).toEqual(['private', [10]])
  })

  test('for an endpoint that has moved: what the wallet agreed to is void, and the user is told', async () => {
    const stage = await setUp({ enabled: true, wallet: agreed(1) })
    expect(stage.snapshot.state).toBe('private')
    stage.daemon.status = { ...stage.daemon.status, endpoint: anotherEndpoint }
    stage.daemon.exit()
    await stage.clock.elapse(second)
    expect([stage.at, stage.wallet.asked, stage.snapshot.wallet.state]).toEqual(['wallet failed', [], 'none'])
    await stage.command({ command: 'retry' })
    expect(stage.wallet.asked).toMatchObject([{ rpcUrls: [anotherEndpoint] }])
    expect(stage.store.state.wallet).toEqual({
      endpoint: endpointBase.replace('8645', '9999'),
      chains: [1],
      since: expect.any(Number),
      seen: false,
    })
  })
})

test('one click, one round of dialogs: of two chains the second is refused, the first stays agreed', async () => {
  const stage = await setUp({}, ({ daemon, wallet }) => {
    daemon.status = { ...daemon.status, chains: [1, 10] }
    wallet.mood = 'silent'
  })
  await stage.command({ command: 'connect' })
  stage.wallet.answer({ result: null })
  await turn()
  stage.wallet.answer({ error: { code: 4001 } })
  await turn()
  expect([stage.at, stage.snapshot.chains.map(({ wallet }) => wallet)]).toEqual([
    'wallet failed',
    ['agreed', 'unasked'],
  ])
  stage.wallet.mood = 'approves'
  await stage.command({ command: 'retry' })
  expect(stage.wallet.chains).toEqual([1, 10, 10])
})

test('a daemon that is lost takes the dialog away; the click still stands when it is back', async () => {
  const stage = await setUp({}, ({ wallet }) => Object.assign(wallet, { mood: 'silent' }))
  await stage.command({ command: 'connect' })
  stage.daemon.exit()
  await turn()
  expect(stage.wallet.isAsking).toBe(false)
  await stage.clock.elapse(second)
  expect([stage.at, stage.wallet.chains]).toEqual(['wallet running', [1, 1]])
})

describe('the evidence', () => {
  test.each([
    'local',
    `chrome-extension://${'a'.repeat(32)}`,
    'https://dapp.example',
    `https://${metaMask}`,
    `chrome-extension://${metaMask}.evil.example`,
  ])('is not what %s asks', async (origin) => {
    const stage = await setUp()
    await stage.command({ command: 'connect' })
    seen(stage, origin)
    await stage.clock.elapse(20 * second)
    expect([stage.at, stage.problem, stage.snapshot.state]).toEqual(['watch failed', 'wallet-unseen', 'degraded'])
    expect(stage.snapshot.wallet).toEqual({ id: metaMask, state: 'agreed' })
  })

  test('may come late, and is kept', async () => {
    const stage = await setUp()
    await stage.command({ command: 'connect' })
    await stage.clock.elapse(hour)
    expect(stage.problem).toBe('wallet-unseen')
    seen(stage)
    await turn()
    expect([stage.snapshot.state, stage.snapshot.wallet.state]).toEqual(['private', 'seen'])
    await stage.restart()
    expect(stage.snapshot.state).toBe('private')
  })

  test('is not looked for before the wallet agreed', async () => {
    const stage = await setUp({}, ({ wallet }) => Object.assign(wallet, { mood: { code: 4001 } }))
    await stage.command({ command: 'connect' })
    seen(stage)
    await turn()
    expect([stage.at, stage.snapshot.wallet.state]).toEqual(['wallet failed', 'none'])
    expect(stage.store.state.wallet.seen).toBe(false)
  })
})

function saving(stage: Stage, changes: object) {
  const { directoryIsBuiltIn: _, ...settings } = stage.snapshot.settings
  return { command: 'save', settings: { ...settings, ...changes } } as const
}
