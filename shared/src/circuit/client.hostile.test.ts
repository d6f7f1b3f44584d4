/** What a client makes of relays, and of links, that do other than they ought to. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concat, u16 } from '../bytes/index.ts'
import { cellBodySize, command } from '../cell/index.ts'
import { NightjarError } from '../errors/index.ts'
import { limits } from '../limits.ts'
import { flipBit, pattern, turn } from '../testing/index.ts'
import { encodeBranchClosed, messageType, noStream } from './index.ts'
import { ask, endOf, makeCircuits } from './testing/circuits.ts'
import type { RelayHop } from './testing/relays.ts'
import { Recorder } from './testing/wire.ts'

const { gateway, fourth, built } = await makeCircuits()

describe('a cell on its way back that was damaged', () => {
  // In the tag, in the header of the layer, and at the end.
  const bits = [0, 18 * 8 + 3, 900 * 8 + 7]

  test.each([1, 2])('at depth %i destroys the circuit', async (depth) => {
    for (const bit of bits) {
      const { relays, hops, at } = await built(3)
      const ended = hops.map(endOf)
      at(depth).spoil = (body) => flipBit(body, bit)
      at(depth).send(messageType.drop, noStream, pattern(9))
      await turn()
      expect(ended).toEqual([['cell-rejected'], ['cell-rejected'], ['cell-rejected']])
      expect([relays.destroyed, relays.pair.a.closed]).toEqual([[0], false])
    }
  })

  test.each([3, 4])('at depth %i closes that branch only', async (depth) => {
    for (const bit of bits) {
      const { relays, hop, at } = await built(depth)
      const other = await hop(2).extend(fourth)
      const ended = endOf(hop(depth))
      at(depth).spoil = (body) => flipBit(body, bit)
      at(depth).send(messageType.drop, noStream, pattern(9))
      await turn()
      expect(ended).toEqual(['cell-rejected'])
      expect([hop(1).error, hop(2).error, hop(depth - 1).error, other.error]).toEqual(Array(4).fill(undefined))
      expect(relays.destroyed).toEqual([])
      expect(at(depth - 1).received.map(({ type }) => type)).toEqual([messageType.truncate])
      const alive = hop(depth - 1).ping()
      await turn()
      at(depth - 1).send(messageType.pong, noStream, at(depth - 1).received.at(-1)?.data as Uint8Array)
      await alive
    }
  })

  test.each<[string, (cell: Uint8Array) => Uint8Array[]]>([
    ['is there twice', (cell) => [cell, cell]],
    ['is damaged on the link', (cell) => [flipBit(cell, 700 * 8)]],
  ])('or %s destroys the circuit', async (_, tamper) => {
    const { relays, hop, at } = await built(3)
    relays.pair.b.tamper = tamper
    at(3).send(messageType.drop, noStream, pattern(9))
    await turn()
    expect(hop(1).error?.code).toBe('cell-rejected')
    expect(relays.destroyed).toEqual([0])
  })

  test('or is lost destroys the circuit at the next; two exchanged do so at the first', async () => {
    const lost = await built(3)
    let count = 0
    lost.relays.pair.b.tamper = (cell) => (count++ === 0 ? undefined : cell)
    lost.at(3).send(messageType.drop, noStream, pattern(9))
    await turn()
    expect(lost.hop(1).error).toBeUndefined()
    lost.at(3).send(messageType.drop, noStream, pattern(9))
    await turn()
    expect(lost.hop(1).error?.code).toBe('cell-rejected')

    const exchanged = await built(3)
    let kept: Uint8Array | undefined
    exchanged.relays.pair.b.tamper = (cell) => {
      if (kept !== undefined) return [cell, kept]
      kept = cell
      return undefined
    }
    for (let i = 0; i < 2; i++) exchanged.at(3).send(messageType.drop, noStream, pattern(9))
    await turn()
    expect(exchanged.hop(1).error?.code).toBe('cell-rejected')
  })

  test('the last relay cannot speak for its forwarder, nor one branch for another', async () => {
    const { relays, hop, at } = await built(2)
    const branches = [await hop(2).extend(gateway), await hop(2).extend(fourth)]
    const [first, second] = [...at(2).branches.values()] as [RelayHop, RelayHop]
    // The middle passes on what came from one branch as if it came from the other.
    let stolen: Uint8Array | undefined
    first.spoil = (body) => {
      stolen = body
      return flipBit(body, 0)
    }
    first.send(messageType.drop, noStream, pattern(9))
    await turn()
    expect(branches[0]?.error?.code).toBe('cell-rejected')
    expect(branches[1]?.error).toBeUndefined()
    at(2).sendInner(stolen as Uint8Array, 2)
    await turn()
    expect(branches[1]?.error?.code).toBe('cell-rejected')
    expect([hop(2).error, relays.destroyed]).toEqual([undefined, []])
    expect(second.received).toEqual([])
  })
})

describe('a hop that breaks the protocol', () => {
  const cases: [string, (relay: RelayHop) => void][] = [
    ['asks for a delay towards the client', (relay) => relay.sendInner(new Uint8Array(20), 0, 1)],
    ['names a branch that never was', (relay) => relay.sendInner(new Uint8Array(20), 9)],
    ['lies about a length', (relay) => relay.sendInner(Uint8Array.of(7, 0, 1, 0xff, 0xff))],
    ['fills with something', (relay) => relay.sendInner(Uint8Array.of(10, 0, 0, 0, 0, 1))],
    ['sends an unknown message', (relay) => relay.send(99, noStream, pattern(3))],
    ['sends SHAPE', (relay) => relay.send(messageType.shape, noStream, pattern(3))],
    ['sends EXTEND', (relay) => relay.send(messageType.extend, noStream, pattern(3))],
    ['sends TRUNCATE', (relay) => relay.send(messageType.truncate, noStream, pattern(2))],
    ['sends KEEP', (relay) => relay.send(messageType.keep, noStream, Uint8Array.of(0, 1, 0, 60))],
    ['sends BEGIN', (relay) => relay.send(messageType.begin, 1, pattern(3))],
    ['sends data for a stream that never was', (relay) => relay.send(messageType.data, 9, pattern(3))],
    ['sends a PING of another length', (relay) => relay.send(messageType.ping, noStream, pattern(7))],
    ['sends a PONG of another length', (relay) => relay.send(messageType.pong, noStream, pattern(9))],
    ['answers an EXTEND that never was', (relay) => relay.sendExtended(9, pattern(1188))],
    ['answers for branch 0', (relay) => relay.sendExtended(0, pattern(1188))],
    ['closes branch 0', (relay) => relay.send(messageType.branchClosed, noStream, encodeBranchClosed(0, 7))],
    ['closes a branch that never was', (relay) => relay.closeBranch(9, 'draining')],
    ['sends half a BRANCH_CLOSED', (relay) => relay.send(messageType.branchClosed, noStream, pattern(2))],
    ['grants credit that was not used', (relay) => relay.send(messageType.credit, noStream, u16(1))],
    ['sends an EXTENDED of no length', (relay) => relay.send(messageType.extended, noStream, new Uint8Array(5))],
    [
      'sends more than the branch window',
      (relay) => {
        relay.streams = undefined
        for (let i = 0; i <= limits.branchWindow; i++) relay.send(messageType.data, 1, pattern(1))
      },
    ],
  ]

  test.each(cases)(
    '%s: at the middle the circuit is destroyed, at the gateway its branch is closed',
    async (what, act) => {
      const code = what === 'sends more than the branch window' ? 'overflow' : 'protocol-violation'
      for (const depth of [2, 3]) {
        const { relays, hop, at } = await built(3)
        // A stream whose data nobody consumes.
        hop(depth).streams.open('rpc', new Uint8Array(0), new Recorder('later'), { data: pattern(1), end: false })
        await turn()
        if (what === 'grants credit that was not used') {
          // One BEGIN was sent, so one credit is due.
          at(depth).send(messageType.credit, noStream, u16(1))
        }
        act(at(depth))
        await turn()
        expect(hop(depth).error?.code).toBe(code)
        expect([hop(1).error?.code, relays.destroyed]).toEqual(depth === 2 ? [code, [0]] : [undefined, []])
        expect(relays.pair.a.closed).toBe(false)
      }
    },
  )

  test('or says anything at all, in the right layers, never gets an exception through', async () => {
    const anInner = fc.oneof(
      fc.uint8Array({ maxLength: 30 }),
      fc
        .tuple(fc.nat(15), fc.nat(3), fc.uint8Array({ maxLength: 12 }))
        .map(([type, stream, data]) => concat(Uint8Array.of(type), u16(stream), u16(data.length), data)),
    )
    const aCell = fc.tuple(fc.integer({ min: 1, max: 3 }), anInner, fc.nat(2), fc.nat(1))
    await fc.assert(
      fc.asyncProperty(fc.array(aCell, { maxLength: 12 }), async (cells) => {
        const { relays, hop, at } = await built(3)
        const recorder = ask(hop(3), pattern(1))
        await turn()
        for (const [depth, inner, branch, delay] of cells) at(depth).sendInner(inner, branch, delay)
        await turn()
        expect(relays.pair.a.closed).toBe(false)
        const codes = [undefined, 'protocol-violation', 'cell-rejected', 'overflow']
        // A BRANCH_CLOSED that is well-formed may name any code.
        if (hop(1).error !== undefined) expect(codes).toContain(hop(1).error?.code)
        // A stream never outlives its branch unheard.
        if (hop(3).error !== undefined) expect(recorder.ends.length).toBeGreaterThan(0)
      }),
      { numRuns: 30 },
    )
  })

  test('or sends cells of noise destroys the circuit and nothing else', async () => {
    const aBody = fc.uint8Array({ minLength: cellBodySize, maxLength: cellBodySize })
    await fc.assert(
      fc.asyncProperty(fc.nat(6), fc.noShrink(aBody), async (cellCommand, body) => {
        const { relays, hop } = await built(1)
        relays.sendCell(cellCommand === 5 || cellCommand === 0 ? command.relay : cellCommand, body)
        await turn()
        expect(hop(1).error).toBeInstanceOf(NightjarError)
        expect(relays.pair.a.closed).toBe(false)
      }),
      { numRuns: 20 },
    )
  })
})
