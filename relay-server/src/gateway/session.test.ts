import { isZero, utf8 } from '@nightjar/shared/bytes'
import { counterOf, type EnvelopeSession, recordSize } from '@nightjar/shared/envelope'
import { purpose, startHandshake } from '@nightjar/shared/handshake'
import { limits } from '@nightjar/shared/limits'
import { decodeAnswer, encodeQuestion, type Outcome, type Question } from '@nightjar/shared/rpc'
import { flipBit, pattern } from '@nightjar/shared/testing'
import { nativeCrypto as crypto } from '@nightjar/shared-node/crypto'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { limits as relayLimits } from '../limits/limits.ts'
import { AnswerMemory } from './answerMemory.ts'
import type { Gateway } from './gateway.ts'
import { makeKeys, TestCircuit, type TestKeys } from './testing/circuit.ts'

const question: Question = { chain: 1, cells: 4, method: 'eth_blockNumber', params: [] }
const nothing = new Uint8Array(0)

let keys: TestKeys
beforeAll(async () => {
  keys = await makeKeys()
})

/** What the gateway was asked, and how it answers. */
let asked: { question: Question; signal: AbortSignal }[]
let answerWith: (question: Question) => Promise<Outcome>
let circuit: TestCircuit
const greet = () => circuit.greet()
const ask: TestCircuit['ask'] = (...question) => circuit.ask(...question)
const outcomeOf: TestCircuit['outcomeOf'] = (answer) => circuit.outcomeOf(answer)
const settle = () => circuit.settle()

const gateway: Gateway = {
  answer(received, signal) {
    asked.push({ question: received, signal })
    return answerWith(received)
  },
  follow() {
    throw new Error('what goes on answering is tested beside followStream.ts')
  },
  close() {},
}

beforeEach(() => {
  asked = []
  answerWith = () => Promise.resolve({ result: '0x1' })
  circuit = new TestCircuit(gateway, keys)
})

function noop(): void {}

describe('the envelope', () => {
  test('is agreed on, then questions are answered', async () => {
    const session = await greet()
    const { answer } = ask('rpc', session.seal(encodeQuestion(question), 1))
    await settle()
    expect(decodeAnswer(session.open(await answer, 0))).toEqual({ result: '0x1' })
    expect(asked).toMatchObject([{ question, signal: { aborted: false } }])
  })

  test('comes first: a question before it, or beside it, is refused', async () => {
    const record = pattern(recordSize(1))
    expect(await outcomeOf(ask('rpc', record).answer)).toBe('envelope-rejected')
    const handshake = await startHandshake(crypto, { purpose: purpose.envelope, depth: 0, responder: keys.responder })
    const { answer } = ask('envelope', handshake.hello)
    const tooEarly = ask('rpc', record).answer
    expect(await outcomeOf(tooEarly)).toBe('envelope-rejected')
    expect(await outcomeOf(answer)).toBeInstanceOf(Uint8Array)
    expect(asked).toEqual([])
  })

  test('is agreed on once; the session goes on after a second try', async () => {
    const session = await greet()
    const handshake = await startHandshake(crypto, { purpose: purpose.envelope, depth: 0, responder: keys.responder })
    expect(await outcomeOf(ask('envelope', handshake.hello).answer)).toBe('protocol-violation')
    const { answer } = ask('rpc', session.seal(encodeQuestion(question), 1))
    await settle()
    expect(decodeAnswer(session.open(await answer, 0))).toEqual({ result: '0x1' })
  })

  test.each([
    ['for a hop', { purpose: purpose.hop, depth: 1 }, 'unknown-key'],
    ['for another purpose', { purpose: purpose.mesh, depth: 0 }, 'unknown-key'],
  ] as const)('is not agreed on with a hello %s', async (_, options, code) => {
    const handshake = await startHandshake(crypto, { ...options, responder: keys.responder })
    expect(await outcomeOf(ask('envelope', handshake.hello).answer)).toBe(code)
    expect(await outcomeOf(ask('rpc', pattern(recordSize(1))).answer)).toBe('envelope-rejected')
  })

  test('is not agreed on under a key that serves another purpose, even where the relay holds it for both', async () => {
    circuit = new TestCircuit(gateway, keys, { findKey: () => keys.keyPair })
    const handshake = await startHandshake(crypto, { purpose: purpose.hop, depth: 1, responder: keys.responder })
    expect(await outcomeOf(ask('envelope', handshake.hello).answer)).toBe('envelope-rejected')
  })

  test.each([
    ['nothing', nothing, 'protocol-violation'],
    ['a hello that is cut off', pattern(100), 'protocol-violation'],
    ['a hello that is too long', pattern(1228), 'limit-reached'],
  ] as const)('is not agreed on with %s', async (_, hello, code) => {
    expect(await outcomeOf(ask('envelope', hello).answer)).toBe(code)
  })

  test.each(['envelope', 'rpc'])('is no reason for answers of %s that take no credit', async (service) => {
    const codes: string[] = []
    const handler = { onData() {}, onEnd: (code: string) => void codes.push(code) }
    await greet()
    circuit.client.open(service, nothing, handler, { data: nothing, end: true }, { isFree: true })
    await settle()
    expect([codes, asked]).toEqual([['protocol-violation'], []])
  })

  test('stands beside no other service', async () => {
    expect(await outcomeOf(ask('tcp', nothing).answer)).toBe('unknown-service')
  })
})

