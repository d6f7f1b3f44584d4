/** The background as a whole: what the user sets, what is counted, what is said to have gone wrong. */
import { NightjarError } from '@nightjar/shared/errors'
import { day, minute, second } from '@nightjar/shared/runtime'
import { turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { createNetwork } from './testing/network.ts'
import { agreed, Stage } from './testing/stage.ts'

const network = await createNetwork({ one: [1] })
const other = await createNetwork({ two: [1] }, { seed: 'other directory' })
const otherWallet = 'b'.repeat(32)

async function on() {
  const stage = await Stage.set(network, { enabled: true, wallet: agreed(1) })
  await stage.start()
  expect(stage.snapshot.state).toBe('private')
  return stage
}

async function save(stage: Stage, changes: object) {
  const { directoryIsBuiltIn: _, shield: __, ...settings } = stage.snapshot.settings
  await stage.command({ command: 'save', settings: { ...settings, ...changes } })
}

describe('settings that change while it is on', () => {
  test('other sites: scripts follow, nothing else is touched', async () => {
    const stage = await on()
    stage.daemon.requests.length = 0
    stage.states.length = 0
    await save(stage, { sites: ['https://a.example/*'] })
    expect([stage.scripts, stage.states, stage.daemon.requests]).toEqual([[true, true], [], []])
    const [chosen, left] = [stage.openPage('https://a.example'), stage.openPage('https://b.example')]
    expect(await chosen.request('eth_gasPrice')).toEqual({ result: 'eth_gasPrice of 1' })
    expect(await left.request('eth_gasPrice')).toEqual({ pass: true })
  })

  test('another wallet: it is asked, and what the old one agreed to is forgotten', async () => {
    const stage = await on()
    await save(stage, { wallet: otherWallet })
    expect([stage.wallet.askedIds, stage.wallet.chains, stage.at]).toEqual([[otherWallet], [1], 'watch running'])
    expect(stage.snapshot.wallet).toEqual({ id: otherWallet, state: 'agreed' })
  })

  test('another wallet while it is off: nobody is asked yet', async () => {
    const stage = await Stage.set(network, { wallet: agreed(1) })
    await stage.start()
    await save(stage, { wallet: otherWallet })
    expect([stage.wallet.askedIds, stage.store.state.wallet.chains]).toEqual([[], []])
  })

  test('another directory: the old document counts for nothing, nor does how new it was', async () => {
    const stage = await on()
    const page = stage.openPage('https://dapp.example')
    await page.request('eth_gasPrice')
    stage.daemon.document = await other.document(stage.clock.now())
    await save(stage, { directory: other.directory })
    // The daemon still names the gateways of the old network.
    expect(stage.snapshot).toMatchObject({
      state: 'blocked',
      networkVersion: 1,
      problem: { code: 'gateway-untrusted' },
    })
    stage.daemon.asked.length = 0
    const id = page.ask('eth_gasPrice')
    await turn()
    expect([page.codeOf(id), stage.daemon.asked]).toEqual(['gateway-untrusted', []])
    // And back: the build's directory, and its documents from the first on.
    stage.daemon.document = await network.document(stage.clock.now())
    await stage.command({ command: 'reset-directory' })
    expect(stage.snapshot).toMatchObject({ state: 'private', settings: { directoryIsBuiltIn: true } })
  })

  test('another directory, whose document the daemon does not have: blocked, and what waits is told', async () => {
    const stage = await on()
    await save(stage, { directory: other.directory })
    expect([stage.snapshot.state, stage.problem]).toEqual(['blocked', 'document-under-signed'])
    const page = stage.openPage('https://dapp.example')
    const id = page.ask('eth_gasPrice')
    await turn()
    expect(page.codeOf(id)).toBe('document-under-signed')
  })

  test('another directory: what was open under the old one is closed', async () => {
    const stage = await on()
    const page = stage.openPage('https://dapp.example')
    await page.request('eth_gasPrice')
    const before = [...stage.daemon.branches.keys()]
    expect(before).toHaveLength(2)
    await save(stage, { directory: { ...network.directory, threshold: 1 } })
    for (const branch of before) expect(stage.daemon.branches.has(branch)).toBe(false)
    expect(await page.request('eth_gasPrice')).toEqual({ result: 'eth_gasPrice of 1' })
  })

  // For a moment requests failed, and blamed the computer's clock.
  test('a request in that very moment waits for the new document', async () => {
    const stage = await on()
    const page = stage.openPage('https://dapp.example')
    stage.daemon.on('document', () => 'never')
    await save(stage, { directory: { ...network.directory, threshold: 1 } })
    const id = page.ask('eth_gasPrice')
    await turn()
    expect(page.answerTo(id)).toBeUndefined()
    stage.daemon.off('document')
    stage.daemon.exit()
    await stage.clock.elapse(second)
    expect(page.answerTo(id)).toEqual({ result: 'eth_gasPrice of 1' })
  })

  test('settings that are refused change nothing', async () => {
    const stage = await on()
    await save(stage, { wallet: 'nonsense' })
    expect(stage.ui.posted.at(-1)).toEqual({ saved: false, field: 'wallet', reason: expect.any(String) })
    expect([stage.snapshot.state, stage.wallet.askedIds]).toEqual(['private', []])
  })
})

test('without directory keys nothing begins, and the user is told why', async () => {
  const stage = await Stage.set({ ...network, directory: { keys: [], threshold: 1 } }, { enabled: true })
  await stage.start()
  expect([stage.at, stage.snapshot.state, stage.problem]).toEqual(['network failed', 'blocked', 'no-directory-keys'])
})

describe('what is counted', () => {
  test('are requests of sites that were answered, today', async () => {
    const stage = await on()
    expect(stage.snapshot.requestsToday).toBe(0)
    const page = stage.openPage('https://dapp.example')
    await page.request('eth_gasPrice')
    await page.request('eth_gasPrice')
    await page.request('eth_notAMethod')
    expect(stage.snapshot.requestsToday).toBe(2)
    await stage.clock.elapse(10 * second)
    await stage.restart()
    expect(stage.snapshot.requestsToday).toBe(2)
    stage.clock.advance(day)
    expect(stage.openUi().posted[0]).toMatchObject({ snapshot: { requestsToday: 0 } })
  })

  test('is stored as a number, with no word of which sites', async () => {
    const stage = await on()
    await stage.openPage('https://private-dapp.example').request('eth_getBalance', ['0xd8da6bf2', 'latest'])
    await stage.clock.elapse(minute)
    expect(JSON.stringify(stage.stored)).not.toMatch(/private-dapp|d8da6bf2|getBalance/)
    expect(stage.stored).toMatchObject({ today: { requests: 1 } })
  })
})

describe('the last error', () => {
  test('is what a site was told, without its facts', async () => {
    const stage = await on()
    const page = stage.openPage('https://dapp.example')
    await page.request('debug_traceSecret')
    expect(stage.snapshot.lastError).toMatchObject({ code: 'method-not-allowed', at: stage.clock.now() })
    expect(JSON.stringify(stage.snapshot)).not.toMatch(/debug_traceSecret|dapp\.example/)
  })

  test('is also that the browser refused the scripts: pages would go uncovered without a word', async () => {
    const stage = await Stage.set(network)
    stage.applyScripts = () => Promise.reject(new NightjarError('internal', { detail: 'scripts' }))
    await stage.start()
    await stage.command({ command: 'connect' })
    expect(stage.snapshot.lastError?.code).toBe('internal')
  })
})

test('the toolbar is told of the state when it changes, and not with each request', async () => {
  const stage = await on()
  const page = stage.openPage('https://dapp.example')
  for (let count = 0; count < 20; count++) await page.request('eth_gasPrice')
  expect(stage.states.slice(-2)).toEqual(['connecting', 'private'])
  expect(stage.states.length).toBeLessThan(5)
})
