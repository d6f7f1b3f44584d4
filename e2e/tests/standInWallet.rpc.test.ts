/** The stand-in wallet towards RPC endpoints: what it asks, when, in which form, and how it takes failures. */
import type { Page } from 'playwright-core'
import {
  decodeFunctionData,
  encodeAbiParameters,
  type Hex,
  numberToHex,
  parseAbi,
  parseEther,
  parseTransaction,
} from 'viem'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { extensionIds } from '../src/browser/index.ts'
import { until } from '../src/network/index.ts'
import { deploy, fundedAccount, loudContract, resultOf, sendAndWait, stranger } from './support/chain.ts'
import { type RpcEndpoint, startRpcEndpoint } from './support/rpcEndpoint.ts'
import { ask, chainParams, useStandIn } from './support/standIn.ts'

const pollPeriod = 40
const it = useStandIn({ pollPeriod, retryDelay: 1 })
const accounts = [0, 1, 2].map((index) => fundedAccount(index).address.toLowerCase() as Hex)
const [account] = accounts as [Hex]
const balanceChecker = '0xb1f8e55c7f64d203c1400b9d8555d050f94adf39'
const multicall3 = '0xca11bde05977b3631167028862be2a173976ca11'

/** An endpoint of chain 31337 that a test may have to itself. */
let endpoint: RpcEndpoint

beforeEach(async () => {
  endpoint = await startRpcEndpoint(it.chain.url)
  it.infura.forget()
})

afterEach(async () => {
  for (const page of it.browser.context.pages().slice(1)) await page.close()
  await endpoint.close()
})

/** A connected dapp on chain 31337, which the wallet asks over `url`. */
async function openOn31337(url: string): Promise<Page> {
  const page = await it.browser.context.newPage()
  await page.goto('http://dapp.example/')
  const connecting = ask(page, 'wallet_requestPermissions', [{ eth_accounts: {} }])
  await it.wallet.approve()
  await connecting
  await use(page, url)
  return page
}

/** Has the wallet use `url` for chain 31337. */
async function use(page: Page, url: string): Promise<void> {
  const adding = ask(page, 'wallet_addEthereumChain', chainParams('0x7a69', url))
  await it.wallet.approve()
  expect(await adding).toEqual({ result: null })
}

/** Those of the first call of the method. */
function paramsOf(asked: RpcEndpoint, method: string): readonly unknown[] {
  return asked.calls(method)[0]?.params ?? []
}

function problemOf(home: Page, chainId: string): Promise<string> {
  return home.getByTestId(`problem-${chainId}`).innerText()
}

test('home page open: block, balances of all accounts in one call, every second time two multicalls', async () => {
  const checked = encodeAbiParameters([{ type: 'uint256[]' }], [[1n, 2n, 3n].map((ether) => parseEther(String(ether)))])
  it.infura.script = ({ params: [call] }) =>
    (call as { to?: string } | undefined)?.to === balanceChecker ? { result: checked } : undefined
  await it.browser.context.addCookies([{ name: 'known', value: 'yes', domain: '127.0.0.1', path: '/' }])
  expect(it.infura.seen).toEqual([])
  const home = await it.wallet.openHome()
  await until('it has polled four times', () => it.infura.calls('eth_blockNumber').length >= 5)
  await home.close()

  const { seen } = it.infura
  const block = await resultOf(it.chain.url, 'eth_blockNumber')
  const toChecker = { to: balanceChecker, data: expect.stringMatching(/^0xf0002ea9/) }
  const toMulticall = { to: multicall3, data: expect.stringMatching(/^0x82ad56cb/) }
  const base = [
    ['eth_blockNumber', []],
    ['eth_getBlockByNumber', [block, false]],
    ['eth_call', [toChecker, block]],
  ]
  const multicalls = Array(2).fill(['eth_call', [toMulticall, block]])
  const polls = [...base, ...multicalls, ...base, ...base, ...multicalls, ...base]
  expect(seen.slice(0, polls.length).map(({ method, params }) => [method, params])).toEqual(polls)

  const [{ data }] = paramsOf(it.infura, 'eth_call') as [{ data: Hex }]
  const abi = parseAbi(['function balances(address[] users, address[] tokens) view returns (uint256[])'])
  const [users] = decodeFunctionData({ abi, data }).args
  expect(users.map((user) => user.toLowerCase())).toEqual(accounts)

  for (const { httpMethod, headers, method } of seen) {
    expect(method).not.toBe('a batch')
    expect(httpMethod).toBe('POST')
    expect(headers).toMatchObject({
      origin: `chrome-extension://${extensionIds.wallet}`,
      'sec-fetch-site': 'none',
      'content-type': 'application/json',
    })
    expect(headers).not.toHaveProperty('cookie')
  }
  it.infura.script = () => undefined
})

