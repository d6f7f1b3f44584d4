/** What goes on without the user: over stopped service workers, restarted browsers and lost daemons. */
import { hour, minute, second } from '@nightjar/shared/runtime'
import { turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { createNetwork } from '../testing/network.ts'
import { agreed, Stage } from '../testing/stage.ts'

const network = await createNetwork({ one: [1] })

async function on() {
  const stage = await Stage.set(network, { enabled: true, wallet: agreed(1) })
  await stage.start()
  expect(stage.snapshot.state).toBe('private')
  stage.states.length = 0
  return stage
}

describe('a service worker that is stopped', () => {
  test('while on, is on again with the next, and asks nobody', async () => {
    const stage = await on()
    await stage.restart()
    expect([stage.snapshot.state, stage.wallet.asked, stage.scripts.at(-1)]).toEqual(['private', [], true])
  })

  test('while off, stays off and connects to nothing', async () => {
    const stage = await Stage.set(network)
    await stage.start()
    await stage.restart()
    await stage.clock.elapse(hour)
    expect([stage.snapshot.state, stage.daemon.ports.all.length, stage.scripts.at(-1)]).toEqual(['off', 0, false])
  })

  test.each<[string, (stage: Stage) => unknown, (stage: Stage) => unknown]>([
    ['the host', ({ daemon }) => daemon.on('hello', () => 'never'), ({ daemon }) => daemon.off('hello')],
    ['the document', ({ daemon }) => daemon.on('document', () => 'never'), ({ daemon }) => daemon.off('document')],
    ['the trunks', ({ daemon }) => daemon.on('status', () => 'never'), ({ daemon }) => daemon.off('status')],
    ['the gateways', ({ daemon }) => daemon.on('gateways', () => 'never'), ({ daemon }) => daemon.off('gateways')],
  ])('while it waits for %s, goes through all steps again', async (_, hold, release) => {
    const stage = await Stage.set(network, { wallet: agreed(1) })
    await stage.start()
    await hold(stage)
    await stage.command({ command: 'connect' })
    expect(stage.snapshot.state).toBe('connecting')
    await release(stage)
    await stage.restart()
    // Up to the wallet: the click is forgotten, and without one no dialog is shown.
    expect([stage.at, stage.problem, stage.wallet.asked]).toEqual(['wallet failed', 'wallet-unasked', []])
  })

  test('while the wallet is waited for, remembers what it agreed to', async () => {
    const stage = await Stage.set(network)
    await stage.start()
    await stage.command({ command: 'connect' })
    expect([stage.at, stage.wallet.chains]).toEqual(['watch running', [1]])
    await stage.restart()
    expect([stage.at, stage.wallet.chains]).toEqual(['watch running', [1]])
  })
})

describe('a daemon that is lost', () => {
  test('and is back in a moment: everything stands again, and nothing is called blocked', async () => {
    const stage = await on()
    stage.daemon.exit()
    await turn()
    expect([stage.snapshot.state, stage.at, stage.problem]).toEqual(['connecting', 'host running', undefined])
    expect(stage.snapshot.trunks).toEqual([])
    await stage.clock.elapse(second)
    expect([stage.snapshot.state, stage.states]).toEqual(['private', ['connecting', 'private']])
  })

  // It was shown as on its way for ever.
  test('for longer, is said to be, with the reason of the last try', async () => {
    const stage = await on()
    stage.daemon.absent = 'Native host has exited.'
    stage.daemon.exit()
    await stage.clock.elapse(6 * second)
    expect([stage.snapshot.state, stage.problem]).toEqual(['blocked', 'host-exited'])
    stage.daemon.absent = 'Specified native messaging host not found.'
    await stage.clock.elapse(minute)
    expect([stage.snapshot.state, stage.problem]).toEqual(['blocked', 'host-not-installed'])
    stage.daemon.absent = undefined
    await stage.clock.elapse(30 * second)
    expect(stage.snapshot.state).toBe('private')
  })

  test('while its own steps are under way, has them taken again', async () => {
    const stage = await Stage.set(network, { enabled: true, wallet: agreed(1) })
    stage.daemon.status = { ...stage.daemon.status, state: 'connecting' }
    await stage.start()
    expect(stage.at).toBe('trunks running')
    stage.daemon.exit()
    await turn()
    stage.daemon.status = { ...stage.daemon.status, state: 'private' }
    await stage.clock.elapse(second)
    expect(stage.snapshot.state).toBe('private')
  })

  // A request that waited at the time was woken by nobody, and gave up after eight seconds.
  test('while a request waits for the document, keeps it waiting for the next one', async () => {
    const stage = await Stage.set(network, { enabled: true, wallet: agreed(1) })
    const { daemon, clock } = stage
    daemon.on('document', () => 'never')
    await stage.start()
    const page = stage.openPage('https://dapp.example')
    const id = page.ask('eth_gasPrice')
    await turn()
    daemon.off('document')
    daemon.exit()
    await clock.elapse(second)
    expect(page.answerTo(id)).toEqual({ result: 'eth_gasPrice of 1' })
  })

  test('has its document verified again before anything is asked over it', async () => {
    const stage = await on()
    const { daemon, clock } = stage
    daemon.on('document', () => 'never')
    daemon.exit()
    await clock.elapse(second)
    const page = stage.openPage('https://dapp.example')
    const id = page.ask('eth_gasPrice')
    await clock.elapse(second)
    expect([stage.at, page.answerTo(id)]).toEqual(['network running', undefined])
    await clock.elapse(8 * second)
    expect(page.codeOf(id)).toBe('network-unreachable')
  })

  test('that comes and goes leaves nothing behind', async () => {
    const stage = await on()
    for (let round = 0; round < 5; round++) {
      stage.daemon.exit()
      await stage.clock.elapse(20 * second)
    }
    expect(stage.snapshot.state).toBe('private')
    await stage.command({ command: 'disconnect' })
    await stage.clock.elapse(minute)
    expect(stage.clock.pending).toBe(0)
  })
})

test('a request that comes while a refused document is fetched again waits for it', async () => {
  const stage = await Stage.set(network, { enabled: true, wallet: agreed(1) })
  const { daemon, clock } = stage
  const good = daemon.document
  daemon.document = ''
  await stage.start()
  expect(stage.problem).toBe('document-malformed')
  daemon.document = good
  daemon.on('document', () => 'never')
  await stage.command({ command: 'retry' })
  const page = stage.openPage('https://dapp.example')
  const id = page.ask('eth_gasPrice')
  await clock.elapse(second)
  expect(page.answerTo(id)).toBeUndefined()
  daemon.off('document')
  daemon.exit()
  await clock.elapse(second)
  expect(page.answerTo(id)).toEqual({ result: 'eth_gasPrice of 1' })
})

describe('what the daemon says changes the state at once', () => {
  test.each([
    ['degraded', 'degraded', 'link-lost'],
    ['blocked', 'blocked', 'network-unreachable'],
    ['connecting', 'blocked', 'network-unreachable'],
  ] as const)('%s is %s', async (said, state, problem) => {
    const stage = await on()
    stage.daemon.setStatus({ state: said })
    await turn()
    expect([stage.snapshot.state, stage.problem]).toEqual([state, problem])
    stage.daemon.setStatus({ state: 'private' })
    await turn()
    expect([stage.snapshot.state, stage.problem]).toEqual(['private', undefined])
  })
})

describe('turned off', () => {
  test('what is under way is told so, and nothing is sent', async () => {
    const stage = await on()
    const { daemon } = stage
    daemon.answer = () => undefined
    const page = stage.openPage('https://dapp.example')
    const id = page.ask('eth_gasPrice', [], { door: 'nightjar' })
    await turn()
    await stage.command({ command: 'disconnect' })
    expect([page.codeOf(id), stage.snapshot.state, daemon.ports.last.isDisconnected]).toEqual([
      'turned-off',
      'off',
      true,
    ])
    expect(stage.scripts.at(-1)).toBe(false)
    const { length } = daemon.texts
    expect(await page.request('eth_call')).toEqual({ pass: true })
    await stage.clock.elapse(hour)
    expect([daemon.texts.length, stage.clock.pending]).toEqual([length, 0])
  })

  test('what waits for the document is told so at once', async () => {
    const stage = await Stage.set(network, { enabled: true, wallet: agreed(1) })
    stage.daemon.on('document', () => 'never')
    await stage.start()
    const page = stage.openPage('https://dapp.example')
    const id = page.ask('eth_gasPrice')
    await turn()
    await stage.command({ command: 'disconnect' })
    expect(page.codeOf(id)).toBe('turned-off')
  })

  test('and on again, subscriptions go on', async () => {
    const stage = await on()
    const page = stage.openPage('https://dapp.example')
    await page.request('eth_subscribe', ['newHeads'])
    await stage.command({ command: 'disconnect' })
    await stage.clock.elapse(minute)
    await stage.command({ command: 'connect' })
    await stage.clock.elapse(30 * second)
    expect(stage.daemon.followed.size).toBe(1)
  })

  test('a click on retry does nothing', async () => {
    const stage = await Stage.set(network)
    await stage.start()
    await stage.command({ command: 'retry' })
    expect([stage.snapshot.state, stage.daemon.ports.all.length]).toEqual(['off', 0])
  })
})
