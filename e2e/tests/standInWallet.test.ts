/** The stand-in wallet towards dapps and other extensions: what it injects, what it asks, what it remembers. */
import type { Page } from 'playwright-core'
import { recoverMessageAddress, recoverTypedDataAddress } from 'viem'
import { afterEach, describe, expect, test } from 'vitest'
import { findBrowser, serveFolder } from '../src/browser/index.ts'
import { fundedAccount } from './support/chain.ts'
import { http } from './support/rpc.ts'
import {
  ask,
  built,
  chainParams,
  openConnected,
  openDapp,
  type RpcOutcome,
  useStandIn,
  withEndpoint,
} from './support/standIn.ts'

const it = useStandIn()
const account = fundedAccount(0).address.toLowerCase()

afterEach(async () => {
  for (const page of it.browser.context.pages().slice(1)) await page.close()
})

describe('in a page', () => {
  test('it announces itself as MetaMask and sets window.ethereum as MetaMask does', async () => {
    const page = await openDapp(it, 'dapp.example')
    expect(await page.evaluate('demo.providers()')).toEqual(['MetaMask', 'window.ethereum'])
    expect(
      await page.evaluate(`new Promise((resolve) => {
        addEventListener('eip6963:announceProvider', ({ detail: { info, provider } }) => resolve({
          rdns: info.rdns, name: info.name, icon: info.icon.startsWith('data:image/svg+xml'),
          uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(info.uuid),
          same: provider === window.ethereum, isMetaMask: provider.isMetaMask,
          deleted: delete provider.isMetaMask, still: provider.isMetaMask,
        }))
        dispatchEvent(new Event('eip6963:requestProvider'))
      })`),
    ).toEqual({
      rdns: 'io.metamask',
      name: 'MetaMask',
      icon: true,
      uuid: true,
      same: true,
      isMetaMask: true,
      deleted: true,
      still: true,
    })
    // By plain assignment: an own data property that anybody may replace.
    const { writable, configurable } = await page.evaluate<PropertyDescriptor>(
      `Object.getOwnPropertyDescriptor(window, 'ethereum')`,
    )
    expect({ writable, configurable }).toEqual({ writable: true, configurable: true })
  })

  test('it is there before the scripts of the page, also in frames, and leaves no other name behind', async () => {
    const page = await it.browser.context.newPage()
    const html = (inner: string) =>
      `<!doctype html><html><head><script>window.seen = window.ethereum?.isMetaMask; window.initialized = 0
       addEventListener('ethereum#initialized', () => initialized++)</script></head><body>${inner}</body></html>`
    await page.route('http://dapp.example/early', (route) =>
      route.fulfill({ contentType: 'text/html', body: html('<iframe src="/framed"></iframe>') }),
    )
    await page.route('http://dapp.example/framed', (route) =>
      route.fulfill({ contentType: 'text/html', body: html('') }),
    )
    await page.goto('http://dapp.example/early')
    const frame = page.frames()[1]
    expect(await page.evaluate('seen')).toBe(true)
    expect(await frame?.evaluate('seen')).toBe(true)
    expect(await frame?.evaluate(`ethereum.request({ method: 'eth_chainId' })`)).toBe('0x1')
    expect(await page.evaluate(`typeof Provider + typeof Emitter + typeof openPageStream`)).toBe('undefined'.repeat(3))
  })

  test('accounts are shown to whom the user connects, and told when that changes', async () => {
    const page = await openDapp(it, 'a.example')
    await page.evaluate(`void (window.told = [],
      ethereum.on('accountsChanged', (accounts) => told.push(accounts)), ethereum.on('connect', () => {}))`)
    expect(await ask(page, 'eth_accounts')).toEqual({ result: [] })
    expect(await ask(page, 'wallet_getPermissions')).toEqual({ result: [] })

    const refused = ask(page, 'eth_requestAccounts')
    expect(await it.wallet.prompt()).toMatchObject({ kind: 'connect', origin: 'http://a.example' })
    expect(await ask(page, 'eth_requestAccounts')).toMatchObject({ error: { code: -32002 } })
    await it.wallet.reject()
    expect(await refused).toMatchObject({ error: { code: 4001 } })

    const connecting = ask(page, 'wallet_requestPermissions', [{ eth_accounts: {} }])
    await it.wallet.approve([0, 2])
    const both = [account, fundedAccount(2).address.toLowerCase()]
    expect(await connecting).toMatchObject({
      result: [
        { parentCapability: 'eth_accounts', invoker: 'http://a.example', caveats: [{ value: both }] },
        { parentCapability: 'endowment:permitted-chains' },
      ],
    })
    expect(await ask(page, 'eth_accounts')).toEqual({ result: both })
    // No prompt: it is connected.
    expect(await ask(page, 'eth_requestAccounts')).toEqual({ result: both })
    expect(await ask(await openDapp(it, 'b.example'), 'eth_accounts')).toEqual({ result: [] })
    expect(await ask(page, 'wallet_revokePermissions', [{ eth_accounts: {} }])).toEqual({ result: null })
    expect(await ask(page, 'eth_accounts')).toEqual({ result: [] })
    expect(await page.evaluate('told')).toEqual([both, []])
  })

  test('the deprecated ways of asking still work', async () => {
    const page = await openDapp(it, 'b.example')
    expect(await page.evaluate(`ethereum.send('eth_chainId').then(({ result }) => result)`)).toBe('0x1')
    expect(await page.evaluate(`ethereum.send({ method: 'net_version', id: 1 }).result`)).toBe('1')
    const byCallback = `new Promise((resolve) => ethereum.sendAsync({ method: 'eth_chainId', id: 7 }, (error, answer) => resolve(answer)))`
    expect(await page.evaluate(byCallback)).toEqual({ id: 7, jsonrpc: '2.0', result: '0x1' })
    expect(await page.evaluate('[ethereum.chainId, ethereum.isConnected()]')).toEqual(['0x1', true])
    expect(await page.evaluate('ethereum._metamask.isUnlocked()')).toBe(true)
  })

  test('messages and typed data are signed by the account', async () => {
    const page = await openConnected(it, 'b.example')
    await page.getByTestId('providers').selectOption('window.ethereum')
    await page.getByTestId('sign-message').fill('Grüße')
    await page.getByTestId('sign').click()
    expect(await it.wallet.prompt()).toMatchObject({ kind: 'sign', text: expect.stringContaining('Grüße') })
    await it.wallet.approve()
    const signature = JSON.parse(await answerOf(page, 'sign')) as `0x${string}`
    expect(await recoverMessageAddress({ message: 'Grüße', signature })).toBe(fundedAccount(0).address)

    const typedData = {
      domain: { name: 'Test' },
      types: { EIP712Domain: [{ name: 'name', type: 'string' }], Mail: [{ name: 'text', type: 'string' }] },
      primaryType: 'Mail',
      message: { text: 'hello' },
    } as const
    const signing = ask(page, 'eth_signTypedData_v4', [account, JSON.stringify(typedData)])
    await it.wallet.approve()
    const { result } = (await signing) as { result: `0x${string}` }
    expect(await recoverTypedDataAddress({ ...typedData, signature: result })).toBe(fundedAccount(0).address)

    const notItsOwn = fundedAccount(1).address
    expect(await ask(page, 'personal_sign', ['0x00', notItsOwn])).toMatchObject({ error: { code: 4100 } })
    const refused = ask(page, 'personal_sign', ['0x00', account])
    await it.wallet.reject()
    expect(await refused).toMatchObject({ error: { code: 4001 } })
    expect(await ask(page, 'wallet_somethingElse')).toMatchObject({ error: { code: -32601 } })
  })
})

