import { describe, expect, test } from 'vitest'
import { nobleCrypto } from '../crypto/noble.ts'
import { EnvelopeSession, recordSize } from '../envelope/index.ts'
import type { ErrorCode } from '../errors/index.ts'
import { limits } from '../limits.ts'
import { encodeAnswer, type Json, type Outcome } from '../rpc/index.ts'
import { codeOfAsync, flipBit, turn } from '../testing/index.ts'
import { question, startSealed, watch } from './testing/sealed.ts'

describe('asking', () => {
  test('seals the question into its size class, and opens the answer, be it an error of the node', async () => {
    const { branch, carrier, read, seal } = await startSealed()
    const asked = branch.ask(question)
    const [exchange] = carrier.exchanges
    expect(exchange?.record.length).toBe(recordSize(1))
    expect(read(exchange?.record as Uint8Array)).toEqual(question)
    const error = { code: 3, message: 'execution reverted', data: '0x' }
    exchange?.answer(seal({ error }))
    expect(await asked).toEqual({ error })

    const large = { ...question, method: 'eth_call', params: ['x'.repeat(3 * recordSize(1))] }
    void branch.ask(large).catch(() => undefined)
    expect(carrier.exchanges[1]?.record.length).toBe(recordSize(4))
    expect(read(carrier.exchanges[1]?.record as Uint8Array)).toEqual(large)
  })

  test('shows the carrier nothing of it', async () => {
    const { branch, carrier } = await startSealed()
    void branch.ask({ ...question, params: ['eth_blockNumber'.repeat(20)] }).catch(() => undefined)
    const text = Buffer.from(carrier.exchanges[0]?.record as Uint8Array).toString('latin1')
    expect(text).not.toContain('eth_block')
    expect(text).not.toContain('chain')
  })

  test('answers come to those who asked, in whatever order', async () => {
    const { branch, answer } = await startSealed()
    const asked = Array.from({ length: 4 }, () => branch.ask(question))
    for (const place of [2, 0, 3, 1]) answer(place, place)
    expect(await Promise.all(asked)).toEqual([{ result: 0 }, { result: 1 }, { result: 2 }, { result: 3 }])
  })

  test('what the carrier fails with is what the question fails with', async () => {
    const { branch, carrier } = await startSealed()
    const asked = branch.ask(question)
    carrier.exchanges[0]?.fail('timed-out')
    expect(await codeOfAsync(() => asked)).toBe('timed-out')
  })

  test('what is too large is refused before anything is sent', async () => {
    const { branch, carrier } = await startSealed()
    const params = ['x'.repeat(recordSize(limits.questionCells))]
    expect(await codeOfAsync(() => branch.ask({ ...question, params }))).toBe('request-too-large')
    expect(carrier.exchanges).toEqual([])
  })
})

describe('an answer that is none', () => {
  test('forged: an error for that question, and nothing for the others, which are still answered', async () => {
    const { branch, carrier, seal, answer } = await startSealed()
    const [forged, other] = [watch(branch.ask(question)), watch(branch.ask(question))]
    carrier.exchanges[0]?.answer(flipBit(seal({ result: 'forged' }), 8 * 100))
    await turn()
    expect(forged).toEqual({ code: 'envelope-rejected' })
    expect(other).toEqual({})
    answer(1, 'real')
    await turn()
    expect(other).toEqual({ outcome: { result: 'real' } })
  })

  test.each<[string, (sealed: Uint8Array, question: Uint8Array) => Uint8Array, ErrorCode]>([
    ['too short', (sealed) => sealed.subarray(0, 20), 'envelope-rejected'],
    ['empty', () => new Uint8Array(0), 'envelope-rejected'],
    ['cut off', (sealed) => sealed.subarray(0, -1), 'envelope-rejected'],
    ['the question itself, sent back', (_, asked) => asked, 'envelope-rejected'],
    ['zeros', (sealed) => new Uint8Array(sealed.length), 'envelope-rejected'],
  ])('%s', async (_, change, code) => {
    const { branch, carrier, seal } = await startSealed()
    const asked = watch(branch.ask(question))
    const [exchange] = carrier.exchanges
    exchange?.answer(change(seal({ result: 1 }), Uint8Array.from(exchange.record)))
    await turn()
    expect(asked).toEqual({ code })
  })

  test('the answer to another question: whoever carries them cannot exchange two answers', async () => {
    const { branch, carrier, seal } = await startSealed()
    const [first, second] = [watch(branch.ask(question)), watch(branch.ask(question))]
    const [toFirst, toSecond] = [seal({ result: 1 }, 0), seal({ result: 2 }, 1)]
    carrier.exchanges[0]?.answer(toSecond)
    carrier.exchanges[1]?.answer(toFirst)
    await turn()
    expect([first, second]).toEqual([{ code: 'envelope-rejected' }, { code: 'envelope-rejected' }])
  })

  test('the answer of another branch', async () => {
    const [one, other] = [await startSealed(), await startSealed()]
    const asked = watch(one.branch.ask(question))
    void other.branch.ask(question).catch(() => undefined)
    one.carrier.exchanges[0]?.answer(other.seal({ result: 1 }))
    await turn()
    expect(asked).toEqual({ code: 'envelope-rejected' })
  })

  test('authentic, but neither result nor error', async () => {
    const { branch, carrier, seal } = await startSealed()
    const asked = watch(branch.ask(question))
    carrier.exchanges[0]?.answer(seal({} as Outcome))
    await turn()
    expect(asked).toEqual({ code: 'bad-request' })
  })
})

