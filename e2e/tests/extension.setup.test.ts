/** What can go wrong on the way to Private: each with the right state, a sentence that helps, and a way on. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { beforeEach, describe, expect, test } from 'vitest'
import { untilPopup } from '../src/browser/index.ts'
import { resultOf } from './support/chain.ts'
import { scriptedHost } from './support/hosts.ts'
import { askIn, openDapp, replaceHost, useStage } from './support/stage.ts'

/** Each test has a browser of its own, in which nothing has been clicked; the network is one. */
const stage = useStage({ withoutHost: true, pollPeriod: 500 })

async function click(): Promise<Page> {
  const popup = await stage.nightjar.openPopup()
  await popup.getByRole('button', { name: 'Go private' }).click()
  return popup
}

async function expectProblem(popup: Page, text: RegExp): Promise<void> {
  await popup.getByText(text).first().waitFor()
}

beforeEach(() => stage.replaceBrowser())

describe('the native program', () => {
  test('is not installed: blocked, with the command to run; once it is there it goes on by itself', async () => {
    const popup = await click()
    await untilPopup(popup, 'Blocked')
    await expectProblem(popup, /not installed for this browser/)
    await stage.install()
    await untilPopup(popup, 'Going private')
    expect((await stage.wallet.prompt()).kind).toBe('add-network')
  })

  test.each<[string, Parameters<typeof scriptedHost>[1], RegExp]>([
    ['older than the extension', { kind: 'version', bridge: 0 }, /older than this extension/],
    ['newer than the extension', { kind: 'version', bridge: 999 }, /extension is older/],
    ['no program of ours', { kind: 'garbage' }, /cannot be read/],
    ['one that ends at once', { kind: 'exit' }, /ended/],
  ])('is %s: blocked, and says so', async (_, behaviour, sentence) => {
    await stage.install()
    await replaceHost(stage, await scriptedHost(stage, behaviour))
    const popup = await click()
    await untilPopup(popup, 'Blocked')
    await expectProblem(popup, sentence)
  })
})

describe('the wallet', () => {
  beforeEach(() => stage.install())

  test('refuses: sites are private, MetaMask is not, and the popup says which; trying again works', async () => {
    const popup = await click()
    await stage.wallet.reject()
    await untilPopup(popup, 'Partly private')
    await expectProblem(popup, /dialog was rejected/)
    const dapp = await openDapp(stage)
    stage.leak?.forget()
    expect((await askIn(dapp, 'MetaMask', 'eth_gasPrice')).result).toBe(
      await resultOf(stage.network.nodes[1] as string, 'eth_gasPrice'),
    )
    expect(stage.leak?.seen).toEqual([])
    await popup.getByRole('button', { name: /try again|retry/i }).click()
    expect((await stage.wallet.prompt()).kind).toBe('add-network')
  })

  test('is locked: the popup says what to do, and goes on once it is unlocked', async () => {
    await stage.wallet.lock()
    const popup = await click()
    await popup.getByText(/may be locked/).waitFor()
    await stage.wallet.unlock()
    expect((await stage.wallet.prompt()).kind).toBe('add-network')
  })

  test('has another id: nobody answers, sites are private; with a page open its provider is asked', async () => {
    await stage.nightjar.configure({ wallet: 'abcdefghijklmnopabcdefghijklmnop' })
    const popup = await click()
    await untilPopup(popup, 'Partly private')
    await expectProblem(popup, /No wallet answered/)
    const dapp = await openDapp(stage)
    await dapp.bringToFront()
    // The popup is a tab here, and would otherwise be the active one.
    await popup.getByRole('button', { name: /try again|retry/i }).dispatchEvent('click')
    expect((await stage.wallet.prompt()).origin).toBe('http://dapp.example')
    await stage.wallet.reject()
    await expectProblem(popup, /dialog was rejected/)
  })

  test('cancelled while its dialog is open: off; once more, and the open dialog is what has to be answered', async () => {
    const popup = await click()
    await stage.wallet.prompt()
    await popup.getByRole('button', { name: 'Cancel' }).click()
    await untilPopup(popup, 'Off')
    await popup.getByRole('button', { name: 'Go private' }).click()
    await untilPopup(popup, 'Partly private')
    await expectProblem(popup, /still shows an earlier dialog/)
    await stage.wallet.approve()
    await popup.getByRole('button', { name: /try again|retry/i }).click()
    // The first chain is set by now; the dialog is of the second.
    await stage.wallet.approve()
    await stage.wallet.openHome()
    await untilPopup(popup, 'Private')
  })
})

describe('the network', () => {
  beforeEach(() => stage.install())

  test('is not the one whose keys are set: blocked, and nothing is sent', async () => {
    const { keys, threshold } = stage.network.relays.trust
    const others = keys.map((_, index) => Buffer.alloc(32, index + 1).toString('base64'))
    await stage.nightjar.configure({ trust: { keys: others, threshold } })
    const popup = await click()
    await untilPopup(popup, 'Blocked')
    await expectProblem(popup, /lacks valid signatures/)
  })

  test('has no gateway for one of the chains: partly private, the others are served and their wallet is set', async () => {
    const file = join(stage.network.daemon.home, 'config.yaml')
    const config = JSON.parse(await readFile(file, 'utf8'))
    await writeFile(file, JSON.stringify({ ...config, chains: [1, 31337, 5] }))
    await stage.network.daemon.run('stop')
    const popup = await click()
    await stage.wallet.approve()
    await stage.wallet.approve()
    await stage.wallet.openHome()
    await untilPopup(popup, 'Partly private')
    await expectProblem(popup, /No gateway serves Chain 5/)
    const dapp = await openDapp(stage)
    expect((await askIn(dapp, 'Nightjar', 'eth_chainId')).result).toBe('0x1')
    expect((await askIn(dapp, 'Nightjar', 'eth_blockNumber')).error).toBeUndefined()
    await writeFile(file, JSON.stringify(config))
    await stage.network.daemon.run('stop')
    await untilPopup(popup, 'Private')
  })
})
