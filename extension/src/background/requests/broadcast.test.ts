/** Raw transactions: sent again to the same gateway only, as each gateway sends one once; elsewhere not before a look at the chain. */
import { transactionHash } from '@nightjar/shared/rpc'
import { minute, second } from '@nightjar/shared/runtime'
import { turn } from '@nightjar/shared/testing'
import { expect, test } from 'vitest'
import { createNetwork } from '../testing/network.ts'
import { agreed, Stage } from '../testing/stage.ts'

const network = await createNetwork({ one: [1], two: [1] })
const raw = '0x02f86b0180843b9aca00'
const hash = transactionHash(raw)
const upstreamFailed = { error: { code: -32603, message: 'no', data: { nightjar: 'upstream-failed' } } }

async function setUp() {
  const stage = await Stage.set(network, { enabled: true, wallet: agreed(1) })
  await stage.start()
  const { daemon, clock } = stage
  daemon.asked.length = 0
  const page = stage.openPage('https://dapp.example')
  const sends = () =>
    daemon.asked.filter(({ method }) => method === 'eth_sendRawTransaction').map(({ gateway }) => gateway)
  return { stage, daemon, clock, page, sends }
}

test('is sent once, to one gateway', async () => {
  const { daemon, page, sends } = await setUp()
  daemon.answer = () => ({ result: hash })
  expect(await page.request('eth_sendRawTransaction', [raw])).toEqual({ result: hash })
  expect(sends()).toEqual(['one'])
})

test('with the daemon lost under way it goes to the same gateway again, and to no other', async () => {
  const { daemon, clock, page, sends } = await setUp()
  daemon.answer = () => undefined
  const id = page.ask('eth_sendRawTransaction', [raw])
  await turn()
  expect(sends()).toEqual(['one'])
  daemon.exit()
  daemon.answer = () => ({ result: hash })
  await clock.elapse(second)
  expect(page.answerTo(id)).toEqual({ result: hash })
  expect(sends()).toEqual(['one', 'one'])
})

test('with the daemon lost twice it is still the same gateway that gets it', async () => {
  const { daemon, clock, page, sends } = await setUp()
  daemon.answer = () => undefined
  const id = page.ask('eth_sendRawTransaction', [raw])
  for (let times = 0; times < 2; times++) {
    await turn()
    daemon.exit()
    await clock.elapse(second)
  }
  daemon.answer = () => ({ result: hash })
  expect([sends(), page.answerTo(id)]).toEqual([['one', 'one', 'one'], undefined])
})

test('that the first attempt was accepted is seen on the chain, where the second is refused', async () => {
  const { daemon, clock, page, sends } = await setUp()
  daemon.answer = () => undefined
  const id = page.ask('eth_sendRawTransaction', [raw])
  await turn()
  daemon.exit()
  daemon.answer = ({ method }) =>
    method === 'eth_getTransactionByHash' ? { result: { hash } } : { error: { code: -32000, message: 'nonce too low' } }
  await clock.elapse(second)
  expect(page.answerTo(id)).toEqual({ result: hash })
  expect(sends()).toEqual(['one', 'one'])
})

test('before it goes to another gateway the chain is asked; one that knows it is enough', async () => {
  const { daemon, page, sends } = await setUp()
  daemon.answer = ({ method }) => (method === 'eth_sendRawTransaction' ? upstreamFailed : { result: { hash } })
  expect(await page.request('eth_sendRawTransaction', [raw])).toEqual({ result: hash })
  expect(sends()).toEqual(['one', 'one', 'one'])
})

test('one that does not know it lets it go to the other', async () => {
  const { daemon, page, sends } = await setUp()
  daemon.answer = ({ method, gateway }) => {
    if (method !== 'eth_sendRawTransaction') return { result: null }
    return gateway === 'one' ? upstreamFailed : { result: hash }
  }
  expect(await page.request('eth_sendRawTransaction', [raw])).toEqual({ result: hash })
  expect(sends()).toEqual(['one', 'one', 'one', 'two'])
})

test('where nothing can be found out, it fails, and has been at one gateway only', async () => {
  const { daemon, clock, page, sends } = await setUp()
  daemon.answer = () => undefined
  const id = page.ask('eth_sendRawTransaction', [raw])
  await turn()
  daemon.absent = 'Native host has exited.'
  daemon.exit()
  await clock.elapse(2 * minute)
  expect(page.answerTo(id)?.error?.data).toMatchObject({ nightjar: 'outcome-unknown', hash })
  expect(sends()).toEqual(['one'])
})

test('where the other gateway cannot look it up either, that is said, with its hash', async () => {
  const { daemon, clock, page } = await setUp()
  daemon.answer = ({ method }) => (method === 'eth_sendRawTransaction' ? upstreamFailed : undefined)
  const id = page.ask('eth_sendRawTransaction', [raw])
  await clock.elapse(10 * minute)
  expect(page.answerTo(id)?.error?.data).toMatchObject({ nightjar: 'outcome-unknown', hash })
})

test('that never left fails as what it is, and may be sent again', async () => {
  const { daemon, clock, page, sends } = await setUp()
  daemon.absent = 'Specified native messaging host not found.'
  daemon.exit()
  const id = page.ask('eth_sendRawTransaction', [raw])
  await clock.elapse(minute)
  expect(page.codeOf(id)).toBe('host-not-installed')
  expect(sends()).toEqual([])
})

test.each([[[]], [[1]], [['nothing']], [['0xzz']]])('%j is no raw transaction', async (params) => {
  const { page, sends } = await setUp()
  const id = page.ask('eth_sendRawTransaction', params)
  await turn()
  expect(page.codeOf(id)).toBe('bad-request')
  expect(sends()).toEqual([])
})