describe('a question', () => {
  let session: EnvelopeSession
  beforeEach(async () => {
    session = await greet()
  })

  async function answerTo(text: Uint8Array, cells = 1): Promise<{ outcome: Outcome; cells: number }> {
    const asked = session.seal(text, cells)
    const { answer } = ask('rpc', asked)
    await settle()
    const record = await answer
    const size = record.length / recordSize(1)
    return { outcome: decodeAnswer(session.open(record, counterOf(asked))), cells: size }
  }

  test('that was seen before is refused, also beside the first', async () => {
    const record = session.seal(encodeQuestion(question), 1)
    const [first, second] = [ask('rpc', record), ask('rpc', Uint8Array.from(record))]
    expect(await outcomeOf(first.answer)).toBeInstanceOf(Uint8Array)
    expect(await outcomeOf(second.answer)).toBe('replayed')
    expect(await outcomeOf(ask('rpc', Uint8Array.from(record)).answer)).toBe('replayed')
    expect(asked).toHaveLength(1)
  })

  test.each([
    ['changed', (record: Uint8Array) => flipBit(record, 700)],
    ['under another counter', (record: Uint8Array) => flipBit(record, 60)],
    ['cut off', (record: Uint8Array) => record.subarray(0, 900)],
    ['shorter than a record can be', (record: Uint8Array) => record.subarray(0, 27)],
    ['nothing', () => nothing],
    ['one of the gateway itself', () => session.seal(nothing, 1).fill(0)],
  ])('that is %s is refused, and the next one is answered', async (_, spoil) => {
    const record = spoil(session.seal(encodeQuestion(question), 1))
    expect(await outcomeOf(ask('rpc', record).answer)).toBe('envelope-rejected')
    expect(asked).toEqual([])
    expect((await answerTo(encodeQuestion(question))).outcome).toEqual({ result: '0x1' })
  })

  test.each([
    ['no JSON', '{"chain":1,'],
    ['no text', '\0'],
    ['no object', '[1]'],
    ['null', 'null'],
    ['without a chain', '{"cells":4,"method":"eth_blockNumber"}'],
    ['of chain 0', '{"chain":0,"cells":4,"method":"eth_blockNumber"}'],
    ['for a class that is none', '{"chain":1,"cells":3,"method":"eth_blockNumber"}'],
    ['for a class beyond the largest', '{"chain":1,"cells":512,"method":"eth_blockNumber"}'],
    ['without a method', '{"chain":1,"cells":4}'],
    ['with params that are none', '{"chain":1,"cells":4,"method":"eth_call","params":"x"}'],
  ])('that is %s is answered with an error, sealed, in the smallest class', async (_, text) => {
    const { outcome, cells } = await answerTo(utf8(text))
    expect(outcome).toMatchObject({ error: { code: -32600, data: { nightjar: 'bad-request' } } })
    expect(cells).toBe(1)
    expect(asked).toEqual([])
  })

  test('as long as allowed is answered, a longer one is not read to its end', async () => {
    const params = ['x'.repeat(recordSize(limits.questionCells) - 100)]
    const text = encodeQuestion({ ...question, params })
    expect((await answerTo(text, limits.questionCells)).outcome).toEqual({ result: '0x1' })
    const { stream, answer } = ask('rpc', new Uint8Array(recordSize(limits.questionCells) + 1), false)
    expect(await outcomeOf(answer)).toBe('limit-reached')
    stream.send(new Uint8Array(10_000), true)
    await settle()
    expect((await answerTo(encodeQuestion(question))).outcome).toEqual({ result: '0x1' })
  })

  test('takes from what all unfinished ones of the branch may hold, and gives it back', async () => {
    const part = new Uint8Array(limits.questionBytesPerBranch / 8)
    const unfinished = Array.from({ length: 8 }, () => ask('rpc', part, false))
    for (const { answer } of unfinished) expect(await outcomeOf(answer)).toBe('open')
    expect(await outcomeOf(ask('rpc', Uint8Array.of(1), false).answer)).toBe('limit-reached')

    const [ended, reset] = unfinished as [(typeof unfinished)[0], (typeof unfinished)[0]]
    ended.stream.send(nothing, true)
    expect(await outcomeOf(ended.answer)).toBe('envelope-rejected')
    reset.stream.reset('cancelled')
    await settle()
    const again = [ask('rpc', part, false), ask('rpc', part, false)]
    for (const { answer } of again) expect(await outcomeOf(answer)).toBe('open')
    expect(await outcomeOf(ask('rpc', Uint8Array.of(1), false).answer)).toBe('limit-reached')
  })

  test('is answered in its own time: a slow one holds nothing up', async () => {
    let finish: (outcome: Outcome) => void = noop
    answerWith = ({ method }) =>
      method === 'slow' ? new Promise((resolve) => (finish = resolve)) : Promise.resolve({ result: method })
    const slow = ask('rpc', session.seal(encodeQuestion({ ...question, method: 'slow' }), 1)).answer
    await settle()
    expect((await answerTo(encodeQuestion({ ...question, method: 'fast' }))).outcome).toEqual({ result: 'fast' })
    finish({ result: 'at last' })
    await settle()
    expect(decodeAnswer(session.open(await slow, 0))).toEqual({ result: 'at last' })
  })

  test('whose stream is reset is answered to nobody', async () => {
    let finish: (outcome: Outcome) => void = noop
    answerWith = () => new Promise((resolve) => (finish = resolve))
    const { stream } = ask('rpc', session.seal(encodeQuestion(question), 1))
    await settle()
    stream.reset('timed-out')
    await settle()
    const before = circuit.sentByGateway
    finish({ result: 'too late' })
    await settle()
    expect(circuit.sentByGateway).toBe(before)
  })
})

