import { isZero, utf8 } from '@nightjar/shared/bytes'
import { cutRecords, partSize, type Stream } from '@nightjar/shared/circuit'
import { counterOf, type EnvelopeSession, recordSize } from '@nightjar/shared/envelope'
import type { ErrorCode } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import {
  decodeAnswer,
  encodeAnswer,
  encodeQuestion,
  type Json,
  type Outcome,
  type Question,
} from '@nightjar/shared/rpc'
import { second } from '@nightjar/shared/runtime'
import { FakeClock, flipBit } from '@nightjar/shared/testing'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Listener } from './followStream.ts'
import { createGateway, type OwnGateway } from './gateway.ts'
import { FollowedChain, header } from './testing/blocks.ts'
import { makeKeys, TestCircuit, type TestKeys } from './testing/circuit.ts'
import { passing } from './testing/context.ts'

const every = 2 * second
const question: Question = { chain: 1, cells: 4, method: 'eth_subscribe', params: ['newHeads'] }
const nothing = new Uint8Array(0)

let keys: TestKeys
beforeAll(async () => {
  keys = await makeKeys()
})

let clock: FakeClock
let chain: FollowedChain
let gateway: OwnGateway
let circuit: TestCircuit
let session: EnvelopeSession
beforeEach(async () => {
  clock = new FakeClock()
  chain = new FollowedChain()
  gateway = createGateway(new Map([[1, { upstreams: chain, headsEvery: every }]]), {
    clock,
    random: () => 0.5,
    ...passing,
  })
  circuit = new TestCircuit(gateway, keys)
  session = await circuit.greet()
})

/** One stream of heads, as the client sees it. */
interface Followed {
  readonly stream: Stream
  readonly outcomes: Outcome[]
  readonly ends: ErrorCode[]
}

interface FollowOptions {
  readonly circuit?: TestCircuit
  readonly session?: EnvelopeSession
  /** False: the client gives no credit for what it receives. */
  readonly credits?: boolean
  /** The client says that the answers take none. */
  readonly isFree?: boolean
}

function followWith(record: Uint8Array, cells: number, options: FollowOptions = {}): Followed {
  const { session: open = session, credits = true, isFree = false } = options
  const outcomes: Outcome[] = []
  const ends: ErrorCode[] = []
  const handler = cutRecords({
    stream: () => (credits ? stream : { ...stream, consumed() {} }),
    size: recordSize(cells),
    onRecord: (each) => void outcomes.push(decodeAnswer(open.open(each, counterOf(record)))),
    onEnd: (code) => void ends.push(code),
  })
  const { client } = options.circuit ?? circuit
  const stream: Stream = client.open('follow', nothing, handler, { data: record, end: true }, { isFree })
  return { stream, outcomes, ends }
}

/** Follows, with all delivered that comes at once. */
async function follow(change: Partial<Question> = {}, options: FollowOptions = {}): Promise<Followed> {
  const asked = { ...question, ...change }
  const followed = followWith((options.session ?? session).seal(encodeQuestion(asked), 1), asked.cells, options)
  await (options.circuit ?? circuit).settle()
  return followed
}

/** The chain shows block `number`, and the next poll finds it. */
async function grow(number: number, fork = 0): Promise<void> {
  chain.show(number, fork)
  await clock.elapse(every)
  await circuit.settle()
}

function numbers({ outcomes }: Followed): number[] {
  return outcomes.map((outcome) => Number((headerIn(outcome) as { number: string }).number))
}

function headerIn(outcome: Outcome): Json {
  if ('error' in outcome) throw new Error(outcome.error.message)
  return outcome.result
}

function codeIn(outcome: Outcome | undefined): unknown {
  return outcome !== undefined && 'error' in outcome
    ? (outcome.error.data as { nightjar: string }).nightjar
    : 'no error'
}

