import { nobleCrypto } from '@nightjar/shared/crypto/noble'
import { type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import type { Call, Json, Outcome } from '@nightjar/shared/rpc'
import { FakeClock, turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import type { PageSender } from '../requests/groups.ts'
import type { HeadChange } from '../requests/heads.ts'
import { senderOf, TestPage } from '../testing/stage.ts'
import { Pages } from './pages.ts'

const dapp = 'https://dapp.example'

function setUp() {
  const asked: { origin: string; chain: number; call: Call }[] = []
  const failures: ErrorCode[] = []
  const followed: string[] = []
  const shown: string[] = []
  const listeners = new Set<(change: HeadChange) => void>()
  const state = {
    answered: 0,
    on: (_origin: string) => true,
    answer: (origin: string, { method }: Call): Outcome | Promise<Outcome> => ({ result: `${method} for ${origin}` }),
  }
  const pages = new Pages({
    clock: new FakeClock(),
    randomBytes: nobleCrypto.randomBytes,
    isOnFor: (origin) => state.on(origin),
    async request(origin, chain, call) {
      asked.push({ origin, chain, call })
      return state.answer(origin, call)
    },
    shown: (origin, { accounts, transaction }) => shown.push(`${origin} ${accounts} ${transaction}`),
    heads(origin, chain, listener) {
      followed.push(`${origin} ${chain}`)
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    answered: () => {
      state.answered += 1
    },
    failed: ({ code }) => failures.push(code),
  })
  const open = (sender: PageSender | string = dapp) => {
    const page = new TestPage(typeof sender === 'string' ? senderOf(sender) : sender)
    pages.serve(page)
    return page
  }
  return { asked, failures, followed, listeners, shown, state, open }
}

test('what its wallet shows a frame is told of its site, and not answered', async () => {
  const { asked, shown, open } = setUp()
  const page = open({ id: 'self', frameId: 2, url: 'https://frame.example/', tab: { url: `${dapp}/` } })
  const account = `0x${'aa'.repeat(20)}`
  page.receive({ accounts: [account] })
  await turn()
  expect([shown, asked, page.posted]).toEqual([[`${dapp} ${account} undefined`], [], []])
  page.receive({ accounts: [account], more: 1 })
  await turn()
  expect([shown.length, page.isDisconnected]).toEqual([1, true])
})

describe('who asks', () => {
  test('is what the browser says of the port, whatever is in the message', async () => {
    const { asked, open } = setUp()
    const page = open({ id: 'self', frameId: 2, url: 'https://frame.example/', tab: { url: `${dapp}/` } })
    await page.request('eth_getBalance', [{ origin: 'https://bank.example' }])
    expect(asked.map(({ origin }) => origin)).toEqual([dapp])
  })

  test.each<[string, PageSender]>([
    ['a page of the extension', { frameId: 0, url: 'chrome-extension://abc/p.html', tab: { url: dapp } }],
    ['about:blank', { frameId: 0, url: 'about:blank', tab: { url: 'about:blank' } }],
    [
      'what is prerendered',
      { frameId: 5, url: dapp, documentLifecycle: 'prerender', tab: { url: 'https://shown.example' } },
    ],
    ['no tab', { url: dapp }],
  ])('being %s, is not heard at all', async (_, sender) => {
    const { asked, open } = setUp()
    const page = open(sender)
    page.ask('eth_gasPrice')
    await turn()
    expect([page.isDisconnected, page.posted, asked]).toEqual([true, [], []])
  })
})

describe('an answer', () => {
  test('comes to its question, with its id, and is counted', async () => {
    const { state, open } = setUp()
    const page = open()
    const first = Promise.withResolvers<Outcome>()
    state.answer = (_, { method }) => (method === 'eth_call' ? first.promise : { result: 'second' })
    const ids = [page.ask('eth_call'), page.ask('eth_gasPrice')]
    await turn()
    first.resolve({ result: 'first' })
    await turn()
    expect(ids.map((id) => page.answerTo(id))).toEqual([{ result: 'first' }, { result: 'second' }])
    expect([page.posted.length, state.answered]).toEqual([2, 2])
  })

  test('never reaches another page', async () => {
    const { state, open, listeners } = setUp()
    const [one, two] = [open('https://one.example'), open('https://two.example')]
    const pending = Promise.withResolvers<Outcome>()
    state.answer = (origin) => (origin === 'https://one.example' ? pending.promise : { result: 'two' })
    one.ask('eth_call')
    two.ask('eth_call')
    const subscribed = await one.request('eth_subscribe', ['newHeads'])
    pending.resolve({ result: 'one' })
    const head = { hash: '0x2', parentHash: '0x1', number: 2, header: { hash: '0x2' } }
    for (const listener of listeners) listener({ removed: [], added: [head] })
    await turn()
    expect(two.posted).toEqual([{ id: 1, result: 'two' }])
    expect(one.pushed(subscribed?.result)).toEqual([{ hash: '0x2' }])
  })

  test('that is the node’s error goes through as it is', async () => {
    const { state, failures, open } = setUp()
    const error = { code: 3, message: 'execution reverted', data: '0x' }
    state.answer = () => ({ error })
    expect(await open().request('eth_call')).toEqual({ error })
    expect(failures).toEqual([])
  })

  test.each<[unknown, number, ErrorCode]>([
    [new NightjarError('network-unreachable'), 4900, 'network-unreachable'],
    [new NightjarError('chain-not-served', { facts: { chain: 5 } }), 4901, 'chain-not-served'],
    [new TypeError('a bug'), -32603, 'internal'],
  ])('that cannot be had is an error with its code: %s', async (thrown, code, nightjar) => {
    const { state, failures, open } = setUp()
    state.answer = () => Promise.reject(thrown)
    const page = open()
    const answer = await page.request('eth_call', ['0xsecret'])
    expect(answer?.error).toMatchObject({ code, data: { nightjar } })
    expect(JSON.stringify(answer)).not.toMatch(/secret|a bug/)
    expect([failures, state.answered]).toEqual([[nightjar], 0])
  })

  test('that comes after the page has gone is given to nobody', async () => {
    const { state, open } = setUp()
    const page = open()
    const pending = Promise.withResolvers<Outcome>()
    state.answer = () => pending.promise
    page.ask('eth_call')
    page.ask('eth_gasPrice')
    page.close()
    pending.resolve({ result: 1 })
    await turn()
    expect(page.posted).toEqual([])
  })
})

describe('methods', () => {
  test.each([
    'eth_chainId',
    'net_version',
    'eth_accounts',
    'eth_requestAccounts',
    'eth_sendTransaction',
    'personal_sign',
    'personal_unlockAccount',
    'eth_signTypedData_v4',
    'wallet_switchEthereumChain',
    'metamask_getProviderState',
    'debug_traceCall',
    'eth_sendPrivateTransaction',
    'constructor',
    'made_up',
  ])('%s is never sent on', async (method) => {
    const { asked, open } = setUp()
    for (const door of ['wallet', 'nightjar'] as const) {
      const answer = await open().request(method, ['0x1'], { door })
      expect(answer?.error).toMatchObject({ code: -32601, data: { nightjar: 'method-not-allowed', method } })
    }
    expect(asked).toEqual([])
  })

  test('go out with their parameters as they were, or without', async () => {
    const { asked, open } = setUp()
    const page = open()
    page.receive({ id: 1, method: 'eth_gasPrice', chain: 10, door: 'wallet' })
    page.receive({ id: 2, method: 'eth_call', params: { named: [1] }, chain: 10, door: 'nightjar' })
    await turn()
    expect(asked).toEqual([
      { origin: dapp, chain: 10, call: { method: 'eth_gasPrice' } },
      { origin: dapp, chain: 10, call: { method: 'eth_call', params: { named: [1] } } },
    ])
  })

  test('of filters are answered here', async () => {
    const { asked, state, open } = setUp()
    state.answer = () => ({ result: '0x10' })
    const page = open()
    const created = await page.request('eth_newBlockFilter')
    expect(await page.request('eth_getFilterChanges', [created?.result as string])).toEqual({ result: [] })
    expect(new Set(asked.map(({ call }) => call.method))).toEqual(new Set(['eth_blockNumber']))
    // Filters are the page's own.
    expect(await open().request('eth_uninstallFilter', [created?.result as string])).toEqual({ result: false })
  })
})

describe('while it is off', () => {
  test('the wallet’s door lets everything pass, Nightjar’s own door nothing', async () => {
    const { asked, followed, state, open } = setUp()
    state.on = () => false
    const page = open()
    for (const method of ['eth_call', 'eth_subscribe', 'eth_newFilter', 'eth_accounts']) {
      expect(await page.request(method)).toEqual({ pass: true })
      expect((await page.request(method, [], { door: 'nightjar' }))?.error).toMatchObject({
        code: 4900,
        data: { nightjar: 'turned-off' },
      })
    }
    expect([asked, followed]).toEqual([[], []])
  })

  test('for a site that was not chosen, only that one', async () => {
    const { state, open } = setUp()
    state.on = (origin) => origin === dapp
    expect(await open('https://other.example').request('eth_call')).toEqual({ pass: true })
    expect(await open().request('eth_call')).toEqual({ result: `eth_call for ${dapp}` })
  })

  // Its scripts are in that frame, so the wrapped wallet of a chosen site would ask its provider directly.
  test('a chosen site is on also in a frame of one that is not, in the group of that', async () => {
    const { state, open } = setUp()
    state.on = (origin) => origin === dapp
    const framed = { frameId: 3, url: `${dapp}/widget`, origin: dapp, tab: { url: 'https://other.example/' } }
    expect(await open(framed).request('eth_call')).toEqual({ result: 'eth_call for https://other.example' })
    expect(await open({ ...framed, url: 'about:blank' }).request('eth_call')).toEqual({
      result: 'eth_call for https://other.example',
    })
  })
})

describe('a page that misbehaves', () => {
  const good = { id: 1, method: 'eth_gasPrice', params: [], chain: 1, door: 'wallet' }

  test.each<[string, unknown]>([
    ['nothing', null],
    ['a text', 'eth_gasPrice'],
    ['no id', { ...good, id: undefined }],
    ['an id that is no number', { ...good, id: '1' }],
    ['an id that is no whole number', { ...good, id: 1.5 }],
    ['no method', { ...good, method: undefined }],
    ['an empty method', { ...good, method: '' }],
    ['an endless method', { ...good, method: 'x'.repeat(129) }],
    ['a method that is none', { ...good, method: ['eth_gasPrice'] }],
    ['parameters that are none', { ...good, params: 'x' }],
    ['no chain', { ...good, chain: undefined }],
    ['chain 0', { ...good, chain: 0 }],
    ['a chain that is no number', { ...good, chain: '0x1' }],
    ['no door', { ...good, door: undefined }],
    ['another door', { ...good, door: 'back' }],
    ['an origin of its own', { ...good, origin: 'https://bank.example' }],
  ])('saying %s is heard no more', async (_, message) => {
    const { asked, listeners, open } = setUp()
    const page = open()
    await page.request('eth_subscribe', ['newHeads'])
    page.receive(message)
    await turn()
    expect([page.isDisconnected, asked]).toEqual([true, []])
    // Our own end is not told when we close a port: what the page had was kept for ever.
    expect(listeners.size).toBe(0)
  })

  test('by asking more than 1000 things at once is refused, until there is room again', async () => {
    const { state, asked, open } = setUp()
    const pending = Promise.withResolvers<Outcome>()
    state.answer = () => pending.promise
    const page = open()
    for (let count = 0; count < 1000; count++) page.ask('eth_call')
    const over = page.ask('eth_call')
    await turn()
    expect([page.codeOf(over), asked.length]).toEqual(['limit-reached', 1000])
    // Others are not concerned.
    const other = open('https://other.example')
    other.ask('eth_call')
    expect(asked).toHaveLength(1001)
    pending.resolve({ result: null })
    await turn()
    expect(await page.request('eth_call')).toEqual({ result: null })
  })

  test('by asking much in many frames has its site refused, until there is room again', async () => {
    const { state, open } = setUp()
    const pending = Promise.withResolvers<Outcome>()
    state.answer = () => pending.promise
    const million = 'x'.repeat(1_000_000)
    const asked = Array.from({ length: 20 }, () => {
      const page = open()
      return { page, id: page.ask('eth_call', [million]) }
    })
    await turn()
    expect(asked.filter(({ page, id }) => page.codeOf(id) === 'limit-reached')).toHaveLength(4)
    const other = open('https://other.example')
    const free = other.ask('eth_call', [million])
    pending.resolve({ result: null })
    await turn()
    expect(other.answerTo(free)).toEqual({ result: null })
    expect(await open().request('eth_call', [million])).toEqual({ result: null })
  })

  test('by going away while it is told something breaks nothing', async () => {
    const { state, listeners, open } = setUp()
    const page = open()
    await page.request('eth_subscribe', ['newHeads'])
    const pending = Promise.withResolvers<Outcome>()
    state.answer = () => pending.promise
    page.ask('eth_call')
    page.vanish()
    pending.resolve({ result: 1 as Json })
    await turn()
    expect(listeners.size).toBe(0)
  })
})
