import { describe, expect, test } from 'vitest'
import { concat, u16 } from '../bytes/index.ts'
import { cellBodySize, command } from '../cell/index.ts'
import { nobleCrypto } from '../crypto/noble.ts'
import { NightjarError } from '../errors/index.ts'
import { decodeCreate, leadingZeroBits, puzzleProof, type Solution } from '../handshake/index.ts'
import { limits } from '../limits.ts'
import { codeOfAsync, pattern, turn } from '../testing/index.ts'
import { CircuitTable, layerCapacity, messageType, noStream, openCircuit, partSize } from './index.ts'
import { ask, echo, endOf, makeCircuits } from './testing/circuits.ts'
import type { RelayHop } from './testing/relays.ts'

const { entry, middle, fourth, world, built } = await makeCircuits()

describe('create', () => {
  test('opens the first hop', async () => {
    const { relays, clock, documents, create } = world()
    const hop = await create()
    expect(hop.depth).toBe(1)
    expect(hop.error).toBeUndefined()
    expect([hop.canExtend, hop.isUsedUp, hop.branchCount]).toEqual([true, false, 0])
    expect(documents).toEqual([entry.document.version])
    expect([relays.clientTable.size, clock.pending]).toEqual([1, 0])
    expect(relays.destroyed).toEqual([])
  })

  test('ends with what the entry answered', async () => {
    for (const [answering, code] of [
      ['limit-reached', 'limit-reached'],
      ['unknown-key', 'unknown-key'],
      ['done', 'link-lost'],
    ] as const) {
      const { relays, clock, create } = world()
      relays.answering = answering
      expect(await codeOfAsync(create)).toBe(code)
      expect([relays.clientTable.size, clock.pending]).toEqual([0, 0])
    }
  })

  test('times out, tells the entry, and drops an answer that comes late', async () => {
    const { relays, clock, create } = world()
    relays.answering = 'hold'
    const result = codeOfAsync(create)
    await clock.elapse(limits.handshakeTimeout)
    expect(await result).toBe('timed-out')
    await turn()
    expect([relays.clientTable.size, relays.destroyed]).toEqual([0, [0]])
    relays.release()
    await turn()
    expect(relays.pair.a.closed).toBe(false)
  })

  test('solves the puzzles that the entry sets, each with the same hello', async () => {
    const { relays, clock, create } = world()
    relays.puzzles.push({ difficulty: 8, seed: pattern(32, 1) }, { difficulty: 4, seed: pattern(32, 2) })
    const seeds = relays.puzzles.map(({ seed }) => seed)
    const result = create()
    await clock.elapse(0)
    expect((await result).depth).toBe(1)
    const [first, ...solved] = relays.creates.map(decodeCreate)
    expect(first?.solution).toBeUndefined()
    expect(solved.map(({ solution }) => solution?.difficulty)).toEqual([8, 4])
    for (const [index, { hello, solution }] of solved.entries()) {
      expect(hello).toEqual(first?.hello)
      const { difficulty, nonce } = solution as Solution
      const proof = puzzleProof(nobleCrypto.hash, seeds[index] as Uint8Array, hello, nonce)
      expect(leadingZeroBits(proof)).toBeGreaterThanOrEqual(difficulty)
    }
    expect([relays.clientTable.size, clock.pending, relays.destroyed]).toEqual([1, 0, []])
  })

  test('solves so many and no more', async () => {
    const { relays, clock, create } = world()
    const puzzle = { difficulty: 1, seed: pattern(32) }
    relays.puzzles.push(...Array.from({ length: limits.puzzlesPerHandshake + 1 }, () => puzzle))
    expect(await codeOfAsync(create)).toBe('busy')
    expect(relays.creates.length).toBe(limits.puzzlesPerHandshake + 1)
    expect([relays.clientTable.size, clock.pending]).toEqual([0, 0])
  })

  test('stops solving when the circuit ends meanwhile', async () => {
    const { relays, clock, create } = world()
    relays.puzzles.push({ difficulty: limits.puzzleBits, seed: pattern(32) })
    const result = codeOfAsync(create)
    await turn()
    relays.pair.a.lose()
    await clock.elapse(0)
    expect(await result).toBe('link-lost')
    expect([relays.clientTable.size, clock.pending, relays.creates.length]).toEqual([0, 0, 1])
  })

  test('takes nothing from the entry while it solves', async () => {
    const { relays, clock, create } = world()
    relays.puzzles.push({ difficulty: limits.puzzleBits, seed: pattern(32) })
    const result = codeOfAsync(create)
    await turn()
    relays.sendCell(command.created, concat(u16(9), pattern(9)))
    await turn()
    await clock.elapse(0)
    expect(await result).toBe('protocol-violation')
  })

  test('refuses an entry that is another than it says', async () => {
    const { relays, context } = world()
    const impostor = { ...entry, identity: middle.identity }
    expect(await codeOfAsync(() => openCircuit(relays.clientTable, impostor, context))).toBe('handshake-failed')
    await turn()
    expect([relays.clientTable.size, relays.destroyed]).toEqual([0, [0]])
  })

  test.each<[string, number, () => Uint8Array]>([
    ['a CREATED of no length', command.created, () => new Uint8Array(5)],
    ['a CREATED beyond the limit', command.created, () => concat(u16(limits.handshakeBytes + 1), pattern(9))],
    ['a CREATED of another length', command.created, () => concat(u16(9), pattern(9))],
    ['a RELAY before CREATED', command.relay, () => pattern(cellBodySize)],
    ['a CREATE', command.create, () => pattern(9)],
    ['a PUZZLE with more than a challenge', command.puzzle, () => pattern(40, 255)],
    ['a PUZZLE that asks for nothing', command.puzzle, () => new Uint8Array(33)],
    ['a PUZZLE that asks for too much', command.puzzle, () => Uint8Array.of(limits.puzzleBits + 1, ...pattern(32))],
    ['a DESTROY with more than a reason', command.destroy, () => Uint8Array.of(4, 4)],
  ])('ends the circuit, not the link, at %s', async (_, cellCommand, body) => {
    const { relays, create } = world()
    relays.answering = 'hold'
    const result = codeOfAsync(create)
    await turn()
    relays.sendCell(cellCommand, body())
    expect(await result).toBe('protocol-violation')
    expect([relays.clientTable.size, relays.pair.a.closed]).toEqual([0, false])
  })

  test.each(['at once', 'while the answer is awaited', 'together with the answer'])(
    'ends with the link when that is lost %s',
    async (when) => {
      const { relays, clock, create } = world()
      relays.answering = 'hold'
      const result = codeOfAsync(create)
      if (when !== 'at once') await turn()
      if (when === 'together with the answer') {
        relays.release()
        // The answer is made in microtasks; the close comes right behind it.
        while (relays.root === undefined) await Promise.resolve()
      }
      relays.pair.b.close('draining')
      await turn()
      expect(await result).toBe('draining')
      expect([relays.clientTable.size, clock.pending]).toEqual([0, 0])
    },
  )

  test('is not begun on a link that is closed: a rejection, not an exception', async () => {
    const { relays, create } = world()
    relays.pair.a.close('done')
    const promise = create()
    expect(await codeOfAsync(() => promise)).toBe('link-lost')
  })

  test('fails where the entry destroys the circuit right behind its answer', async () => {
    const { relays, clock, create } = world()
    relays.answering = 'hold'
    const result = codeOfAsync(create)
    await turn()
    relays.release()
    while (relays.root === undefined) await Promise.resolve()
    relays.sendCell(command.destroy, Uint8Array.of(11))
    expect(await result).toBe('draining')
    expect([relays.clientTable.size, clock.pending]).toEqual([0, 0])
  })
})

