import { describe, expect, test } from 'vitest'
import { isZero } from '../bytes/index.ts'
import type { Crypto } from '../crypto/index.ts'
import { nobleCrypto } from '../crypto/noble.ts'
import { counterOf, EnvelopeSession, recordSize } from '../envelope/index.ts'
import { type ErrorCode, NightjarError } from '../errors/index.ts'
import { answerHandshake } from '../handshake/index.ts'
import { limits } from '../limits.ts'
import { decodeQuestion, encodeAnswer, type Json, type Outcome, type Question } from '../rpc/index.ts'
import { minute } from '../runtime.ts'
import { codeOf, codeOfAsync, describeGateway, FakeClock, flipBit, pattern, turn } from '../testing/index.ts'
import { openSealedBranch, requestsPerBranch, type SealedBranchOptions } from './sealedBranch.ts'
import { ScriptedCarrier } from './testing/carrier.ts'

const question: Question = { chain: 1, cells: 4, method: 'eth_blockNumber' }
const stamp = { version: 1, hash: pattern(32) }

/** A gateway with a real key, and the keys that whoever seals for it has used. */
async function setUp(changes: Partial<SealedBranchOptions> = {}) {
  const own = await nobleCrypto.dh.generate()
  const envelopeKey = { id: pattern(8), key: own.publicKey, validAfter: 0, validUntil: Number.MAX_SAFE_INTEGER }
  const gateway = describeGateway('gateway', { envelopeKeys: [envelopeKey] })
  const clock = new FakeClock()
  const used = new Set<Uint8Array>()
  const { seal, open } = nobleCrypto.aead
  const aead: Crypto['aead'] = {
    seal(key, ...rest) {
      used.add(key)
      seal(key, ...rest)
    },
    open(key, ...rest) {
      used.add(key)
      return open(key, ...rest)
    },
  }
  const carrier = new ScriptedCarrier()
  const options = { crypto: { ...nobleCrypto, aead }, clock, random: () => 0.5, ...changes }
  const reply = (hello: Uint8Array, key = own) =>
    answerHandshake(nobleCrypto, hello, { identity: gateway.identity, findKey: () => key, document: stamp })
  return { gateway, carrier, clock, options, reply, used }
}

/** A branch that is open, and the gateway's end of its envelopes. */
async function start(changes: Partial<SealedBranchOptions> = {}) {
  const { gateway, carrier, clock, options, reply, used } = await setUp(changes)
  let far!: EnvelopeSession
  const branch = await openSealedBranch(options, gateway, async (hello) => {
    const answer = await reply(hello)
    far = new EnvelopeSession(nobleCrypto, answer.keys, 'gateway')
    return { reply: answer.reply, carrier }
  })
  const read = (record: Uint8Array) => decodeQuestion(far.open(Uint8Array.from(record)))
  /** Seals an answer to the question with the given counter. */
  const seal = (outcome: Outcome, asked = 0, cells = 4) => far.seal(encodeAnswer(outcome), cells, asked)
  /** Answers what was asked in the given place. */
  const answer = (place: number, result: Json) => {
    const exchange = carrier.exchanges[place]
    if (exchange !== undefined) exchange.answer(seal({ result }, counterOf(exchange.record)))
  }
  return { branch, carrier, clock, used, read, seal, answer, areWiped: () => [...used].every(isZero) }
}

/** What a promise that nobody waits for yet comes to. */
function watch(promise: Promise<Outcome>) {
  const seen: { outcome?: Outcome; code?: ErrorCode } = {}
  promise.then(
    (outcome) => {
      seen.outcome = outcome
    },
    (error: NightjarError) => {
      seen.code = error.code
    },
  )
  return seen
}

describe('asking', () => {
  test('seals the question into its size class, and opens the answer, be it an error of the node', async () => {
    const { branch, carrier, read, seal } = await start()
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
    const { branch, carrier } = await start()
    void branch.ask({ ...question, params: ['eth_blockNumber'.repeat(20)] }).catch(() => undefined)
    const text = Buffer.from(carrier.exchanges[0]?.record as Uint8Array).toString('latin1')
    expect(text).not.toContain('eth_block')
    expect(text).not.toContain('chain')
  })

  test('answers come to those who asked, in whatever order', async () => {
    const { branch, answer } = await start()
    const asked = Array.from({ length: 4 }, () => branch.ask(question))
    for (const place of [2, 0, 3, 1]) answer(place, place)
    expect(await Promise.all(asked)).toEqual([{ result: 0 }, { result: 1 }, { result: 2 }, { result: 3 }])
  })

  test('what the carrier fails with is what the question fails with', async () => {
    const { branch, carrier } = await start()
    const asked = branch.ask(question)
    carrier.exchanges[0]?.fail('timed-out')
    expect(await codeOfAsync(() => asked)).toBe('timed-out')
  })

  test('what is too large is refused before anything is sent', async () => {
    const { branch, carrier } = await start()
    const params = ['x'.repeat(recordSize(limits.questionCells))]
    expect(await codeOfAsync(() => branch.ask({ ...question, params }))).toBe('request-too-large')
    expect(carrier.exchanges).toEqual([])
  })
})