describe('an answer', () => {
  let session: EnvelopeSession
  beforeEach(async () => {
    session = await greet()
  })

  async function cellsOf(outcome: Outcome, cells: number): Promise<{ cells: number; outcome: Outcome }> {
    answerWith = () => Promise.resolve(outcome)
    const asked = session.seal(encodeQuestion({ ...question, cells }), 1)
    const { answer } = ask('rpc', asked)
    await settle()
    const record = await answer
    return { cells: record.length / recordSize(1), outcome: decodeAnswer(session.open(record, counterOf(asked))) }
  }

  test.each([1, 2, 4, 32, 64, 256])('is padded to the class of %i cells that the question names', async (cells) => {
    expect(await cellsOf({ result: '0x1' }, cells)).toEqual({ cells, outcome: { result: '0x1' } })
    expect((await cellsOf({ result: null }, cells)).cells).toBe(cells)
    expect((await cellsOf({ error: { code: -32000, message: 'x' } }, cells)).cells).toBe(cells)
  })

  test.each([
    [1, 900, 1],
    [1, 901, 2],
    [1, 10_000, 16],
    [4, 4 * 928 - 28, 4],
    [4, 4 * 928 - 27, 8],
    [64, 100_000, 128],
  ])('asked for in %i cells with a text of %i bytes takes %i', async (asked, bytes, cells) => {
    const result = 'x'.repeat(bytes - '{"result":""}'.length)
    expect((await cellsOf({ result }, asked)).cells).toBe(cells)
  })

  test('that is too large becomes an error of the class that was asked for', async () => {
    const { cells, outcome } = await cellsOf({ result: 'x'.repeat(recordSize(limits.answerCells)) }, 4)
    expect(outcome).toMatchObject({ error: { code: -32005, data: { nightjar: 'answer-too-large' } } })
    expect(cells).toBe(4)
  })
})

