import { turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { pageOrphaned, turnedOff, walletMissing } from './failures.ts'
import { createProvider } from './provider.ts'
import { FakeBackground } from './testing/background.ts'
import { FakeMetaMask } from './testing/wallet.ts'
import { Wallets } from './wallets.ts'

interface SetUp {
  /** The wallet that shows itself when it is asked to. */
  readonly hidden?: FakeMetaMask
  readonly background?: FakeBackground
}

function setUp({
  hidden,
  background = new FakeBackground(({ method }) => ({ result: `private: ${method}` })),
}: SetUp = {}) {
  let searches = 0
  const { provider, useWallet } = createProvider(background, () => {
    searches += 1
    if (hidden !== undefined) wallets.announced('io.metamask', hidden)
  })
  const wallets = new Wallets(background, useWallet)
  const heard: unknown[] = []
  for (const event of ['accountsChanged', 'chainChanged', 'connect', 'disconnect', 'message']) {
    provider.on(event, (...args) => heard.push([event, ...args]))
  }
  return { background, provider, wallets, heard, searches: () => searches }
}

test('it does not pass for MetaMask', () => {
  const { provider } = setUp()
  expect(provider).not.toHaveProperty('isMetaMask')
})

describe('beside a wallet', () => {
  test('reads go the private way, by Nightjar’s own door, on the wallet’s chain', async () => {
    const wallet = new FakeMetaMask()
    wallet.moveTo('0x89')
    const { background, provider } = setUp({ hidden: wallet })
    expect(await provider.request({ method: 'eth_gasPrice' })).toBe('private: eth_gasPrice')
    expect(background.last).toMatchObject({ door: 'nightjar', chain: 137 })
    expect(wallet.askedMethods).toEqual(['eth_chainId'])
  })

  test('what needs keys is asked of the wallet itself', async () => {
    const wallet = new FakeMetaMask()
    const { background, provider } = setUp({ hidden: wallet })
    expect(await provider.request({ method: 'eth_requestAccounts' })).toBe('wallet: eth_requestAccounts')
    await expect(provider.request({ method: 'personal_sign' })).rejects.toMatchObject({ code: 4001 })
    expect(background.asked).toEqual([])
  })

  test('a switch holds for the next read', async () => {
    const { background, provider } = setUp({ hidden: new FakeMetaMask() })
    await provider.request({ method: 'eth_gasPrice' })
    await provider.request({ method: 'wallet_switchEthereumChain', params: [{ chainId: '0xa' }] })
    await provider.request({ method: 'eth_gasPrice' })
    expect(background.asked.map(({ chain }) => chain)).toEqual([1, 10])
  })

  test('its events are told', async () => {
    const wallet = new FakeMetaMask()
    const { wallets, heard } = setUp()
    wallets.announced('io.metamask', wallet)
    const second = new FakeMetaMask()
    wallets.announced('io.metamask', second)
    second.emit('accountsChanged', ['0xbb'])
    wallet.emit('connect', { chainId: '0x1' })
    wallet.emit('accountsChanged', ['0xaa'])
    wallet.moveTo('0x89')
    wallet.emit('disconnect', { code: 4900 })
    wallet.emit('message', { type: 'its own' })
    expect(heard).toEqual([
      ['connect', { chainId: '0x1' }],
      ['accountsChanged', ['0xaa']],
      ['chainChanged', '0x89'],
      ['disconnect', { code: 4900 }],
    ])
  })

  test('it is not asked what Nightjar, turned off, would not answer', async () => {
    const wallet = new FakeMetaMask()
    const { provider } = setUp({ hidden: wallet, background: new FakeBackground(() => ({ pass: true })) })
    await expect(provider.request({ method: 'eth_gasPrice' })).rejects.toMatchObject(turnedOff)
    expect(wallet.askedMethods).toEqual(['eth_chainId'])
  })
})

describe('without a wallet', () => {
  test('it reads, on chain 1, and says that it is connected', async () => {
    const { background, provider, heard } = setUp()
    expect(await provider.request({ method: 'eth_gasPrice' })).toBe('private: eth_gasPrice')
    expect(await provider.request({ method: 'eth_chainId' })).toBe('0x1')
    expect(await provider.request({ method: 'net_version' })).toBe('1')
    expect(background.asked).toMatchObject([{ method: 'eth_gasPrice', chain: 1, door: 'nightjar' }])
    expect(heard).toEqual([['connect', { chainId: '0x1' }]])
  })

  test('it can be moved to another chain', async () => {
    const { background, provider, heard } = setUp()
    const switchTo = (params: unknown) => provider.request({ method: 'wallet_switchEthereumChain', params })
    expect(await switchTo([{ chainId: '0xaa36a7' }])).toBeNull()
    expect(await switchTo([{ chainId: '0xaa36a7' }])).toBeNull()
    expect(await provider.request({ method: 'eth_chainId' })).toBe('0xaa36a7')
    await provider.request({ method: 'eth_gasPrice' })
    expect(background.last.chain).toBe(11155111)
    expect(heard).toEqual([
      ['chainChanged', '0xaa36a7'],
      ['connect', { chainId: '0xaa36a7' }],
    ])
    for (const params of [undefined, [], [null], [{ chainId: 10 }], { chainId: '0x1' }]) {
      await expect(switchTo(params)).rejects.toMatchObject({ code: -32602 })
    }
  })

  test.each(['eth_accounts', 'eth_requestAccounts', 'personal_sign', 'wallet_addEthereumChain'])(
    '%s is an error that says so',
    async (method) => {
      const { provider } = setUp()
      await expect(provider.request({ method })).rejects.toMatchObject(walletMissing)
    },
  )

  test('wallets are looked for once: pages answer announcements with requests', async () => {
    const { provider, searches } = setUp()
    await provider.request({ method: 'eth_gasPrice' })
    await provider.request({ method: 'eth_chainId' })
    expect(searches()).toBe(1)
  })

  test('one that comes later is used, and a page on another chain is told', async () => {
    const { background, provider, wallets, heard } = setUp()
    await provider.request({ method: 'eth_gasPrice' })
    const wallet = new FakeMetaMask()
    wallet.moveTo('0x89')
    wallets.announced('io.metamask', wallet)
    await turn()
    expect(heard).toEqual([
      ['connect', { chainId: '0x1' }],
      ['chainChanged', '0x89'],
    ])
    await provider.request({ method: 'eth_gasPrice' })
    expect(background.last.chain).toBe(137)
    expect(await provider.request({ method: 'eth_accounts' })).toBe('wallet: eth_accounts')
  })
})

test('params that the browser cannot copy, being nested too deeply, are an error that says so', async () => {
  const background = new FakeBackground(() => {
    throw new RangeError('Maximum call stack size exceeded')
  })
  const { provider } = setUp({ background })
  const asked = provider.request({ method: 'eth_getBalance', params: [[[]]] })
  await expect(asked).rejects.toMatchObject({ code: -32602 })
})

test('subscriptions come as messages', async () => {
  const background = new FakeBackground(() => ({ result: '0xa' }))
  const { provider, heard } = setUp({ background, hidden: new FakeMetaMask() })
  await provider.request({ method: 'eth_subscribe', params: ['newHeads'] })
  background.tell({ event: 'subscription', subscription: '0xa', result: 1 })
  expect(heard).toEqual([['message', { type: 'eth_subscription', data: { subscription: '0xa', result: 1 } }]])
})

test('when the extension is gone it says that it is disconnected, and refuses', async () => {
  const { background, provider, heard } = setUp({ hidden: new FakeMetaMask() })
  expect(provider.isConnected()).toBe(true)
  background.tell({ event: 'gone' })
  expect(provider.isConnected()).toBe(false)
  expect(heard).toMatchObject([['disconnect', pageOrphaned]])
  await expect(provider.request({ method: 'eth_gasPrice' })).rejects.toMatchObject(pageOrphaned)
})

test('listeners come and go by all the names that pages use', async () => {
  const { background, provider } = setUp({ background: new FakeBackground(() => ({ result: '0xa' })) })
  provider.removeAllListeners()
  const heard: unknown[] = []
  const listener = (message: unknown) => heard.push(message)
  await provider.request({ method: 'eth_subscribe', params: ['newHeads'] })
  const push = () => {
    background.tell({ event: 'subscription', subscription: '0xa', result: 1 })
    return heard.splice(0).length
  }
  expect(provider.on('message', listener).addListener('message', listener).once('message', listener)).toBe(provider)
  expect([push(), push()]).toEqual([3, 2])
  expect(provider.off('message', listener)).toBe(provider)
  expect(push()).toBe(1)
  expect(provider.removeListener('message', listener)).toBe(provider)
  expect(push()).toBe(0)
  provider.on('message', listener)
  expect(provider.removeAllListeners('message')).toBe(provider)
  expect(push()).toBe(0)
})
