import { turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { methodNotAllowed, timedOut } from './failures.ts'
import { FakeBackground } from './testing/background.ts'
import { FakeMetaMask } from './testing/wallet.ts'
import { type Provider, Wallets } from './wallets.ts'

function setUp(background = new FakeBackground(({ method }) => ({ result: `private: ${method}` }))) {
  const wallet = new FakeMetaMask()
  const firsts: unknown[] = []
  const wallets = new Wallets(background, ({ original }) => firsts.push(original))
  const proxy = wallets.announced('io.metamask', wallet) as FakeMetaMask
  return { background, wallet, wallets, proxy, firsts }
}

describe('which providers are wrapped', () => {
  test('one Proxy per wallet, however it is found', () => {
    const { wallet, wallets, proxy, firsts } = setUp()
    expect(proxy).not.toBe(wallet)
    expect(wallets.announced('io.metamask', wallet)).toBe(proxy)
    expect(wallets.found(wallet)).toBe(proxy)
    expect(wallets.found(proxy)).toBe(proxy)
    expect(wallets.announced('io.metamask', proxy)).toBe(proxy)
    expect(firsts).toEqual([wallet])
  })

  test('other wallets are left alone, even where they call themselves MetaMask', () => {
    const { wallets } = setUp()
    const other = new FakeMetaMask()
    expect(wallets.announced('com.example', other)).toBe(other)
    expect(wallets.found(other)).toBe(other)
  })

  test('what says that it is MetaMask where MetaMask puts its provider is taken for it', () => {
    const { wallets } = setUp()
    const silent = new FakeMetaMask()
    expect(wallets.found(silent)).not.toBe(silent)
    const plain = Object.assign(new FakeMetaMask(), { isMetaMask: false })
    expect(wallets.found(plain)).toBe(plain)
  })

  test.each([[undefined], [null], ['text'], [{}], [{ isMetaMask: true }], [{ isMetaMask: true, request: () => {} }]])(
    'what is no provider stays what it is: %j',
    (value) => {
      const { wallets } = setUp()
      expect(wallets.found(value)).toBe(value)
      expect(wallets.announced('io.metamask', value)).toBe(value)
    },
  )
})

describe('the background is told', () => {
  const [anna, bert] = [`0x${'aa'.repeat(20)}`, `0x${'bb'.repeat(20)}`]

  test('of the accounts that the wallet shows the page, and of others that it shows later', async () => {
    const { background, wallet, proxy } = setUp()
    wallet.request = async () => [anna] as never
    const fresh = new Wallets(background, () => {}).announced('io.metamask', wallet) as FakeMetaMask
    expect(await fresh.request({ method: 'eth_requestAccounts' })).toEqual([anna])
    expect(background.shown).toEqual([{ accounts: [anna] }])
    wallet.emit('accountsChanged', [anna, bert])
    expect(background.shown.at(-1)).toEqual({ accounts: [anna, bert] })
    expect(proxy).toBeDefined()
  })

  test('of nothing where the wallet shows none, or refuses', async () => {
    const { background, wallet, proxy } = setUp()
    await proxy.request({ method: 'eth_accounts' })
    await expect(proxy.request({ method: 'personal_sign' })).rejects.toThrow('rejected')
    wallet.emit('accountsChanged', [])
    expect(background.shown).toEqual([])
  })
})

describe('who answers', () => {
  test.each(['eth_accounts', 'eth_sendTransaction', 'wallet_getPermissions', 'eth_chainId', 'net_version'])(
    'the wallet: %s',
    async (method) => {
      const { background, wallet, proxy } = setUp()
      const params = [{ from: '0x1' }]
      expect(await proxy.request({ method, params })).toBe(method === 'eth_chainId' ? '0x1' : `wallet: ${method}`)
      expect(wallet.asked[0]?.params).toBe(params)
      expect(background.asked).toEqual([])
    },
  )

  test.each([
    'eth_getBalance',
    'eth_sendRawTransaction',
    'eth_newFilter',
    'eth_subscribe',
    'debug_traceCall',
    'eth_somethingNew',
  ])('the background: %s', async (method) => {
    const { background, wallet, proxy } = setUp()
    expect(await proxy.request({ method, params: ['0x1'] })).toBe(`private: ${method}`)
    expect(background.asked).toEqual([{ id: 1, method, params: ['0x1'], chain: 1, door: 'wallet' }])
    expect(wallet.askedMethods).toEqual(['eth_chainId'])
  })

  test('the wallet, where Nightjar is off', async () => {
    const { wallet, proxy } = setUp(new FakeBackground(() => ({ pass: true })))
    expect(await proxy.request({ method: 'eth_getBalance', params: ['0x1'] })).toBe('wallet: eth_getBalance')
    expect(wallet.asked.at(-1)).toEqual({ method: 'eth_getBalance', params: ['0x1'] })
  })

  test('nobody, where the background refuses: the wallet is not asked instead', async () => {
    const { wallet, proxy } = setUp(new FakeBackground(() => ({ error: timedOut })))
    await expect(proxy.request({ method: 'eth_getBalance' })).rejects.toMatchObject(timedOut)
    expect(wallet.askedMethods).toEqual(['eth_chainId'])
  })

  test('errors of the wallet come through as they are', async () => {
    const { proxy } = setUp()
    await expect(proxy.request({ method: 'personal_sign' })).rejects.toMatchObject({ code: 4001 })
  })

  test('malformed calls are refused here', async () => {
    const { background, wallet, proxy } = setUp()
    await expect(proxy.request('eth_call' as never)).rejects.toMatchObject({ code: -32600 })
    await expect(proxy.request({ method: 'eth_call', params: [1n] })).rejects.toMatchObject({ code: -32602 })
    expect([...background.asked, ...wallet.asked]).toEqual([])
  })
})

test('params are taken when the call is made, however long the wallet thinks about its chain', async () => {
  const { background, wallet, proxy } = setUp()
  const held = Promise.withResolvers<void>()
  wallet.held = held.promise
  const params = [{ to: '0x1' }]
  const answer = proxy.request({ method: 'eth_call', params })
  params[0] = { to: '0x2' }
  held.resolve()
  await answer
  expect(background.last.params).toEqual([{ to: '0x1' }])
})

describe('the chain of a read', () => {
  test('follows the wallet', async () => {
    const { background, wallet, proxy } = setUp()
    await proxy.request({ method: 'eth_blockNumber' })
    wallet.moveTo('0x89')
    await proxy.request({ method: 'eth_blockNumber' })
    expect(background.asked.map(({ chain }) => chain)).toEqual([1, 137])
  })

  test('is the new one right after a switch, though the event comes later', async () => {
    const { background, proxy } = setUp()
    await proxy.request({ method: 'eth_blockNumber' })
    await proxy.request({ method: 'wallet_switchEthereumChain', params: [{ chainId: '0xa' }] })
    await proxy.request({ method: 'eth_blockNumber' })
    expect(background.asked.map(({ chain }) => chain)).toEqual([1, 10])
  })

  test('is the new one within the page’s own chainChanged listener', async () => {
    const { background, wallet, proxy } = setUp()
    await proxy.request({ method: 'eth_blockNumber' })
    proxy.on('chainChanged', () => void proxy.request({ method: 'eth_gasPrice' }))
    wallet.moveTo('0x89')
    await turn()
    expect(background.last).toMatchObject({ method: 'eth_gasPrice', chain: 137 })
  })
})

describe('subscriptions', () => {
  test('come as events of the wallet’s own emitter, beside the wallet’s own', async () => {
    const background = new FakeBackground(() => ({ result: '0xa' }))
    const { wallet, proxy } = setUp(background)
    const heard: unknown[] = []
    const listener = (message: unknown) => heard.push(message)
    proxy.on('message', listener).once('data', listener)
    await proxy.request({ method: 'eth_subscribe', params: ['newHeads'] })
    background.tell({ event: 'subscription', subscription: '0xa', result: { number: '0x1' } })
    wallet.emit('message', { type: 'its own', data: {} })
    const data = { subscription: '0xa', result: { number: '0x1' } }
    expect(heard.splice(0)).toEqual([
      { jsonrpc: '2.0', method: 'eth_subscription', params: data },
      { type: 'eth_subscription', data },
      { type: 'its own', data: {} },
    ])
    proxy.removeListener('message', listener)
    background.tell({ event: 'subscription', subscription: '0xa', result: { number: '0x2' } })
    expect(heard).toEqual([])
  })

  test('are refused where the wallet has no way to tell of them', async () => {
    const wallets = new Wallets(new FakeBackground(), () => {})
    const mute: Provider = { request: async () => '0x1', on: () => {} }
    const proxy = wallets.announced('io.metamask', mute) as Provider
    await expect(proxy.request({ method: 'eth_subscribe', params: ['newHeads'] })).rejects.toMatchObject(
      methodNotAllowed,
    )
  })
})

describe('calls of old', () => {
  test('send(method, params) promises the whole response', async () => {
    const { proxy } = setUp()
    const response = await proxy.send('eth_getBalance', ['0x1'])
    expect(response).toEqual({ id: null, jsonrpc: '2.0', result: 'private: eth_getBalance' })
    expect(await proxy.send('eth_accounts')).toMatchObject({ result: 'wallet: eth_accounts' })
    await expect(proxy.send('personal_sign')).rejects.toMatchObject({ code: 4001 })
  })

  test.each(['send', 'sendAsync'] as const)('%s(payload, callback) calls back', async (name) => {
    const { proxy } = setUp()
    const call = (payload: unknown) =>
      new Promise((resolve) => {
        const send = Reflect.get(proxy, name) as (payload: unknown, callback: (...args: unknown[]) => void) => void
        send(payload, (...args) => resolve(args))
      })
    expect(await call({ id: 7, jsonrpc: '2.0', method: 'eth_gasPrice', params: null })).toEqual([
      null,
      { id: 7, jsonrpc: '2.0', result: 'private: eth_gasPrice' },
    ])
    expect(await call({ id: 8, method: 'personal_sign' })).toMatchObject([
      { code: 4001 },
      { id: 8, error: { code: 4001 } },
    ])
    expect(await call(undefined)).toMatchObject([{ code: -32600 }, { id: null }])
    expect(
      await call([
        { id: 1, method: 'eth_gasPrice' },
        { id: 2, method: 'personal_sign' },
      ]),
    ).toMatchObject([
      null,
      [
        { id: 1, result: 'private: eth_gasPrice' },
        { id: 2, error: { code: 4001 } },
      ],
    ])
  })

  test('send(payload) is the wallet’s for what it knows by heart, and nothing else', () => {
    const { background, proxy } = setUp()
    expect(proxy.send({ id: 1, method: 'eth_accounts' })).toEqual({ id: 1, jsonrpc: '2.0', result: 'at once' })
    expect(() => proxy.send({ id: 1, method: 'eth_call' })).toThrow('Without a callback')
    expect(background.asked).toEqual([])
  })
})
