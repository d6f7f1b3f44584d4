/** How a sealed branch begins, when it is due to be replaced, and how it ends. */
import { describe, expect, test } from 'vitest'
import { nobleCrypto } from '../crypto/noble.ts'
import { NightjarError } from '../errors/index.ts'
import type { Question } from '../rpc/index.ts'
import { minute } from '../runtime.ts'
import { codeOf, codeOfAsync, describeGateway, flipBit, turn } from '../testing/index.ts'
import { openSealedBranch, requestsPerBranch } from './sealedBranch.ts'
import { question, setUpSealed, startSealed, watch } from './testing/sealed.ts'

describe('the handshake', () => {
  test('with a gateway that has another key fails, and its carrier is given up with the reason', async () => {
    const { gateway, carrier, options, reply } = await setUpSealed()
    const wrong = await nobleCrypto.dh.generate()
    const greet = async (hello: Uint8Array) => ({ ...(await reply(hello, wrong)), carrier })
    expect(await codeOfAsync(() => openSealedBranch(options, gateway, greet))).toBe('handshake-failed')
    expect(carrier.retired).toBe('failed')
    expect(carrier.exchanges).toEqual([])
  })

  test('with another gateway that answers in its name fails', async () => {
    const { gateway, carrier, options, reply } = await setUpSealed()
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
    const { gateway, carrier, options, reply } = await setUpSealed()
    const greet = async (hello: Uint8Array) => ({ reply: change((await reply(hello)).reply), carrier })
    expect(await codeOfAsync(() => openSealedBranch(options, gateway, greet))).toBe('handshake-failed')
    expect(carrier.retired).toBe('failed')
  })

  test('is not begun without a valid key in the network document', async () => {
    const { gateway, options, clock } = await setUpSealed()
    const [key] = gateway.envelopeKeys
    const expired = { ...gateway, envelopeKeys: [{ ...(key as typeof key & object), validUntil: clock.now() }] }
    const greet = () => Promise.reject(new Error('greeted'))
    expect(await codeOfAsync(() => openSealedBranch(options, expired, greet))).toBe('unknown-key')
  })

  test('fails with what kept the gateway from being reached', async () => {
    const { gateway, options } = await setUpSealed()
    const greet = () => Promise.reject(new NightjarError('connect-failed'))
    expect(await codeOfAsync(() => openSealedBranch(options, gateway, greet))).toBe('connect-failed')
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
    const { branch, carrier, clock } = await startSealed({ random: () => random })
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
    const { branch, carrier } = await startSealed()
    branch.follow({ ...watched, method: 'eth_subscribe' }, silent)
    void branch.ask(question).catch(() => undefined)
    expect(carrier.keeps).toEqual([])
  })
})

describe('its end', () => {
  test('a fresh one is due after 1000 requests, those that are followed included', async () => {
    const { branch } = await startSealed()
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
    const { branch, clock } = await startSealed({ random: () => chance })
    clock.advance(lifetime - 1)
    expect(branch.isDue).toBe(false)
    clock.advance(1)
    expect(branch.isDue).toBe(true)
  })

  test('retiring is the carrier’s affair', async () => {
    const { branch, carrier, answer } = await startSealed()
    const asked = branch.ask(question)
    branch.retire()
    expect(carrier.retired).toBe('in peace')
    answer(0, 'late')
    expect(await asked).toEqual({ result: 'late' })
  })

  test('nothing is sealed for a carrier that is gone: it fails as that did', async () => {
    const { branch, carrier } = await startSealed()
    carrier.close('link-lost')
    expect(branch.error?.code).toBe('link-lost')
    expect(await codeOfAsync(() => branch.ask(question))).toBe('link-lost')
    expect(codeOf(() => branch.follow(question, { onOutcome() {}, onEnd() {} }))).toBe('link-lost')
    expect([carrier.exchanges, carrier.follows]).toEqual([[], []])
  })

  test('the keys are wiped when the carrier is gone', async () => {
    const { branch, carrier, answer, areWiped, used } = await startSealed()
    const asked = branch.ask(question)
    answer(0, 1)
    await asked
    expect([used.size, areWiped()]).toEqual([2, false])
    carrier.close('link-lost')
    expect(areWiped()).toBe(true)
  })

  // A retired carrier closes with its last answer, in the same step, before that answer was opened.
  test('but not before the last answer was opened, however many came with the close', async () => {
    const { branch, carrier, answer, areWiped } = await startSealed()
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
    const { gateway, carrier, options, reply } = await setUpSealed()
    const branch = await openSealedBranch(options, gateway, async (hello) => {
      const answer = await reply(hello)
      carrier.close('link-lost')
      return { reply: answer.reply, carrier }
    })
    expect(await codeOfAsync(() => branch.ask(question))).toBe('link-lost')
  })
})