describe('a circuit', () => {
  test('that the entry destroys ends every hop with the reason', async () => {
    const { relays, hops } = await built(4)
    const ended = hops.map(endOf)
    relays.sendCell(command.destroy, Uint8Array.of(11))
    await turn()
    expect(ended).toEqual([['draining'], ['draining'], ['draining'], ['draining']])
    expect(relays.clientTable.size).toBe(0)
  })

  test('whose link is lost ends every hop, and whatever waits for an answer', async () => {
    const { relays, hops, hop, at, clock } = await built(3)
    const ended = hops.map(endOf)
    at(3).answering = 'hold'
    const extending = codeOfAsync(() => hop(3).extend(fourth))
    const queued = codeOfAsync(() => hop(3).extend(fourth))
    const stream = ask(hop(3), pattern(5))
    await turn()
    relays.pair.b.close('idle')
    await turn()
    expect(ended).toEqual([['idle'], ['idle'], ['idle']])
    expect([await extending, await queued, stream.ends]).toEqual(['idle', 'idle', ['idle']])
    expect(clock.pending).toBe(0)
  })

  test('that we close sends DESTROY with reason 0, whatever the reason is', async () => {
    const { relays, hops, hop } = await built(3)
    const ended = hops.map(endOf)
    hop(1).close('branch-retired')
    hop(1).close()
    await turn()
    expect(relays.destroyed).toEqual([0])
    // What was below it has no successor by that.
    expect(ended).toEqual([['branch-retired'], ['link-lost'], ['link-lost']])
    expect(relays.clientTable.size).toBe(0)
  })

  test('a stream that ends as the circuit does is told `cancelled` where nothing went wrong', async () => {
    const { hop } = await built(1)
    const stream = ask(hop(1), pattern(5))
    hop(1).fail(new NightjarError('done'))
    expect(stream.ends).toEqual(['cancelled'])
  })

  test.each([
    ['CREATED', command.created],
    ['CREATE', command.create],
    ['PUZZLE', command.puzzle],
  ])('ends at a %s out of place, and the link stays', async (_, cellCommand) => {
    const { relays, hop } = await built(2)
    relays.sendCell(cellCommand, concat(u16(5), pattern(5)))
    await turn()
    expect(hop(2).error?.code).toBe('protocol-violation')
    expect([relays.destroyed, relays.pair.a.closed]).toEqual([[0], false])
  })
})