describe('following', () => {
  /** Of a class, as handlers may be: its methods need their object. */
  class Listener {
    readonly heard: (Outcome | ErrorCode)[] = []

    onOutcome(outcome: Outcome): void {
      this.heard.push(outcome)
    }

    onEnd(code: ErrorCode): void {
      this.heard.push(code)
    }
  }

  async function following() {
    const started = await startSealed()
    const listener = new Listener()
    const { stop } = started.branch.follow({ ...question, cells: 8 }, listener)
    const [follow] = started.carrier.follows
    if (follow === undefined) throw new Error('nothing is followed')
    const push = (result: Json) => follow.handler.onRecord(started.seal({ result }, 0, 8))
    return { ...started, heard: listener.heard, stop, follow, push }
  }

  test('asks once for answers of its size, and opens them in their order', async () => {
    const { follow, push, heard, read } = await following()
    expect(read(follow.record)).toEqual({ ...question, cells: 8 })
    expect(follow.cells).toBe(8)
    for (const result of [1, 2, 3]) push(result)
    expect(heard).toEqual([{ result: 1 }, { result: 2 }, { result: 3 }])
  })

  test.each<ErrorCode>(['done', 'link-lost'])('ends as the carrier says: %s', async (code) => {
    const { follow, push, heard } = await following()
    push(1)
    follow.handler.onEnd(code)
    expect(heard).toEqual([{ result: 1 }, code])
  })

  test('ends once with an answer that cannot be opened, which is given to nobody', async () => {
    const { follow, push, heard, seal, carrier } = await following()
    push(1)
    follow.handler.onRecord(flipBit(seal({ result: 'forged' }, 0, 8), 8 * 100))
    expect(heard).toEqual([{ result: 1 }, 'envelope-rejected'])
    expect(follow.isStopped).toBe(true)
    carrier.close('link-lost')
    expect(heard).toHaveLength(2)
  })

  test.each<[string, number, ErrorCode]>([
    ['that came before', 0, 'replayed'],
    ['that is older than the one before', 1, 'envelope-rejected'],
    ['to another question', 2, 'envelope-rejected'],
  ])('ends with an answer %s', async (_, which, code) => {
    const { follow, heard, seal } = await following()
    const older = seal({ result: 'older' }, 0, 8)
    const record = seal({ result: 1 }, 0, 8)
    follow.handler.onRecord(Uint8Array.from(record))
    follow.handler.onRecord([record, older, seal({ result: 2 }, 5, 8)][which] as Uint8Array)
    expect(heard).toEqual([{ result: 1 }, code])
    expect(follow.isStopped).toBe(true)
  })

  test('goes on beside questions, on the same keys', async () => {
    const { push, heard, branch, answer } = await following()
    const asked = branch.ask(question)
    push(1)
    answer(0, 'asked')
    push(2)
    expect(await asked).toEqual({ result: 'asked' })
    expect(heard).toEqual([{ result: 1 }, { result: 2 }])
  })

  test('ends with its branch, and takes nothing that comes after that', async () => {
    const { push, heard, carrier, follow } = await following()
    push(1)
    carrier.close('link-lost')
    expect(heard).toEqual([{ result: 1 }, 'link-lost'])
    const zeros = { forward: new Uint8Array(32), backward: new Uint8Array(32) }
    const forger = new EnvelopeSession(nobleCrypto, zeros, 'gateway')
    forger.seal(encodeAnswer({ result: 0 }), 8, 0)
    follow.handler.onRecord(forger.seal(encodeAnswer({ result: 'forged' }), 8, 0))
    expect(heard).toHaveLength(2)
  })

  test('stop is passed on, and is no end', async () => {
    const { follow, stop, heard } = await following()
    stop()
    expect(follow.isStopped).toBe(true)
    expect(heard).toEqual([])
  })
})