describe('whoever follows heads', () => {
  test('gets the newest header at once, sealed, and then each new one', async () => {
    const followed = await follow()
    expect(followed.outcomes).toEqual([{ result: header(1) }])
    await grow(2)
    await grow(3)
    expect(followed.outcomes.map(headerIn)).toEqual([header(1), header(2), header(3)])
    expect(followed.ends).toEqual([])
  })

  test('is counted until it ends', async () => {
    const followed = await follow()
    expect(gateway.followed()).toEqual({ heads: 1, watches: 0, lingering: 0 })
    followed.stream.reset('cancelled')
    await circuit.settle()
    expect(gateway.followed().heads).toBe(0)
  })

  test('gets a reorganisation, and nothing where nothing changes', async () => {
    const followed = await follow()
    await grow(1)
    expect(followed.outcomes).toHaveLength(1)
    await grow(1, 9)
    expect(followed.outcomes.map(headerIn)).toEqual([header(1), header(1, 9)])
  })

  test.each([4, 8, 256])('is sent %i full cells for each, and nothing else', async (cells) => {
    await follow({ cells })
    const before = circuit.sentByGateway
    await grow(2)
    await grow(2)
    await grow(3)
    expect(circuit.sentByGateway - before).toBe(2 * cells)
  })

  test('asks upstream no more than one other does, on another circuit', async () => {
    const other = new TestCircuit(gateway, keys)
    const otherSession = await other.greet()
    const one = await follow()
    await clock.elapse(every)
    const two = await follow({}, { circuit: other, session: otherSession })
    await grow(2)
    await other.settle()
    expect([numbers(one), numbers(two), chain.asked.length]).toEqual([[1, 2], [1, 2], 3])
    circuit.end()
    expect(clock.pending).toBeGreaterThan(0)
    other.end()
    expect(clock.pending).toBe(0)
  })

  test('can ask other things meanwhile', async () => {
    const followed = await follow()
    const asked = session.seal(encodeQuestion({ ...question, method: 'eth_chainId' }), 1)
    const { answer } = circuit.ask('rpc', asked)
    await circuit.settle()
    expect(decodeAnswer(session.open(await answer, counterOf(asked)))).toEqual(await chain.latest)
    await grow(2)
    expect(numbers(followed)).toEqual([1, 2])
  })
})

describe('a slow client', () => {
  test('whose link is behind gets what waited there, then only the newest', async () => {
    const followed = await follow()
    circuit.writable = false
    for (const number of [2, 3, 4, 5, 6]) await grow(number)
    const sealed = circuit.sealedWith.length
    expect(numbers(followed)).toEqual([1])
    circuit.writable = true
    circuit.server.pump()
    await circuit.settle()
    expect(numbers(followed)).toEqual([1, 2, 6])
    // The first head and the one that waited: nothing was sealed to be thrown away.
    expect([sealed, circuit.sealedWith.length]).toEqual([2, 3])
    await grow(7)
    expect(numbers(followed)).toEqual([1, 2, 6, 7])
  })

  test('that gives no credit gets what its window holds, then one more and the newest', async () => {
    const followed = await follow({ cells: 256 }, { credits: false })
    for (const number of [2, 3, 4, 5]) await grow(number)
    expect(numbers(followed)).toEqual([1])
    for (let i = 0; i < limits.streamWindow; i++) followed.stream.consumed()
    await circuit.settle()
    expect(numbers(followed)).toEqual([1, 2])
    for (let i = 0; i < limits.streamWindow; i++) followed.stream.consumed()
    await circuit.settle()
    expect(numbers(followed)).toEqual([1, 2, 5])
  })
})

