import { base64, fromBase64, hex } from '@nightjar/shared/bytes'
import { CircuitTable } from '@nightjar/shared/circuit'
import { hour, minute } from '@nightjar/shared/runtime'
import { codeOfAsync, FakeClock, pattern } from '@nightjar/shared/testing'
import { nativeCrypto as crypto } from '@nightjar/shared-node/crypto'
import { dialLink, listenForLinks } from '@nightjar/shared-node/link'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { limits } from '../limits/limits.ts'
import { createLinkPeers } from './linkPeers.ts'
import { proveLink, readProof } from './linkProof.ts'
import { LinkPool } from './pool.ts'
import { describeRelay } from './testing/memoryNetwork.ts'

const now = 1_800_000_000_000
const dialled = pattern(32)
const identity = await crypto.sign.fromSeed(new Uint8Array(32).fill(7))
let proof: string
beforeEach(async () => {
  proof = await proveLink(identity, dialled, now)
})

const cleanUp: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const run of cleanUp.splice(0).reverse()) await run()
})

/** `proof` with one byte changed. */
function changed(at: number): string {
  const bytes = fromBase64(proof)
  bytes[at] = (bytes[at] as number) ^ 1
  return base64(bytes)
}

test('a relay proves who it is to the one that it dials', async () => {
  const proven = { identity: identity.publicKey, ahead: 0, isOfNow: true }
  expect(await readProof(proof, { crypto, dialled, now })).toEqual(proven)
  expect(proof).toHaveLength(140)
})

test('it is no proof to another relay', async () => {
  expect(await readProof(proof, { crypto, dialled: pattern(32).reverse(), now })).toBeUndefined()
})

test.each([
  ['an hour behind', -hour, true],
  ['an hour ahead', hour, true],
  ['further behind', -hour - 1, false],
  ['further ahead', hour + 1, false],
])('of a clock that is %s it says so, and whether that may be now', async (_, ahead, isOfNow) => {
  expect(await readProof(proof, { crypto, dialled, now: now - ahead })).toMatchObject({ ahead, isOfNow })
})

test.each([
  ['identity', 0],
  ['time', 39],
  ['signature', 40],
  ['last byte', 103],
])('nor with another %s', async (_, at) => {
  expect(await readProof(changed(at), { crypto, dialled, now })).toBeUndefined()
})

test('nor is anything else', async () => {
  const text = fc.oneof(fc.string(), fc.string({ minLength: 140, maxLength: 140 }), fc.base64String())
  const property = fc.asyncProperty(text, async (other) => {
    expect(await readProof(other, { crypto, dialled, now })).toBeUndefined()
  })
  await fc.assert(property, { numRuns: 300 })
})

// Found by review: a wrong clock made a client of a relay for as long as its link stood.
test('a relay whose clock was off has no link, and has one as soon as the clock is right', async () => {
  const clock = new FakeClock()
  const relay = { ...describeRelay('dialled', dialled, clock.now()), identity: dialled }
  const dialling = { ...relay, identity: identity.publicKey }
  const log = { warn: (line: string) => void lines.push(line) }
  const [lines, differ]: [string[], string[]] = [[], []]
  const came: (Uint8Array | undefined)[] = []
  const relays = () => new Map([[hex(identity.publicKey), dialling]])
  const peers = createLinkPeers({ crypto, clock, log, onRefused() {}, identity: () => dialled, relays })
  const listener = await listenForLinks({
    ...{ host: '127.0.0.1', port: 0, path: '/relay', maxConnections: 10, idleAfter: minute, clock },
    identify: peers.identify,
    accept(_, from) {
      came.push(from)
      return new CircuitTable()
    },
  })
  cleanUp.push(() => listener.close())
  let ahead = 2 * hour
  const pool = new LinkPool({
    ...{ clock, idleAfter: minute, onRefused() {} },
    dial: (link) => dialLink({ ...link, onClocksDiffer: () => void differ.push(link.url) }),
    prove: (to) => proveLink(identity, to.identity, clock.now() + ahead),
  })
  cleanUp.push(() => pool.close())
  const to = { ...relay, addresses: [{ url: `ws://127.0.0.1:${listener.port}/relay` }] }
  const place = () => codeOfAsync(() => pool.placeTo(to, { source: 'source', circuit: {} }))
  expect([await place(), await place()]).toEqual(['connect-failed', 'connect-failed'])
  // The second one was not dialled at all.
  expect([differ.length, lines]).toEqual([1, ['a relay proves itself with a clock that is 120 minutes off']])
  ahead = 0
  clock.advance(limits.dialPause)
  expect(await place()).toBeUndefined()
  expect(came).toEqual([identity.publicKey])
})

test('it comes with the request that opens the link; what is none makes a client of who sent it', async () => {
  const clock = new FakeClock()
  const came: (Uint8Array | undefined)[] = []
  const listener = await listenForLinks({
    ...{ host: '127.0.0.1', port: 0, path: '/relay', maxConnections: 10, idleAfter: minute, clock },
    identify: async (text) => (await readProof(text, { crypto, dialled, now }))?.identity,
    accept(_, from) {
      came.push(from)
      return new CircuitTable()
    },
  })
  cleanUp.push(() => listener.close())
  const url = `ws://127.0.0.1:${listener.port}/relay`
  for (const text of [proof, changed(50), undefined]) {
    const prove = text === undefined ? {} : { prove: async () => text }
    await dialLink({ url, table: new CircuitTable(), clock, idleAfter: minute, ...prove })
  }
  expect(came).toEqual([identity.publicKey, undefined, undefined])
})
