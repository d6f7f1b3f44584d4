import { NightjarError } from '@nightjar/shared/errors'
import type { Call, Json, Outcome } from '@nightjar/shared/rpc'
import { hour, minute, second } from '@nightjar/shared/runtime'
import { FakeClock, turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import type { Head, HeadChange } from './heads.ts'
import { LogFeed } from './logFeed.ts'

const head = (name: string): Head => ({
  hash: `#${name}`,
  parentHash: '',
  number: Number.parseInt(name, 10),
  header: {},
})
const change = (added: string[], removed: string[] = [], missed?: HeadChange['missed']): HeadChange => ({
  added: added.map(head),
  removed: removed.map(head),
  ...(missed === undefined ? {} : { missed }),
})
const log = (block: string, index: number): Json => ({ blockHash: `#${block}`, logIndex: index })

function setUp(filter = {}) {
  const clock = new FakeClock()
  const asked: Json[] = []
  const sent: string[] = []
  const failed: string[] = []
  const node = {
    logs: (where: { readonly [key: string]: Json }): Outcome | Promise<Outcome> => {
      const block = String(where.blockHash ?? 'range').slice(1)
      return { result: [log(block, 0), log(block, 1)] }
    },
  }
  const feed = new LogFeed({
    clock,
    filter,
    async read({ method, params }: Call) {
      const [where] = params as [{ readonly [key: string]: Json }]
      asked.push(where)
      expect(method).toBe('eth_getLogs')
      return node.logs(where)
    },
    send(each) {
      const { blockHash, logIndex, removed } = each as Record<string, unknown>
      sent.push(`${removed === true ? '-' : '+'}${blockHash} ${logIndex}`)
    },
    onFailed: () => failed.push('failed'),
  })
  return { clock, feed, asked, sent, failed, node }
}

test('reads each block by its hash, with the page’s filter, and tells them in order', async () => {
  const { feed, asked, sent } = setUp({ address: '0xa', topics: [null, '0xb'] })
  feed.onChange(change(['1', '2']))
  feed.onChange(change(['3']))
  await turn()
  expect(asked).toEqual(['#1', '#2', '#3'].map((blockHash) => ({ address: '0xa', topics: [null, '0xb'], blockHash })))
  expect(sent).toEqual(['+#1 0', '+#1 1', '+#2 0', '+#2 1', '+#3 0', '+#3 1'])
})

test('takes back what was told of dropped blocks, the newest first, before it tells what took their place', async () => {
  const { feed, sent } = setUp()
  feed.onChange(change(['1', '2']))
  await turn()
  sent.length = 0
  feed.onChange(change(['1b'], ['2', '1']))
  await turn()
  expect(sent).toEqual(['-#2 1', '-#2 0', '-#1 1', '-#1 0', '+#1b 0', '+#1b 1'])
})

test('tells a block again that comes back; one that went and came before it was read, once', async () => {
  const changes = [change(['1']), change(['1b'], ['1']), change(['1'], ['1b'])]
  const [slow, fast] = [setUp(), setUp()]
  for (const each of changes) {
    slow.feed.onChange(each)
    await turn()
  }
  for (const each of changes) fast.feed.onChange(each)
  await turn()
  const [told, back] = [
    ['+#1 0', '+#1 1'],
    ['-#1 1', '-#1 0'],
  ]
  expect(slow.sent).toEqual([...told, ...back, '+#1b 0', '+#1b 1', '-#1b 1', '-#1b 0', ...told])
  expect(fast.sent).toEqual(told)
})

test('remembers what it told for 64 blocks', async () => {
  const { feed, sent } = setUp()
  const names = Array.from({ length: 65 }, (_, index) => String(index + 1))
  feed.onChange(change(names))
  await turn()
  sent.length = 0
  feed.onChange(change([], ['2', '1']))
  await turn()
  expect(sent).toEqual(['-#2 1', '-#2 0'])
})

test('reads what was missed as a range', async () => {
  const { feed, asked, sent } = setUp({ address: '0xa' })
  feed.onChange(change(['20'], [], { from: 3, to: 19 }))
  await turn()
  expect(asked).toEqual([
    { address: '0xa', fromBlock: '0x3', toBlock: '0x13' },
    { address: '0xa', blockHash: '#20' },
  ])
  expect(sent).toHaveLength(4)
})

describe('logs that cannot be had', () => {
  const refused: Outcome = { error: { code: -32000, message: 'unknown block' } }

  test('for a moment, as the node is behind: are asked for again, in their turn', async () => {
    const { clock, feed, sent, node, failed } = setUp()
    const { logs } = node
    let refusals = 0
    node.logs = (where) => (refusals++ < 2 ? refused : logs(where))
    feed.onChange(change(['1']))
    feed.onChange(change(['2']))
    await clock.elapse(second)
    expect(sent).toEqual([])
    await clock.elapse(2 * second)
    expect([sent, failed]).toEqual([['+#1 0', '+#1 1', '+#2 0', '+#2 1'], []])
  })

  test.each<[string, Outcome]>([
    ['refused', refused],
    ['no list', { result: 'logs' }],
    ['a list of something else', { result: [1] }],
  ])('because they are %s again and again: that is the end', async (_, outcome) => {
    const { clock, feed, asked, sent, node, failed } = setUp()
    node.logs = () => outcome
    feed.onChange(change(['1']))
    feed.onChange(change(['2']))
    await clock.elapse(hour)
    expect([asked.length, sent, failed, clock.pending]).toEqual([6, [], ['failed'], 0])
    feed.onChange(change(['3']))
    await turn()
    expect(asked).toHaveLength(6)
  })

  test('because nothing can be asked: are waited for, however long', async () => {
    const { clock, feed, sent, node, failed } = setUp()
    const { logs } = node
    node.logs = () => {
      throw new NightjarError('network-unreachable')
    }
    feed.onChange(change(['1']))
    await clock.elapse(hour)
    node.logs = logs
    await clock.elapse(30 * second)
    expect([sent, failed]).toEqual([['+#1 0', '+#1 1'], []])
  })

  test('of a block that is dropped meanwhile are given up', async () => {
    const { clock, feed, asked, sent, node, failed } = setUp()
    const { logs } = node
    node.logs = (where) => (where.blockHash === '#1' ? refused : logs(where))
    feed.onChange(change(['1']))
    await turn()
    feed.onChange(change(['1b'], ['1']))
    await clock.elapse(minute)
    expect(asked).toEqual([{ blockHash: '#1' }, { blockHash: '#1b' }])
    expect([sent, failed]).toEqual([['+#1b 0', '+#1b 1'], []])
  })

  test('while ever more blocks come: it holds 256 changes, no more', async () => {
    const { feed, node, failed } = setUp()
    node.logs = () => new Promise(() => undefined)
    for (let number = 1; number <= 257; number++) feed.onChange(change([String(number)]))
    expect(failed).toEqual([])
    feed.onChange(change(['258']))
    expect(failed).toEqual(['failed'])
  })
})

test('says nothing after its end', async () => {
  const { clock, feed, sent, node } = setUp()
  const answer = Promise.withResolvers<Outcome>()
  node.logs = () => answer.promise
  feed.onChange(change(['1', '2']))
  await turn()
  feed.end()
  answer.resolve({ result: [log('1', 0)] })
  feed.onChange(change(['3']))
  await clock.elapse(minute)
  expect([sent, clock.pending]).toEqual([[], 0])
})