describe('a client that asks for more than it takes', () => {
  const mebibyte = 2 ** 20
  let session: EnvelopeSession
  beforeEach(async () => {
    session = await greet()
  })
  const askOne = (fields: Partial<Question> = {}) =>
    ask('rpc', session.seal(encodeQuestion({ ...question, cells: 1, ...fields }), 1))
  /** Answers of `bytes`, sealed into the next class. */
  const answerWithBytes = (bytes: number) => {
    answerWith = () => Promise.resolve({ result: 'x'.repeat(bytes) })
  }

  test('has 32 questions asked at once; the others wait in order, and are asked as those are answered', async () => {
    const finish: (() => void)[] = []
    answerWith = ({ method }) => new Promise((resolve) => finish.push(() => resolve({ result: method })))
    const answers = Array.from({ length: 40 }, (_, i) => askOne({ method: `m${i}` }).answer)
    await settle()
    expect(asked).toHaveLength(32)
    finish[7]?.()
    finish[3]?.()
    await settle()
    expect(asked.map(({ question: { method } }) => method)).toEqual(Array.from({ length: 34 }, (_, i) => `m${i}`))
    for (let i = 0; i < 40; i++) {
      finish[i]?.()
      await settle()
    }
    const texts = (await Promise.all(answers)).map((record, i) => decodeAnswer(session.open(record, i)))
    expect(texts).toEqual(Array.from({ length: 40 }, (_, i) => ({ result: `m${i}` })))
  })

  test('is not asked for what it gave up while it waited, nor for anything once its circuit ended', async () => {
    const finish: (() => void)[] = []
    answerWith = () => new Promise((resolve) => finish.push(() => resolve({ result: null })))
    for (let i = 0; i < 32; i++) askOne({ method: 'first' })
    const { stream } = askOne({ method: 'given up' })
    askOne({ method: 'wanted' })
    askOne({ method: 'too late' })
    await settle()
    stream.reset('timed-out')
    await settle()
    finish[0]?.()
    await settle()
    expect(asked.slice(32).map(({ question: { method } }) => method)).toEqual(['wanted'])
    circuit.end()
    for (const each of finish) each()
    await settle()
    expect(asked).toHaveLength(33)
  })

  test('has questions wait, and be asked, in what unfinished ones may hold, and no more of them', async () => {
    answerWith = () => new Promise(noop)
    const text = encodeQuestion({ ...question, params: ['x'.repeat(900_000)] })
    const askLarge = () => ask('rpc', session.seal(text, 1024))
    const underWay = [askLarge()]
    for (let i = 1; i < 32; i++) underWay.push(askOne())
    await settle()
    // It is held for as long as it is asked, whether anybody wants the answer or not.
    underWay[0]?.stream.reset('cancelled')
    const answers = Array.from({ length: 5 }, () => askLarge().answer)
    await settle()
    const outcomes = await Promise.all(answers.map(outcomeOf))
    expect(outcomes.sort()).toEqual(['limit-reached', 'limit-reached', 'open', 'open', 'open'])
  })

  test('is told where an answer goes beyond 64 MiB, and has nothing more asked beyond half of them', async () => {
    circuit.writable = false
    answerWithBytes(20 * mebibyte)
    const [first, second, beyond] = [askOne().answer, askOne().answer, askOne().answer]
    expect(await outcomeOf(beyond)).toBe('limit-reached')
    expect(circuit.memory.held).toBe(2 * recordSize(limits.answerCells))
    expect(circuit.refused).toEqual(['untaken-answers'])

    const waiting = askOne().answer
    expect(await outcomeOf(waiting)).toBe('open')
    expect(asked).toHaveLength(3)
    circuit.writable = true
    circuit.server.pump()
    for (const answer of [first, second, waiting]) expect(await outcomeOf(answer)).toBeInstanceOf(Uint8Array)
    expect([asked.length, circuit.memory.held, circuit.clock.pending]).toEqual([4, 0, 0])
  })

  test('gets limit-reached, unasked, while the process holds as much as it may', async () => {
    const others = circuit.memory.free
    circuit.memory.held = others
    expect(await outcomeOf(askOne().answer)).toBe('limit-reached')
    // Room for the question, and none for its answer.
    circuit.memory.held = others - recordSize(1)
    expect(await outcomeOf(askOne().answer)).toBe('limit-reached')
    expect([asked, circuit.refused]).toEqual([[], ['answer-memory', 'answer-memory']])
    circuit.memory.held = others - 2 * recordSize(1)
    expect(await outcomeOf(askOne().answer)).toBeInstanceOf(Uint8Array)
    expect(circuit.memory.held).toBe(others - 2 * recordSize(1))
  })

  test.each([
    ['large', 5, limits.paddedAnswerCells],
    ['little', 100, 16],
  ])('leaves room for %s answers to others, where there are %i of its kind', async (_, count, cells) => {
    const memory = new AnswerMemory(32 * mebibyte)
    const takers = Array.from({ length: count }, () => new TestCircuit(gateway, keys, { memory }))
    const data = encodeQuestion({ ...question, cells: limits.paddedAnswerCells })
    for (const taker of takers) {
      const session = await taker.greet()
      taker.writable = false
      for (let i = 0; i < 70; i++) taker.ask('rpc', session.seal(data, 1))
      await taker.settle()
    }
    expect(memory.held).toBeGreaterThan(8 * mebibyte)
    const honest = new TestCircuit(gateway, keys, { memory })
    const session = await honest.greet()
    for (let i = 0; i < 3; i++) {
      const { answer } = honest.ask('rpc', session.seal(encodeQuestion({ ...question, cells }), 1))
      expect(await honest.outcomeOf(answer)).toBeInstanceOf(Uint8Array)
    }
    expect(honest.refused).toEqual([])
    for (const taker of takers) taker.end()
    expect(memory.held).toBe(0)
  })

  test('has no more asked than will find room in its share', async () => {
    circuit = new TestCircuit(gateway, keys, { memory: new AnswerMemory(64 * mebibyte) })
    session = await greet()
    answerWithBytes(100_000)
    circuit.writable = false
    const answers = Array.from({ length: 100 }, () => askOne().answer)
    await settle()
    expect(asked.length).toBeLessThan(50)
    circuit.writable = true
    circuit.server.pump()
    for (const answer of answers) expect(await outcomeOf(answer)).toBeInstanceOf(Uint8Array)
    expect([circuit.refused, circuit.memory.held]).toEqual([[], 0])
  })

  test('holds the bytes of its questions until they are answered', async () => {
    let finish: (outcome: Outcome) => void = noop
    answerWith = () => new Promise((resolve) => (finish = resolve))
    const { stream } = ask('rpc', new Uint8Array(5000), false)
    const { answer } = ask('rpc', session.seal(encodeQuestion(question), 64))
    await settle()
    expect(circuit.memory.held).toBe(5000 + recordSize(64))
    stream.reset('cancelled')
    await settle()
    expect(circuit.memory.held).toBe(recordSize(64))
    finish({ result: '0x1' })
    expect(await outcomeOf(answer)).toBeInstanceOf(Uint8Array)
    expect(circuit.memory.held).toBe(0)
  })

  test('has no more of its questions taken than its share of what the process may hold', async () => {
    const memory = new AnswerMemory(16 * mebibyte)
    circuit = new TestCircuit(gateway, keys, { memory })
    session = await greet()
    // Of the 14 MiB that are free for all it has a share once it holds an eighth of what is left.
    const answers = Array.from({ length: 4 }, () => ask('rpc', new Uint8Array(900_000), false).answer)
    const outcomes = await Promise.all(answers.map(outcomeOf))
    expect(outcomes.sort()).toEqual(['limit-reached', 'limit-reached', 'limit-reached', 'open'])
    expect(memory.held).toBe(900_000)
  })

  test.each(['rpc', 'follow'])(
    'loses a question to %s of which nothing comes for a minute, and keeps others',
    async (service) => {
      const still = ask(service, new Uint8Array(5000), false)
      const slow = ask(service, new Uint8Array(5000), false)
      await settle()
      for (let i = 0; i < 3; i++) {
        expect(await outcomeOf(still.answer)).toBe(i < 2 ? 'open' : 'timed-out')
        slow.stream.send(Uint8Array.of(1), false)
        await settle()
        circuit.clock.advance(relayLimits.questionStall)
      }
      expect(await outcomeOf(slow.answer)).toBe('open')
      expect([circuit.memory.held, circuit.refused]).toEqual([5003, ['stalled-question']])
      slow.stream.reset('cancelled')
      await settle()
      expect([circuit.memory.held, circuit.clock.pending]).toEqual([0, 0])
    },
  )

  test('keeps an answer of which it takes some, and loses one of which it takes nothing for a minute', async () => {
    answerWithBytes(200_000)
    const { answer } = askOne()
    let room = 0
    Object.defineProperty(circuit, 'writable', { get: () => room-- > 0 })
    await settle()
    for (let i = 0; i < 3; i++) {
      room = 70
      circuit.server.pump()
      await settle()
      circuit.clock.advance(limits.answerStall)
    }
    expect(await outcomeOf(answer)).toBe('open')
    expect(circuit.memory.held).toBe(recordSize(256))
    circuit.clock.advance(limits.answerStall)
    expect(await outcomeOf(answer)).toBe('timed-out')
    expect([circuit.memory.held, circuit.clock.pending, circuit.refused]).toEqual([0, 0, ['stalled-answer']])
  })

  test('loses none of many answers that it takes in turns, however long each stands still', async () => {
    answerWithBytes(100_000)
    let room = 0
    Object.defineProperty(circuit, 'writable', { get: () => room-- > 0 })
    const answers = Array.from({ length: 100 }, () => askOne().answer)
    await settle()
    // 100 answers of 128 cells.
    for (let sent = 0; sent < 100 * 128; sent += 1000) {
      room = 1000
      circuit.server.pump()
      await settle()
      circuit.clock.advance(limits.answerStall)
      await settle()
    }
    for (const answer of answers) expect(await outcomeOf(answer)).toBeInstanceOf(Uint8Array)
    expect([circuit.refused, circuit.memory.held, circuit.clock.pending]).toEqual([[], 0, 0])
  })

  test('loses one of which it takes nothing, though it goes on to take little ones', async () => {
    answerWithBytes(2 * mebibyte)
    const ends: string[] = []
    const handler = { onData() {}, onEnd: (code: string) => void ends.push(code) }
    const data = session.seal(encodeQuestion(question), 1)
    circuit.client.open('rpc', nothing, handler, { data, end: true })
    await settle()
    answerWithBytes(1)
    for (let i = 0; i < 3; i++) {
      expect(ends).toEqual(i < 2 ? [] : ['timed-out'])
      expect(await outcomeOf(askOne().answer)).toBeInstanceOf(Uint8Array)
      circuit.clock.advance(limits.answerStall)
      await settle()
    }
    expect([circuit.refused, circuit.memory.held]).toEqual([['stalled-answer'], 0])
  })

  test('leaves nothing behind when it gives an answer up, or its circuit ends', async () => {
    answerWithBytes(mebibyte)
    circuit.writable = false
    const { stream } = askOne()
    askOne()
    await settle()
    stream.reset('cancelled')
    await settle()
    expect(circuit.memory.held).toBe(recordSize(2048))
    circuit.end()
    expect([circuit.memory.held, circuit.clock.pending]).toEqual([0, 0])
  })

  test('is not asked for what waited for room, where that comes with the end of its circuit', async () => {
    answerWithBytes(20 * mebibyte)
    circuit.writable = false
    for (let i = 0; i < 2; i++) askOne()
    await settle()
    askOne()
    await settle()
    circuit.end()
    expect([asked.length, circuit.memory.held]).toEqual([2, 0])
  })
})

test('when the circuit ends, what is under way is aborted, the keys are wiped, and nothing is sealed or sent', async () => {
  const session = await greet()
  ask('rpc', session.seal(encodeQuestion(question), 1))
  await settle()
  let finish: (outcome: Outcome) => void = noop
  answerWith = () => new Promise((resolve) => (finish = resolve))
  ask('rpc', session.seal(encodeQuestion(question), 1))
  await settle()
  const before = circuit.sentByGateway
  circuit.end()
  expect(asked.map(({ signal }) => signal.aborted)).toEqual([true, true])
  finish({ result: 'too late' })
  await settle()
  expect(circuit.sentByGateway).toBe(before)
  expect(circuit.sealedWith).toHaveLength(1)
  expect(isZero(circuit.sealedWith[0] as Uint8Array)).toBe(true)
})
