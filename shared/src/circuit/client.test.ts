import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { concat, readU16, u16 } from '../bytes/index.ts'
import { cellBodySize, command } from '../cell/index.ts'
import { nobleCrypto } from '../crypto/noble.ts'
import { type ErrorCode, NightjarError } from '../errors/index.ts'
import { decodeCreate, leadingZeroBits, puzzleProof, type Solution } from '../handshake/index.ts'
import { limits } from '../limits.ts'
import { codeOfAsync, FakeClock, flipBit, pattern, turn } from '../testing/index.ts'
import {
  type Accept,
  CircuitTable,
  encodeBranchClosed,
  type Hop,
  layerCapacity,
  messageType,
  noStream,
  openCircuit,
  partSize,
} from './index.ts'
import { makeRelay, type RelayHop, type TestRelay, TestRelays } from './testing/relays.ts'
import { Recorder } from './testing/wire.ts'

let known: TestRelay[]

beforeAll(async () => {
  known = await Promise.all([10, 20, 30, 40].map(makeRelay))
})

const [entry, middle, gateway, fourth] = [0, 1, 2, 3].map((index) => () => known[index] as TestRelay) as [
  () => TestRelay,
  () => TestRelay,
  () => TestRelay,
  () => TestRelay,
]

function world() {
  const relays = new TestRelays(known)
  const clock = new FakeClock()
  const documents: number[] = []
  const context = {
    crypto: nobleCrypto,
    clock,
    onDocument: ({ version }: { version: number }) => void documents.push(version),
  }
  const create = () => openCircuit(relays.clientTable, entry(), context)
  return { relays, clock, documents, context, create }
}

/** A circuit of `depth` hops along one branch each, and both ends of each hop. */
async function built(depth: number) {
  const all = world()
  const hops = [await all.create()]
  for (const relay of known.slice(1, depth)) hops.push(await (hops.at(-1) as Hop).extend(relay))
  const far: RelayHop[] = [all.relays.root as RelayHop]
  while (far.length < depth) far.push([...(far.at(-1) as RelayHop).branches.values()][0] as RelayHop)
  return { ...all, hops, far, hop: (at: number) => hops[at - 1] as Hop, at: (d: number) => far[d - 1] as RelayHop }
}

/** Answers each request with itself, doubled. */
const echo: Accept = (stream) => {
  const parts: Uint8Array[] = []
  return {
    onData(data) {
      parts.push(Uint8Array.from(data))
      stream.consumed()
    },
    onEnd(code) {
      if (code === 'done') stream.send(concat(...parts, ...parts), true)
    },
  }
}

function ask(hop: Hop, data: Uint8Array): Recorder {
  const recorder = new Recorder()
  recorder.stream = hop.streams.open('echo', new Uint8Array(0), recorder, { data, end: true })
  return recorder
}

function endOf(hop: Hop): ErrorCode[] {
  const codes: ErrorCode[] = []
  hop.onClosed((error) => codes.push(error.code))
  return codes
}

