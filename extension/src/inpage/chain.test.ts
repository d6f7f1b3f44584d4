import { expect, test } from 'vitest'
import { Chain, toChain } from './chain.ts'
import { FakeMetaMask } from './testing/wallet.ts'

test('the wallet is asked once, then its events are followed', async () => {
  const wallet = new FakeMetaMask()
  const chain = new Chain(wallet)
  expect(wallet.asked).toEqual([])
  expect(await Promise.all([chain.current(), chain.current()])).toEqual([1, 1])
  wallet.moveTo('0x89')
  expect(await chain.current()).toBe(137)
  expect(wallet.askedMethods).toEqual(['eth_chainId'])
})

test('an event while the wallet is being asked wins over its answer', async () => {
  const wallet = new FakeMetaMask()
  const held = Promise.withResolvers<void>()
  wallet.held = held.promise
  const chain = new Chain(wallet)
  const current = chain.current()
  wallet.moveTo('0xa')
  held.resolve()
  expect(await current).toBe(10)
})

test('what was answered before a switch is not believed after it', async () => {
  const wallet = new FakeMetaMask()
  const held = Promise.withResolvers<void>()
  wallet.held = held.promise
  const chain = new Chain(wallet)
  const current = chain.current()
  await wallet.request({ method: 'wallet_switchEthereumChain', params: [{ chainId: '0x89' }] })
  chain.forget()
  held.resolve()
  expect(await current).toBe(137)
})

test('an event that names no chain makes the wallet be asked', async () => {
  const wallet = new FakeMetaMask()
  const chain = new Chain(wallet)
  await chain.current()
  wallet.emit('chainChanged', 'loading')
  expect(await chain.current()).toBe(1)
  expect(wallet.askedMethods).toHaveLength(2)
})

test('a wallet that fails is asked again next time', async () => {
  const wallet = new FakeMetaMask()
  const chain = new Chain(wallet)
  wallet.held = Promise.reject(new Error('locked'))
  await expect(chain.current()).rejects.toThrow('locked')
  wallet.held = undefined
  expect(await chain.current()).toBe(1)
})

test('a wallet that answers nonsense gives no chain', async () => {
  const wallet = new FakeMetaMask()
  wallet.moveTo('mainnet')
  await expect(new Chain(wallet).current()).rejects.toThrow(TypeError)
})

test.each([
  ['0x1', 1],
  ['0xAA36A7', 11155111],
  ['0x0', undefined],
  ['0xfffffffffffff', 2 ** 52 - 1],
  ['0x10000000000000', undefined],
  ['1', undefined],
  [' 0x1', undefined],
  [1, undefined],
  [null, undefined],
])('chain id %j is %j', (value, chain) => {
  expect(toChain(value)).toBe(chain)
})