test('home page closed or wallet locked: no request', async () => {
  const home = await it.wallet.openHome()
  await until('it polls', () => it.infura.calls('eth_blockNumber').length >= 2)
  await home.close()
  const quiet = async () => {
    const polls = it.infura.calls('eth_blockNumber').length
    const started = Date.now()
    // Each takes a page to be opened and closed.
    while (Date.now() - started < 10 * pollPeriod) await it.wallet.networks()
    return it.infura.calls('eth_blockNumber').length - polls
  }
  // One may have been on its way.
  expect(await quiet()).toBeLessThanOrEqual(1)
  expect(await quiet()).toBe(0)

  await it.wallet.lock()
  const locked = await it.wallet.openHome()
  expect(await quiet()).toBe(0)
  await locked.getByTestId('unlock').click()
  const polls = it.infura.calls('eth_blockNumber').length
  await until('it polls again', () => it.infura.calls('eth_blockNumber').length > polls)
})

test('no balance checker (-32601): one eth_getBalance for each account, together', async () => {
  it.infura.script = ({ method, params: [call] }) =>
    method === 'eth_call' && (call as { to?: string }).to === balanceChecker
      ? { error: { code: -32601, message: 'not here' } }
      : undefined
  const home = await it.wallet.openHome()
  await until('it has asked for each', () => it.infura.calls('eth_getBalance').length >= 3)
  await home.getByTestId('balance-0x1-2').filter({ hasText: 'ETH' }).waitFor()
  await home.close()
  const asked = it.infura.calls('eth_getBalance').slice(0, 3)
  expect(asked.map(({ params: [address] }) => address).toSorted()).toEqual(accounts.toSorted())
  for (const { params } of asked) expect(params[1]).toMatch(/^0x/)
  expect((asked[2]?.at ?? 0) - (asked[0]?.at ?? 0)).toBeLessThan(150)
  it.infura.script = () => undefined
})

test('a refused balance checker: balances stay as they were, it goes on asking, multicalls too', async () => {
  const home = await it.wallet.openHome()
  const balance = home.getByTestId('balance-0x1-2')
  await balance.filter({ hasText: 'ETH' }).waitFor()
  const before = await balance.innerText()
  it.infura.script = ({ method, params: [call] }) =>
    method === 'eth_call' && (call as { to?: string }).to === balanceChecker
      ? { error: { code: -32005, message: 'read one by one' } }
      : undefined
  // A poll that was under way is over by then.
  await home.getByTestId('problem-0x1').filter({ hasText: 'read one by one' }).waitFor()
  it.infura.forget()
  // Had these been failures, the circuit breaker would have stopped it after 35.
  await until('it has asked often', () => it.infura.calls('eth_getBlockByNumber').length > 36)
  const toMulticall = it.infura.calls('eth_call').filter(({ params: [call] }) => {
    return (call as { to?: string }).to === multicall3
  })
  expect(toMulticall.length).toBeGreaterThan(30)
  expect(it.infura.calls('eth_getBalance')).toEqual([])
  expect(await problemOf(home, '0x1')).toContain('read one by one')
  expect(await balance.innerText()).toBe(before)
  await home.close()
  it.infura.script = () => undefined
})

