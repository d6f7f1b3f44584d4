import { base64, fromBase64, hex } from '@nightjar/shared/bytes'
import type { Relay } from '@nightjar/shared/directory'
import { hour, minute } from '@nightjar/shared/runtime'
import { FakeClock, pattern } from '@nightjar/shared/testing'
import { nativeCrypto as crypto } from '@nightjar/shared-node/crypto'
import { createLog } from '@nightjar/shared-node/log'
import { beforeEach, expect, test } from 'vitest'
import type { Refusal } from '../limits/refusal.ts'
import { createLinkPeers, type LinkPeers } from './linkPeers.ts'
import { proveLink } from './linkProof.ts'
import { describeRelay } from './testing/memoryNetwork.ts'

const notListed = 'a relay proves an identity that the network document does not list'
const dialled = pattern(32)
const [listed, stranger] = await Promise.all([7, 8].map((seed) => crypto.sign.fromSeed(new Uint8Array(32).fill(seed))))
if (listed === undefined || stranger === undefined) throw new Error('no keys')

let clock: FakeClock
let relays: ReadonlyMap<string, Relay> | undefined
let refused: Refusal[]
let lines: Record<string, unknown>[]
let peers: LinkPeers
beforeEach(() => {
  clock = new FakeClock()
  const relay = { ...describeRelay('listed', pattern(32), clock.now()), identity: listed.publicKey }
  relays = new Map([[hex(listed.publicKey), relay]])
  refused = []
  lines = []
  const log = createLog({ name: 'test', level: 'warn', destination: { write: (line) => lines.push(JSON.parse(line)) } })
  const onRefused = (refusal: Refusal) => void refused.push(refusal)
  peers = createLinkPeers({ crypto, clock, log, onRefused, identity: () => dialled, relays: () => relays })
})

/** Who dials with a proof of `key`, by a clock that is ahead by so much. */
const dials = async (key = listed, ahead = 0) => peers.identify(await proveLink(key, dialled, clock.now() + ahead))

const messages = () => lines.map(({ msg }) => msg)

test('a relay of the network is known by its proof, and nothing is said of it', async () => {
  expect(await dials()).toEqual(listed.publicKey)
  expect([peers.isRelay(listed.publicKey), peers.findRelay(listed.publicKey)?.name]).toEqual([true, 'listed'])
  expect([refused, lines]).toEqual([[], []])
})

test('an identity that the document does not list is no relay’s; it is counted, and told with the identity', async () => {
  expect(await dials(stranger)).toEqual(stranger.publicKey)
  expect([peers.isRelay(stranger.publicKey), refused]).toEqual([false, ['link-proof']])
  expect(lines).toMatchObject([
    {
      level: 'warn',
      msg: notListed,
      identity: hex(stranger.publicKey),
    },
  ])
})

// Found by review: whoever makes an identity was one, until the first document came.
test('without a document nobody is a relay, and it is not that which is to be told', async () => {
  relays = undefined
  await dials()
  await dials(stranger)
  expect([peers.isRelay(listed.publicKey), peers.isRelay(stranger.publicKey)]).toEqual([false, false])
  expect([refused, lines]).toEqual([['link-proof', 'link-proof'], []])
})

test('who is listed later is a relay from then on, over the link that stands', async () => {
  const known = relays
  relays = new Map()
  const identity = (await dials()) as Uint8Array
  expect(peers.isRelay(identity)).toBe(false)
  relays = known
  expect(peers.isRelay(identity)).toBe(true)
})

test.each([
  [-90 * minute, 90],
  [hour + minute, 61],
])('a relay whose clock is %i ms off gets no link; how far it is is told', async (ahead, minutes) => {
  expect(await dials(listed, ahead)).toBe('clocks-differ')
  expect([refused, messages()]).toEqual([
    ['link-proof'],
    [`a relay proves itself with a clock that is ${minutes} minutes off`],
  ])
  expect(lines[0]).toMatchObject({ identity: hex(listed.publicKey) })
})

// Found by review: that of one that came before the document was a client's for as long as it stood.
test('nor does one that is not listed yet; of that it is not the clock that is told', async () => {
  expect(await dials(stranger, 2 * hour)).toBe('clocks-differ')
  relays = undefined
  expect(await dials(listed, 2 * hour)).toBe('clocks-differ')
  expect([refused, messages()]).toEqual([['link-proof', 'link-proof'], [notListed]])
})

test('what is no proof for this relay is counted, and nobody is named who did not make it', async () => {
  const bytes = fromBase64(await proveLink(listed, dialled, clock.now()))
  bytes[100] = (bytes[100] as number) ^ 1
  const others = [base64(bytes), 'nothing', await proveLink(listed, pattern(32).reverse(), clock.now())]
  for (const proof of others) expect(await peers.identify(proof)).toBeUndefined()
  expect([refused, lines]).toEqual([others.map(() => 'link-proof'), []])
})

// Found by review: who proved a fresh identity once a minute hid every clock that was off.
test('each line is written once a minute at most, and none keeps another one from being written', async () => {
  const all = async () => {
    await dials(stranger)
    await dials(listed, 2 * hour)
    peers.onClocksDiffer()
  }
  const once = [
    notListed,
    'a relay proves itself with a clock that is 120 minutes off',
    'a relay refuses links of this one: their clocks are more than an hour apart',
  ]
  await all()
  await all()
  clock.advance(minute - 1)
  await all()
  expect([messages(), refused.length]).toEqual([once, 6])
  clock.advance(1)
  await all()
  expect(messages()).toEqual([...once, ...once])
})
