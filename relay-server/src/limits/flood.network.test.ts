/** A flood of handshakes over real links, and a client beside it. Only the load stands still, so that it is there. */
import { cellBodySize, command, makeCell, splitHandshake } from '@nightjar/shared/cell'
import { CircuitTable, openCircuit } from '@nightjar/shared/circuit'
import { purpose, startHandshake } from '@nightjar/shared/handshake'
import { minute } from '@nightjar/shared/runtime'
import { FakeClock, turn } from '@nightjar/shared/testing'
import { nativeCrypto as crypto } from '@nightjar/shared-node/crypto'
import { dialLink, listenForLinks } from '@nightjar/shared-node/link'
import { systemClock as clock } from '@nightjar/shared-node/process'
import { afterEach, expect, test } from 'vitest'
import { createRelay } from '../relay/relay.ts'
import { createBounds } from './bounds.ts'
import type { Refusal } from './refusal.ts'

const floodingLinks = 6
const createsPerLink = 200
const idleAfter = minute

const cleanUp: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const run of cleanUp.splice(0).reverse()) await run()
})

test('a flood is answered with puzzles, and a client beside it has its first circuit at once, its second for a solution', async () => {
  const onion = await crypto.dh.generate()
  const identity = crypto.randomBytes(32)
  const responder = { identity, key: onion.publicKey, keyId: crypto.randomBytes(8) }
  const refused: Refusal[] = []
  const onRefused = (refusal: Refusal) => void refused.push(refusal)
  const clockOfLoad = new FakeClock()
  const bounds = createBounds({
    ...{ crypto, clock: clockOfLoad, circuits: 10_000, handshakesPerSecond: 5, queueMb: 16, onRefused },
  })
  const relay = createRelay(
    {
      crypto,
      clock,
      nextTurn: setImmediate,
      secrets: () => ({ identity, findKey: () => onion, document: { version: 1, hash: new Uint8Array(32) } }),
      findRelay: () => undefined,
      isRelay: () => false,
      placeTo: () => Promise.reject(new Error('nobody extends')),
      serve: () => () => 'unknown-service',
    },
    // Only puzzles are to bound it.
    { ...bounds, circuitsOfClientLink: createsPerLink },
  )
  const options = { host: '127.0.0.1', port: 0, path: '/relay', maxConnections: 100, idleAfter, clock }
  const listener = await listenForLinks({ ...options, accept: relay.accept })
  cleanUp.push(() => listener.close())
  const url = `ws://127.0.0.1:${listener.port}/relay`

  const { hello } = await startHandshake(crypto, { purpose: purpose.hop, depth: 1, responder })
  const parts = splitHandshake(hello, cellBodySize)
  const flood: CircuitTable[] = []
  for (let link = 0; link < floodingLinks; link++) {
    const table = new CircuitTable()
    await dialLink({ url, table, clock, idleAfter })
    for (let id = 1; id <= createsPerLink; id++) {
      for (const part of parts) table.link.send(makeCell(id, command.create, part))
    }
    flood.push(table)
  }
  const asked = floodingLinks * createsPerLink
  const answered = () => relay.counts.handshakes.get('done') ?? 0
  while (refused.length + answered() < asked) await turn()
  // Each link has some until their price is more than it has left: some fifty altogether.
  expect(answered()).toBeLessThan(asked / 10)
  expect(new Set(refused)).toEqual(new Set(['puzzle-set']))

  const table = new CircuitTable()
  await dialLink({ url, table, clock, idleAfter })
  // What a link has at first pays for one, at any price.
  const first = await openCircuit(table, responder, { crypto, clock })
  const second = await openCircuit(table, responder, { crypto, clock })
  await Promise.all([first.ping(), second.ping()])
  // For the other one a puzzle was set, and solved.
  expect(refused.length + answered()).toBe(asked + 3)
  expect(new Set(refused)).toEqual(new Set(['puzzle-set']))
})

test('of one link only so much is read in one turn, so that others have theirs in between', async () => {
  const table = new CircuitTable({ onCreate() {} })
  const options = { host: '127.0.0.1', port: 0, path: '/relay', maxConnections: 100, idleAfter, clock }
  const listener = await listenForLinks({ ...options, accept: () => table })
  cleanUp.push(() => listener.close())
  const flood = new CircuitTable()
  await dialLink({ url: `ws://127.0.0.1:${listener.port}/relay`, table: flood, clock, idleAfter })
  const count = 1536
  for (let sent = 0; sent < count; sent++) flood.link.send(makeCell(0, command.padding, new Uint8Array(0)))
  let [most, before] = [0, 0]
  while (table.received < count && !flood.link.closed) {
    await turn()
    most = Math.max(most, table.received - before)
    before = table.received
  }
  expect(table.received).toBe(count)
  // Four messages, and what the socket and the parser had in hand.
  expect(most).toBeLessThanOrEqual(512)
})