test('a send asks what MetaMask asks, signs locally, and looks for the receipt every three seconds', async () => {
  const page = await openOn31337(endpoint.url)
  endpoint.forget()
  let receipts = 0
  endpoint.script = ({ method }) =>
    method === 'eth_getTransactionReceipt' && receipts++ === 0 ? { result: null } : undefined
  const nonce = Number(await resultOf(it.chain.url, 'eth_getTransactionCount', [account, 'latest']))
  await page.getByTestId('send-to').fill(stranger)
  await page.getByTestId('send-value').fill('0.25')
  await page.getByTestId('send').click()
  expect(await it.wallet.prompt()).toMatchObject({
    kind: 'transaction',
    origin: 'http://dapp.example',
    text: expect.stringContaining('0.25 ETH'),
  })
  expect(endpoint.calls('eth_sendRawTransaction')).toEqual([])
  await it.wallet.approve()
  const answer = page.locator('[data-testid="send-answer"][data-state="done"]')
  await answer.waitFor()
  const hash = JSON.parse(await answer.innerText()) as Hex
  await until('it has the receipt', () => endpoint.calls('eth_getBlockByHash').length === 1)

  const methods = endpoint.seen.map(({ method }) => method).filter((method) => method !== 'eth_blockNumber')
  const calls = (count: number, method: string) => Array<string>(count).fill(method)
  expect(methods).toEqual([
    ...['eth_getCode', 'eth_getCode', 'eth_estimateGas', 'eth_gasPrice', 'eth_getBalance'],
    ...calls(4, 'eth_call'),
    ...['eth_getTransactionCount', 'eth_sendRawTransaction'],
    ...['eth_getTransactionReceipt', 'eth_getTransactionReceipt', 'eth_getBlockByHash'],
  ])
  const probed = endpoint.calls('eth_call').map(({ params: [call] }) => (call as { data: string }).data.slice(2, 10))
  expect(probed.toSorted()).toEqual(['01ffc9a7', '313ce567', '70a08231', '95d89b41'])
  for (const { method, params } of endpoint.seen) {
    if (/^eth_(call|get(Balance|Code|TransactionCount))$/.test(method)) expect(params[1]).toMatch(/^0x/)
  }
  const [raw] = paramsOf(endpoint, 'eth_sendRawTransaction') as [Hex]
  expect(parseTransaction(raw)).toMatchObject({ to: stranger, value: parseEther('0.25'), chainId: 31337, nonce })
  const [first, second] = endpoint.calls('eth_getTransactionReceipt')
  const pause = (second?.at ?? 0) - (first?.at ?? 0)
  expect(pause).toBeGreaterThan(2500)
  expect(pause).toBeLessThan(5000)
  expect(await resultOf(it.chain.url, 'eth_getTransactionReceipt', [hash])).toMatchObject({
    status: '0x1',
    from: account,
  })

  // A node that has not yet seen the first of two: the wallet counts for itself.
  endpoint.forget()
  const next = nonce + 1
  endpoint.script = ({ method }) => (method === 'eth_getTransactionCount' ? { result: numberToHex(next) } : undefined)
  const transfer = [{ from: account, to: stranger, value: '0x1' }]
  const both = Promise.all([ask(page, 'eth_sendTransaction', transfer), ask(page, 'eth_sendTransaction', transfer)])
  await it.wallet.approve()
  await it.wallet.approve()
  await both
  const raws = endpoint.calls('eth_sendRawTransaction').map(({ params }) => parseTransaction(params[0] as Hex).nonce)
  expect(raws.toSorted()).toEqual([next, next + 1])
  const refused = ask(page, 'eth_sendTransaction', transfer)
  await it.wallet.reject()
  expect(await refused).toMatchObject({ error: { code: 4001 } })
  const foreign = [{ from: accounts[1], to: stranger, value: '0x1' }]
  expect(await ask(page, 'eth_sendTransaction', foreign)).toMatchObject({ error: { code: 4100 } })
})

test('what the wallet does not answer itself goes to the endpoint, at a block with a number', async () => {
  const page = await openOn31337(endpoint.url)
  endpoint.forget()
  const direct = await resultOf(it.chain.url, 'eth_getBalance', [account, 'latest'])
  expect(await ask(page, 'eth_getBalance', [account, 'latest'])).toEqual({ result: direct })
  expect(await ask(page, 'eth_getBalance', [account])).toEqual({ result: direct })
  expect(endpoint.calls('eth_getBalance').map(({ params: [, block] }) => block)).toEqual(
    Array(2).fill(await resultOf(it.chain.url, 'eth_blockNumber')),
  )
  expect(await ask(page, 'eth_nothing')).toMatchObject({ error: { code: -32601 } })

  const contract = await deploy(it.chain.url, loudContract)
  await sendAndWait(it.chain.url, { to: contract })
  await sendAndWait(it.chain.url, { to: contract })
  await page.getByTestId('logs-address').fill(contract)
  await page.getByTestId('get-logs').click()
  const answer = page.locator('[data-testid="get-logs-answer"][data-state="done"]')
  await answer.waitFor()
  const logs = JSON.parse((await answer.textContent()) ?? '') as unknown[]
  expect(logs).toEqual(await resultOf(it.chain.url, 'eth_getLogs', [{ fromBlock: '0x0', address: contract }]))
  expect(JSON.stringify(logs).length).toBeGreaterThan(1024 * 1024)
})

