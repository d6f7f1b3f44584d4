/** `eth_subscribe` from the page's end, over the whole private path. */
import type { Json } from '@nightjar/shared/rpc'
import { minute, second } from '@nightjar/shared/runtime'
import { turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { createNetwork } from '../testing/network.ts'
import { agreed, Stage } from '../testing/stage.ts'

const network = await createNetwork({ one: [1] })

const address = `0x${'aB'.repeat(20)}`
const topic = `0x${'cd'.repeat(32)}`

const header = (number: number, branch = ''): { readonly [key: string]: Json } => ({
  hash: `0x${number}${branch}`,
  parentHash: `0x${number - 1}`,
  number: `0x${number.toString(16)}`,
})

async function setUp() {
  const stage = await Stage.set(network, { enabled: true, wallet: agreed(1) })
  await stage.start()
  const { daemon, clock } = stage
  daemon.answer = ({ method, params }) => {
    const [first] = (params ?? []) as readonly Json[]
    if (method === 'eth_getLogs') return { result: [{ ...(first as object) }] }
    if (method === 'eth_getBlockByHash') return { result: header(Number(String(first).slice(2))) }
    return { result: method }
  }
  const page = stage.openPage('https://dapp.example')
  const subscribe = async (...params: Json[]) => (await page.request('eth_subscribe', params))?.result
  const push = async (...headers: Json[]) => {
    for (const each of headers) {
      daemon.push(1, each)
      await turn()
    }
  }
  return { stage, daemon, clock, page, subscribe, push }
}

describe('newHeads', () => {
  test('are pushed from the second on, gaps filled, until they are ended', async () => {
    const { page, subscribe, push, daemon } = await setUp()
    const id = await subscribe('newHeads')
    expect(id).toMatch(/^0x[0-9a-f]{32}$/)
    await push(header(10), header(11), header(14))
    expect(page.pushed(id).map((each) => (each as { number: string }).number)).toEqual(['0xb', '0xc', '0xd', '0xe'])
    expect(await page.request('eth_unsubscribe', [id as string])).toEqual({ result: true })
    expect(daemon.followed.size).toBe(0)
    expect(await page.request('eth_unsubscribe', [id as string])).toEqual({ result: false })
    expect(await page.request('eth_unsubscribe', [])).toEqual({ result: false })
  })

  test('are followed once for all frames of a site, and apart for each site', async () => {
    const { stage, daemon, page, subscribe, push } = await setUp()
    await subscribe('newHeads')
    const frame = stage.openPage('https://dapp.example')
    const other = stage.openPage('https://other.example')
    const [inFrame, elsewhere] = [
      await frame.request('eth_subscribe', ['newHeads']),
      await other.request('eth_subscribe', ['newHeads']),
    ]
    expect(daemon.followed.size).toBe(2)
    await push(header(1), header(2))
    expect([frame.pushed(inFrame?.result).length, other.pushed(elsewhere?.result).length]).toEqual([1, 1])
    // Nobody hears of another's subscription.
    expect(page.pushed(inFrame?.result)).toEqual([])
    frame.close()
    page.close()
    await turn()
    expect(daemon.followed.size).toBe(1)
  })

  test('go on after the branch was lost, and after the daemon was', async () => {
    const { clock, daemon, page, subscribe, push } = await setUp()
    const id = await subscribe('newHeads')
    await push(header(1))
    daemon.loseBranch(Math.max(...daemon.branches.keys()))
    await clock.elapse(second)
    await push(header(2))
    daemon.exit()
    await clock.elapse(10 * second)
    expect(daemon.followed.size).toBe(1)
    await push(header(5))
    expect(page.pushed(id)).toHaveLength(4)
  })

  test('end with a forged one, and begin again', async () => {
    const { clock, daemon, page, subscribe, push } = await setUp()
    const id = await subscribe('newHeads')
    await push(header(1))
    const [request] = [...daemon.followed.keys()]
    daemon.tell({ event: 'record', request: request as number, record: 'AAAA'.repeat(400) })
    await turn()
    expect(daemon.followed.size).toBe(0)
    await clock.elapse(2 * second)
    await push(header(2))
    expect(page.pushed(id)).toHaveLength(1)
  })
})

describe('logs', () => {
  test('are those of each block, and are taken back with it', async () => {
    const { page, subscribe, push } = await setUp()
    const id = await subscribe('logs', { address, topics: [topic, null, [topic, topic]], fromBlock: 'latest' })
    await push(header(1), header(2), header(2, 'b'))
    const filter = { address, topics: [topic, null, [topic, topic]] }
    expect(page.pushed(id)).toEqual([
      { ...filter, blockHash: '0x2' },
      { ...filter, blockHash: '0x2', removed: true },
      { ...filter, blockHash: '0x2b' },
    ])
  })

  test('that are still being read when they are ended are told to nobody', async () => {
    const { daemon, clock, page, subscribe, push } = await setUp()
    const id = await subscribe('logs', {})
    const { answer } = daemon
    await push(header(1))
    daemon.answer = () => undefined
    await push(header(2), header(3))
    await page.request('eth_unsubscribe', [id as string])
    daemon.answer = answer
    daemon.exit()
    await clock.elapse(10 * second)
    expect(page.pushed(id)).toEqual([])
    expect(daemon.asked.filter(({ method }) => method === 'eth_getLogs').length).toBeLessThan(3)
  })

  test('that a node refuses for good end the subscription', async () => {
    const { clock, daemon, page, subscribe, push } = await setUp()
    const id = await subscribe('logs', {})
    await push(header(1))
    daemon.answer = () => ({ error: { code: -32602, message: 'invalid' } })
    await push(header(2))
    await clock.elapse(2 * minute)
    expect(daemon.followed.size).toBe(0)
    expect(await page.request('eth_unsubscribe', [id as string])).toEqual({ result: false })
  })

  test.each<[Json]>([
    ['x'],
    [1],
    [[]],
    [{ blockHash: '0x1' }],
    [{ address, limit: 1 }],
    [{ address: '0x1' }],
    [{ address: 5 }],
    [{ address: [address, null] }],
    [{ topics: topic }],
    [{ topics: ['0x1'] }],
    [{ topics: [[topic, 1]] }],
    [{ topics: [[[topic]]] }],
  ])('with the filter %j are refused', async (filter) => {
    const { page, daemon } = await setUp()
    const id = page.ask('eth_subscribe', ['logs', filter])
    await turn()
    expect([page.codeOf(id), daemon.followed.size]).toEqual(['bad-request', 0])
  })
})

test.each([['newPendingTransactions'], ['syncing'], [null], [7]])('nobody can subscribe to %s', async (kind) => {
  const { page } = await setUp()
  const id = page.ask('eth_subscribe', [kind])
  await turn()
  expect(page.answerTo(id)?.error).toMatchObject({ code: -32601, data: { nightjar: 'method-not-allowed' } })
})

test('one page may have 100', async () => {
  const { page, subscribe } = await setUp()
  const ids = []
  for (let count = 0; count < 100; count++) ids.push(page.ask('eth_subscribe', ['newHeads']))
  const over = page.ask('eth_subscribe', ['newHeads'])
  await turn()
  expect(page.codeOf(over)).toBe('limit-reached')
  await page.request('eth_unsubscribe', [page.answerTo(ids[0] as number)?.result as string])
  expect(await subscribe('newHeads')).toBeDefined()
})

test('a page that has gone is followed for no more', async () => {
  const { clock, daemon, page, subscribe, push } = await setUp()
  await subscribe('newHeads')
  await subscribe('logs', {})
  await push(header(1))
  page.close()
  await turn()
  expect(daemon.followed.size).toBe(0)
  await push(header(2))
  await clock.elapse(minute)
  expect(page.posted.filter((message) => 'event' in message)).toEqual([])
})

test('one that has gone without a word is noticed with the next push', async () => {
  const { daemon, page, subscribe, push } = await setUp()
  await subscribe('newHeads')
  await push(header(1))
  page.vanish()
  await push(header(2))
  expect(daemon.followed.size).toBe(0)
})

test('logs that the node refuses for good end the subscription, and the page is told', async () => {
  const { daemon, clock, page, subscribe, push } = await setUp()
  const id = await subscribe('logs', { address })
  daemon.answer = () => ({ error: { code: -32000, message: 'no' } })
  await push(header(10), header(11))
  await clock.elapse(10 * minute)
  expect(page.posted).toContainEqual({ event: 'ended', subscription: id })
  expect(daemon.followed.size).toBe(0)
})
