import { describe, expect, test } from 'vitest'
import { Globals } from './globals.ts'
import { FakeBackground } from './testing/background.ts'
import { FakeMetaMask } from './testing/wallet.ts'
import { definers, FakeWindow } from './testing/window.ts'
import { Wallets } from './wallets.ts'

function setUp(before: (window: FakeWindow) => void = () => {}) {
  const window = new FakeWindow()
  before(window)
  const builtIns = definers()
  const originals = { object: builtIns.Object.defineProperty, reflect: builtIns.Reflect.defineProperty }
  const wallets = new Wallets(new FakeBackground(({ method }) => ({ result: `private: ${method}` })), () => {})
  const globals = new Globals(window, builtIns, wallets)
  const isRestored = () =>
    builtIns.Object.defineProperty === originals.object && builtIns.Reflect.defineProperty === originals.reflect
  return { window, builtIns, wallets, globals, isRestored }
}

const own = (window: FakeWindow) => Object.getOwnPropertyDescriptor(window, 'ethereum')

describe('with us first, a page finds the Proxy of what the wallet', () => {
  test('assigns, in a property like any that was assigned', () => {
    const { window, wallets, isRestored } = setUp()
    const wallet = new FakeMetaMask()
    window.ethereum = wallet
    expect(window.ethereum).toBe(wallets.found(wallet))
    expect(window.ethereum).not.toBe(wallet)
    expect(own(window)).toMatchObject({ writable: true, enumerable: true, configurable: true })
    expect(isRestored()).toBe(true)
  })

  test.each([
    ['Object.defineProperty', { writable: false }],
    ['Object.defineProperty', { writable: false, configurable: false, enumerable: true }],
    ['Object.defineProperty', { writable: true, configurable: true }],
    ['Reflect.defineProperty', {}],
    ['Reflect.defineProperty', { configurable: true }],
  ])('defines by %s, %j, in the property that it described', (how, flags) => {
    const { window, builtIns, wallets, isRestored } = setUp()
    const wallet = Object.freeze(new FakeMetaMask())
    const { defineProperty } = how.startsWith('Object') ? builtIns.Object : builtIns.Reflect
    defineProperty(window, 'ethereum', { value: wallet, ...flags })
    const bare = { writable: false, enumerable: false, configurable: false, ...flags }
    expect(own(window)).toEqual({ value: wallets.found(wallet), ...bare })
    expect(window.ethereum).not.toBe(wallet)
    expect(isRestored()).toBe(true)
  })

  test('shows by a getter of its own', () => {
    const { window, builtIns, wallets } = setUp()
    const wallet = new FakeMetaMask()
    builtIns.Object.defineProperty(window, 'ethereum', { get: () => wallet, configurable: true })
    expect(window.ethereum).toBe(wallets.found(wallet))
    expect(window.ethereum).not.toBe(wallet)
  })

  test('puts over that of another wallet', () => {
    const { window, wallets } = setUp()
    const other = Object.assign(new FakeMetaMask(), { isMetaMask: false })
    window.ethereum = other
    expect(window.ethereum).toBe(other)
    const wallet = new FakeMetaMask()
    window.ethereum = wallet
    expect(window.ethereum).toBe(wallets.found(wallet))
  })

  test('assigns before it says who it is', () => {
    const { window, wallets, globals } = setUp()
    const wallet = Object.assign(new FakeMetaMask(), { isMetaMask: undefined })
    window.ethereum = wallet
    const proxy = wallets.announced('io.metamask', wallet)
    globals.takeOver()
    expect(window.ethereum).toBe(proxy)
  })
})

describe('until a wallet comes', () => {
  test('there is no provider, and other properties are defined as ever', () => {
    const { window, builtIns } = setUp()
    expect(window.ethereum).toBeUndefined()
    builtIns.Object.defineProperty(window, 'other', { value: 1 })
    expect(Reflect.get(window, 'other')).toBe(1)
    expect(() => builtIns.Object.defineProperty(window, 'ethereum', 1 as never)).toThrow(TypeError)
  })

  test('the changed functions look like their originals', () => {
    const { builtIns } = setUp()
    const { defineProperty } = builtIns.Object
    expect(Function.prototype.toString.call(defineProperty)).toContain('[native code]')
    expect([defineProperty.name, defineProperty.length]).toEqual(['defineProperty', 3])
  })
})

