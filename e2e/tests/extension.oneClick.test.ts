/** One click, and what it gives: reads, large answers, sends and subscriptions, all of them right and all of them private. */
import { isDeepStrictEqual } from 'node:util'
import type { Page } from 'playwright-core'
import { formatEther, type Hex } from 'viem'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { goPrivate, popupState } from '../src/browser/index.ts'
import { until } from '../src/network/index.ts'
import { bridgeTexts } from './support/bridge.ts'
import { deploy, fundedAccount, loudContract, receiptOf, resultOf, sendAndWait, signTransfer } from './support/chain.ts'
import { askIn, openDapp, recordingHost, replaceHost, useStage } from './support/stage.ts'

let recorded: () => Promise<Buffer>
const stage = useStage({ pollPeriod: 500, network: { accounts: { cold_spread_seconds: 0 } } }, async (stage) => {
  const recording = await recordingHost(stage)
  await replaceHost(stage, recording.command)
  recorded = recording.recorded
})

const account = fundedAccount(0).address.toLowerCase()
let popup: Page
let node: string
let loud: Hex
let loudBlock: Hex

beforeAll(async () => {
  node = stage.network.nodes[1] as string
  loud = await deploy(node, loudContract)
  loudBlock = (await sendAndWait(node, { to: loud })).blockNumber
  await sendAndWait(node, { to: loud })
  popup = (await goPrivate(stage)).popup
  stage.leak?.forget()
})

afterEach(() => {
  // Whatever a test did: nothing of it went to the wallet's own provider.
  expect(stage.leak?.seen).toEqual([])
})

describe('the popup', () => {
  test('shows the relays that are really used, and what is not covered', async () => {
    expect(await popupState(popup)).toBe('Private')
    const text = await popup.locator('body').innerText()
    const { trunks } = await stage.network.daemon.status()
    for (const { entry, middle } of trunks) {
      expect(text).toContain(entry.operator)
      expect(text).toContain(middle.operator)
    }
    // Each account that the wallet asks about may add another.
    await until('the popup shows the gateways', async () => {
      const { gateways } = await stage.network.daemon.status()
      const shown = await popup.locator('.gateways').innerText()
      return gateways.length > 0 && gateways.every(({ operator }) => shown.includes(operator))
    })
    expect(text).toContain('hosts that are not on the list cannot be seen')
    expect(text).toMatch(/Last request/)
  })

  test('counts the requests of sites', async () => {
    const dapp = await openDapp(stage)
    await askIn(dapp, 'MetaMask', 'eth_blockNumber')
    await popup.getByText(/[1-9]\d* requests? of sites/).waitFor()
    await dapp.close()
  })
})

describe.each(['MetaMask', 'Nightjar', 'window.ethereum'])('through %s, a dapp', (provider) => {
  test.each<[string, readonly unknown[]]>([
    ['eth_blockNumber', []],
    ['eth_getBalance', [account, 'latest']],
    ['eth_getTransactionCount', [account, 'latest']],
    ['eth_getBlockByNumber', ['0x1', true]],
    ['eth_feeHistory', ['0x2', 'latest', []]],
    ['eth_gasPrice', []],
  ])('reads %s as the node itself answers', async (method, params) => {
    const dapp = await openDapp(stage)
    const { result, error } = await askIn(dapp, provider, method, params)
    expect(error).toBeUndefined()
    expect(isDeepStrictEqual(result, await resultOf(node, method, params))).toBe(true)
    await dapp.close()
  })

  test('gets logs of more than 1 MB', async () => {
    const dapp = await openDapp(stage)
    const filter = { address: loud, fromBlock: loudBlock, toBlock: 'latest' }
    const { result } = await askIn(dapp, provider, 'eth_getLogs', [filter])
    expect(JSON.stringify(result).length).toBeGreaterThan(1_000_000)
    expect(isDeepStrictEqual(result, await resultOf(node, 'eth_getLogs', [filter]))).toBe(true)
    await dapp.close()
  })

  test('gets the node’s errors as they are', async () => {
    const dapp = await openDapp(stage)
    const { error } = await askIn(dapp, provider, 'eth_getBalance', ['0x12', 'latest'])
    expect(error?.code).toBe(-32602)
    await dapp.close()
  })

  test('is refused what no gateway forwards, instead of the wallet asking for it', async () => {
    const dapp = await openDapp(stage)
    const { error } = await askIn(dapp, provider, 'debug_traceTransaction', ['0x00'])
    expect(error).toMatchObject({ code: -32601, data: { nightjar: 'method-not-allowed' } })
    await dapp.close()
  })
})

