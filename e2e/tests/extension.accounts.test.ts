/**
 * Accounts that a page names, kept apart in a real browser: the native program and the gateways see each by itself, the
 * page sees what the node says; what cannot be taken apart is refused; a gateway that lies is named.
 */

import type { Page } from 'playwright-core'
import { encodeFunctionData, type Hex, parseAbi } from 'viem'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { goPrivate } from '../src/browser/index.ts'
import { until } from '../src/network/index.ts'
import { fundedAccount, resultOf, sendAndWait } from './support/chain.ts'
import { type MiddleHost, startMiddleHost } from './support/middleHost.ts'
import { askedFor } from './support/provider.ts'
import { askIn, openDapp, useStage } from './support/stage.ts'
import { accountsByBranch } from './support/views.ts'
import { multicall3, placeWalletContracts, token } from './support/walletContracts.ts'

let middle: MiddleHost
const stage = useStage({ pollPeriod: 500, network: { viewed: true, accounts: {} } }, async (stage) => {
  middle = await startMiddleHost(stage)
  await middle.install()
})
const [anna, bert] = [0, 1].map((index) => fundedAccount(index).address.toLowerCase()) as [Hex, Hex]
/** Of a page's own, which the wallet does not have: no other part of Nightjar asks about it. */
const carl = fundedAccount(5).address.toLowerCase() as Hex
let node: string
let popup: Page
let dapp: Page

beforeAll(async () => {
  node = stage.network.nodes[1] as string
  await placeWalletContracts(node)
  await choose('#accounts-apart', async (page) => {
    expect(await page.locator('#accounts-apart').isChecked()).toBe(true)
    await page.locator('#accounts-freshness').fill('1')
  })
  popup = (await goPrivate(stage)).popup
  dapp = await openDapp(stage)
  const connected = askIn(dapp, 'MetaMask', 'eth_requestAccounts')
  await stage.wallet.approve([0, 1])
  expect(await connected).toEqual({ result: [anna, bert] })
})
afterAll(() => middle.close())
afterEach(() => {
  const provider = stage.network.providers[1]
  if (provider !== undefined) provider.forge = undefined
})

/** Sets something in the options, and saves it. */
async function choose(selector: string, set: (page: Page) => Promise<unknown>): Promise<void> {
  const page = await stage.browser.openPage('nightjar', 'src/options/index.html')
  await page.locator(selector).waitFor()
  await set(page)
  await page.locator('button[type=submit]').click()
  await page.getByText('Saved.', { exact: true }).waitFor()
  await page.close()
}

/** Labels of the questions that cross the bridge meanwhile, with how many there were of each. */
async function labelsDuring(action: () => Promise<unknown>): Promise<ReadonlyMap<string, number>> {
  const before = middle.groups.length
  await action()
  const counts = new Map<string, number>()
  for (const label of middle.groups.slice(before)) counts.set(label, (counts.get(label) ?? 0) + 1)
  return counts
}

/** The label under which this is asked: that of each of three times, whatever else is asked meanwhile. */
async function labelOf(method: string, params: readonly unknown[]): Promise<string> {
  // For ten seconds after another account was asked for it is put off.
  await until('it is the turn of what is asked for', async () => {
    const { error } = await askIn(dapp, 'MetaMask', method, params)
    return error === undefined
  })
  const counts = await labelsDuring(async () => {
    for (let time = 0; time < 3; time++) await askIn(dapp, 'MetaMask', method, params)
  })
  const [label, ...others] = [...counts].filter(([, count]) => count >= 3).map(([label]) => label)
  expect(others).toEqual([])
  return label as string
}

const views = parseAbi([
  'function getEthBalance(address) view returns (uint256)',
  'function balanceOf(address) view returns (uint256)',
  'function totalSupply() view returns (uint256)',
  'function aggregate3((address target, bool allowFailure, bytes callData)[]) view returns ((bool, bytes)[])',
])
const viewOf = (target: Hex, functionName: 'getEthBalance' | 'balanceOf', account: Hex) => ({
  target,
  allowFailure: true,
  callData: encodeFunctionData({ abi: views, functionName, args: [account] }),
})
const calls: readonly { target: Hex; allowFailure: boolean; callData: Hex }[] = [
  viewOf(multicall3, 'getEthBalance', anna),
  viewOf(token, 'balanceOf', bert),
  { target: token, allowFailure: true, callData: encodeFunctionData({ abi: views, functionName: 'totalSupply' }) },
  viewOf(multicall3, 'getEthBalance', bert),
  viewOf(token, 'balanceOf', anna),
]
const multicall = {
  to: multicall3,
  data: encodeFunctionData({ abi: views, functionName: 'aggregate3', args: [calls] }),
}
/** Names both in a way that nobody knows how to take apart. */
const both = { to: token, data: `0x12345678${[anna, bert].map((each) => each.slice(2).padStart(64, '0')).join('')}` }

