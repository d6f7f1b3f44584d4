import { describe, expect, it, test } from 'vitest'
import { verifyLogs } from './index.ts'
import { at, changedLeaf, leavesOf, withAt } from './testing/change.ts'
import { type Fields, mixed, prague, verifiedBlock, verifiedOf } from './testing/vectors.ts'

const [all] = prague.logs as [(typeof prague.logs)[number]]

async function judged(answer: unknown, filter: unknown = all.filter) {
  const { header, receipts } = await verifiedBlock(mixed)
  return verifyLogs(answer, filter, header, receipts)
}

test.each(prague.logs)('what a node answers to $filter is verified', async ({ filter, answer }) => {
  const logs = verifiedOf(await judged(answer, filter))
  expect(logs.map(({ index, data }) => [index, data])).toEqual(
    answer.map(({ logIndex, data }) => [Number(logIndex), data]),
  )
})

describe('a lie is', () => {
  it('any log that is missing', async () => {
    for (const index of all.answer.keys())
      expect(await judged(all.answer.toSpliced(index, 1))).toEqual({ kind: 'lie', reason: 'log-missing' })
    expect(await judged([])).toEqual({ kind: 'lie', reason: 'log-missing' })
  })

  it('a log that is added: one that never was, one twice, one that the filter does not let through', async () => {
    const lie = { kind: 'lie', reason: 'log-added' }
    const [first] = all.answer as [Fields]
    expect(await judged([...all.answer, { ...first, logIndex: '0x20' }])).toEqual(lie)
    expect(await judged([...all.answer, first])).toEqual(lie)
    expect(await judged(all.answer.with(1, first))).toEqual(lie)
    expect(await judged(all.answer, { ...all.filter, topics: [first.topics as string[]] })).toEqual(lie)
    expect(await judged(all.answer, { address: `0x${'11'.repeat(20)}` })).toEqual(lie)
  })

  it('any log with one digit changed, wherever', async () => {
    const { header, receipts } = await verifiedBlock(mixed)
    for (const path of leavesOf(all.answer)) {
      const changed = withAt(all.answer, path, changedLeaf(at(all.answer, path), 0.99, 1))
      const verdict = await verifyLogs(changed, all.filter, header, receipts)
      expect(verdict, path.join('.')).toMatchObject({ kind: 'lie' })
      const isPlace = path[1] === 'logIndex'
      if (!isPlace) expect(verdict, path.join('.')).toMatchObject({ reason: 'log-altered' })
    }
  })

  it('a log with a topic more or less', async () => {
    const topics = all.answer[0]?.topics as string[]
    for (const other of [topics.slice(1), [...topics, topics[0] as string], []]) {
      const answer = all.answer.with(0, { ...all.answer[0], topics: other })
      expect(await judged(answer)).toEqual({ kind: 'lie', reason: 'log-altered' })
    }
  })

  it('another order', async () => {
    expect(await judged(all.answer.toReversed())).toEqual({ kind: 'lie', reason: 'log-order' })
  })
})

describe('a filter', () => {
  const { address } = all.filter
  const [one, two] = all.answer.map(({ topics }) => topics) as [string[], string[]]
  const countOf = async (filter: unknown) => {
    const { header, receipts } = await verifiedBlock(mixed)
    const logs = receipts.flatMap((receipt) => receipt.logs)
    // The verdict on the right answer, told by an answer that has all: it verifies where the filter lets all through.
    const counts = []
    for (const log of logs) {
      const answer = mixed.receipts.flatMap((receipt) => receipt.logs as Fields[]).slice(log.index, log.index + 1)
      const verdict = await verifyLogs(answer, filter, header, receipts)
      counts.push(verdict.kind === 'verified' || (verdict.kind === 'lie' && verdict.reason === 'log-missing'))
    }
    return counts.filter(Boolean).length
  }

  test.each<[string, unknown, number]>([
    ['of nothing', {}, 17],
    ['of nulls and empty lists', { address: null, topics: [null, []] }, 17],
    ['of an empty list of addresses', { address: [] }, 17],
    ['of one address', { address }, 15],
    ['of addresses, one of which has none', { address: [address, `0x${'11'.repeat(20)}`] }, 15],
    ['of a first topic', { topics: [one[0]] }, 1],
    ['of either of two', { topics: [[one[0], two[0]]] }, 2],
    ['of a second topic', { topics: [null, one[1]] }, 17],
    ['of two topics that no log has together', { topics: [one[0], two[0]] }, 0],
    ['of more topics than any log has', { topics: [null, null, null] }, 0],
    ['in capitals', { address: (address as string).toUpperCase().replace('X', 'x') }, 15],
  ])('%s lets %j through', async (_, filter, count) => {
    expect(await countOf(filter)).toBe(count)
  })

  test.each([
    ['null', null],
    ['an address that is none', { address: '0x11' }],
    ['topics that are no list', { topics: '0x11' }],
    ['a topic that is too short', { topics: ['0x11'] }],
  ])('that is malformed is not judged: %s', async (_, filter) => {
    expect(await judged(all.answer, filter)).toEqual({ kind: 'unverifiable', reason: 'malformed' })
  })
})

it('does not judge what is no list of logs', async () => {
  for (const answer of [null, {}, 'logs', [null], [{}]])
    expect(await judged(answer)).toEqual({ kind: 'unverifiable', reason: 'malformed' })
})
