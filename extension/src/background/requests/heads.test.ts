import { NightjarError } from '@nightjar/shared/errors'
import type { Following, OutcomeHandler } from '@nightjar/shared/requests'
import type { Json, Outcome } from '@nightjar/shared/rpc'
import { minute, second } from '@nightjar/shared/runtime'
import { FakeClock, turn } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { type HeadChange, HeadFollower } from './heads.ts'

/** `5` is block 5 of the chain; `5b` is one of the same number on a branch of it, and so on. */
type Name = string

/** Blocks of one chain with branches: the parent of `5b` is `4b`, unless the branch begins there. */
class Blocks {
  readonly #parents = new Map<Name, Name>()

  /** Adds a branch that follows `parent`. */
  add(parent: Name, ...names: Name[]): void {
    for (const [index, name] of names.entries())
      this.#parents.set(name, index === 0 ? parent : (names[index - 1] as Name))
  }

  header(name: Name): { readonly [key: string]: Json } {
    const number = Number.parseInt(name, 10)
    const parent = this.#parents.get(name) ?? name.replace(/^\d+/, String(number - 1))
    return { hash: `#${name}`, parentHash: `#${parent}`, number: `0x${number.toString(16)}`, gasUsed: '0x1' }
  }
}

function setUp() {
  const clock = new FakeClock()
  const blocks = new Blocks()
  const handlers: OutcomeHandler[] = []
  const stopped: number[] = []
  const read: Name[] = []
  const net = { isUp: true, answer: (hash: string): Outcome => ({ result: blocks.header(hash.slice(1)) }) }
  const follower = new HeadFollower({
    clock,
    async follow(handler): Promise<Following> {
      if (!net.isUp) throw new NightjarError('network-unreachable')
      const place = handlers.push(handler)
      return { stop: () => void stopped.push(place) }
    },
    async read({ params }) {
      const [hash] = params as [string]
      read.push(hash.slice(1))
      return net.answer(hash)
    },
  })
  const changes: string[] = []
  const hear = (change: HeadChange) => changes.push(describeChange(change))
  const push = async (...names: Name[]) => {
    for (const name of names) {
      handlers.at(-1)?.onOutcome({ result: { ...blocks.header(name), transactions: ['0x1'], size: '0x2' } })
      await turn()
    }
  }
  return { clock, blocks, handlers, stopped, read, net, follower, changes, hear, push }
}

/** `-5 +5b +6b ?3-4`: what was removed, added and missed. */
function describeChange({ removed, added, missed }: HeadChange): string {
  const name = ({ hash }: { hash: string }) => hash.slice(1)
  return [
    ...removed.map((head) => `-${name(head)}`),
    ...(missed === undefined ? [] : [`?${missed.from}-${missed.to}`]),
    ...added.map((head) => `+${name(head)}`),
  ].join(' ')
}

async function listening(...names: Name[]) {
  const all = setUp()
  const end = all.follower.listen(all.hear)
  await turn()
  await all.push(...names)
  return { ...all, end }
}

describe('heads', () => {
  test('are told from the second on, as headers', async () => {
    const told: HeadChange[] = []
    const { follower, changes, push, handlers } = await listening('1')
    follower.listen((change) => told.push(change))
    expect(changes).toEqual([])
    await push('2', '3')
    expect(changes).toEqual(['+2', '+3'])
    expect(told[0]?.added[0]?.header).toEqual({ hash: '#2', parentHash: '#1', number: '0x2', gasUsed: '0x1' })
    expect(handlers).toHaveLength(1)
  })

  test('that come again are nothing new, nor is one that is behind', async () => {
    const { changes, push } = await listening('1', '2', '3')
    await push('3', '2', '3', '1')
    await push('4')
    expect(changes).toEqual(['+2', '+3', '+4'])
  })

  test('in between are read, one after the other', async () => {
    const { changes, read, push } = await listening('1', '2')
    await push('6')
    expect(changes).toEqual(['+2', '+3 +4 +5 +6'])
    expect(read).toEqual(['5', '4', '3'])
  })

  test('that come while blocks are read take the place of each other', async () => {
    const { changes, handlers, blocks } = await listening('1', '2')
    for (const name of ['5', '6', '7', '9']) handlers[0]?.onOutcome({ result: blocks.header(name) })
    await turn()
    expect(changes).toEqual(['+2', '+3 +4 +5', '+6 +7 +8 +9'])
  })

  test.each<[string, Outcome]>([
    ['an error', { error: { code: 1, message: 'no' } }],
    ['nothing', { result: null }],
    ['a list', { result: [] }],
    ['a header without a hash', { result: { number: '0x2', parentHash: '#1' } }],
    ['a number that is none', { result: { hash: '#2', parentHash: '#1', number: '2' } }],
  ])('that are %s are nothing', async (_, outcome) => {
    const { changes, handlers, push } = await listening('1')
    handlers[0]?.onOutcome(outcome)
    await turn()
    await push('2')
    expect(changes).toEqual(['+2'])
  })
})