describe('create', () => {
  test('opens the first hop', async () => {
    const { relays, clock, documents, create } = world()
    const hop = await create()
    expect(hop.depth).toBe(1)
    expect(hop.error).toBeUndefined()
    expect([hop.canExtend, hop.isUsedUp, hop.branchCount]).toEqual([true, false, 0])
    expect(documents).toEqual([entry().document.version])
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
    const impostor = { ...entry(), identity: middle().identity }
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

describe('extend', () => {
  test.each([2, 3, 4])('grows to %i hops, and requests travel there and back', async (depth) => {
    const { hop, at, clock, documents } = await built(depth)
    expect(hop(depth).depth).toBe(depth)
    expect(hop(depth - 1).branchCount).toBe(1)
    expect(documents).toEqual(known.slice(0, depth).map(({ document }) => document.version))
    at(depth).serve(echo)
    const recorders = [10, 3000, 40_000].map((length) => ask(hop(depth), pattern(length)))
    await turn()
    for (const [index, length] of [10, 3000, 40_000].entries()) {
      expect(recorders[index]?.bytes).toEqual(concat(pattern(length), pattern(length)))
      expect(recorders[index]?.ends).toEqual(['done'])
    }
    expect(clock.pending).toBe(0)
  })

  test('every hop of a path can be spoken to', async () => {
    const { hop, at } = await built(4)
    const answers = [1, 2, 3, 4].map((depth) => {
      at(depth).serve(echo)
      return ask(hop(depth), pattern(20 + depth))
    })
    await turn()
    expect(answers.map(({ bytes }) => bytes.length)).toEqual([42, 44, 46, 48])
  })

  test('branches are apart: each has its own hop, streams and keys', async () => {
    const { hops, at } = await built(2)
    const trunk = hops[1] as Hop
    const branches = [await trunk.extend(gateway()), await trunk.extend(fourth()), await trunk.extend(gateway())]
    expect(at(2).extends).toEqual([1, 2, 3])
    for (const relay of at(2).branches.values()) relay.serve(echo)
    const answers = branches.map((branch, index) => ask(branch, pattern(100 + index)))
    await turn()
    expect(answers.map(({ bytes }) => bytes.length)).toEqual([200, 202, 204])
  })

  test('calls at once are served one after the other', async () => {
    const { hops, at } = await built(1)
    const trunk = hops[0] as Hop
    at(1).answering = 'hold'
    const results = [trunk.extend(middle()), trunk.extend(gateway())]
    await turn()
    expect(at(1).extends).toEqual([1])
    at(1).answering = 'answer'
    at(1).release()
    const grown = await Promise.all(results)
    expect(at(1).extends).toEqual([1, 2])
    expect(grown.map(({ depth }) => depth)).toEqual([2, 2])
  })

  test('ends with what the hop answered, and the next one is served', async () => {
    const { hops, at } = await built(2)
    const trunk = hops[1] as Hop
    for (const [answering, code] of [
      ['unknown-relay', 'unknown-relay'],
      ['connect-failed', 'connect-failed'],
      ['done', 'link-lost'],
    ] as const) {
      at(2).answering = answering
      expect(await codeOfAsync(() => trunk.extend(gateway()))).toBe(code)
      expect(trunk.branchCount).toBe(0)
    }
    at(2).answering = 'answer'
    expect((await trunk.extend(gateway())).depth).toBe(3)
    expect(trunk.error).toBeUndefined()
  })

  test('times out, closes the branch, drops the answer that comes late, and the next one is served', async () => {
    const { hops, at, clock, relays } = await built(2)
    const trunk = hops[1] as Hop
    at(2).answering = 'hold'
    const result = codeOfAsync(() => trunk.extend(gateway()))
    await clock.elapse(limits.handshakeTimeout)
    expect(await result).toBe('timed-out')
    await turn()
    expect(at(2).received.map(({ type, data }) => [type, readU16(data, 0)])).toEqual([[messageType.truncate, 1]])
    at(2).release()
    await turn()
    at(2).answering = 'answer'
    const branch = await trunk.extend(gateway())
    at(2).branches.get(2)?.serve(echo)
    const answer = ask(branch, pattern(10))
    await turn()
    expect(answer.bytes.length).toBe(20)
    expect([trunk.branchCount, relays.destroyed, clock.pending]).toEqual([1, [], 0])
  })

  test('a late answer does not stand in for the one that is awaited', async () => {
    const { hops, at, clock } = await built(2)
    const trunk = hops[1] as Hop
    at(2).answering = 'hold'
    const first = codeOfAsync(() => trunk.extend(gateway()))
    await clock.elapse(limits.handshakeTimeout)
    expect(await first).toBe('timed-out')
    const second = trunk.extend(gateway())
    await turn()
    at(2).release()
    expect((await second).depth).toBe(3)
    expect(at(2).extends).toEqual([1, 2])
  })

  test('refuses a relay that is another than it says, and closes the branch', async () => {
    const { relays, at, hop } = await built(2)
    // The middle connects to another relay than asked for.
    relays.find = () => fourth()
    expect(await codeOfAsync(() => hop(2).extend(gateway()))).toBe('handshake-failed')
    await turn()
    expect(at(2).received.map(({ type }) => type)).toEqual([messageType.truncate])
    expect([hop(2).error, hop(2).branchCount]).toEqual([undefined, 0])
  })

  test('fails where the branch is closed right behind the answer', async () => {
    const { hop, at } = await built(2)
    at(2).answering = 'hold'
    const result = codeOfAsync(() => hop(2).extend(gateway()))
    await turn()
    at(2).release()
    while (at(2).branches.size === 0) await Promise.resolve()
    at(2).closeBranch(1, 'draining')
    expect(await result).toBe('draining')
    expect([hop(2).error, hop(2).branchCount]).toEqual([undefined, 0])
  })

  test('fails where the circuit is destroyed right behind the answer', async () => {
    const { relays, hop, at } = await built(2)
    at(2).answering = 'hold'
    const result = codeOfAsync(() => hop(2).extend(gateway()))
    await turn()
    at(2).release()
    while (at(2).branches.size === 0) await Promise.resolve()
    relays.sendCell(command.destroy, Uint8Array.of(11))
    expect(await result).toBe('draining')
  })

  test('is refused by a hop that is gone, with what it ended with', async () => {
    const { hop } = await built(2)
    hop(2).close('branch-retired')
    expect(await codeOfAsync(() => hop(2).extend(gateway()))).toBe('branch-retired')
  })

  test('is limited to 32 branches at a time', async () => {
    const { hop, at } = await built(1)
    for (let i = 0; i < limits.branchesPerCircuit; i++) await hop(1).extend(middle())
    expect(hop(1).canExtend).toBe(false)
    expect(await codeOfAsync(() => hop(1).extend(middle()))).toBe('limit-reached')
    at(1).closeBranch(7, 'link-lost')
    await turn()
    expect(hop(1).canExtend).toBe(true)
    await hop(1).extend(middle())
    expect(at(1).extends.at(-1)).toBe(limits.branchesPerCircuit + 1)
  })
})

describe('a branch', () => {
  test('that the forwarder reports closed ends with all below it, and nothing else does', async () => {
    const { hops, hop, at } = await built(4)
    const other = await hop(2).extend(fourth())
    const [third, last] = [endOf(hop(3)), endOf(hop(4))]
    const stream = ask(hop(4), pattern(5))
    const pending = codeOfAsync(() => hop(3).extend(gateway()))
    await turn()
    at(2).closeBranch(1, 'link-lost')
    await turn()
    expect([third, last, stream.ends]).toEqual([['link-lost'], ['link-lost'], ['link-lost']])
    expect(await pending).toSatisfy((code) => code === undefined || code === 'link-lost')
    expect([hops[0]?.error, hops[1]?.error, other.error]).toEqual([undefined, undefined, undefined])
    at(2).branches.get(2)?.serve(echo)
    const answer = ask(other, pattern(5))
    await turn()
    expect(answer.ends).toEqual(['done'])
  })

  test('that is reported closed twice, or after we closed it, is old news', async () => {
    const { hop, at, relays } = await built(3)
    hop(3).close()
    for (let i = 0; i < 2; i++) at(2).send(messageType.branchClosed, noStream, encodeBranchClosed(1, 7))
    await turn()
    expect([hop(2).error, relays.destroyed]).toEqual([undefined, []])
  })

  test('that we close is truncated at its forwarder, and what still comes from it is dropped', async () => {
    const { hop, at, relays } = await built(3)
    const ended = endOf(hop(3))
    const far = at(3)
    hop(3).close('branch-retired')
    hop(3).close('internal')
    expect(ended).toEqual(['branch-retired'])
    far.send(messageType.ping, noStream, pattern(8))
    await turn()
    expect(at(2).received.map(({ type }) => type)).toEqual([messageType.truncate])
    expect([hop(2).error, hop(2).branchCount, relays.destroyed]).toEqual([undefined, 0, []])
    hop(3).drop()
    void hop(3).ping()
    hop(3).streams.pump()
    await turn()
    expect(far.received).toEqual([])
  })

  test('that is to be kept is so by its forwarder, and ends when that says so', async () => {
    const { hop, at, relays } = await built(3)
    hop(3).keep(7200)
    await turn()
    expect(at(2).received).toEqual([
      { type: messageType.keep, stream: noStream, data: Uint8Array.of(0, 1, 0x1c, 0x20) },
    ])
    expect([at(1).received, at(3).received]).toEqual([[], []])
    at(2).closeBranch(1, 'branch-retired')
    await turn()
    expect([hop(3).error?.code, hop(2).error, relays.destroyed]).toEqual(['branch-retired', undefined, []])
    hop(3).keep(60)
    await turn()
    expect(at(2).received).toHaveLength(1)
  })

  test('is every hop but the entry, which nobody keeps', async () => {
    const { hop } = await built(2)
    expect(() => hop(1).keep(60)).toThrow('the entry is no branch')
  })

  test('tells a listener that comes late at once, and each listener once', async () => {
    const { hop, at } = await built(2)
    const early = endOf(hop(2))
    at(1).closeBranch(1, 'draining')
    await turn()
    expect([early, endOf(hop(2))]).toEqual([['draining'], ['draining']])
    expect(hop(2).error?.code).toBe('draining')
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
    const extending = codeOfAsync(() => hop(3).extend(fourth()))
    const queued = codeOfAsync(() => hop(3).extend(fourth()))
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
      const other = await hop(2).extend(fourth())
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
    const branches = [await hop(2).extend(gateway()), await hop(2).extend(fourth())]
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
    const other = await hop(2).extend(fourth())
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
