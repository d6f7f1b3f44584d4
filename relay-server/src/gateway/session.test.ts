import { isZero, utf8 } from '@nightjar/shared/bytes'
import { counterOf, type EnvelopeSession, recordSize } from '@nightjar/shared/envelope'
import { purpose, startHandshake } from '@nightjar/shared/handshake'
import { limits } from '@nightjar/shared/limits'
import { decodeAnswer, encodeQuestion, type Outcome, type Question } from '@nightjar/shared/rpc'
import { flipBit, pattern } from '@nightjar/shared/testing'
import { nativeCrypto as crypto } from '@nightjar/shared-node/crypto'
import { beforeEach, describe, expect, test } from 'vitest'
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

describe('the envelope', () => {
  test('is agreed on, then questions are answered', async () => {
    const session = await circuit.greet()
    const { answer } = circuit.ask('rpc', session.seal(encodeQuestion(question), 1))
    await circuit.settle()
    expect(decodeAnswer(session.open(await answer, 0))).toEqual({ result: '0x1' })
    expect(gateway.asked).toMatchObject([{ question, signal: { aborted: false } }])
  })

  test('comes first: a question before it, or beside it, is refused', async () => {
    const record = pattern(recordSize(1))
    expect(await circuit.outcomeOf(circuit.ask('rpc', record).answer)).toBe('envelope-rejected')
    const handshake = await startHandshake(crypto, { purpose: purpose.envelope, depth: 0, responder: keys.responder })
    const { answer } = circuit.ask('envelope', handshake.hello)
    const tooEarly = circuit.ask('rpc', record).answer
    expect(await circuit.outcomeOf(tooEarly)).toBe('envelope-rejected')
    expect(await circuit.outcomeOf(answer)).toBeInstanceOf(Uint8Array)
    expect(gateway.asked).toEqual([])
  })

  test('is agreed on once; the session goes on after a second try', async () => {
    const session = await circuit.greet()
    const handshake = await startHandshake(crypto, { purpose: purpose.envelope, depth: 0, responder: keys.responder })
    expect(await circuit.outcomeOf(circuit.ask('envelope', handshake.hello).answer)).toBe('protocol-violation')
    const { answer } = circuit.ask('rpc', session.seal(encodeQuestion(question), 1))
    await circuit.settle()
    expect(decodeAnswer(session.open(await answer, 0))).toEqual({ result: '0x1' })
  })

  test.each([
    ['for a hop', { purpose: purpose.hop, depth: 1 }, 'unknown-key'],
    ['for another purpose', { purpose: purpose.mesh, depth: 0 }, 'unknown-key'],
  ] as const)('is not agreed on with a hello %s', async (_, options, code) => {
    const handshake = await startHandshake(crypto, { ...options, responder: keys.responder })
    expect(await circuit.outcomeOf(circuit.ask('envelope', handshake.hello).answer)).toBe(code)
    expect(await circuit.outcomeOf(circuit.ask('rpc', pattern(recordSize(1))).answer)).toBe('envelope-rejected')
  })

  test('is not agreed on under a key that serves another purpose, even where the relay holds it for both', async () => {
    circuit = new TestCircuit(gateway, keys, { findKey: () => keys.keyPair })
    const handshake = await startHandshake(crypto, { purpose: purpose.hop, depth: 1, responder: keys.responder })
    expect(await circuit.outcomeOf(circuit.ask('envelope', handshake.hello).answer)).toBe('envelope-rejected')
  })

  test.each([
    ['nothing', nothing, 'protocol-violation'],
    ['a hello that is cut off', pattern(100), 'protocol-violation'],
    ['a hello that is too long', pattern(1228), 'limit-reached'],
  ] as const)('is not agreed on with %s', async (_, hello, code) => {
    expect(await circuit.outcomeOf(circuit.ask('envelope', hello).answer)).toBe(code)
  })

  test.each(['envelope', 'rpc'])('is no reason for answers of %s that take no credit', async (service) => {
    const codes: string[] = []
    const handler = { onData() {}, onEnd: (code: string) => void codes.push(code) }
    await circuit.greet()
    circuit.client.open(service, nothing, handler, { data: nothing, end: true }, { isFree: true })
    await circuit.settle()
    expect([codes, gateway.asked]).toEqual([['protocol-violation'], []])
  })

  test('stands beside no other service', async () => {
    expect(await circuit.outcomeOf(circuit.ask('tcp', nothing).answer)).toBe('unknown-service')
  })
})