async function answerOf(page: Page, action: string): Promise<string> {
  const answer = page.locator(`[data-testid="${action}-answer"][data-state="done"]`)
  await answer.waitFor()
  return answer.innerText()
}

test('locked: no accounts, and what is asked waits until it is unlocked', async () => {
  const page = await openConnected(it, 'f.example')
  await it.wallet.lock()
  expect(await ask(page, 'eth_accounts')).toEqual({ result: [] })
  const requesting = ask(page, 'eth_requestAccounts')
  const notification = await it.wallet.notification()
  await notification.getByTestId('unlock').waitFor()
  expect(await notification.getByTestId('approve').count()).toBe(0)
  await it.wallet.unlock()
  expect(await requesting).toEqual({ result: [account] })

  await it.wallet.lock()
  const adding = ask(page, 'wallet_addEthereumChain', chainParams('0xaa07', 'http://127.0.0.1:9'))
  await (await it.wallet.notification()).getByTestId('unlock').waitFor()
  await it.wallet.unlock()
  expect(await it.wallet.prompt()).toMatchObject({ kind: 'add-network' })
  await it.wallet.reject()
  expect(await adding).toMatchObject({ error: { code: 4001 } })
})

test('a service worker that ends takes its prompts along; the page asks the next one again', async () => {
  const page = await openDapp(it, 'a.example')
  const requesting = ask(page, 'eth_requestAccounts')
  const before = await it.wallet.notification()
  await it.wallet.prompt()
  const closed = before.waitForEvent('close')
  await it.browser.stopServiceWorkers()
  await closed
  await it.wallet.approve()
  expect(await requesting).toEqual({ result: [account] } satisfies RpcOutcome)
})

test('after a restart it is locked, and knows its networks and sites', async () => {
  const connected = await openConnected(it, 'd.example')
  await withEndpoint('0xaa01', async ({ url }) => {
    const adding = ask(connected, 'wallet_addEthereumChain', chainParams('0xaa01', url))
    await it.wallet.approve()
    await adding
  })
  const before = await it.wallet.networks()
  expect(before).toHaveLength(2)
  await it.restart()
  const page = await openDapp(it, 'd.example')
  expect(await ask(page, 'eth_accounts')).toEqual({ result: [] })
  await it.wallet.unlock()
  expect(await it.wallet.networks()).toEqual(before)
  expect(await ask(page, 'eth_accounts')).toEqual({ result: [account] })
})

describe('what drives the browser', () => {
  test('says how to get one where there is none', () => {
    expect(() => findBrowser({ PATH: '/nowhere' })).toThrow(/apt-get install chromium/)
    expect(() => findBrowser({ NIGHTJAR_BROWSER: '/nowhere/chromium' })).toThrow(/NIGHTJAR_BROWSER/)
  })

  test('serves what is in a folder, and nothing else', async () => {
    const server = await serveFolder(built('dapp'), { headers: { 'content-security-policy': "default-src 'none'" } })
    try {
      const page = await http(`${server.url}/`, '', { method: 'GET' })
      expect(page.status).toBe(200)
      expect(page.headers['content-security-policy']).toBe("default-src 'none'")
      for (const path of ['/..%2fwallet/manifest.json', '/missing', '/assets']) {
        expect((await http(server.url + path, '', { method: 'GET' })).status, path).toBe(404)
      }
    } finally {
      await server.close()
    }
  })

  test('looks up no name of the real Internet', async () => {
    const page = await it.browser.context.newPage()
    await expect(page.goto('https://mainnet.infura.io/')).rejects.toThrow(/ERR_NAME_NOT_RESOLVED/)
  })
})
