/** Heads over real circuits: three hops, links of the memory, everything sealed. */
import { cutRecords, type Hop, type Stream } from '@nightjar/shared/circuit'
import { counterOf, EnvelopeSession, recordSize } from '@nightjar/shared/envelope'
import type { ErrorCode } from '@nightjar/shared/errors'
import { purpose, startHandshake } from '@nightjar/shared/handshake'
import { limits } from '@nightjar/shared/limits'
import { decodeAnswer, encodeQuestion, type Outcome, service } from '@nightjar/shared/rpc'
import { second } from '@nightjar/shared/runtime'
import { nativeCrypto as crypto } from '@nightjar/shared-node/crypto'
import { beforeEach, expect, test } from 'vitest'
import { ask, MemoryNetwork } from '../relay/testing/memoryNetwork.ts'
import { AnswerMemory } from './answerMemory.ts'
import { createGateway } from './gateway.ts'
import { serveGateway } from './session.ts'
import { FollowedChain, header } from './testing/blocks.ts'
import { makeKeys } from './testing/circuit.ts'
import { passing } from './testing/context.ts'

const every = 2 * second
const nothing = new Uint8Array(0)

let network: MemoryNetwork
let chain: FollowedChain
let hops: Hop[]
let session: EnvelopeSession
beforeEach(async () => {
  network = await MemoryNetwork.create('entry', 'middle', 'gateway')
  chain = new FollowedChain()
  const gateway = createGateway(new Map([[1, { upstreams: chain, headsEvery: every }]]), {
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
      memory: new AnswerMemory(2 ** 20),
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

async function follow(): Promise<{ stream: Stream; outcomes: Outcome[]; ends: ErrorCode[] }> {
  const outcomes: Outcome[] = []
  const ends: ErrorCode[] = []
  const handler = cutRecords({
    stream: () => stream,
    size: recordSize(4),
    onRecord: (record) => void outcomes.push(decodeAnswer(session.open(record, counterOf(data)))),
    onEnd: (code) => void ends.push(code),
  })
  const question = encodeQuestion({ chain: 1, cells: 4, method: 'eth_subscribe', params: ['newHeads'] })
  const data = session.seal(question, 1)
  const stream = last().streams.open(service.follow, nothing, handler, { data, end: true })
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
