/** Watches as they are on a circuit: sealed, of one size, and ended with it. */
import { cutRecords, type Stream } from '@nightjar/shared/circuit'
import { counterOf, type EnvelopeSession, recordSize } from '@nightjar/shared/envelope'
import type { ErrorCode } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { decodeAnswer, encodeQuestion, type Json, type Outcome, type Question } from '@nightjar/shared/rpc'
import { second } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createGateway, type Gateway } from './gateway.ts'
import { makeKeys, TestCircuit, type TestKeys } from './testing/circuit.ts'
import { passing } from './testing/context.ts'
import { account, ScriptedChain, transaction } from './testing/scriptedChain.ts'

const poll = 1 * second
const nothing = new Uint8Array(0)
const heads = { method: 'eth_subscribe', params: ['newHeads'] }

let keys: TestKeys
beforeAll(async () => {
  keys = await makeKeys()
})

let clock: FakeClock
let chain: ScriptedChain
let gateway: Gateway
let circuit: TestCircuit
let session: EnvelopeSession
beforeEach(async () => {
  clock = new FakeClock()
  chain = new ScriptedChain(clock)
  gateway = createGateway(new Map([[1, { upstreams: chain, headsEvery: poll }]]), {
    clock,
    random: () => 0.9,
    ...passing,
  })
  circuit = new TestCircuit(gateway, keys)
  session = await circuit.greet()
})

interface Following {
  readonly stream: Stream
  readonly outcomes: Outcome[]
  readonly ends: ErrorCode[]
}

async function follow(change: Partial<Question>): Promise<Following> {
  const question: Question = { chain: 1, cells: 8, method: 'nightjar_watch', ...change }
  const record = session.seal(encodeQuestion(question), 1)
  const outcomes: Outcome[] = []
  const ends: ErrorCode[] = []
  const handler = cutRecords({
    stream: () => stream,
    size: recordSize(question.cells),
    onRecord: (each) => void outcomes.push(decodeAnswer(session.open(each, counterOf(record)))),
    onEnd: (code) => void ends.push(code),
  })
  const stream: Stream = circuit.client.open('follow', nothing, handler, { data: record, end: true })
  await settle()
  return { stream, outcomes, ends }
}

const schedule = { stride: 1, delay: 0, secret: '00'.repeat(16) }

function watching(subject: { [name: string]: string }, delay = 0): { params: Json[] } {
  return { params: [{ ...subject, ...schedule, delay }] }
}

async function settle(): Promise<void> {
  await circuit.settle()
  await clock.elapse(0)
  await circuit.settle()
}

async function grow(): Promise<void> {
  chain.head += 1
  await clock.elapse(poll)
  await circuit.settle()
}

function codeIn(outcome: Outcome | undefined): unknown {
  return outcome !== undefined && 'error' in outcome
    ? (outcome.error.data as { nightjar: string }).nightjar
    : 'no error'
}

describe('all that a watch is told is of one size on the wire', () => {
  /** What each step makes of the chain. */
  const steps: (() => void)[] = [
    () => {},
    () => chain.instead.set('eth_getProof', 'upstream-failed'),
    () => chain.instead.set('eth_getProof', { error: { code: -32601, message: 'x'.repeat(5000) } }),
    () => chain.instead.set('eth_getCode', { result: `0x${'5b'.repeat(24_576)}` }),
    () => chain.instead.set('eth_getBalance', { result: `0x${'f'.repeat(64)}` }),
    () => chain.instead.set('eth_getTransactionReceipt', { error: { code: -32000, message: 'x'.repeat(5000) } }),
    () => chain.instead.clear(),
    () => (chain.receipt = { transactionHash: transaction, logs: [{ data: `0x${'ab'.repeat(1000)}` }] }),
  ]

  test.each<[string, Partial<Question>]>([
    ['of an account', watching({ account })],
    ['of a transaction', watching({ transaction })],
    ['of heads', heads],
  ])('%s', async (_, question) => {
    for (const cells of [8, 32]) {
      const { outcomes, stream } = await follow({ ...question, cells })
      const told = outcomes.length
      for (const step of steps) {
        step()
        const before = circuit.sentByGateway
        await grow()
        expect(circuit.sentByGateway - before).toBe(cells)
      }
      expect(outcomes).toHaveLength(told + steps.length)
      expect(outcomes.map(codeIn)).toEqual(outcomes.map(() => 'no error'))
      stream.reset('cancelled')
      await settle()
    }
  })

  test('where it fits no more, the watch ends with an error of that size too', async () => {
    const { outcomes, ends } = await follow({ ...watching({ account }), cells: 1 })
    const before = circuit.sentByGateway
    await grow()
    expect([outcomes.map(codeIn), ends, circuit.sentByGateway - before]).toEqual([['answer-too-large'], ['done'], 1])
    expect([clock.pending, circuit.server.openCount]).toEqual([0, 0])
  })
})

