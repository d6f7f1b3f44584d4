/** Private, and then something breaks: each time the right state, nothing direct, and back again without a question. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import type { Hex } from 'viem'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { goPrivate, popupState, untilPopup } from '../src/browser/index.ts'
import { until } from '../src/network/index.ts'
import { fundedAccount, receiptOf, resultOf, sendAndWait, signTransfer } from './support/chain.ts'
import { askIn, openDapp, useStage } from './support/stage.ts'

// Relays end at once when they are told to.
const stage = useStage({ network: { configure: (config) => ({ ...config, drain_timeout: 0 }) } })
const alice = fundedAccount(0).address
let popup: Page
let dapp: Page
let node: string

beforeAll(async () => {
  node = stage.network.nodes[1] as string
  popup = (await goPrivate(stage)).popup
  dapp = await openDapp(stage)
  stage.leak?.forget()
})

afterEach(() => {
  expect(stage.leak?.seen).toEqual([])
})

const read = () => askIn(dapp, 'MetaMask', 'eth_getBalance', [alice, 'latest'])
const balance = () => resultOf(node, 'eth_getBalance', [alice, 'latest'])

/** Asks, and breaks something once the gateway has passed the question on. */
async function whileAsked(method: string, params: readonly unknown[], breakIt: () => Promise<void>) {
  const provider = stage.network.providers[1]
  if (provider === undefined) throw new Error('chain 1 is there')
  provider.forget()
  provider.delay = 1000
  try {
    const asked = askIn(dapp, 'MetaMask', method, params)
    await until('the provider is asked', () => provider.seen.some(({ body }) => body.includes(method)))
    await breakIt()
    provider.delay = 0
    return await asked
  } finally {
    provider.delay = 0
  }
}

test('the service worker is stopped during a read: it is answered', async () => {
  const { result } = await whileAsked('eth_getBalance', [alice, 'latest'], () => stage.browser.stopServiceWorkers())
  expect(result).toBe(await balance())
  await untilPopup(popup, 'Private')
})

test('the service worker is stopped during a send: the page is told that it may or may not be out', async () => {
  const account = fundedAccount(3)
  const raw = await signTransfer(
    account,
    1,
    Number(await resultOf(node, 'eth_getTransactionCount', [account.address, 'latest'])),
  )
  const { error } = await whileAsked('eth_sendRawTransaction', [raw], () => stage.browser.stopServiceWorkers())
  expect(error?.data?.nightjar).toBe('outcome-unknown')
  const sent = stage.network.providers[1]?.seen.filter(({ body }) => body.includes('eth_sendRawTransaction'))
  expect(sent).toHaveLength(1)
})

test('subscriptions go on after the service worker was stopped', async () => {
  await dapp.getByTestId('providers').selectOption('MetaMask')
  await dapp.getByTestId('subscribe-heads').click()
  const pushed = async () => (await dapp.getByTestId('pushes').innerText()).split('parentHash').length - 1
  const mineUntilPushed = async (count: number) =>
    until(`${count} blocks are pushed`, async () => {
      await sendAndWait(node, {})
      return (await pushed()) >= count
    })
  await mineUntilPushed(1)
  await stage.browser.stopServiceWorkers()
  await mineUntilPushed((await pushed()) + 1)
  await dapp.getByTestId('unsubscribe').click()
})

test('the daemon is killed during a read: another is started, the read is answered, the wallet is not asked', async () => {
  const { result } = await whileAsked('eth_getBalance', [alice, 'latest'], async () => {
    stage.network.daemon.process.signal('SIGKILL')
    await stage.network.daemon.process.ended
  })
  expect(result).toBe(await balance())
  await untilPopup(popup, 'Private')
})

test('a daemon that cannot start says why, and once it can is started without a click', async () => {
  const file = join(stage.network.daemon.home, 'config.yaml')
  const good = await readFile(file, 'utf8')
  await writeFile(file, good.replace('"endpoint"', '"endpiont"'))
  await stage.network.daemon.run('stop')
  await untilPopup(popup, 'Blocked')
  await popup.getByText(/endpiont/).waitFor()
  const { error } = await read()
  expect(error).toMatchObject({ code: 4900, data: { nightjar: 'daemon-failed' } })
  await writeFile(file, good)
  await untilPopup(popup, 'Private')
  expect((await read()).result).toBe(await balance())
})

test('no relay can be reached: blocked, every request fails with a sentence; then private again', async () => {
  const relays = stage.network.relays.all
  await Promise.all(relays.map((relay) => relay.process.stop()))
  await untilPopup(popup, 'Blocked')
  const { error } = await read()
  expect(error?.code).toBe(4900)
  expect(error?.message).toMatch(/never goes direct/)
  await Promise.all(relays.map((relay) => relay.restart()))
  await untilPopup(popup, 'Private')
  expect((await read()).result).toBe(await balance())
})

test('the browser is restarted: private without a click, from the first page on', async () => {
  await stage.restartBrowser()
  dapp = await openDapp(stage)
  // In the first moments scripts may not be in force yet: the page is then loaded again.
  await until(
    'the page is covered',
    async () => (await dapp.evaluate('globalThis.demo?.providers().includes("Nightjar")').catch(() => false)) === true,
  )
  expect((await read()).result).toBe(await balance())
  popup = await stage.nightjar.openPopup()
  await untilPopup(popup, 'Private')
})

test('a send after all of it', async () => {
  const account = fundedAccount(4)
  const raw = await signTransfer(
    account,
    1,
    Number(await resultOf(node, 'eth_getTransactionCount', [account.address, 'latest'])),
  )
  const { result } = await askIn(dapp, 'Nightjar', 'eth_sendRawTransaction', [raw])
  expect((await receiptOf(node, result as Hex)).status).toBe('0x1')
})

test('turned off: the way back is shown, pages are left alone, new pages do not see it', async () => {
  await popup.getByRole('button', { name: 'Turn off' }).click()
  await popup.getByText(/Default RPC URL/i).waitFor()
  await popup.getByRole('button', { name: 'Turn off' }).click()
  await untilPopup(popup, 'Off')
  expect(await popupState(popup)).toBe('Off')
  // The page that was open asks its wallet, which asks the endpoint: private still, as long as the daemon runs.
  expect((await read()).result).toBe(await balance())
  expect((await askIn(dapp, 'Nightjar', 'eth_blockNumber')).error).toMatchObject({ data: { nightjar: 'turned-off' } })
  const fresh = await openDapp(stage)
  expect(await fresh.evaluate('demo.providers()')).toEqual(['MetaMask', 'window.ethereum'])
})
