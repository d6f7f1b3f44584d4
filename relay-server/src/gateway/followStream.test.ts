import { isZero, utf8 } from '@nightjar/shared/bytes'
import { partSize } from '@nightjar/shared/circuit'
import { counterOf, recordSize } from '@nightjar/shared/envelope'
import { limits } from '@nightjar/shared/limits'
import { decodeAnswer, encodeQuestion, type Question } from '@nightjar/shared/rpc'
import { second } from '@nightjar/shared/runtime'
import { flipBit } from '@nightjar/shared/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import { header } from './testing/blocks.ts'
import { TestCircuit } from './testing/circuit.ts'
import { codeIn, every, type Followed, FollowStage, headerIn, numbers, question } from './testing/followStage.ts'

const nothing = new Uint8Array(0)

let stage: FollowStage
beforeEach(async () => {
  stage = await FollowStage.set()
})

describe('whoever follows heads', () => {
  test('gets the newest header at once, sealed, and then each new one', async () => {
    const followed = await stage.follow()
    expect(followed.outcomes).toEqual([{ result: header(1) }])
    await stage.grow(2)
    await stage.grow(3)
    expect(followed.outcomes.map(headerIn)).toEqual([header(1), header(2), header(3)])
    expect(followed.ends).toEqual([])
  })

  test('is counted until it ends', async () => {
    const followed = await stage.follow()
    expect(stage.gateway.followed()).toEqual({ heads: 1, watches: 0, lingering: 0 })
    followed.stream.reset('cancelled')
    await stage.circuit.settle()
    expect(stage.gateway.followed().heads).toBe(0)
  })

  test('gets a reorganisation, and nothing where nothing changes', async () => {
    const followed = await stage.follow()
    await stage.grow(1)
    expect(followed.outcomes).toHaveLength(1)
    await stage.grow(1, 9)
    expect(followed.outcomes.map(headerIn)).toEqual([header(1), header(1, 9)])
  })

  test.each([4, 8, 256])('is sent %i full cells for each, and nothing else', async (cells) => {
    await stage.follow({ cells })
    const before = stage.circuit.sentByGateway
    await stage.grow(2)
    await stage.grow(2)
    await stage.grow(3)
    expect(stage.circuit.sentByGateway - before).toBe(2 * cells)
  })

  test('asks upstream no more than one other does, on another circuit', async () => {
    const other = new TestCircuit(stage.gateway, stage.keys)
    const otherSession = await other.greet()
    const one = await stage.follow()
    await stage.clock.elapse(every)
    const two = await stage.follow({}, { circuit: other, session: otherSession })
    await stage.grow(2)
    await other.settle()
    expect([numbers(one), numbers(two), stage.chain.asked.length]).toEqual([[1, 2], [1, 2], 3])
    stage.circuit.end()
    expect(stage.clock.pending).toBeGreaterThan(0)
    other.end()
    expect(stage.clock.pending).toBe(0)
  })

  test('can ask other things meanwhile', async () => {
    const followed = await stage.follow()
    const asked = stage.session.seal(encodeQuestion({ ...question, method: 'eth_chainId' }), 1)
    const { answer } = stage.circuit.ask('rpc', asked)
    await stage.circuit.settle()
    expect(decodeAnswer(stage.session.open(await answer, counterOf(asked)))).toEqual(await stage.chain.latest)
    await stage.grow(2)
    expect(numbers(followed)).toEqual([1, 2])
  })
})

