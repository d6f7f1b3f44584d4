/** A sealed branch on a carrier that the test plays, and the gateway's end of its envelopes. */
import { isZero } from '../../bytes/index.ts'
import type { Crypto } from '../../crypto/index.ts'
import { nobleCrypto } from '../../crypto/noble.ts'
import { counterOf, EnvelopeSession } from '../../envelope/index.ts'
import type { ErrorCode, NightjarError } from '../../errors/index.ts'
import { answerHandshake } from '../../handshake/index.ts'
import { decodeQuestion, encodeAnswer, type Json, type Outcome, type Question } from '../../rpc/index.ts'
import { describeGateway, FakeClock, pattern } from '../../testing/index.ts'
import { openSealedBranch, type SealedBranchOptions } from '../sealedBranch.ts'
import { ScriptedCarrier } from './carrier.ts'

export const question: Question = { chain: 1, cells: 4, method: 'eth_blockNumber' }
const stamp = { version: 1, hash: pattern(32) }

/** A gateway with a real key, and the keys that whoever seals for it has used. */
export async function setUpSealed(changes: Partial<SealedBranchOptions> = {}) {
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
export async function startSealed(changes: Partial<SealedBranchOptions> = {}) {
  const { gateway, carrier, clock, options, reply, used } = await setUpSealed(changes)
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
export function watch(promise: Promise<Outcome>) {
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
