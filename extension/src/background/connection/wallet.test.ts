import type { ErrorCode } from '@nightjar/shared/errors'
import { minute } from '@nightjar/shared/runtime'
import { codeOfAsync, FakeClock, turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { ScriptedWallet } from '../testing/wallet.ts'
import { askWallet, type WalletAnswer } from './wallet.ts'

const url = 'http://127.0.0.1:8645/token/1'

function setUp(changes: Partial<ScriptedWallet> = {}) {
  const clock = new FakeClock()
  const wallet = Object.assign(new ScriptedWallet(), changes)
  const user = new AbortController()
  const ask = (chain = 1) =>
    codeOfAsync(() => askWallet({ clock, ...wallet }, { walletId: 'wallet-id', chain, url, signal: user.signal }))
  return { clock, wallet, user, ask }
}

describe('the question', () => {
  test.each([
    [1, 'Ethereum (Nightjar)', 'ETH', '0x1'],
    [11155111, 'Sepolia (Nightjar)', 'SepoliaETH', '0xaa36a7'],
    [424242, 'Chain 424242 (Nightjar)', 'ETH', '0x67932'],
  ])('for chain %i is one that MetaMask takes', async (chain, chainName, symbol, chainId) => {
    const { wallet, ask } = setUp()
    expect(await ask(chain)).toBeUndefined()
    const [posted] = wallet.ports[0]?.posted ?? []
    expect(posted).toEqual({
      name: 'metamask-provider',
      data: {
        jsonrpc: '2.0',
        id: 1,
        method: 'wallet_addEthereumChain',
        params: [
          { chainId, chainName, rpcUrls: [url], nativeCurrency: { name: expect.any(String), symbol, decimals: 18 } },
        ],
      },
    })
    expect(wallet.askedIds).toEqual(['wallet-id'])
  })
})

describe('the answer', () => {
  test.each<[string, WalletAnswer, ErrorCode | undefined]>([
    ['null', { result: null }, undefined],
    ['rejected', { error: { code: 4001, message: 'User rejected' } }, 'wallet-refused'],
    ['another dialog is open', { error: { code: -32002 } }, 'wallet-busy'],
    ['blocked for spam', { error: { code: 4100 } }, 'wallet-blocked'],
    ['not as it wants it', { error: { code: -32602, message: 'bad symbol' } }, 'wallet-failed'],
    ['an error without a number', { error: { code: 'x' as unknown as number } }, 'wallet-failed'],
  ])('%s', async (_, answer, code) => {
    const { clock, wallet, ask } = setUp({ mood: 'silent' })
    const asked = ask()
    await turn()
    wallet.answer(answer)
    expect(await asked).toBe(code)
    // The port is closed, or the wallet would keep its dialog.
    expect([wallet.isAsking, clock.pending, wallet.pageAsked]).toEqual([false, 0, 0])
  })

  test('is told by its number: the words may be a page’s, and would stand in the popup', async () => {
    const { clock, wallet } = setUp({ mood: { code: -32602, message: 'enter your recovery phrase' } })
    const { signal } = new AbortController()
    const error = await askWallet({ clock, ...wallet }, { walletId: 'id', chain: 1, url, signal }).catch((each) => each)
    expect(error).toMatchObject({ code: 'wallet-failed', detail: 'code -32602' })
  })

  test.each<[string, unknown]>([
    ['to something else', { name: 'metamask-provider', data: { id: 2, result: null } }],
    ['on another channel', { name: 'other', data: { id: 1, result: null } }],
    ['that is neither result nor error', { name: 'metamask-provider', data: { id: 1 } }],
    ['of nothing', null],
    ['of nonsense', 'metamask-provider'],
  ])('%s is none', async (_, message) => {
    const { wallet, ask } = setUp({ mood: 'silent' })
    const asked = ask()
    await turn()
    wallet.ports[0]?.receive(message)
    await turn()
    expect(wallet.isAsking).toBe(true)
    wallet.answer({ result: null })
    expect(await asked).toBeUndefined()
  })
})

describe('no answer', () => {
  test('within five minutes: given up, with its dialog', async () => {
    const { clock, wallet, ask } = setUp({ mood: 'silent' })
    const asked = ask()
    await clock.elapse(5 * minute - 1)
    expect(wallet.isAsking).toBe(true)
    await clock.elapse(1)
    expect(await asked).toBe('wallet-silent')
    // Left open, a later "approve" would go unnoticed, and another try would find the wallet busy.
    expect([wallet.isAsking, clock.pending]).toEqual([false, 0])
  })

  test('because it went away, after it had said something', async () => {
    const { wallet, ask } = setUp({ mood: 'silent' })
    const asked = ask()
    await turn()
    wallet.ports[0]?.close()
    expect(await asked).toBe('wallet-silent')
    expect(wallet.pageAsked).toBe(0)
  })

  test('because the user has enough: the dialog is taken away', async () => {
    const { clock, wallet, user, ask } = setUp({ mood: 'silent' })
    const asked = ask()
    await turn()
    user.abort()
    expect(await asked).toBe('cancelled')
    expect([wallet.isAsking, clock.pending]).toEqual([false, 0])
  })
})

describe('no wallet of that id', () => {
  test.each<[string, WalletAnswer, ErrorCode | undefined]>([
    ['agrees', { result: null }, undefined],
    ['agrees without a word', {} as WalletAnswer, undefined],
    ['refuses', { error: { code: 4001 } }, 'wallet-refused'],
    ['fails', { error: { code: Number.NaN, message: 'TypeError' } }, 'wallet-failed'],
  ])('the page’s provider is asked, and %s', async (_, page, code) => {
    const { wallet, ask } = setUp({ mood: 'absent', page })
    expect(await ask()).toBe(code)
    expect([wallet.pageAsked, wallet.asked[0]]).toEqual([1, expect.objectContaining({ rpcUrls: [url] })])
  })

  test('and none in the page', async () => {
    const { clock, ask } = setUp({ mood: 'absent' })
    expect(await ask()).toBe('wallet-absent')
    expect(clock.pending).toBe(0)
  })

  test.each<[string, ErrorCode, (all: ReturnType<typeof setUp>) => unknown]>([
    ['never answers', 'wallet-silent', ({ clock }) => clock.elapse(5 * minute)],
    ['is not waited for any more', 'cancelled', ({ user }) => user.abort()],
  ])('and the page’s provider %s', async (_, code, end) => {
    const all = setUp({ mood: 'absent', askPage: () => new Promise(() => undefined) })
    const asked = all.ask()
    await turn()
    await end(all)
    expect(await asked).toBe(code)
    expect(all.clock.pending).toBe(0)
  })
})