test('a block that is another one and the newest are told in order, one after the other', async () => {
  const { outcomes } = await follow(watching({ account }))
  await grow()
  const before = chain.state(2)
  chain.fork(2, 5)
  const sent = circuit.sentByGateway
  await grow()
  expect(outcomes.map((outcome) => 'result' in outcome && outcome.result)).toEqual([
    before,
    chain.state(2),
    chain.state(3),
  ])
  expect(circuit.sentByGateway - sent).toBe(2 * 8)
})

test('a client that is slow is told what waited on its link, then the newest only', async () => {
  const { outcomes } = await follow(watching({ account }))
  circuit.writable = false
  for (let blocks = 0; blocks < 5; blocks++) await grow()
  expect(outcomes).toEqual([])
  circuit.writable = true
  circuit.server.pump()
  await circuit.settle()
  expect(outcomes).toEqual([{ result: chain.state(2) }, { result: chain.state(6) }])
})

describe('a watch that is over', () => {
  test('ends its stream, after the last that it told', async () => {
    const { outcomes, ends } = await follow(watching({ transaction }))
    chain.receipt = { transactionHash: transaction }
    for (let blocks = 0; blocks <= limits.receiptSlots; blocks++) {
      expect(ends).toEqual([])
      await grow()
    }
    expect([outcomes.length, ends]).toEqual([limits.receiptSlots + 1, ['done']])
    expect([clock.pending, circuit.server.openCount]).toEqual([0, 0])
    await follow(heads)
    circuit.end()
  })

  test('while the client is slow ends its stream after the last that waits', async () => {
    const { outcomes, ends } = await follow(watching({ transaction }))
    chain.receipt = { transactionHash: transaction }
    circuit.writable = false
    for (let blocks = 0; blocks <= limits.receiptSlots; blocks++) await grow()
    circuit.writable = true
    circuit.server.pump()
    await circuit.settle()
    expect(outcomes).toEqual(['0x2', '0x42'].map((number) => ({ result: { number, receipt: chain.receipt } })))
    expect([ends, circuit.server.openCount]).toEqual([['done'], 0])
  })
})

describe('a watch lingers', () => {
  test('where its circuit is lost, until another takes it over or its time is over', async () => {
    await follow(watching({ account }, 5000))
    await follow(heads)
    circuit.end()
    await grow()
    await clock.elapse(5 * second)
    expect(chain.askedFor('eth_getProof')).toHaveLength(1)
    circuit = new TestCircuit(gateway, keys)
    session = await circuit.greet()
    const { outcomes } = await follow(watching({ account }, 5000))
    await grow()
    await clock.elapse(5 * second)
    await circuit.settle()
    expect(outcomes).toMatchObject([{ result: { joined: true } }, { result: { number: '0x3' } }])
    expect(chain.askedFor('eth_getProof')).toHaveLength(2)
    circuit.end()
    await clock.elapse(limits.lingering)
    expect(clock.pending).toBe(0)
  })

  test('not where its client ends it', async () => {
    const { stream } = await follow(watching({ account }))
    await grow()
    stream.reset('cancelled')
    await settle()
    expect([clock.pending, circuit.server.openCount]).toEqual([0, 0])
  })

  test('not where it was never begun', async () => {
    circuit.client.open('follow', nothing, { onData() {}, onEnd() {} }, { data: new Uint8Array(100), end: false })
    await settle()
    circuit.end()
    expect(clock.pending).toBe(0)
  })
})

test('a circuit has so many of them, heads and watches together', async () => {
  const all = [await follow(heads)]
  for (let i = 1; i < limits.followedPerCircuit; i++) all.push(await follow(watching({ account }, i)))
  expect((await follow(watching({ account }))).ends).toEqual(['limit-reached'])
  expect((await follow(heads)).ends).toEqual(['limit-reached'])
  all[3]?.stream.reset('cancelled')
  expect((await follow(watching({ account }))).ends).toEqual([])
  expect((await follow(heads)).ends).toEqual(['limit-reached'])
})

test.each<[string, Json[]]>([
  ['no params', []],
  ['an unknown key', [{ account, ...schedule, more: 1 }]],
  ['a stride of none', [{ account, ...schedule, stride: 0 }]],
])('%s is refused with a sealed error, and nothing is asked', async (_, params) => {
  const { outcomes, ends } = await follow({ params })
  expect([outcomes.map(codeIn), ends]).toEqual([['bad-request'], ['done']])
  expect([chain.asked, clock.pending, circuit.server.openCount]).toEqual([[], 0, 0])
})