describe('with the wallet', () => {
  test('a dapp connects, sends what the wallet signs, and signs messages', async () => {
    const dapp = await openDapp(stage)
    await dapp.getByTestId('providers').selectOption('MetaMask')
    await dapp.getByTestId('connect').click()
    await stage.wallet.approve()
    await expectText(dapp, 'accounts', account)
    await dapp.getByTestId('send').click()
    await stage.wallet.approve()
    await expectText(dapp, 'send-answer', '0x')
    const [hash] = /0x[0-9a-f]{64}/.exec(await dapp.getByTestId('send-answer').innerText()) ?? []
    expect((await receiptOf(node, hash as Hex)).from).toBe(account)
    await dapp.getByTestId('sign').click()
    await stage.wallet.approve()
    await expectText(dapp, 'sign-answer', '0x')
    // What Nightjar announces hands accounts and signatures to the same wallet.
    expect(await askIn(dapp, 'Nightjar', 'eth_accounts')).toEqual({ result: [account] })
    await dapp.close()
  })

  test('a raw transaction of a dapp is sent once, privately', async () => {
    const dapp = await openDapp(stage)
    const nonce = Number(await resultOf(node, 'eth_getTransactionCount', [fundedAccount(5).address, 'latest']))
    const raw = await signTransfer(fundedAccount(5), 1, nonce)
    const seen = stage.network.providers[1]
    seen?.forget()
    const { result } = await askIn(dapp, 'MetaMask', 'eth_sendRawTransaction', [raw])
    expect((await receiptOf(node, result as Hex)).status).toBe('0x1')
    expect(seen?.seen.filter(({ body }) => body.includes('eth_sendRawTransaction'))).toHaveLength(1)
    await dapp.close()
  })

  test('switches chains, and asks the new one from then on', async () => {
    const dapp = await openDapp(stage)
    expect(await askIn(dapp, 'MetaMask', 'eth_chainId')).toEqual({ result: '0x1' })
    // The site was connected before, so the wallet switches without a dialog.
    expect(await askIn(dapp, 'MetaMask', 'wallet_switchEthereumChain', [{ chainId: '0x7a69' }])).toEqual({
      result: null,
    })
    expect(await askIn(dapp, 'MetaMask', 'eth_chainId')).toEqual({ result: '0x7a69' })
    const block = await askIn(dapp, 'MetaMask', 'eth_getBlockByNumber', ['0x0', false])
    const expected = await resultOf(stage.network.nodes[31337] as string, 'eth_getBlockByNumber', ['0x0', false])
    expect(block.result).toEqual(expected)
    await askIn(dapp, 'MetaMask', 'wallet_switchEthereumChain', [{ chainId: '0x1' }])
    await dapp.close()
  })

  test('the wallet’s own polls come through the endpoint: all accounts, and from a gateway', async () => {
    const provider = stage.network.providers[1]
    const accounts = [0, 1, 2].map((index) => fundedAccount(index).address.toLowerCase())
    const namedIn = ({ body }: { body: string }) =>
      accounts.filter((each) => body.toLowerCase().includes(each.slice(2)))
    const home = await stage.wallet.openHome()
    for (const [index, each] of accounts.entries()) {
      const ether = formatEther(BigInt((await resultOf(node, 'eth_getBalance', [each, 'latest'])) as string))
      const text = Number(ether).toLocaleString('en', { maximumFractionDigits: 4 })
      await home.getByTestId(`balance-0x1-${index}`).filter({ hasText: text }).waitFor()
    }
    await home.close()
    // One call of the wallet's about all of them; nobody behind the gateways is asked about two.
    const named = provider?.seen.map(namedIn) ?? []
    expect(new Set(named.flat())).toEqual(new Set(accounts))
    expect(Math.max(...named.map((each) => each.length))).toBe(1)
    const gateways = stage.network.relays.all.filter(({ roles }) => roles.includes('gateway'))
    for (const { from } of provider?.seen ?? []) expect(gateways.map(({ host }) => host)).toContain(from)
  })
})

describe('subscriptions', () => {
  test.each(['MetaMask', 'Nightjar'])('of %s push new blocks and logs, until they are ended', async (provider) => {
    const dapp = await openDapp(stage)
    await dapp.getByTestId('providers').selectOption(provider)
    await dapp.getByTestId('subscribe-heads').click()
    await expectText(dapp, 'subscribe-answer', '0x')
    await dapp.getByTestId('subscribe-address').fill(loud)
    await dapp.getByTestId('subscribe-logs').click()
    // Both follow the same pushes; the first head only says where they begin.
    await until('heads are followed', async () => {
      await sendAndWait(node, {})
      return (await dapp.getByTestId('pushes').innerText()).includes('parentHash')
    })
    const { blockNumber } = await sendAndWait(node, { to: loud })
    await expectText(dapp, 'pushes', `"number":"${blockNumber}"`)
    await expectText(dapp, 'pushes', `"blockNumber":"${blockNumber}"`)
    const { blockNumber: next } = await sendAndWait(node, {})
    await expectText(dapp, 'pushes', `"number":"${next}"`)
    await dapp.getByTestId('unsubscribe').click()
    await dapp.close()
  })
})

test('who asks the provider are gateways, with no header of the browser; nothing legible crosses the bridge', async () => {
  const provider = stage.network.providers[1]
  const gateways = stage.network.relays.all.filter(({ roles }) => roles.includes('gateway'))
  for (const { from, headers } of provider?.seen ?? []) {
    expect(gateways.map(({ host }) => host)).toContain(from)
    expect(JSON.stringify(headers)).not.toMatch(/mozilla|chrom|dapp\.example|origin|referer/i)
  }
  const texts = bridgeTexts(await recorded())
  // The tap does hear what is said there: the groups' labels, the handshakes, the records.
  expect(texts.messages).toContain('"type":"exchange"')
  expect(texts.records.length).toBeGreaterThan(20)
  const needles = ['eth_', 'dapp.example', account.slice(2), loud.slice(2), 'jsonrpc', 'chainId', 'result":"0x']
  for (const needle of needles) {
    expect(texts.messages.toLowerCase()).not.toContain(needle)
    expect(texts.records.some((record) => record.includes(needle))).toBe(false)
  }
  const bytes = Buffer.from(account.slice(2), 'hex')
  expect(texts.records.some((record) => record.includes(bytes))).toBe(false)
})

/** Waits until the element with `testId` holds `text`. */
async function expectText(page: Page, testId: string, text: string): Promise<void> {
  const element = page.getByTestId(testId)
  await until(`${testId} shows ${text}`, async () => {
    const shown = await element.innerText()
    return shown.toLowerCase().replaceAll(' ', '').includes(text.toLowerCase().replaceAll(' ', ''))
  })
}