describe('a branch on which something is watched', () => {
  const watched: Question = { chain: 1, cells: 4, method: 'nightjar_watch', params: [] }
  const silent = { onOutcome() {}, onEnd() {} }

  test.each([
    [0, 90],
    [0.5, 67.5],
    [0.999, 45],
  ])('is kept once, and due within its last 75 minutes: with %d, after %d', async (random, due) => {
    const { branch, carrier, clock } = await start({ random: () => random })
    clock.advance(7 * minute)
    branch.follow(watched, silent)
    branch.follow(watched, silent)
    expect(carrier.keeps).toEqual([(90 + random * 30) * minute])
    clock.advance((due - 0.5) * minute)
    expect(branch.isDue).toBe(false)
    clock.advance(1 * minute)
    expect(branch.isDue).toBe(true)
  })

  test('no other is', async () => {
    const { branch, carrier } = await start()
    branch.follow({ ...watched, method: 'eth_subscribe' }, silent)
    void branch.ask(question).catch(() => undefined)
    expect(carrier.keeps).toEqual([])
  })
})

describe('an answer that is none', () => {
  test('forged: an error for that question, and nothing for the others, which are still answered', async () => {
    const { branch, carrier, seal, answer } = await start()
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
    const { branch, carrier, seal } = await start()
    const asked = watch(branch.ask(question))
    const [exchange] = carrier.exchanges
    exchange?.answer(change(seal({ result: 1 }), Uint8Array.from(exchange.record)))
    await turn()
    expect(asked).toEqual({ code })
  })

  test('the answer to another question: whoever carries them cannot exchange two answers', async () => {
    const { branch, carrier, seal } = await start()
    const [first, second] = [watch(branch.ask(question)), watch(branch.ask(question))]
    const [toFirst, toSecond] = [seal({ result: 1 }, 0), seal({ result: 2 }, 1)]
    carrier.exchanges[0]?.answer(toSecond)
    carrier.exchanges[1]?.answer(toFirst)
    await turn()
    expect([first, second]).toEqual([{ code: 'envelope-rejected' }, { code: 'envelope-rejected' }])
  })

  test('the answer of another branch', async () => {
    const [one, other] = [await start(), await start()]
    const asked = watch(one.branch.ask(question))
    void other.branch.ask(question).catch(() => undefined)
    one.carrier.exchanges[0]?.answer(other.seal({ result: 1 }))
    await turn()
    expect(asked).toEqual({ code: 'envelope-rejected' })
  })

  test('authentic, but neither result nor error', async () => {
    const { branch, carrier, seal } = await start()
    const asked = watch(branch.ask(question))
    carrier.exchanges[0]?.answer(seal({} as Outcome))
    await turn()
    expect(asked).toEqual({ code: 'bad-request' })
  })
})

