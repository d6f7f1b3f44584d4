import type { DhKeyPair } from '@nightjar/shared/crypto'
import { NightjarError } from '@nightjar/shared/errors'
import type { ResponderSecrets } from '@nightjar/shared/handshake'
import { type Outcome, type Question, toRpcError } from '@nightjar/shared/rpc'
import { minute } from '@nightjar/shared/runtime'
import { FakeClock, pattern, turn } from '@nightjar/shared/testing'
import { nativeCrypto as crypto } from '@nightjar/shared-node/crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Check } from '../admin/status.ts'
import { ErrorRate } from './errorRate.ts'
import type { Gateway } from './gateway.ts'
import { GatewayHealth } from './health.ts'
import { crowdedFacts } from './provider.ts'
import { makeKeys, type TestKeys } from './testing/circuit.ts'

const { signal } = new AbortController()
const question: Question = { chain: 1, cells: 4, method: 'eth_getBalance' }
const failed: Outcome = { error: { code: -32603, message: 'no provider', data: { nightjar: 'upstream-failed' } } }

let clock: FakeClock
let keys: TestKeys
let key: DhKeyPair | undefined
let keyId: Uint8Array | undefined
let areWell: boolean[]
let answer: Outcome
let health: GatewayHealth
let gateway: Gateway
beforeEach(async () => {
  clock = new FakeClock()
  keys = await makeKeys()
  key = keys.keyPair
  keyId = keys.responder.keyId
  areWell = [true, false, true]
  answer = { result: '0x1' }
  const secrets = (): ResponderSecrets => ({
    identity: pattern(32),
    findKey: () => key,
    document: { version: 1, hash: new Uint8Array(32) },
  })
  const upstreams = new Map([[1, { areWell }]])
  health = new GatewayHealth({ crypto, clock, secrets, envelopeKeyId: () => keyId, upstreams })
  const bare: Gateway = { answer: async () => answer, follow: () => ({ start() {}, stop() {} }), close() {} }
  gateway = health.counted(bare)
})
afterEach(() => {
  health.close()
  expect(clock.pending).toBe(0)
})

function check(name: string): Check | undefined {
  return health.checks().find((each) => each.name === name)
}

/** Lets a test of the envelopes end. */
async function tested(): Promise<void> {
  while (clock.pending === 0) await turn()
}

async function ask(times: number): Promise<void> {
  for (let i = 0; i < times; i++) await gateway.answer(question, signal)
}

describe('envelopes', () => {
  test('are tested at once with the key that clients are told of, and every minute', async () => {
    health.start()
    await tested()
    expect(check('envelopes')).toEqual({
      name: 'envelopes',
      ok: true,
      sentence: 'A question sealed to this gateway was opened and answered.',
    })
    key = undefined
    await clock.elapse(1 * minute)
    await tested()
    expect(check('envelopes')).toMatchObject({ ok: false, sentence: expect.stringContaining('unknown-key') })
    key = keys.keyPair
    await clock.elapse(1 * minute)
    await tested()
    expect(check('envelopes')?.ok).toBe(true)
  })

  test('fail where no key is valid, and where the key is not what it should be', async () => {
    keyId = undefined
    health.start()
    await tested()
    expect(check('envelopes')).toMatchObject({ ok: false, sentence: 'No envelope key is valid now. Renew the keys.' })
    keyId = keys.responder.keyId
    const { publicKey } = (await makeKeys()).keyPair
    key = { ...keys.keyPair, publicKey, agree: (other) => keys.keyPair.agree(other) }
    await clock.elapse(1 * minute)
    await tested()
    expect(check('envelopes')?.ok).toBe(false)
  })

  test('are not tested any more once it is closed', async () => {
    health.start()
    health.close()
    await turn()
    await turn()
    expect(clock.pending).toBe(0)
  })
})

test('a chain is served while one of its providers stands well', () => {
  expect(check('providers of chain 1')).toEqual({
    name: 'providers of chain 1',
    ok: true,
    sentence: '2 of 3 answer, for the right chain and up to date.',
  })
  const upstreams = new Map([[10, { areWell: [false, false] }]])
  const other = new GatewayHealth({
    crypto,
    clock,
    secrets: () => ({}) as never,
    envelopeKeyId: () => keyId,
    upstreams,
  })
  expect(other.checks()[0]).toMatchObject({ name: 'providers of chain 10', ok: false })
})

describe('answers', () => {
  test('are as they were', async () => {
    expect(await gateway.answer(question, signal)).toBe(answer)
  })

  test('that failed by our own fault in most cases are a finding, once there are enough', async () => {
    answer = failed
    await ask(19)
    expect(check('answers')).toMatchObject({ ok: true, sentence: expect.stringMatching(/^Too few/) })
    await ask(1)
    expect(check('answers')).toMatchObject({ ok: false, sentence: expect.stringContaining('100 %') })
    answer = { result: null }
    await ask(20)
    expect(check('answers')).toMatchObject({ ok: true, sentence: expect.stringContaining('50 %') })
  })

  test('are told in tenths: nobody can tell from them whether one question was answered', async () => {
    await ask(40)
    const sentences = new Set<string | undefined>()
    answer = failed
    for (let failures = 0; failures < 3; failures++) {
      sentences.add(check('answers')?.sentence)
      await ask(1)
    }
    expect([...sentences]).toEqual(['About 0 % of the questions of the last minutes could not be answered.'])
  })

  test('that were the fault of the asker, of many askers at once, or of the chain are none', async () => {
    for (const error of [
      { code: 3, message: 'execution reverted' },
      { code: -32601, message: 'no', data: { nightjar: 'method-not-allowed' } },
      toRpcError(new NightjarError('upstream-failed', { facts: crowdedFacts })),
    ]) {
      answer = { error }
      await ask(30)
    }
    expect(check('answers')).toMatchObject({ ok: true, sentence: expect.stringMatching(/^About 0 %/) })
  })

  test('to those who are gone are not counted', async () => {
    answer = failed
    for (let i = 0; i < 30; i++) await gateway.answer(question, AbortSignal.abort())
    expect(check('answers')?.ok).toBe(true)
  })
})

test('the error rate forgets what is older than five minutes', async () => {
  const rate = new ErrorRate(clock)
  rate.note(true)
  await clock.elapse(1 * minute)
  rate.note(false)
  expect(rate.recent).toEqual({ asked: 2, failed: 1 })
  await clock.elapse(4 * minute)
  expect(rate.recent).toEqual({ asked: 1, failed: 0 })
  await clock.elapse(1 * minute)
  expect(rate.recent).toEqual({ asked: 0, failed: 0 })
})
