/** Heads over real circuits: three hops, links of the memory, everything sealed. */
import { cutRecords, type Hop, type Stream } from '@nightjar/shared/circuit'
import { counterOf, EnvelopeSession, recordSize } from '@nightjar/shared/envelope'
import type { ErrorCode } from '@nightjar/shared/errors'
import { purpose, startHandshake } from '@nightjar/shared/handshake'
import { limits } from '@nightjar/shared/limits'
import { decodeAnswer, encodeQuestion, type Outcome, service } from '@nightjar/shared/rpc'
import { second } from '@nightjar/shared/runtime'
import { nativeCrypto as crypto } from '@nightjar/shared-node/crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import { ask, MemoryNetwork } from '../relay/testing/memoryNetwork.ts'
import { AnswerMemory } from './answerMemory.ts'
import { createGateway, type OwnGateway } from './gateway.ts'
import { serveGateway } from './session.ts'
import { FollowedChain, header } from './testing/blocks.ts'
import { makeKeys } from './testing/circuit.ts'
import { passing } from './testing/context.ts'

const every = 2 * second
const nothing = new Uint8Array(0)

let network: MemoryNetwork
let chain: FollowedChain
let gateway: OwnGateway
let hops: Hop[]
let session: EnvelopeSession
beforeEach(async () => {
  network = await MemoryNetwork.create('entry', 'middle', 'gateway')
  chain = new FollowedChain()
  gateway = createGateway(new Map([[1, { upstreams: chain, headsEvery: every }]]), {
    clock: network.clock,
    random: () => 0.5,
    ...passing,
  })
  const { keyPair, responder } = await makeKeys()
  const secrets = {
    identity: responder.identity,
    findKey: () => keyPair,
    document: { version: 1, hash: new Uint8Array(32) },
  }
  network.services.set('gateway', (onEnded) =>
    serveGateway({
      crypto,
      clock: network.clock,
      memory: new AnswerMemory(2 ** 26),
      onRefused() {},
      gateway,
      secrets: () => secrets,
      onEnded,
    }),
  )

  hops = (await network.open('entry', 'middle', 'gateway')).hops
  const handshake = await startHandshake(crypto, { purpose: purpose.envelope, depth: 0, responder })
  const reply = await network.run(ask(last(), handshake.hello, { service: service.envelope }))
  session = new EnvelopeSession(crypto, (await handshake.finish(reply)).keys, 'client')
})

function last(): Hop {
  return hops.at(-1) as Hop
}

interface Followed {
  readonly stream: Stream
  readonly outcomes: Outcome[]
  readonly ends: ErrorCode[]
}

async function follow({ cells = 4, isFree = false } = {}): Promise<Followed> {
  const outcomes: Outcome[] = []
  const ends: ErrorCode[] = []
  const handler = cutRecords({
    stream: () => stream,
    size: recordSize(cells),
    onRecord: (record) => void outcomes.push(decodeAnswer(session.open(record, counterOf(data)))),
    onEnd: (code) => void ends.push(code),
  })
  const question = encodeQuestion({ chain: 1, cells, method: 'eth_subscribe', params: ['newHeads'] })
  const data = session.seal(question, 1)
  const stream = last().streams.open(service.follow, nothing, handler, { data, end: true }, { isFree })
  await network.settle()
  return { stream, outcomes, ends }
}

async function grow(number: number): Promise<void> {
  chain.show(number)
  await network.clock.elapse(every)
  await network.settle()
}

test('more heads than the windows hold arrive, each once and in order', async () => {
  const { outcomes, ends } = await follow()
  const blocks = Math.ceil(limits.branchWindow / 4) + 20
  for (let number = 2; number <= blocks; number++) await grow(number)
  expect(outcomes).toEqual(Array.from({ length: blocks }, (_, index) => ({ result: header(index + 1) })))
  expect([ends, network.misuses]).toEqual([[], []])
})

describe('heads that take no credit', () => {
  const headsTo = (last: number) => Array.from({ length: last }, (_, index) => ({ result: header(index + 1) }))

  /** More than the branch's window, on the way to a client whose entry hears nothing from its middle for now. */
  async function fillWindow() {
    const link = network.wire('entry', 'middle').far
    link.stall()
    const answers = [1, 2, 3].map(() => {
      const question = { chain: 1, cells: 256, method: 'eth_chainId', params: [] }
      return ask(last(), session.seal(encodeQuestion(question), 1), { service: service.rpc })
    })
    for (const answer of answers) answer.catch(() => undefined)
    await network.settle()
    return { link, answers }
  }

  test('go on for hours, and no credit is given for them', async () => {
    const { outcomes, ends } = await follow({ isFree: true })
    const blocks = limits.branchWindow
    for (let number = 2; number <= blocks; number++) await grow(number)
    expect(outcomes).toEqual(headsTo(blocks))
    expect([ends, network.misuses]).toEqual([[], []])
  })

  test('find room beside a full window where a link on the way stands still', async () => {
    const { outcomes } = await follow({ cells: 16, isFree: true })
    const { link, answers } = await fillWindow()
    for (const number of [2, 3, 4]) await grow(number)
    expect(outcomes).toEqual(headsTo(1))
    link.resume()
    for (const answer of await network.run(Promise.all(answers))) expect(answer).toHaveLength(recordSize(256))
    expect(outcomes).toEqual(headsTo(4))
    expect(last().error).toBeUndefined()
  })

  test('cost their branch, and no other, where it stands still for longer', async () => {
    await follow({ cells: 16, isFree: true })
    const other = await network.grow(hops[1] as Hop, 'gateway')
    const { link } = await fillWindow()
    for (const number of [2, 3, 4, 5, 6]) await grow(number)
    link.resume()
    await network.settle()
    expect([last().error?.code, other.error]).toEqual(['overflow', undefined])
    expect(gateway.followed().heads).toBe(0)
  })
})

test.each<[string, (stream: Stream) => void]>([
  ['resets the stream', (stream) => stream.reset('cancelled')],
  ['closes its branch', () => last().close()],
  ['closes its circuit', () => hops[0]?.close()],
  ['is cut off from the entry', () => network.wire('client', 'entry').cut()],
])('the chain is no longer asked once the client %s', async (_, leave) => {
  const { stream } = await follow()
  expect(chain.asked).toHaveLength(1)
  leave(stream)
  await network.settle()
  await network.clock.elapse(10 * every)
  expect(chain.asked).toHaveLength(1)
})