describe('answers that take no credit', () => {
  const free = { credits: false, isFree: true } as const
  /** The seconds in which so many records of 16 cells are paid for. */
  const wait = async (seconds: number) => {
    circuit.clock.advance(seconds * second)
    await circuit.settle()
  }

  test('go on where the client gives none, for as long as there are any', async () => {
    const followed = await follow({}, free)
    const heads = limits.branchWindow
    for (let number = 2; number <= heads; number++) {
      await grow(number)
      circuit.clock.advance(every)
    }
    expect(numbers(followed)).toEqual(Array.from({ length: heads }, (_, index) => index + 1))
    followed.stream.reset('cancelled')
    await circuit.settle()
    expect([circuit.server.openCount, circuit.clock.pending, clock.pending]).toEqual([0, 0, 0])
  })

  test('keep to a pace instead: what comes faster is told of by its newest, sealed when it is sent', async () => {
    const followed = await follow({ cells: 16 }, free)
    for (const number of [2, 3, 4, 5, 6]) await grow(number)
    // Two at once; the third is not paid for yet.
    expect([numbers(followed), circuit.sealedWith.length, circuit.clock.pending]).toEqual([[1, 2], 2, 1])
    await wait(0.2)
    expect(numbers(followed)).toEqual([1, 2])
    await wait(0.05)
    expect([numbers(followed), circuit.sealedWith.length, circuit.clock.pending]).toEqual([[1, 2, 6], 3, 0])
  })

  test('share their pace with all such of the circuit, and with no other', async () => {
    const other = new TestCircuit(gateway, keys)
    const otherSession = await other.greet()
    const all = [
      await follow({ cells: 16 }, free),
      await follow({ cells: 16 }, free),
      await follow({ cells: 16 }, free),
    ]
    const credited = await follow({ cells: 16 })
    const elsewhere = await follow({ cells: 16 }, { ...free, circuit: other, session: otherSession })
    expect(all.map(numbers)).toEqual([[1], [1], []])
    expect([numbers(credited), numbers(elsewhere)]).toEqual([[1], [1]])
    await wait(1)
    expect(all.map(numbers)).toEqual([[1], [1], [1]])
    for (let number = 2; number < 10; number++) await grow(number)
    expect(numbers(credited)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  test('wait for the link as others do, and leave nothing in the gateway but the newest', async () => {
    const followed = await follow({}, free)
    circuit.writable = false
    for (const number of [2, 3, 4, 5, 6]) await grow(number)
    expect(circuit.sealedWith).toHaveLength(2)
    circuit.writable = true
    circuit.server.pump()
    await circuit.settle()
    expect(numbers(followed)).toEqual([1, 2, 6])
  })

  test.each<[string, (followed: Followed) => void]>([
    ['the stream is reset', (followed: Followed) => followed.stream.reset('cancelled')],
    ['the circuit ends', () => circuit.end()],
  ])('leave nothing behind where %s while one waits for its time', async (_, end) => {
    const followed = await follow({ cells: 16 }, free)
    for (const number of [2, 3]) await grow(number)
    expect(circuit.clock.pending).toBe(1)
    end(followed)
    await circuit.settle()
    await wait(100)
    expect([numbers(followed), circuit.sealedWith.length, circuit.server.openCount]).toEqual([[1, 2], 2, 0])
    expect([circuit.clock.pending, clock.pending]).toEqual([0, 0])
  })

  test('leave nothing behind either where the circuit ends while the last of three waits', async () => {
    const texts = [1, 2, 3].map((result) => encodeAnswer({ result }))
    const stopped: boolean[] = []
    const follow = () => ({
      start: (listener: Listener) => listener.onAnswers(texts),
      stop: (isLost: boolean) => void stopped.push(isLost),
    })
    circuit = new TestCircuit({ ...gateway, follow }, keys)
    const open = await circuit.greet()
    const record = open.seal(encodeQuestion({ ...question, cells: 16 }), 1)
    const followed = followWith(record, 16, { ...free, session: open })
    await circuit.settle()
    expect([followed.outcomes, circuit.clock.pending]).toEqual([[{ result: 1 }, { result: 2 }], 1])
    circuit.end()
    expect([stopped, circuit.clock.pending, circuit.sealedWith.length]).toEqual([[true], 0, 2])
  })

  test('are no larger than those that wallets watch with', async () => {
    const { outcomes, ends } = await follow({ cells: 32 }, free)
    expect([outcomes.map(codeIn), ends]).toEqual([['bad-request'], ['done']])
    expect(numbers(await follow({ cells: 32 }))).toEqual([1])
  })

  test('are errors too, each in its time; until it is told the stream holds its place', async () => {
    const all: Followed[] = []
    for (let i = 0; i < 2 + limits.followedPerCircuit; i++) all.push(await follow({ chain: 5, cells: 16 }, free))
    // The first two were told at once.
    expect(all.map(({ outcomes }) => outcomes.length)).toEqual([1, 1, ...Array.from({ length: 16 }, () => 0)])
    expect((await follow()).ends).toEqual(['limit-reached'])
    while (circuit.clock.pending > 0) await wait(1)
    expect(all.every(({ outcomes }) => codeIn(outcomes[0]) === 'chain-not-served')).toBe(true)
    expect(all.every(({ ends }) => ends.join() === 'done')).toBe(true)
    expect(circuit.server.openCount).toBe(0)
    expect(numbers(await follow())).toEqual([1])
  })
})

describe('the stream is forgotten, and with the last one the chain is no longer asked,', () => {
  test('when the client resets it', async () => {
    const { stream, ends } = await follow()
    stream.reset('cancelled')
    await circuit.settle()
    expect([circuit.server.openCount, clock.pending]).toEqual([0, 0])
    const before = [circuit.sentByGateway, chain.asked.length]
    await grow(2)
    expect([circuit.sentByGateway, chain.asked.length]).toEqual(before)
    expect(ends).toEqual([])
  })

  test('when the client resets it while a head waits', async () => {
    const { stream } = await follow()
    circuit.writable = false
    await grow(2)
    await grow(3)
    stream.reset('cancelled')
    await circuit.settle()
    const before = circuit.sentByGateway
    circuit.writable = true
    circuit.server.pump()
    await circuit.settle()
    expect([circuit.sentByGateway, circuit.server.openCount, clock.pending]).toEqual([before, 0, 0])
  })

  test('when the client resets it before its question is whole', async () => {
    const { stream } = circuit.ask('follow', new Uint8Array(100), false)
    await circuit.settle()
    stream.reset('cancelled')
    await circuit.settle()
    expect([circuit.server.openCount, chain.asked.length]).toEqual([0, 0])
  })

  test('when the circuit ends; nothing is sealed with keys that are wiped', async () => {
    await follow()
    await follow({ cells: 8 })
    circuit.end()
    expect(clock.pending).toBe(0)
    await grow(2)
    expect(circuit.sealedWith).toHaveLength(2)
    expect(isZero(circuit.sealedWith[0] as Uint8Array)).toBe(true)
  })
})

describe('the stream ends', () => {
  test('with a code where the upstream is dead for half a minute', async () => {
    const followed = await follow()
    chain.latest = 'upstream-failed'
    await clock.elapse(30 * second)
    await circuit.settle()
    expect(followed.ends).toEqual(['upstream-failed'])
    expect([numbers(followed), circuit.server.openCount, clock.pending]).toEqual([[1], 0, 0])
  })

  test.each<[string, Partial<Question>, string]>([
    ['a chain that is not served', { chain: 5 }, 'chain-not-served'],
    ['a method that is not followed', { method: 'eth_getLogs' }, 'method-not-allowed'],
    ['a method of the longest name there is', { method: '\u{1}'.repeat(128) }, 'method-not-allowed'],
    ['logs', { params: ['logs', {}] }, 'bad-request'],
    ['an answer too small for a header', {}, 'answer-too-large'],
  ])('with a sealed error for %s, in the smallest class too', async (_, change, code) => {
    const followed = await follow({ cells: 1, ...change })
    expect(followed.outcomes.map(codeIn)).toEqual([code])
    expect(followed.ends).toEqual(['done'])
    expect([circuit.server.openCount, clock.pending]).toEqual([0, 0])
  })

  test('with a sealed error of the same class where a header does not fit any more', async () => {
    const followed = await follow()
    chain.latest = { result: { ...header(2), extraData: `0x${'00'.repeat(2000)}` } }
    await clock.elapse(every)
    await circuit.settle()
    expect(followed.outcomes.slice(1).map(codeIn)).toEqual(['answer-too-large'])
    expect([followed.ends, clock.pending]).toEqual([['done'], 0])
    expect(numbers(await follow({ cells: 8 }))).toEqual([2])
  })

  test.each([
    ['no JSON', '{"chain":1,'],
    ['without a chain', '{"cells":4,"method":"eth_subscribe","params":["newHeads"]}'],
    ['for a class beyond the largest', '{"chain":1,"cells":512,"method":"eth_subscribe","params":["newHeads"]}'],
  ])('with a sealed error in the smallest class for a question that is %s', async (_, text) => {
    const followed = followWith(session.seal(utf8(text), 1), 1)
    await circuit.settle()
    expect(followed.outcomes.map(codeIn)).toEqual(['bad-request'])
    expect([followed.ends, chain.asked.length]).toEqual([['done'], 0])
  })
})

describe('the stream is refused', () => {
  test('before the envelope', async () => {
    const fresh = new TestCircuit(gateway, keys)
    const record = session.seal(encodeQuestion(question), 1)
    expect(await fresh.outcomeOf(fresh.ask('follow', record).answer)).toBe('envelope-rejected')
  })

  test.each([
    ['changed', 'envelope-rejected', (record: Uint8Array) => flipBit(record, 700)],
    ['nothing', 'envelope-rejected', () => nothing],
    ['too long', 'limit-reached', () => new Uint8Array(recordSize(limits.questionCells) + 1)],
  ] as const)('where the question is %s; the next one is answered', async (_, code, spoil) => {
    const { answer } = circuit.ask('follow', spoil(session.seal(encodeQuestion(question), 1)))
    expect(await circuit.outcomeOf(answer)).toBe(code)
    expect([circuit.server.openCount, chain.asked.length]).toEqual([0, 0])
    for (let i = 0; i < limits.followedPerCircuit; i++) expect(numbers(await follow())).toEqual([1])
  })

  test('where the question came before', async () => {
    const record = session.seal(encodeQuestion(question), 1)
    followWith(record, 4)
    await circuit.settle()
    expect(await circuit.outcomeOf(circuit.ask('follow', Uint8Array.from(record)).answer)).toBe('replayed')
  })

  test('where the circuit has as many as it may, questions that are not whole among them', async () => {
    const unfinished = circuit.ask('follow', new Uint8Array(partSize), false)
    const followed: Followed[] = []
    for (let i = 1; i < limits.followedPerCircuit; i++) followed.push(await follow())
    expect((await follow()).ends).toEqual(['limit-reached'])
    await grow(2)
    expect(followed.map(numbers)).toEqual(followed.map(() => [1, 2]))

    unfinished.stream.reset('cancelled')
    followed[0]?.stream.reset('cancelled')
    expect(numbers(await follow())).toEqual([2])
    expect(codeIn((await follow({ chain: 5 })).outcomes[0])).toBe('chain-not-served')
    expect(numbers(await follow())).toEqual([2])
    expect((await follow()).ends).toEqual(['limit-reached'])
    const other = new TestCircuit(gateway, keys)
    expect(numbers(await follow({}, { circuit: other, session: await other.greet() }))).toEqual([2])
  })
})
