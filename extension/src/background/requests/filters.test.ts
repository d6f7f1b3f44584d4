import { nobleCrypto } from '@nightjar/shared/crypto/noble'
import { NightjarError } from '@nightjar/shared/errors'
import type { Call, Json, Outcome } from '@nightjar/shared/rpc'
import { minute } from '@nightjar/shared/runtime'
import { codeOfAsync, FakeClock } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { Filters } from './filters.ts'

function setUp() {
  const clock = new FakeClock()
  const asked: Call[] = []
  const node = {
    newest: 100,
    answer: ({ method, params }: Call): Outcome | Promise<Outcome> => {
      const [first] = (params ?? []) as readonly Json[]
      if (method === 'eth_blockNumber') return { result: `0x${node.newest.toString(16)}` }
      if (method === 'eth_getBlockByNumber') return { result: { hash: `#${Number(first)}` } }
      return { result: [first as Json] }
    },
  }
  const filters = new Filters({
    clock,
    randomBytes: nobleCrypto.randomBytes,
    async read(chain, call) {
      expect(chain).toBe(1)
      asked.push(call)
      return node.answer(call)
    },
  })
  /** The result; what is no result is thrown. */
  const call = async (method: string, ...params: Json[]): Promise<Json> => {
    const outcome = await filters.call(1, { method, params })
    if ('error' in outcome) throw outcome.error
    return outcome.result
  }
  const create = async (...params: Json[]) => (await call('eth_newFilter', ...params)) as string
  const changes = (id: string) => call('eth_getFilterChanges', id)
  return { clock, filters, asked, node, call, create, changes }
}

describe('a filter of logs', () => {
  test('gives what is new since the last time', async () => {
    const { node, create, changes } = setUp()
    const id = await create({ address: '0xa', topics: ['0xb'] })
    expect(id).toMatch(/^0x[0-9a-f]{32}$/)
    expect(await changes(id)).toEqual([])
    node.newest = 105
    expect(await changes(id)).toEqual([{ address: '0xa', topics: ['0xb'], fromBlock: '0x65', toBlock: '0x69' }])
    expect(await changes(id)).toEqual([])
    node.newest = 104
    expect(await changes(id)).toEqual([])
    node.newest = 106
    expect(await changes(id)).toEqual([{ address: '0xa', topics: ['0xb'], fromBlock: '0x6a', toBlock: '0x6a' }])
  })

  test.each<[Json, Json]>([
    [{ fromBlock: '0x1' }, [{ fromBlock: '0x65', toBlock: '0x6e' }]],
    [{ fromBlock: '0x68' }, [{ fromBlock: '0x68', toBlock: '0x6e' }]],
    [{ fromBlock: '0x6F' }, []],
    [{ toBlock: '0x66' }, [{ fromBlock: '0x65', toBlock: '0x66' }]],
    [{ toBlock: '0x64' }, []],
    [{ fromBlock: '0x66', toBlock: '0x67' }, [{ fromBlock: '0x66', toBlock: '0x67' }]],
    [{ fromBlock: 'latest', toBlock: 'latest' }, [{ fromBlock: '0x65', toBlock: '0x6e' }]],
    [{ fromBlock: 'earliest', toBlock: 'pending' }, [{ fromBlock: '0x65', toBlock: '0x6e' }]],
  ])('with the range %j keeps to it', async (range, expected) => {
    const { node, create, changes } = setUp()
    const id = await create(range)
    node.newest = 110
    expect(await changes(id)).toEqual(expected)
  })

  test('gives all of its logs when asked, in its own range', async () => {
    const { call, create } = setUp()
    const filter = { address: '0xa', fromBlock: '0x1', toBlock: 'latest' }
    expect(await call('eth_getFilterLogs', await create(filter))).toEqual([filter])
  })

  // Both asked from where the last call ended: a page got each log twice.
  test('asked twice at once gives each log once', async () => {
    const { node, create, changes } = setUp()
    const id = await create({})
    node.newest = 102
    const both = [changes(id), changes(id)]
    expect(await Promise.all(both)).toEqual([[{ fromBlock: '0x65', toBlock: '0x66' }], []])
  })

  test('loses nothing where a call fails', async () => {
    const { node, create, changes } = setUp()
    const { answer } = node
    const id = await create({})
    node.newest = 102
    const error = { code: -32000, message: 'too many' }
    node.answer = (call) => (call.method === 'eth_getLogs' ? { error } : answer(call))
    await expect(changes(id)).rejects.toEqual(error)
    node.answer = () => {
      throw new NightjarError('network-unreachable')
    }
    expect(await codeOfAsync(() => changes(id))).toBe('network-unreachable')
    node.answer = answer
    expect(await changes(id)).toEqual([{ fromBlock: '0x65', toBlock: '0x66' }])
  })
})