describe('a reorganisation', () => {
  test('of one block', async () => {
    const { blocks, changes, push } = await listening('1', '2')
    blocks.add('1', '2b', '3b')
    await push('2b', '3b')
    expect(changes).toEqual(['+2', '-2 +2b', '+3b'])
  })

  test('of several: what went comes newest first, what came oldest first', async () => {
    const { blocks, changes, push } = await listening('1', '2', '3', '4')
    blocks.add('1', '2b', '3b', '4b', '5b')
    await push('5b')
    expect(changes.at(-1)).toBe('-4 -3 -2 +2b +3b +4b +5b')
  })

  test('to a shorter chain', async () => {
    const { blocks, changes, push } = await listening('1', '2', '3', '4')
    blocks.add('2', '3b')
    await push('3b')
    expect(changes.at(-1)).toBe('-4 -3 +3b')
  })

  test('back to what was there before', async () => {
    const { blocks, changes, push } = await listening('1', '2')
    blocks.add('1', '2b', '3b')
    await push('3b', '3')
    expect(changes.slice(1)).toEqual(['-2 +2b +3b', '-3b -2b +2 +3'])
  })

  test('of all that is known, back to before the beginning', async () => {
    const { blocks, changes, push } = await listening('5', '6')
    blocks.add('3', '4b', '5b', '6b', '7b')
    await push('7b')
    expect(changes.at(-1)).toBe('-6 -5 +5b +6b +7b')
  })

  test('whose blocks cannot be read: what went for certain, and what was missed', async () => {
    const { blocks, changes, push, net } = await listening('1', '2', '3')
    blocks.add('1', '2b', '3b', '4b')
    net.answer = () => ({ result: null })
    await push('4b')
    expect(changes.at(-1)).toBe('-3 ?3-3 +4b')
  })
})

describe('a gap', () => {
  test('longer than what is remembered is told as missed', async () => {
    const { changes, read, push } = await listening('1', '2')
    await push('100')
    const added = Array.from({ length: 64 }, (_, index) => `+${index + 37}`)
    expect(changes.at(-1)).toBe(`?3-36 ${added.join(' ')}`)
    expect(read).toHaveLength(63)
    await push('101')
    expect(changes.at(-1)).toBe('+101')
  })

  test.each<[string, (hash: string) => Outcome]>([
    ['refused', () => ({ error: { code: 1, message: 'no' } })],
    ['not known', () => ({ result: null })],
    ['of another block', () => ({ result: { hash: '#99', parentHash: '#98', number: '0x63' } })],
    [
      'not to be had',
      () => {
        throw new NightjarError('network-unreachable')
      },
    ],
  ])('whose blocks are %s: goes on from there, and says so', async (_, answer) => {
    const { changes, net, push } = await listening('1', '2')
    net.answer = answer
    await push('5', '6')
    expect(changes.slice(1)).toEqual(['?3-4 +5', '+6'])
  })

  test('of blocks that only point at each other ends all the same', async () => {
    const { changes, read, net, push } = await listening('1', '2')
    net.answer = (hash) => ({ result: { hash, parentHash: `${hash}'`, number: '0x50' } })
    await push('81')
    expect(read).toHaveLength(63)
    expect(changes).toHaveLength(2)
  })
})

describe('what is followed', () => {
  test('is followed once for all listeners, and ends with the last', async () => {
    const { follower, handlers, stopped, changes, push, end } = await listening('1')
    const [other] = [follower.listen(() => undefined)]
    end()
    await push('2')
    expect([changes, stopped, follower.isUsed]).toEqual([[], [], true])
    other?.()
    expect([handlers.length, stopped, follower.isUsed]).toEqual([1, [1], false])
  })

  test('is followed again after a pause that grows, and the gap is filled', async () => {
    const { clock, handlers, changes, push } = await listening('1')
    handlers[0]?.onEnd('link-lost')
    clock.advance(second - 1)
    await turn()
    expect(handlers).toHaveLength(1)
    await clock.elapse(1)
    expect(handlers).toHaveLength(2)
    handlers[1]?.onEnd('link-lost')
    await clock.elapse(second)
    expect(handlers).toHaveLength(2)
    await clock.elapse(second)
    await push('4')
    expect(changes).toEqual(['+2 +3 +4'])
    handlers[2]?.onEnd('link-lost')
    await clock.elapse(second)
    expect(handlers).toHaveLength(4)
  })

  test('is tried for as long as somebody listens, every 30 seconds at least', async () => {
    const { clock, net, handlers, changes, push, follower, hear } = setUp()
    net.isUp = false
    const end = follower.listen(hear)
    await clock.elapse(10 * minute)
    net.isUp = true
    await clock.elapse(30 * second)
    await push('1', '2')
    expect([handlers.length, changes]).toEqual([1, ['+2']])
    end()
    expect(clock.pending).toBe(0)
  })

  test('is let go where nobody listens any more once it is there', async () => {
    const { follower, stopped, hear } = setUp()
    follower.listen(hear)()
    await turn()
    expect(stopped).toEqual([1])
  })

  test('says nothing after its end, also of what was being read', async () => {
    const { clock, changes, net, push, end, handlers } = await listening('1')
    net.answer = (hash) => {
      end()
      return { result: { hash, parentHash: '#1', number: '0x2' } }
    }
    await push('3', '4')
    handlers[0]?.onEnd('done')
    expect([changes, clock.pending]).toEqual([[], 0])
  })
})