test('a gateway that lies about a balance is named in the popup, and the page is told the truth', async () => {
  const provider = stage.network.providers[1]
  if (provider === undefined) throw new Error('the network has no provider')
  const truth = await resultOf(node, 'eth_getBalance', [carl, 'latest'])
  const isAnswered = async () => {
    const block = await resultOf(node, 'eth_blockNumber')
    const { result, error } = await askIn(dapp, 'MetaMask', 'eth_getBalance', [carl, block])
    if (error === undefined) expect(result).toBe(truth)
    return error === undefined
  }
  // The page has just asked about the account that it is connected with: it is that one's turn for some seconds.
  await until('it is the turn of this account', isAnswered)
  // Its watch, and those of the wallet's accounts, begin within half an hour.
  await popup.getByText(/^\d+ of \d+ known$/).waitFor()
  expect(await popup.locator('.apart').innerText()).toContain('Accounts are read one by one')
  const lies = new Set<string>()
  provider.forge = ({ from, method, params, response }) => {
    if (method !== 'eth_getProof' || params[0] !== carl) return response
    lies.add(from)
    return { ...response, result: { ...(response.result as object), balance: '0x1' } }
  }
  await until('the lie is shown', async () => {
    await sendAndWait(node, {})
    await isAnswered()
    return (await popup.getByText(/said what is proved false: an account’s balance/).count()) > 0
  })
  provider.forge = undefined
  const liars = stage.network.relays.all.filter(({ host }) => lies.has(host)).map(({ name }) => name)
  const said = await popup.locator('.problem').allInnerTexts()
  expect(said.some((text) => liars.some((name) => text.includes(name)))).toBe(true)
  await until('another gateway is asked', isAnswered)
})

test('questions about two accounts cross the bridge in groups of their own; one Multicall about both is put off', async () => {
  const ofAnna = await labelOf('eth_getStorageAt', [anna, '0x0', 'latest'])
  const ofBert = await labelOf('eth_getStorageAt', [bert, '0x0', 'latest'])
  const ofSite = await labelOf('eth_gasPrice', [])
  expect(new Set([ofAnna, ofBert, ofSite]).size).toBe(3)

  // Its parts would be asked within the next half hour, if the page went on asking: tests of shared/accounts wait that long, and
  // accounts.apart.test.ts shows that they make the node's answer.
  const provider = stage.network.providers[1]
  provider?.forget()
  for (let time = 0; time < 3; time++) {
    const { error } = await askIn(dapp, 'MetaMask', 'eth_call', [multicall, 'latest'])
    expect(error).toMatchObject({ data: { nightjar: 'still-apart' } })
  }
  // Nothing else asks for the supply of the token.
  const [, , supply] = calls
  expect(askedFor(provider, supply?.callData.slice(2) ?? '')).toEqual([])

  const names = new Map([anna, bert].map((account) => [account, account]))
  const branches = accountsByBranch(stage.network, names)
  expect([...branches.values()].filter((accounts) => accounts.size > 1)).toEqual([])
  expect(new Set([...branches.values()].flatMap((accounts) => [...accounts]))).toEqual(new Set([anna, bert]))
})

test('what cannot be taken apart is refused and shown; allowed, it is sent in a group of its own, and shown', async () => {
  const provider = stage.network.providers[1]
  provider?.forget()
  const { error } = await askIn(dapp, 'MetaMask', 'eth_call', [both, 'latest'])
  expect(error).toMatchObject({ code: 4100, data: { nightjar: 'would-link' } })
  expect(askedFor(provider, both.data)).toEqual([])
  await popup.getByText('Refused 1 time: a call that names several accounts').waitFor()

  await choose('input[value=alone]', (page) => page.locator('input[value=alone]').check())
  const known = new Set(middle.groups)
  let answer: unknown
  const labels = await labelsDuring(async () => {
    answer = await askIn(dapp, 'MetaMask', 'eth_call', [both, 'latest'])
  })
  expect(answer).toEqual({ result: await resultOf(node, 'eth_call', [both, 'latest']) })
  expect([...labels.keys()].filter((label) => !known.has(label))).toHaveLength(1)
  expect(askedFor(provider, both.data)).toHaveLength(1)
  await popup.getByText('Sent 1 time: a call that names several accounts').waitFor()
})