describe('a slow client', () => {
  test('whose link is behind gets what waited there, then only the newest', async () => {
    const followed = await stage.follow()
    stage.circuit.writable = false
    for (const number of [2, 3, 4, 5, 6]) await stage.grow(number)
    const sealed = stage.circuit.sealedWith.length
    expect(numbers(followed)).toEqual([1])
    stage.circuit.writable = true
    stage.circuit.server.pump()
    await stage.circuit.settle()
    expect(numbers(followed)).toEqual([1, 2, 6])
    // The first head and the one that waited: nothing was sealed to be thrown away.
    expect([sealed, stage.circuit.sealedWith.length]).toEqual([2, 3])
    await stage.grow(7)
    expect(numbers(followed)).toEqual([1, 2, 6, 7])
  })

  test('that gives no credit gets what its window holds, then one more and the newest', async () => {
    const followed = await stage.follow({ cells: 256 }, { credits: false })
    for (const number of [2, 3, 4, 5]) await stage.grow(number)
    expect(numbers(followed)).toEqual([1])
    for (let i = 0; i < limits.streamWindow; i++) followed.stream.consumed()
    await stage.circuit.settle()
    expect(numbers(followed)).toEqual([1, 2])
    for (let i = 0; i < limits.streamWindow; i++) followed.stream.consumed()
    await stage.circuit.settle()
    expect(numbers(followed)).toEqual([1, 2, 5])
  })
})

describe('the stream is forgotten, and with the last one the chain is no longer asked,', () => {
  test('when the client resets it', async () => {
    const { stream, ends } = await stage.follow()
    stream.reset('cancelled')
    await stage.circuit.settle()
    expect([stage.circuit.server.openCount, stage.clock.pending]).toEqual([0, 0])
    const before = [stage.circuit.sentByGateway, stage.chain.asked.length]
    await stage.grow(2)
    expect([stage.circuit.sentByGateway, stage.chain.asked.length]).toEqual(before)
    expect(ends).toEqual([])
  })

  test('when the client resets it while a head waits', async () => {
    const { stream } = await stage.follow()
    stage.circuit.writable = false
    await stage.grow(2)
    await stage.grow(3)
    stream.reset('cancelled')
    await stage.circuit.settle()
    const before = stage.circuit.sentByGateway
    stage.circuit.writable = true
    stage.circuit.server.pump()
    await stage.circuit.settle()
    expect([stage.circuit.sentByGateway, stage.circuit.server.openCount, stage.clock.pending]).toEqual([before, 0, 0])
  })

  test('when the client resets it before its question is whole', async () => {
    const { stream } = stage.circuit.ask('follow', new Uint8Array(100), false)
    await stage.circuit.settle()
    stream.reset('cancelled')
    await stage.circuit.settle()
    expect([stage.circuit.server.openCount, stage.chain.asked.length]).toEqual([0, 0])
  })

  test('when the circuit ends; nothing is sealed with keys that are wiped', async () => {
    await stage.follow()
    await stage.follow({ cells: 8 })
    stage.circuit.end()
    expect(stage.clock.pending).toBe(0)
    await stage.grow(2)
    expect(stage.circuit.sealedWith).toHaveLength(2)
    expect(isZero(stage.circuit.sealedWith[0] as Uint8Array)).toBe(true)
  })
})

