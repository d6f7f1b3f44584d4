/** What one client may have asked, and have waiting, and what becomes of answers that it does not take. */
import { type EnvelopeSession, recordSize } from '@nightjar/shared/envelope'
import { limits } from '@nightjar/shared/limits'
import { decodeAnswer, encodeQuestion, type Outcome, type Question } from '@nightjar/shared/rpc'
import { beforeEach, describe, expect, test } from 'vitest'
import { limits as relayLimits } from '../limits/limits.ts'
import { AnswerMemory } from './answerMemory.ts'
import { makeKeys, TestCircuit } from './testing/circuit.ts'
import { ScriptedGateway } from './testing/scriptedGateway.ts'

const question: Question = { chain: 1, cells: 4, method: 'eth_blockNumber', params: [] }
const nothing = new Uint8Array(0)
const keys = await makeKeys()

let gateway: ScriptedGateway
let circuit: TestCircuit
beforeEach(() => {
  gateway = new ScriptedGateway()
  circuit = new TestCircuit(gateway, keys)
})

function noop(): void {}

describe('a client that asks for more than it takes', () => {
  const mebibyte = 2 ** 20
  let session: EnvelopeSession
  beforeEach(async () => {
    session = await circuit.greet()
  })
  const askOne = (fields: Partial<Question> = {}) =>
    circuit.ask('rpc', session.seal(encodeQuestion({ ...question, cells: 1, ...fields }), 1))
  /** Answers of `bytes`, sealed into the next class. */
  const answerWithBytes = (bytes: number) => {
    gateway.answerWith = () => Promise.resolve({ result: 'x'.repeat(bytes) })
  }

  test('has 32 questions asked at once; the others wait in order, and are asked as those are answered', async () => {
    const finish: (() => void)[] = []
    gateway.answerWith = ({ method }) => new Promise((resolve) => finish.push(() => resolve({ result: method })))
    const answers = Array.from({ length: 40 }, (_, i) => askOne({ method: `m${i}` }).answer)
    await circuit.settle()
    expect(gateway.asked).toHaveLength(32)
    finish[7]?.()
    finish[3]?.()
    await circuit.settle()
    expect(gateway.asked.map(({ question: { method } }) => method)).toEqual(
      Array.from({ length: 34 }, (_, i) => `m${i}`),
    )
    for (let i = 0; i < 40; i++) {
      finish[i]?.()
      await circuit.settle()
    }
    const texts = (await Promise.all(answers)).map((record, i) => decodeAnswer(session.open(record, i)))
    expect(texts).toEqual(Array.from({ length: 40 }, (_, i) => ({ result: `m${i}` })))
  })

  test('is not asked for what it gave up while it waited, nor for anything once its circuit ended', async () => {
    const finish: (() => void)[] = []
    gateway.answerWith = () => new Promise((resolve) => finish.push(() => resolve({ result: null })))
    for (let i = 0; i < 32; i++) askOne({ method: 'first' })
    const { stream } = askOne({ method: 'given up' })
    askOne({ method: 'wanted' })
    askOne({ method: 'too late' })
    await circuit.settle()
    stream.reset('timed-out')
    await circuit.settle()
    finish[0]?.()
    await circuit.settle()
    expect(gateway.asked.slice(32).map(({ question: { method } }) => method)).toEqual(['wanted'])
    circuit.end()
    for (const each of finish) each()
    await circuit.settle()
    expect(gateway.asked).toHaveLength(33)
  })

  test('has questions wait, and be asked, in what unfinished ones may hold, and no more of them', async () => {
    gateway.answerWith = () => new Promise(noop)
    const text = encodeQuestion({ ...question, params: ['x'.repeat(900_000)] })
    const askLarge = () => circuit.ask('rpc', session.seal(text, 1024))
    const underWay = [askLarge()]
    for (let i = 1; i < 32; i++) underWay.push(askOne())
    await circuit.settle()
    // It is held for as long as it is asked, whether anybody wants the answer or not.
    underWay[0]?.stream.reset('cancelled')
    const answers = Array.from({ length: 5 }, () => askLarge().answer)
    await circuit.settle()
    const outcomes = await Promise.all(answers.map((answer) => circuit.outcomeOf(answer)))
    expect(outcomes.sort()).toEqual(['limit-reached', 'limit-reached', 'open', 'open', 'open'])
  })

  test('is told where an answer goes beyond 64 MiB, and has nothing more asked beyond half of them', async () => {
    circuit.writable = false
    answerWithBytes(20 * mebibyte)
    const [first, second, beyond] = [askOne().answer, askOne().answer, askOne().answer]
    expect(await circuit.outcomeOf(beyond)).toBe('limit-reached')
    expect(circuit.memory.held).toBe(2 * recordSize(limits.answerCells))
    expect(circuit.refused).toEqual(['untaken-answers'])

    const waiting = askOne().answer
    expect(await circuit.outcomeOf(waiting)).toBe('open')
    expect(gateway.asked).toHaveLength(3)
    circuit.writable = true
    circuit.server.pump()
    for (const answer of [first, second, waiting]) expect(await circuit.outcomeOf(answer)).toBeInstanceOf(Uint8Array)
    expect([gateway.asked.length, circuit.memory.held, circuit.clock.pending]).toEqual([4, 0, 0])
  })

  test('gets limit-reached, unasked, while the process holds as much as it may', async () => {
    const others = circuit.memory.free
    circuit.memory.held = others
    expect(await circuit.outcomeOf(askOne().answer)).toBe('limit-reached')
    // Room for the question, and none for its answer.
    circuit.memory.held = others - recordSize(1)
    expect(await circuit.outcomeOf(askOne().answer)).toBe('limit-reached')
    expect([gateway.asked, circuit.refused]).toEqual([[], ['answer-memory', 'answer-memory']])
    circuit.memory.held = others - 2 * recordSize(1)
    expect(await circuit.outcomeOf(askOne().answer)).toBeInstanceOf(Uint8Array)
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
    session = await circuit.greet()
    answerWithBytes(100_000)
    circuit.writable = false
    const answers = Array.from({ length: 100 }, () => askOne().answer)
    await circuit.settle()
    expect(gateway.asked.length).toBeLessThan(50)
    circuit.writable = true
    circuit.server.pump()
    for (const answer of answers) expect(await circuit.outcomeOf(answer)).toBeInstanceOf(Uint8Array)
    expect([circuit.refused, circuit.memory.held]).toEqual([[], 0])
  })

  test('holds the bytes of its questions until they are answered', async () => {
    let finish: (outcome: Outcome) => void = noop
    gateway.answerWith = () => new Promise((resolve) => (finish = resolve))
    const { stream } = circuit.ask('rpc', new Uint8Array(5000), false)
    const { answer } = circuit.ask('rpc', session.seal(encodeQuestion(question), 64))
    await circuit.settle()
    expect(circuit.memory.held).toBe(5000 + recordSize(64))
    stream.reset('cancelled')
    await circuit.settle()
    expect(circuit.memory.held).toBe(recordSize(64))
    finish({ result: '0x1' })
    expect(await circuit.outcomeOf(answer)).toBeInstanceOf(Uint8Array)
    expect(circuit.memory.held).toBe(0)
  })

  test('has no more of its questions taken than its share of what the process may hold', async () => {
    const memory = new AnswerMemory(16 * mebibyte)
    circuit = new TestCircuit(gateway, keys, { memory })
    session = await circuit.greet()
    // Of the 14 MiB that are free for all it has a share once it holds an eighth of what is left.
    const answers = Array.from({ length: 4 }, () => circuit.ask('rpc', new Uint8Array(900_000), false).answer)
    const outcomes = await Promise.all(answers.map((answer) => circuit.outcomeOf(answer)))
    expect(outcomes.sort()).toEqual(['limit-reached', 'limit-reached', 'limit-reached', 'open'])
    expect(memory.held).toBe(900_000)
  })

  test.each(['rpc', 'follow'])(
    'loses a question to %s of which nothing comes for a minute, and keeps others',
    async (service) => {
      const still = circuit.ask(service, new Uint8Array(5000), false)
      const slow = circuit.ask(service, new Uint8Array(5000), false)
      await circuit.settle()
      for (let i = 0; i < 3; i++) {
        expect(await circuit.outcomeOf(still.answer)).toBe(i < 2 ? 'open' : 'timed-out')
        slow.stream.send(Uint8Array.of(1), false)
        await circuit.settle()
        circuit.clock.advance(relayLimits.questionStall)
      }
      expect(await circuit.outcomeOf(slow.answer)).toBe('open')
      expect([circuit.memory.held, circuit.refused]).toEqual([5003, ['stalled-question']])
      slow.stream.reset('cancelled')
      await circuit.settle()
      expect([circuit.memory.held, circuit.clock.pending]).toEqual([0, 0])
    },
  )

  test('keeps an answer of which it takes some, and loses one of which it takes nothing for a minute', async () => {
    answerWithBytes(200_000)
    const { answer } = askOne()
    let room = 0
    Object.defineProperty(circuit, 'writable', { get: () => room-- > 0 })
    await circuit.settle()
    for (let i = 0; i < 3; i++) {
      room = 70
      circuit.server.pump()
      await circuit.settle()
      circuit.clock.advance(limits.answerStall)
    }
    expect(await circuit.outcomeOf(answer)).toBe('open')
    expect(circuit.memory.held).toBe(recordSize(256))
    circuit.clock.advance(limits.answerStall)
    expect(await circuit.outcomeOf(answer)).toBe('timed-out')
    expect([circuit.memory.held, circuit.clock.pending, circuit.refused]).toEqual([0, 0, ['stalled-answer']])
  })

  test('loses none of many answers that it takes in turns, however long each stands still', async () => {
    answerWithBytes(100_000)
    let room = 0
    Object.defineProperty(circuit, 'writable', { get: () => room-- > 0 })
    const answers = Array.from({ length: 100 }, () => askOne().answer)
    await circuit.settle()
    // 100 answers of 128 cells.
    for (let sent = 0; sent < 100 * 128; sent += 1000) {
      room = 1000
      circuit.server.pump()
      await circuit.settle()
      circuit.clock.advance(limits.answerStall)
      await circuit.settle()
    }
    for (const answer of answers) expect(await circuit.outcomeOf(answer)).toBeInstanceOf(Uint8Array)
    expect([circuit.refused, circuit.memory.held, circuit.clock.pending]).toEqual([[], 0, 0])
  })

  test('loses one of which it takes nothing, though it goes on to take little ones', async () => {
    answerWithBytes(2 * mebibyte)
    const ends: string[] = []
    const handler = { onData() {}, onEnd: (code: string) => void ends.push(code) }
    const data = session.seal(encodeQuestion(question), 1)
    circuit.client.open('rpc', nothing, handler, { data, end: true })
    await circuit.settle()
    answerWithBytes(1)
    for (let i = 0; i < 3; i++) {
      expect(ends).toEqual(i < 2 ? [] : ['timed-out'])
      expect(await circuit.outcomeOf(askOne().answer)).toBeInstanceOf(Uint8Array)
      circuit.clock.advance(limits.answerStall)
      await circuit.settle()
    }
    expect([circuit.refused, circuit.memory.held]).toEqual([['stalled-answer'], 0])
  })

  test('leaves nothing behind when it gives an answer up, or its circuit ends', async () => {
    answerWithBytes(mebibyte)
    circuit.writable = false
    const { stream } = askOne()
    askOne()
    await circuit.settle()
    stream.reset('cancelled')
    await circuit.settle()
    expect(circuit.memory.held).toBe(recordSize(2048))
    circuit.end()
    expect([circuit.memory.held, circuit.clock.pending]).toEqual([0, 0])
  })

  test('is not asked for what waited for room, where that comes with the end of its circuit', async () => {
    answerWithBytes(20 * mebibyte)
    circuit.writable = false
    for (let i = 0; i < 2; i++) askOne()
    await circuit.settle()
    askOne()
    await circuit.settle()
    circuit.end()
    expect([gateway.asked.length, circuit.memory.held]).toEqual([2, 0])
  })
})