test('subscriptions: new blocks and logs are pushed to the one who subscribed, until it ends them', async () => {
  const page = await openOn31337(endpoint.url)
  const contract = await deploy(it.chain.url, loudContract)
  const subscribed = page.locator('[data-testid="subscribe-answer"][data-state="done"]')
  const ids: string[] = []
  for (const button of ['subscribe-heads', 'subscribe-logs']) {
    await page.getByTestId('subscribe-address').fill(contract)
    await page.getByTestId(button).click()
    await subscribed.waitFor()
    ids.push(JSON.parse(await subscribed.innerText()) as string)
  }
  await sendAndWait(it.chain.url, { to: contract })
  const pushes = async (id: string) => {
    const texts = await page.getByTestId('pushes').locator('li').allTextContents()
    return texts.map((text) => JSON.parse(text)).filter(({ subscription }) => subscription === id)
  }
  await until('all logs are there', async () => (await pushes(ids[1] as string)).length === 20)
  await until('the block is there', async () => (await pushes(ids[0] as string)).length >= 1)
  const [head] = await pushes(ids[0] as string)
  expect(head.result.number).toBe(await resultOf(it.chain.url, 'eth_blockNumber'))

  await page.getByTestId('unsubscribe').click()
  await page.getByTestId('subscribe-answer').filter({ hasText: '[true,true]' }).waitFor()
  expect(await ask(page, 'eth_unsubscribe', [ids[0]])).toEqual({ result: false })
})

test('circuit breaker: five attempts for each poll, a pause after 35 failures, and only a new URL helps', async () => {
  const page = await openOn31337(endpoint.url)
  const home = await it.wallet.openHome()
  endpoint.failure = 'close'
  await until('the circuit is broken', async () => (await problemOf(home, '0x7a69')).includes('too many errors'))
  const lastSuccess = endpoint.seen.findLastIndex(({ method }) => method !== 'eth_blockNumber')
  const failures = endpoint.seen.length
  expect(failures - lastSuccess - 1).toBeLessThanOrEqual(36)
  expect(await problemOf(home, '0x7a69')).toContain('retrying in 30.00 minutes')

  endpoint.failure = 'none'
  const polls = it.infura.calls('eth_blockNumber').length
  await until('it polls on elsewhere', () => it.infura.calls('eth_blockNumber').length > polls + 5)
  expect(await ask(page, 'wallet_addEthereumChain', chainParams('0x7a69', endpoint.url))).toEqual({ result: null })
  expect(await ask(page, 'eth_blockNumber')).toMatchObject({ error: { code: -32002 } })
  expect(endpoint.seen).toHaveLength(failures)

  await use(page, `${endpoint.url}/new`)
  expect(await ask(page, 'eth_blockNumber')).toHaveProperty('result')
  await until('it polls the new URL', async () => (await problemOf(home, '0x7a69')) === '')
})

test('circuit breaker: HTTP 5xx counts as a closed socket does; one request is sent five times', async () => {
  const page = await openOn31337(endpoint.url)
  endpoint.forget()
  endpoint.failure = 'http-503'
  expect(await ask(page, 'eth_gasPrice')).toMatchObject({ error: { code: -32603 } })
  expect(endpoint.calls('eth_gasPrice')).toHaveLength(5)
  // Failures count in a row.
  endpoint.failure = 'none'
  expect(await ask(page, 'eth_gasPrice')).toHaveProperty('result')
  endpoint.forget()
  endpoint.failure = 'http-503'
  for (let round = 1; round <= 7; round++) await ask(page, 'eth_gasPrice')
  expect(endpoint.seen).toHaveLength(35)
  expect(await ask(page, 'eth_gasPrice')).toMatchObject({ error: { code: -32002 } })
  expect(endpoint.seen).toHaveLength(35)
})

test('circuit breaker: JSON-RPC errors over HTTP 200 never trip it', async () => {
  const page = await openOn31337(endpoint.url)
  endpoint.script = () => ({ error: { code: 4900, message: 'no network' } })
  for (let round = 0; round < 40; round++) {
    expect(await ask(page, 'eth_gasPrice')).toEqual({ error: { code: 4900, message: 'no network' } })
  }
  endpoint.script = () => undefined
  expect(endpoint.calls('eth_gasPrice')).toHaveLength(40)
  expect(await ask(page, 'eth_gasPrice')).toHaveProperty('result')
})