describe('a question', () => {
  let session: EnvelopeSession
  beforeEach(async () => {
    session = await circuit.greet()
  })

  async function answerTo(text: Uint8Array, cells = 1): Promise<{ outcome: Outcome; cells: number }> {
    const asked = session.seal(text, cells)
    const { answer } = circuit.ask('rpc', asked)
    await circuit.settle()
    const record = await answer
    const size = record.length / recordSize(1)
    return { outcome: decodeAnswer(session.open(record, counterOf(asked))), cells: size }
  }

  test('that was seen before is refused, also beside the first', async () => {
    const record = session.seal(encodeQuestion(question), 1)
    const [first, second] = [circuit.ask('rpc', record), circuit.ask('rpc', Uint8Array.from(record))]
    expect(await circuit.outcomeOf(first.answer)).toBeInstanceOf(Uint8Array)
    expect(await circuit.outcomeOf(second.answer)).toBe('replayed')
    expect(await circuit.outcomeOf(circuit.ask('rpc', Uint8Array.from(record)).answer)).toBe('replayed')
    expect(gateway.asked).toHaveLength(1)
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
    expect(await circuit.outcomeOf(circuit.ask('rpc', record).answer)).toBe('envelope-rejected')
    expect(gateway.asked).toEqual([])
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
    expect(gateway.asked).toEqual([])
  })

  test('as long as allowed is answered, a longer one is not read to its end', async () => {
    const params = ['x'.repeat(recordSize(limits.questionCells) - 100)]
    const text = encodeQuestion({ ...question, params })
    expect((await answerTo(text, limits.questionCells)).outcome).toEqual({ result: '0x1' })
    const { stream, answer } = circuit.ask('rpc', new Uint8Array(recordSize(limits.questionCells) + 1), false)
    expect(await circuit.outcomeOf(answer)).toBe('limit-reached')
    stream.send(new Uint8Array(10_000), true)
    await circuit.settle()
    expect((await answerTo(encodeQuestion(question))).outcome).toEqual({ result: '0x1' })
  })

  test('takes from what all unfinished ones of the branch may hold, and gives it back', async () => {
    const part = new Uint8Array(limits.questionBytesPerBranch / 8)
    const unfinished = Array.from({ length: 8 }, () => circuit.ask('rpc', part, false))
    for (const { answer } of unfinished) expect(await circuit.outcomeOf(answer)).toBe('open')
    expect(await circuit.outcomeOf(circuit.ask('rpc', Uint8Array.of(1), false).answer)).toBe('limit-reached')

    const [ended, reset] = unfinished as [(typeof unfinished)[0], (typeof unfinished)[0]]
    ended.stream.send(nothing, true)
    expect(await circuit.outcomeOf(ended.answer)).toBe('envelope-rejected')
    reset.stream.reset('cancelled')
    await circuit.settle()
    const again = [circuit.ask('rpc', part, false), circuit.ask('rpc', part, false)]
    for (const { answer } of again) expect(await circuit.outcomeOf(answer)).toBe('open')
    expect(await circuit.outcomeOf(circuit.ask('rpc', Uint8Array.of(1), false).answer)).toBe('limit-reached')
  })

  test('is answered in its own time: a slow one holds nothing up', async () => {
    let finish: (outcome: Outcome) => void = noop
    gateway.answerWith = ({ method }) =>
      method === 'slow' ? new Promise((resolve) => (finish = resolve)) : Promise.resolve({ result: method })
    const slow = circuit.ask('rpc', session.seal(encodeQuestion({ ...question, method: 'slow' }), 1)).answer
    await circuit.settle()
    expect((await answerTo(encodeQuestion({ ...question, method: 'fast' }))).outcome).toEqual({ result: 'fast' })
    finish({ result: 'at last' })
    await circuit.settle()
    expect(decodeAnswer(session.open(await slow, 0))).toEqual({ result: 'at last' })
  })

  test('whose stream is reset is answered to nobody', async () => {
    let finish: (outcome: Outcome) => void = noop
    gateway.answerWith = () => new Promise((resolve) => (finish = resolve))
    const { stream } = circuit.ask('rpc', session.seal(encodeQuestion(question), 1))
    await circuit.settle()
    stream.reset('timed-out')
    await circuit.settle()
    const before = circuit.sentByGateway
    finish({ result: 'too late' })
    await circuit.settle()
    expect(circuit.sentByGateway).toBe(before)
  })
})

describe('an answer', () => {
  let session: EnvelopeSession
  beforeEach(async () => {
    session = await circuit.greet()
  })

  async function cellsOf(outcome: Outcome, cells: number): Promise<{ cells: number; outcome: Outcome }> {
    gateway.answerWith = () => Promise.resolve(outcome)
    const asked = session.seal(encodeQuestion({ ...question, cells }), 1)
    const { answer } = circuit.ask('rpc', asked)
    await circuit.settle()
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

test('when the circuit ends, what is under way is aborted, the keys are wiped, and nothing is sealed or sent', async () => {
  const session = await circuit.greet()
  circuit.ask('rpc', session.seal(encodeQuestion(question), 1))
  await circuit.settle()
  let finish: (outcome: Outcome) => void = noop
  gateway.answerWith = () => new Promise((resolve) => (finish = resolve))
  circuit.ask('rpc', session.seal(encodeQuestion(question), 1))
  await circuit.settle()
  const before = circuit.sentByGateway
  circuit.end()
  expect(gateway.asked.map(({ signal }) => signal.aborted)).toEqual([true, true])
  finish({ result: 'too late' })
  await circuit.settle()
  expect(circuit.sentByGateway).toBe(before)
  expect(circuit.sealedWith).toHaveLength(1)
  expect(isZero(circuit.sealedWith[0] as Uint8Array)).toBe(true)
})