describe('when the page has loaded and no wallet came', () => {
  test('nothing of ours is left', () => {
    const { window, isRestored } = setUp()
    window.dispatchEvent(new Event('DOMContentLoaded'))
    expect('ethereum' in window).toBe(false)
    expect(isRestored()).toBe(true)
  })

  test('another wallet’s provider stays, in a plain property', () => {
    const { window, globals } = setUp()
    globals.takeOver()
    const other = Object.assign(new FakeMetaMask(), { isMetaMask: false })
    window.ethereum = other
    window.dispatchEvent(new Event('DOMContentLoaded'))
    expect(own(window)).toEqual({ value: other, writable: true, enumerable: true, configurable: true })
  })

  test('a function that somebody patched over ours stays, and works', () => {
    const { window, builtIns } = setUp()
    const ours = builtIns.Object.defineProperty
    const theirs: typeof ours = (...args) => ours(...args)
    builtIns.Object.defineProperty = theirs
    window.dispatchEvent(new Event('DOMContentLoaded'))
    expect(builtIns.Object.defineProperty).toBe(theirs)
    theirs(window, 'other', { value: 1 })
    expect(Reflect.get(window, 'other')).toBe(1)
  })

  test.each(['says ethereum#initialized', 'announces itself'])('a wallet that comes late and %s is found', (how) => {
    const { window, wallets, globals } = setUp()
    window.dispatchEvent(new Event('DOMContentLoaded'))
    const wallet = new FakeMetaMask()
    window.ethereum = wallet
    if (how.startsWith('says')) window.dispatchEvent(new Event('ethereum#initialized'))
    else globals.takeOver()
    expect(window.ethereum).toBe(wallets.found(wallet))
    expect(window.ethereum).not.toBe(wallet)
  })
})

describe('with the wallet first, in a property that', () => {
  test.each([
    ['can be redefined', { writable: false, configurable: true }],
    ['can be assigned', { writable: true, configurable: false }],
    ['can be both', { writable: true, configurable: true }],
  ])('%s, the page finds the Proxy', (_, flags) => {
    const wallet = Object.freeze(new FakeMetaMask())
    const { window, wallets } = setUp((window) =>
      Object.defineProperty(window, 'ethereum', { value: wallet, ...flags }),
    )
    expect(own(window)).toMatchObject({ value: wallets.found(wallet), ...flags })
    expect(window.ethereum).not.toBe(wallet)
  })

  test('can be neither, the methods of the wallet’s own object are ours, and it still signs', async () => {
    const wallet = new FakeMetaMask()
    const { window } = setUp((window) => Object.defineProperty(window, 'ethereum', { value: wallet }))
    expect(window.ethereum).toBe(wallet)
    expect(await wallet.request({ method: 'eth_gasPrice' })).toBe('private: eth_gasPrice')
    expect(await wallet.request({ method: 'eth_accounts' })).toBe('wallet: eth_accounts')
    expect(await wallet.send('eth_gasPrice')).toMatchObject({ result: 'private: eth_gasPrice' })
    window.dispatchEvent(new Event('ethereum#initialized'))
    expect(await wallet.request({ method: 'eth_gasPrice' })).toBe('private: eth_gasPrice')
  })

  test('is a getter, the page finds the Proxy', () => {
    const wallet = new FakeMetaMask()
    const { window, wallets, globals } = setUp((window) =>
      Object.defineProperty(window, 'ethereum', { get: () => wallet, configurable: true }),
    )
    globals.takeOver()
    expect(window.ethereum).toBe(wallets.found(wallet))
    expect(window.ethereum).not.toBe(wallet)
    const getter = own(window)?.get
    globals.takeOver()
    expect(own(window)?.get).toBe(getter)
  })
})

test('the currentProvider of MetaMask’s window.web3 is the Proxy, and nobody looked at it before the page did', () => {
  const wallet = new FakeMetaMask()
  let looks = 0
  const shim = {
    __isMetaMaskShim__: true,
    get currentProvider() {
      looks += 1
      return wallet
    },
  }
  const { window, wallets, globals } = setUp()
  Object.defineProperty(window, 'web3', { value: shim, configurable: true, writable: true })
  globals.takeOver()
  globals.takeOver()
  expect(looks).toBe(0)
  const { currentProvider } = window.web3 as typeof shim
  expect(currentProvider).toBe(wallets.found(wallet))
  expect(currentProvider).not.toBe(wallet)
  expect((window.web3 as typeof shim).__isMetaMaskShim__).toBe(true)
  const library = { currentProvider: wallet }
  window.web3 = library
  globals.takeOver()
  expect(window.web3).toBe(library)
})