describe('ping', () => {
  test('resolves with its own answer, in any order, and no other', async () => {
    const { hop, at } = await built(3)
    const answered: number[] = []
    for (const index of [0, 1])
      void hop(3)
        .ping()
        .then(() => answered.push(index))
    await turn()
    const tokens = at(3).received.map(({ data }) => data)
    expect(tokens.map(({ length }) => length)).toEqual([8, 8])
    at(3).send(messageType.pong, noStream, pattern(8))
    await turn()
    expect(answered).toEqual([])
    for (const index of [1, 0, 0]) at(3).send(messageType.pong, noStream, tokens[index] as Uint8Array)
    await turn()
    expect(answered).toEqual([1, 0])
    expect(hop(3).error).toBeUndefined()
  })

  test('from a relay is not answered: it would tell when somebody is there', async () => {
    const { at } = await built(3)
    for (const depth of [1, 2, 3]) {
      at(depth).send(messageType.ping, noStream, pattern(8, depth))
      await turn()
      expect(at(depth).received).toEqual([])
    }
  })

  test('and cover are heard of: `lastHeard` moves for the hop and those on the way, cover is dropped', async () => {
    const { hop, at, clock } = await built(3)
    const start = clock.elapsed()
    clock.advance(1000)
    at(2).send(messageType.drop, noStream, pattern(100))
    await turn()
    expect([1, 2, 3].map((depth) => hop(depth).lastHeard - start)).toEqual([1000, 1000, 0])
    hop(3).drop()
    await turn()
    expect(at(3).received.map(({ type }) => type)).toEqual([messageType.drop])
  })
})

describe('a link that is behind', () => {
  test('holds streams back, and all of them go on in turn when it takes cells again', async () => {
    const { relays, hop, at } = await built(3)
    const other = await hop(2).extend(fourth)
    for (const relay of at(2).branches.values()) relay.serve(echo)
    relays.pair.a.stall()
    const answers = [hop(3), other, hop(3)].map((each) => ask(each, pattern(20 * partSize)))
    await turn()
    expect(answers.map(({ data }) => data.length)).toEqual([0, 0, 0])
    relays.pair.a.resume()
    await turn()
    expect(answers.map(({ bytes }) => bytes.length)).toEqual(Array(3).fill(40 * partSize))
  })
})

test('capacities leave room for the parts of streams at every depth', () => {
  for (const depth of [1, 2, 3, 4]) expect(layerCapacity(depth)).toBeGreaterThanOrEqual(partSize + 5 + 1)
})

test('circuits of one link are apart', async () => {
  const { relays, create, hop } = await built(1)
  expect(relays.clientTable).toBeInstanceOf(CircuitTable)
  const first = relays.root as RelayHop
  const second = await create()
  expect(relays.clientTable.size).toBe(2)
  relays.sendCell(command.destroy, Uint8Array.of(11))
  await turn()
  expect([hop(1).error, second.error?.code]).toEqual([undefined, 'draining'])
  first.send(messageType.drop, noStream, pattern(3))
})