describe('the stream ends', () => {
  test('with a code where the upstream is dead for half a minute', async () => {
    const followed = await stage.follow()
    stage.chain.latest = 'upstream-failed'
    await stage.clock.elapse(30 * second)
    await stage.circuit.settle()
    expect(followed.ends).toEqual(['upstream-failed'])
    expect([numbers(followed), stage.circuit.server.openCount, stage.clock.pending]).toEqual([[1], 0, 0])
  })

  test.each<[string, Partial<Question>, string]>([
    ['a chain that is not served', { chain: 5 }, 'chain-not-served'],
    ['a method that is not followed', { method: 'eth_getLogs' }, 'method-not-allowed'],
    ['a method of the longest name there is', { method: '\u{1}'.repeat(128) }, 'method-not-allowed'],
    ['logs', { params: ['logs', {}] }, 'bad-request'],
    ['an answer too small for a header', {}, 'answer-too-large'],
  ])('with a sealed error for %s, in the smallest class too', async (_, change, code) => {
    const followed = await stage.follow({ cells: 1, ...change })
    expect(followed.outcomes.map(codeIn)).toEqual([code])
    expect(followed.ends).toEqual(['done'])
    expect([stage.circuit.server.openCount, stage.clock.pending]).toEqual([0, 0])
  })

  test('with a sealed error of the same class where a header does not fit any more', async () => {
    const followed = await stage.follow()
    stage.chain.latest = { result: { ...header(2), extraData: `0x${'00'.repeat(2000)}` } }
    await stage.clock.elapse(every)
    await stage.circuit.settle()
    expect(followed.outcomes.slice(1).map(codeIn)).toEqual(['answer-too-large'])
    expect([followed.ends, stage.clock.pending]).toEqual([['done'], 0])
    expect(numbers(await stage.follow({ cells: 8 }))).toEqual([2])
  })

  test.each([
    ['no JSON', '{"chain":1,'],
    ['without a chain', '{"cells":4,"method":"eth_subscribe","params":["newHeads"]}'],
    ['for a class beyond the largest', '{"chain":1,"cells":512,"method":"eth_subscribe","params":["newHeads"]}'],
  ])('with a sealed error in the smallest class for a question that is %s', async (_, text) => {
    const followed = stage.followWith(stage.session.seal(utf8(text), 1), 1)
    await stage.circuit.settle()
    expect(followed.outcomes.map(codeIn)).toEqual(['bad-request'])
    expect([followed.ends, stage.chain.asked.length]).toEqual([['done'], 0])
  })
})

describe('the stream is refused', () => {
  test('before the envelope', async () => {
    const fresh = new TestCircuit(stage.gateway, stage.keys)
    const record = stage.session.seal(encodeQuestion(question), 1)
    expect(await fresh.outcomeOf(fresh.ask('follow', record).answer)).toBe('envelope-rejected')
  })

  test.each([
    ['changed', 'envelope-rejected', (record: Uint8Array) => flipBit(record, 700)],
    ['nothing', 'envelope-rejected', () => nothing],
    ['too long', 'limit-reached', () => new Uint8Array(recordSize(limits.questionCells) + 1)],
  ] as const)('where the question is %s; the next one is answered', async (_, code, spoil) => {
    const { answer } = stage.circuit.ask('follow', spoil(stage.session.seal(encodeQuestion(question), 1)))
    expect(await stage.circuit.outcomeOf(answer)).toBe(code)
    expect([stage.circuit.server.openCount, stage.chain.asked.length]).toEqual([0, 0])
    for (let i = 0; i < limits.followedPerCircuit; i++) expect(numbers(await stage.follow())).toEqual([1])
  })

  test('where the question came before', async () => {
    const record = stage.session.seal(encodeQuestion(question), 1)
    stage.followWith(record, 4)
    await stage.circuit.settle()
    expect(await stage.circuit.outcomeOf(stage.circuit.ask('follow', Uint8Array.from(record)).answer)).toBe('replayed')
  })

  test('where the circuit has as many as it may, questions that are not whole among them', async () => {
    const unfinished = stage.circuit.ask('follow', new Uint8Array(partSize), false)
    const followed: Followed[] = []
    for (let i = 1; i < limits.followedPerCircuit; i++) followed.push(await stage.follow())
    expect((await stage.follow()).ends).toEqual(['limit-reached'])
    await stage.grow(2)
    expect(followed.map(numbers)).toEqual(followed.map(() => [1, 2]))

    unfinished.stream.reset('cancelled')
    followed[0]?.stream.reset('cancelled')
    expect(numbers(await stage.follow())).toEqual([2])
    expect(codeIn((await stage.follow({ chain: 5 })).outcomes[0])).toBe('chain-not-served')
    expect(numbers(await stage.follow())).toEqual([2])
    expect((await stage.follow()).ends).toEqual(['limit-reached'])
    const other = new TestCircuit(stage.gateway, stage.keys)
    expect(numbers(await stage.follow({}, { circuit: other, session: await other.greet() }))).toEqual([2])
  })
})
