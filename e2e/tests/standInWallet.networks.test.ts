/** The stand-in wallet's networks: how it is told a new RPC URL, and another chain. */
import { afterEach, describe, expect, test } from 'vitest'
import { extensionIds } from '../src/browser/index.ts'
import { fundedAccount } from './support/chain.ts'
import { ask, chainParams, openConnected, openDapp, useStandIn, withEndpoint } from './support/standIn.ts'

const it = useStandIn()
const account = fundedAccount(0).address.toLowerCase()

afterEach(async () => {
  for (const page of it.browser.context.pages().slice(1)) await page.close()
})

describe('wallet_addEthereumChain', () => {
  const invalid: readonly (readonly [string, Record<string, unknown>])[] = [
    ['another symbol', { nativeCurrency: { name: 'Ether', symbol: 'XYZ', decimals: 18 } }],
    ['other decimals', { nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 6 } }],
    ['no currency', { nativeCurrency: undefined }],
    ['an unknown key', { rpcUrl: 'http://127.0.0.1:1' }],
    ['an empty name', { chainName: '' }],
    ['a padded chain id', { chainId: '0x01' }],
    ['a decimal chain id', { chainId: 1 }],
    ['no URL', { rpcUrls: [] }],
    ['http on [::1]', { rpcUrls: ['http://[::1]:8545'] }],
    ['http on 127.0.0.2', { rpcUrls: ['http://127.0.0.2:8545'] }],
    ['http on a name under localhost', { rpcUrls: ['http://rpc.localhost:8545'] }],
    ['http in the local network', { rpcUrls: ['http://192.168.1.2:8545'] }],
    ['http elsewhere', { rpcUrls: ['http://rpc.example'] }],
  ]

  test('what is not valid is refused at once, with -32602', async () => {
    const page = await openDapp(it, 'dapp.example')
    for (const [what, change] of invalid) {
      const outcome = await ask(page, 'wallet_addEthereumChain', chainParams('0x1', 'http://127.0.0.1:8545', change))
      expect(outcome, what).toMatchObject({ error: { code: -32602 } })
    }
  })

  test('a new chain takes one prompt; the endpoint is probed once, after Approve, from the window', async () => {
    await withEndpoint('0xaa01', async (endpoint) => {
      const page = await openDapp(it, 'c.example')
      await page.evaluate(`void (window.told = [], ethereum.on('chainChanged', (chainId) => told.push(chainId)))`)
      const adding = ask(page, 'wallet_addEthereumChain', chainParams('0xaa01', `${endpoint.url}/any/path?key=1#part`))
      expect(await it.wallet.prompt()).toMatchObject({ kind: 'add-network', title: 'Add Private' })
      expect(endpoint.seen).toEqual([])
      const frames: string[] = []
      ;(await it.wallet.notification()).on('request', (request) => frames.push(request.frame().url()))
      await it.wallet.approveDialog()
      expect(await adding).toEqual({ result: null })
      expect(endpoint.seen).toMatchObject([{ method: 'eth_chainId', httpMethod: 'POST', path: '/any/path?key=1' }])
      expect(frames).toEqual([`chrome-extension://${extensionIds.wallet}/notification.html`])
      expect(await page.evaluate('[told, ethereum.chainId]')).toEqual([['0xaa01'], '0xaa01'])
      expect(await ask(page, 'net_version')).toEqual({ result: String(0xaa01) })
    })
  })

  test('localhost by name is an endpoint like any other', async () => {
    await withEndpoint('0xaa02', async (endpoint) => {
      const url = endpoint.url.replace('127.0.0.1', 'localhost')
      const adding = ask(await openDapp(it, 'c.example'), 'wallet_addEthereumChain', chainParams('0xaa02', url))
      await it.wallet.approve()
      expect(await adding).toEqual({ result: null })
    })
  })

  test('a wrong chain, a dead port or ws: Approve stays grey', async () => {
    await withEndpoint('0xbb', async (endpoint) => {
      const page = await openDapp(it, 'c.example')
      for (const url of [endpoint.url, 'http://127.0.0.1:9', endpoint.url.replace('http', 'ws')]) {
        const adding = ask(page, 'wallet_addEthereumChain', chainParams('0xaa03', url))
        await expect(it.wallet.approve(), url).rejects.toThrow(/chain ID/)
        expect(await (await it.wallet.notification()).getByTestId('approve').isDisabled()).toBe(true)
        // Closed, not rejected: that is no answer, but it says no all the same.
        await it.wallet.dismiss()
        expect(await adding).toMatchObject({ error: { code: 4001 } })
        // Something approved, so that these are not taken for spam.
        const signing = ask(await openConnected(it, 'c.example'), 'personal_sign', ['0x00', account])
        await it.wallet.approve()
        await signing
        await ask(page, 'wallet_revokePermissions')
      }
      expect(endpoint.seen.filter(({ httpMethod }) => httpMethod === 'POST')).toHaveLength(1)
    })
  })

  test('of another extension: its id is the origin; a chain that is there takes two dialogs and keeps its endpoints', async () => {
    await withEndpoint('0x1', async (endpoint) => {
      const page = await it.browser.context.newPage()
      await page.goto(it.other.page)
      await page.evaluate(`void (window.messages = [],
        window.port = chrome.runtime.connect('${extensionIds.wallet}'),
        port.onMessage.addListener((message) => messages.push(message)))`)
      const post = (id: number, params: unknown) =>
        page.evaluate(
          `port.postMessage(${JSON.stringify({ name: 'metamask-provider', data: { jsonrpc: '2.0', id, method: 'wallet_addEthereumChain', params } })})`,
        )
      const answered = (id: number) =>
        page.evaluate(`new Promise((resolve) => {
          const look = () => { const found = messages.find(({ data }) => data.id === ${id}); if (found) resolve(found) }
          look()
          port.onMessage.addListener(look)
        })`)

      await post(1, chainParams('0x1', endpoint.url))
      expect(await it.wallet.prompt()).toMatchObject({
        kind: 'add-network',
        origin: `chrome-extension://${it.other.id}`,
        text: expect.stringContaining('default network URL of Ethereum Mainnet'),
      })
      // A second one while the first waits.
      await post(2, chainParams('0x1', `${endpoint.url}/other`))
      expect(await answered(2)).toMatchObject({ data: { error: { code: -32002 } } })
      await it.wallet.approveDialog()
      expect(await it.wallet.prompt()).toMatchObject({ title: 'You are adding a new RPC provider' })
      expect(endpoint.seen).toEqual([])
      await it.wallet.approveDialog()
      expect(await answered(1)).toEqual({ name: 'metamask-provider', data: { jsonrpc: '2.0', id: 1, result: null } })
      expect(endpoint.calls('eth_chainId')).toHaveLength(1)

      const [mainnet] = await it.wallet.networks()
      expect(mainnet).toMatchObject({
        name: 'Ethereum Mainnet',
        endpoints: [
          { name: 'Infura', url: it.infura.url },
          { name: 'Private', url: endpoint.url },
        ],
        defaultEndpoint: 1,
      })
      // It is the default already: no prompt.
      await post(3, chainParams('0x1', endpoint.url))
      expect(await answered(3)).toMatchObject({ data: { result: null } })
      expect(endpoint.calls('eth_chainId')).toHaveLength(1)
      await it.wallet.useEndpoint('0x1', 0)
    })
  })

  test('three rejections in a row: 4100, taken for spam', async () => {
    const page = await openDapp(it, 'd.example')
    const add = () => ask(page, 'wallet_addEthereumChain', chainParams('0xaa04', 'http://127.0.0.1:9'))
    for (const round of [1, 2, 3]) {
      const adding = add()
      await it.wallet.reject()
      expect(await adding, `round ${round}`).toMatchObject({ error: { code: 4001 } })
    }
    expect(await add()).toEqual({ error: { code: 4100, message: 'Request blocked due to spam filter.' } })
    // Other origins may still ask.
    const other = ask(
      await openDapp(it, 'e.example'),
      'wallet_addEthereumChain',
      chainParams('0xaa04', 'http://127.0.0.1:9'),
    )
    await it.wallet.reject()
    expect(await other).toMatchObject({ error: { code: 4001 } })
  })
})

test('wallet_switchEthereumChain: at once where permitted, asks where not, 4902 where unknown', async () => {
  const page = await openConnected(it, 'e.example')
  await withEndpoint('0xaa05', async ({ url }) => {
    const added = ask(await openDapp(it, 'f.example'), 'wallet_addEthereumChain', chainParams('0xaa05', url))
    await it.wallet.approve()
    expect(await added).toEqual({ result: null })
  })
  const select = (chainId: string) => ask(page, 'wallet_switchEthereumChain', [{ chainId }])
  expect(await select('0xaa06')).toMatchObject({ error: { code: 4902 } })
  const switching = select('0xaa05')
  expect(await it.wallet.prompt()).toMatchObject({ kind: 'switch-network', origin: 'http://e.example' })
  await it.wallet.approve()
  expect(await switching).toEqual({ result: null })
  expect(await select('0x1')).toEqual({ result: null })
  expect(await select('0xaa05')).toEqual({ result: null })
  expect(await ask(page, 'eth_chainId')).toEqual({ result: '0xaa05' })
  // Each origin has its own.
  expect(await ask(await openDapp(it, 'dapp.example'), 'eth_chainId')).toEqual({ result: '0x1' })
})
