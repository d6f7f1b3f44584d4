/** MetaMask's own test page (npm: @metamask/test-dapp), run against the provider that Nightjar wraps. */
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { goPrivate, type StaticServer, serveFolder } from '../src/browser/index.ts'
import { distFolder, until } from '../src/network/index.ts'
import { fundedAccount, resultOf } from './support/chain.ts'
import { useStage } from './support/stage.ts'

let server: StaticServer
const account = fundedAccount(0).address.toLowerCase()
const stage = useStage()
let page: Page
let node: string

beforeAll(async () => {
  node = stage.network.nodes[1] as string
  server = await serveFolder(join(distFolder(), '..', 'node_modules', '@metamask', 'test-dapp', 'dist'))
  await goPrivate(stage)
  stage.leak?.forget()
  page = await stage.browser.context.newPage()
  await page.goto(`${server.url}/index.html`)
  return () => server.close()
})

afterEach(() => {
  // Whatever the page did: nothing of it went to the wallet's own provider.
  expect(stage.leak?.seen).toEqual([])
})

/** Also of what the page has folded away. */
const text = async (id: string) => (await page.locator(`#${id}`).textContent()) ?? ''
const shows = (id: string, wanted: RegExp) => until(`${id} shows ${wanted}`, async () => wanted.test(await text(id)))
const transactions = async () => Number(await resultOf(node, 'eth_getTransactionCount', [account, 'latest']))

/** Presses `button` and approves what the wallet asks. */
async function approve(button: string): Promise<void> {
  await page.locator(`#${button}`).click()
  await stage.wallet.approve()
}

test('sees Nightjar and MetaMask among the providers, and connects', async () => {
  await page.locator('#providers').getByText('Nightjar').first().waitFor()
  await page.locator('#providers').getByText('MetaMask').first().waitFor()
  // The wallet's own, as Nightjar wraps it: the page knows only MetaMask by its flags.
  await page.getByRole('button', { name: 'Use MetaMask' }).click()
  await shows('chainId', /^0x1$/)
  await approve('connectButton')
  await shows('accounts', new RegExp(account, 'i'))
})

test('reads the accounts', async () => {
  await page.locator('#getAccounts').click()
  await shows('getAccountsResult', new RegExp(account, 'i'))
})

test('signs a message and has the wallet recover who signed it', async () => {
  await approve('personalSign')
  await shows('personalSignResult', /^0x[0-9a-f]{130}$/)
})

test('signs typed data', async () => {
  await approve('signTypedDataV4')
  await shows('signTypedDataV4Result', /^0x[0-9a-f]{130}$/)
})

test('sends a transaction', async () => {
  const before = await transactions()
  await approve('sendButton')
  await until('it is in a block', async () => (await transactions()) === before + 1)
})

test('deploys its contract, whose receipt it waits for, and calls it', async () => {
  await approve('deployButton')
  await shows('contractStatus', /deployed/i)
  const before = await transactions()
  await approve('depositButton')
  await shows('contractStatus', /deposit completed/i)
  expect(await transactions()).toBe(before + 1)
})

test('all of it was asked by gateways', async () => {
  const gateways = stage.network.relays.all.filter(({ roles }) => roles.includes('gateway')).map(({ host }) => host)
  const seen = stage.network.providers[1]?.seen ?? []
  for (const method of ['eth_sendRawTransaction', 'eth_getTransactionReceipt']) {
    expect(seen.some(({ body }) => body.includes(method))).toBe(true)
  }
  for (const { from } of seen) expect(gateways).toContain(from)
})
