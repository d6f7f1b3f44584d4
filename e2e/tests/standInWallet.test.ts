/** The stand-in wallet towards dapps and other extensions: what it injects, what it asks, what it remembers. */
import type { Page } from 'playwright-core'
import { recoverMessageAddress, recoverTypedDataAddress } from 'viem'
import { afterEach, describe, expect, test } from 'vitest'
import { extensionIds, findBrowser, serveFolder } from '../src/browser/index.ts'
import { fundedAccount } from './support/chain.ts'
import { http } from './support/rpc.ts'
import { type RpcEndpoint, startRpcEndpoint } from './support/rpcEndpoint.ts'
import { ask, built, chainParams, type RpcOutcome, useStandIn } from './support/standIn.ts'

const it = useStandIn()
const account = fundedAccount(0).address.toLowerCase()

afterEach(async () => {
  for (const page of it.browser.context.pages().slice(1)) await page.close()
})

async function openDapp(host: string): Promise<Page> {
  const page = await it.browser.context.newPage()
  await page.goto(`http://${host}/`)
  return page
}

/** A dapp that may see the first account. */
async function openConnected(host: string): Promise<Page> {
  const page = await openDapp(host)
  const connecting = ask(page, 'eth_requestAccounts')
  await it.wallet.approve()
  expect(await connecting).toEqual({ result: [account] })
  return page
}

/** An endpoint that says it serves `chainId`. */
async function withEndpoint(chainId: string, use: (endpoint: RpcEndpoint) => Promise<void>): Promise<void> {
  const endpoint = await startRpcEndpoint()
  endpoint.script = ({ method }) => (method === 'eth_chainId' ? { result: chainId } : undefined)
  try {
    await use(endpoint)
  } finally {
    await endpoint.close()
  }
}

describe('in a page', () => {
  test('it announces itself as MetaMask and sets window.ethereum as MetaMask does', async () => {
    const page = await openDapp('dapp.example')
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
    const page = await openDapp('a.example')
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
    expect(await ask(await openDapp('b.example'), 'eth_accounts')).toEqual({ result: [] })
    expect(await ask(page, 'wallet_revokePermissions', [{ eth_accounts: {} }])).toEqual({ result: null })
    expect(await ask(page, 'eth_accounts')).toEqual({ result: [] })
    expect(await page.evaluate('told')).toEqual([both, []])
  })

  test('the deprecated ways of asking still work', async () => {
    const page = await openDapp('b.example')
    expect(await page.evaluate(`ethereum.send('eth_chainId').then(({ result }) => result)`)).toBe('0x1')
    expect(await page.evaluate(`ethereum.send({ method: 'net_version', id: 1 }).result`)).toBe('1')
    const byCallback = `new Promise((resolve) => ethereum.sendAsync({ method: 'eth_chainId', id: 7 }, (error, answer) => resolve(answer)))`
    expect(await page.evaluate(byCallback)).toEqual({ id: 7, jsonrpc: '2.0', result: '0x1' })
    expect(await page.evaluate('[ethereum.chainId, ethereum.isConnected()]')).toEqual(['0x1', true])
    expect(await page.evaluate('ethereum._metamask.isUnlocked()')).toBe(true)
  })

  test('messages and typed data are signed by the account', async () => {
    const page = await openConnected('b.example')
    await page.getByTestId('providers').selectOption('window.ethereum')
    await page.getByTestId('sign-message').fill('Grüße')
    await page.getByTestId('sign').click()
    expect(await it.wallet.prompt()).toMatchObject({ kind: 'sign', text: expect.stringContaining('Grüße') })
    await it.wallet.approve()
    const signature = JSON.parse(await answerOf(page, 'sign')) as `0x${string}`
    expect(await recoverMessageAddress({ message: 'Grüße', signature })).toBe(fundedAccount(0).address)

    const typedData = {
      domain: { name: 'Test', chainId: 1 },
      types: {
        EIP712Domain: [
          { name: 'name', type: 'string' },
          { name: 'chainId', type: 'uint256' },
        ],
        Mail: [{ name: 'text', type: 'string' }],
      },
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
    const page = await openDapp('dapp.example')
    for (const [what, change] of invalid) {
      const outcome = await ask(page, 'wallet_addEthereumChain', chainParams('0x1', 'http://127.0.0.1:8545', change))
      expect(outcome, what).toMatchObject({ error: { code: -32602 } })
    }
  })

  test('a new chain takes one prompt; the endpoint is probed once, after Approve, from the window', async () => {
    await withEndpoint('0xaa01', async (endpoint) => {
      const page = await openDapp('c.example')
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
      const adding = ask(await openDapp('c.example'), 'wallet_addEthereumChain', chainParams('0xaa02', url))
      await it.wallet.approve()
      expect(await adding).toEqual({ result: null })
    })
  })

  test('a wrong chain, a dead port or ws: Approve stays grey', async () => {
    await withEndpoint('0xbb', async (endpoint) => {
      const page = await openDapp('c.example')
      for (const url of [endpoint.url, 'http://127.0.0.1:9', endpoint.url.replace('http', 'ws')]) {
        const adding = ask(page, 'wallet_addEthereumChain', chainParams('0xaa03', url))
        await expect(it.wallet.approve(), url).rejects.toThrow(/chain ID/)
        expect(await (await it.wallet.notification()).getByTestId('approve').isDisabled()).toBe(true)
        // Closed, not rejected: that is no answer, but it says no all the same.
        await it.wallet.dismiss()
        expect(await adding).toMatchObject({ error: { code: 4001 } })
        // Something approved, so that these are not taken for spam.
        const signing = ask(await openConnected('c.example'), 'personal_sign', ['0x00', account])
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
      const answered = async (id: number) =>
        (await page.waitForFunction(`messages.find(({ data }) => data.id === ${id})`)).jsonValue()

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
    const page = await openDapp('d.example')
    const add = () => ask(page, 'wallet_addEthereumChain', chainParams('0xaa04', 'http://127.0.0.1:9'))
    for (const round of [1, 2, 3]) {
      const adding = add()
      await it.wallet.reject()
      expect(await adding, `round ${round}`).toMatchObject({ error: { code: 4001 } })
    }
    expect(await add()).toEqual({ error: { code: 4100, message: 'Request blocked due to spam filter.' } })
    // Other origins may still ask.
    const other = ask(
      await openDapp('e.example'),
      'wallet_addEthereumChain',
      chainParams('0xaa04', 'http://127.0.0.1:9'),
    )
    await it.wallet.reject()
    expect(await other).toMatchObject({ error: { code: 4001 } })
  })
})

test('wallet_switchEthereumChain: at once where permitted, asks where not, 4902 where unknown', async () => {
  const page = await openConnected('e.example')
  await withEndpoint('0xaa05', async ({ url }) => {
    const added = ask(await openDapp('f.example'), 'wallet_addEthereumChain', chainParams('0xaa05', url))
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
  expect(await ask(await openDapp('dapp.example'), 'eth_chainId')).toEqual({ result: '0x1' })
})

test('locked: no accounts, and what is asked waits until it is unlocked', async () => {
  const page = await openConnected('f.example')
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
  const page = await openDapp('a.example')
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
  await openConnected('d.example')
  const before = await it.wallet.networks()
  expect(before.length).toBeGreaterThan(1)
  await it.restart()
  const page = await openDapp('d.example')
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