describe('the handshake', () => {
  test('with a gateway that has another key fails, and its carrier is given up with the reason', async () => {
    const { gateway, carrier, options, reply } = await setUp()
    const wrong = await nobleCrypto.dh.generate()
    const greet = async (hello: Uint8Array) => ({ ...(await reply(hello, wrong)), carrier })
    expect(await codeOfAsync(() => openSealedBranch(options, gateway, greet))).toBe('handshake-failed')
    expect(carrier.retired).toBe('failed')
    expect(carrier.exchanges).toEqual([])
  })

  test('with another gateway that answers in its name fails', async () => {
    const { gateway, carrier, options, reply } = await setUp()
    const elsewhere = { ...gateway, identity: describeGateway('other').identity }
    const greet = async (hello: Uint8Array) => ({ ...(await reply(hello)), carrier })
    expect(await codeOfAsync(() => openSealedBranch(options, elsewhere, greet))).toBe('handshake-failed')
  })

  test.each<[string, (reply: Uint8Array) => Uint8Array]>([
    ['empty', () => new Uint8Array(0)],
    ['too short', (reply) => reply.subarray(1)],
    ['too long', (reply) => Uint8Array.from([...reply, 0])],
    ['changed on the way', (reply) => flipBit(reply, 8 * (reply.length - 1))],
    ['of an all-zero key', (reply) => new Uint8Array(reply.length)],
  ])('with a reply that is %s fails the same way', async (_, change) => {
    const { gateway, carrier, options, reply } = await setUp()
    const greet = async (hello: Uint8Array) => ({ reply: change((await reply(hello)).reply), carrier })
    expect(await codeOfAsync(() => openSealedBranch(options, gateway, greet))).toBe('handshake-failed')
    expect(carrier.retired).toBe('failed')
  })

  test('is not begun without a valid key in the network document', async () => {
    const { gateway, options, clock } = await setUp()
    const [key] = gateway.envelopeKeys
    const expired = { ...gateway, envelopeKeys: [{ ...(key as typeof key & object), validUntil: clock.now() }] }
    const greet = () => Promise.reject(new Error('greeted'))
    expect(await codeOfAsync(() => openSealedBranch(options, expired, greet))).toBe('unknown-key')
  })

  test('fails with what kept the gateway from being reached', async () => {
    const { gateway, options } = await setUp()
    const greet = () => Promise.reject(new NightjarError('connect-failed'))
    expect(await codeOfAsync(() => openSealedBranch(options, gateway, greet))).toBe('connect-failed')
  })
})

describe('its end', () => {
  test('a fresh one is due after 1000 requests, those that are followed included', async () => {
    const { branch } = await start()
    const handler = { onOutcome() {}, onEnd() {} }
    for (let request = 1; request < requestsPerBranch; request++) {
      if (request % 2 === 0) branch.follow(question, handler)
      else void branch.ask(question).catch(() => undefined)
    }
    expect(branch.isDue).toBe(false)
    branch.follow(question, handler)
    expect(branch.isDue).toBe(true)
  })

  test.each([
    [0, 8 * minute],
    [0.5, 10 * minute],
    [0.75, 11 * minute],
  ])('with the chance %d it is due after %d ms', async (chance, lifetime) => {
    const { branch, clock } = await start({ random: () => chance })
    clock.advance(lifetime - 1)
    expect(branch.isDue).toBe(false)
    clock.advance(1)
    expect(branch.isDue).toBe(true)
  })

  test('retiring is the carrier’s affair', async () => {
    const { branch, carrier, answer } = await start()
    const asked = branch.ask(question)
    branch.retire()
    expect(carrier.retired).toBe('in peace')
    answer(0, 'late')
    expect(await asked).toEqual({ result: 'late' })
  })

  test('nothing is sealed for a carrier that is gone: it fails as that did', async () => {
    const { branch, carrier } = await start()
    carrier.close('link-lost')
    expect(branch.error?.code).toBe('link-lost')
    expect(await codeOfAsync(() => branch.ask(question))).toBe('link-lost')
    expect(codeOf(() => branch.follow(question, { onOutcome() {}, onEnd() {} }))).toBe('link-lost')
    expect([carrier.exchanges, carrier.follows]).toEqual([[], []])
  })

  test('the keys are wiped when the carrier is gone', async () => {
    const { branch, carrier, answer, areWiped, used } = await start()
    const asked = branch.ask(question)
    answer(0, 1)
    await asked
    expect([used.size, areWiped()]).toEqual([2, false])
    carrier.close('link-lost')
    expect(areWiped()).toBe(true)
  })

  // A retired carrier closes with its last answer, in the same step, before that answer was opened.
  test('but not before the last answer was opened, however many came with the close', async () => {
    const { branch, carrier, answer, areWiped } = await start()
    const asked = [branch.ask(question), branch.ask(question), branch.ask(question)].map(watch)
    answer(0, 'first')
    answer(2, 'last')
    carrier.close('branch-retired')
    expect(areWiped()).toBe(false)
    await turn()
    expect(asked).toEqual([
      { outcome: { result: 'first' } },
      { code: 'branch-retired' },
      { outcome: { result: 'last' } },
    ])
    expect(areWiped()).toBe(true)
  })

  test('a carrier that was gone before the handshake ended gives a branch that says so', async () => {
    const { gateway, carrier, options, reply } = await setUp()
    const branch = await openSealedBranch(options, gateway, async (hello) => {
      const answer = await reply(hello)
      carrier.close('link-lost')
      return { reply: answer.reply, carrier }
    })
    expect(await codeOfAsync(() => branch.ask(question))).toBe('link-lost')
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
    const started = await start()
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