describe('a filter of blocks', () => {
  test('gives the hashes of new blocks', async () => {
    const { node, call, changes } = setUp()
    const id = (await call('eth_newBlockFilter')) as string
    expect(await changes(id)).toEqual([])
    node.newest = 103
    expect(await changes(id)).toEqual(['#101', '#102', '#103'])
    expect(await changes(id)).toEqual([])
    expect(await codeOfAsync(() => call('eth_getFilterLogs', id))).toBe('bad-request')
  })

  test('gives the newest 128 where there are more, and leaves out what a node does not have', async () => {
    const { node, call, changes, asked } = setUp()
    const { answer } = node
    const id = (await call('eth_newBlockFilter')) as string
    node.newest = 1000
    node.answer = (each) => {
      const [first] = (each.params ?? []) as readonly Json[]
      return first === '0x3e8' ? { result: null } : answer(each)
    }
    const hashes = (await changes(id)) as string[]
    expect([hashes.length, hashes[0], hashes.at(-1)]).toEqual([127, '#873', '#999'])
    expect(asked.filter(({ method }) => method === 'eth_getBlockByNumber')).toHaveLength(128)
  })
})

describe('filters', () => {
  test.each([['0x12'], [null], [5], [{}]])('that were never made (%j) are not found', async (id) => {
    const { call } = setUp()
    expect(await codeOfAsync(() => call('eth_getFilterChanges', id))).toBe('bad-request')
    expect(await codeOfAsync(() => call('eth_getFilterLogs', id))).toBe('bad-request')
    expect(await call('eth_uninstallFilter', id)).toBe(false)
  })

  test('end where they are uninstalled', async () => {
    const { call, create, changes } = setUp()
    const id = await create({})
    expect(await call('eth_uninstallFilter', id)).toBe(true)
    expect(await call('eth_uninstallFilter', id)).toBe(false)
    expect(await codeOfAsync(() => changes(id))).toBe('bad-request')
  })

  test('are forgotten after five minutes in which nobody asks for them', async () => {
    const { clock, create, changes } = setUp()
    const [kept, left] = [await create({}), await create({})]
    clock.advance(3 * minute)
    await changes(kept)
    clock.advance(2 * minute + 1)
    expect(await changes(kept)).toEqual([])
    expect(await codeOfAsync(() => changes(left))).toBe('bad-request')
  })

  // The number was looked at before the node was asked: as many as came at once were made.
  test('are 100 for one page at most, also where all are made at once', async () => {
    const { clock, create } = setUp()
    const codes = await Promise.all(Array.from({ length: 150 }, () => codeOfAsync(() => create({}))))
    expect(codes.filter((code) => code === undefined)).toHaveLength(100)
    expect(codes.filter((code) => code === 'limit-reached')).toHaveLength(50)
    clock.advance(5 * minute + 1)
    expect(await create({})).toMatch(/^0x/)
  })

  test.each([[undefined], [null], ['0x1'], [[]], [1]])('of logs need an object, not %j', async (filter) => {
    const { asked, filters } = setUp()
    const params = filter === undefined ? [] : [filter]
    expect(await codeOfAsync(() => filters.call(1, { method: 'eth_newFilter', params }))).toBe('bad-request')
    expect(asked).toEqual([])
  })

  test.each(['100', null, '0xzz', 5, '0x100000000000000'])(
    'are not made where the newest block is %j',
    async (result) => {
      const { node, create } = setUp()
      node.answer = () => ({ result })
      expect(await codeOfAsync(() => create({}))).toBe('upstream-failed')
    },
  )
})
