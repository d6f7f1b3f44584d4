import { cellHeaderSize, cellSize, circuitIdOf, command, makeCell, writeHeader } from '@nightjar/shared/cell'
import { type Hop, layerBodySize } from '@nightjar/shared/circuit'
import type { ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { flipBit, pattern } from '@nightjar/shared/testing'
import fc from 'fast-check'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { limits } from '../limits/limits.ts'
import { ask, MemoryNetwork, type Wire } from './testing/memoryNetwork.ts'

const hopNames = ['entry', 'middle', 'gateway-1'] as const

/** Of a link that a path of three hops uses: 0 is the client's. Each carries bodies one layer shorter. */
const linkArbitrary = fc.integer({ min: 0, max: 2 })

interface Tree {
  readonly entry: Hop
  readonly middle: Hop
  /** The branch under attack, another to the same gateway, and one to another. */
  readonly target: Hop
  readonly others: readonly [Hop, Hop]
  /** The three links on the way to the target. */
  readonly wires: readonly [Wire, Wire, Wire]
}

let network: MemoryNetwork
beforeAll(async () => {
  network = await MemoryNetwork.create('entry', 'middle', 'gateway-1', 'gateway-2')
})

async function growTree(): Promise<Tree> {
  // The relays have a rate for EXTENDs and a pause after short links, and their network is that of many trees.
  network.clock.advance(limits.longestDialPause)
  const { wire, hops } = await network.open(...hopNames)
  const [entry, middle, target] = hops as [Hop, Hop, Hop]
  const others = [await network.grow(middle, 'gateway-1'), await network.grow(middle, 'gateway-2')] as const
  const wires = [wire, network.wire('entry', 'middle'), network.wire('middle', 'gateway-1')] as const
  return { entry, middle, target, others, wires }
}

/** Ends what is left of a tree and expects that nothing stays behind. */
async function fell(tree: Tree): Promise<void> {
  tree.entry.close()
  await network.settle()
  expect({ circuits: network.circuits, entries: network.entries }).toEqual({ circuits: 0, entries: 0 })
  expect(network.misuses).toEqual([])
}

/** Asks the target and stops the question's cells on link `link`. */
async function stopQuestion(tree: Tree, link: number, bytes = 10): Promise<{ wire: Wire; outcome: Promise<Outcome> }> {
  const wire = tree.wires[link] as Wire
  wire.held = true
  const outcome = outcomeOf(ask(tree.target, pattern(bytes)))
  await network.settle()
  wire.held = false
  return { wire, outcome }
}

/** The same with its answer. */
async function stopAnswer(tree: Tree, link: number, bytes = 10): Promise<{ wire: Wire; outcome: Promise<Outcome> }> {
  const wire = tree.wires[link] as Wire
  const outcome = outcomeOf(ask(tree.target, pattern(bytes)))
  for (const each of tree.wires) each.deliver('far')
  // The answer comes back by itself as far as the link in question.
  for (const each of [...tree.wires].reverse()) if (tree.wires.indexOf(each) > link) each.deliver('near')
  expect(wire.far.sent.length).toBeGreaterThan(0)
  return { wire, outcome }
}

type Outcome = 'answered' | ErrorCode

function outcomeOf(answer: Promise<Uint8Array>): Promise<Outcome> {
  return answer.then(
    () => 'answered',
    (error: NightjarError) => error.code,
  )
}

function changeFirst(cells: Uint8Array[], change: (cell: Uint8Array) => Uint8Array): void {
  cells[0] = change(cells[0] as Uint8Array)
}

/** Whether the hops still answer. */
async function expectAnswers(hops: readonly Hop[]): Promise<void> {
  for (const hop of hops) expect(await network.run(outcomeOf(ask(hop, 'still there')))).toBe('answered')
}

/** What a fault on a link must have done: everything behind it is gone with `code`, everything before it stands. */
async function expectLoss(tree: Tree, link: number, code: ErrorCode): Promise<void> {
  const { entry, middle, target, others } = tree
  expect(target.error?.code).toBe(code)
  expect(middle.error?.code).toBe(link < 2 ? code : undefined)
  expect(entry.error?.code).toBe(link < 1 ? code : undefined)
  if (link === 1) await expectAnswers([entry])
  if (link === 2) await expectAnswers([entry, middle, ...others])
}

describe('a cell towards the relays', () => {
  test('with any bit of its body flipped is refused by the next relay, which ends what is behind it', async () => {
    const flip = fc.tuple(
      linkArbitrary,
      fc.integer({ min: cellHeaderSize * 8, max: cellSize * 8 - 1 }),
      fc.constantFrom(10, 3000),
    )
    await fc.assert(
      fc.asyncProperty(flip, async ([link, bit, bytes]) => {
        const tree = await growTree()
        const { wire, outcome } = await stopQuestion(tree, link, bytes)
        changeFirst(wire.near.sent, (cell) => flipBit(cell, bit))
        await network.settle()
        // Beyond the body there are zeros that no layer covers; they are checked all the same.
        const isFill = bit >= (cellHeaderSize + layerBodySize(link + 1)) * 8
        const code = isFill ? 'protocol-violation' : 'cell-rejected'
        expect(await outcome).toBe(code)
        await expectLoss(tree, link, code)
        await fell(tree)
      }),
      { numRuns: 60 },
    )
  })

  test.each([
    ['replayed', (cells: Uint8Array[]) => cells.splice(1, 0, Uint8Array.from(cells[0] as Uint8Array))],
    ['overtaken by the next', (cells: Uint8Array[]) => cells.splice(0, 2, ...cells.slice(0, 2).reverse())],
    ['lost', (cells: Uint8Array[]) => cells.shift()],
    ['cut short', (cells: Uint8Array[]) => (cells[0] as Uint8Array).fill(0, 500)],
    [
      'made up',
      (cells: Uint8Array[]) => cells.unshift(makeCell(circuitIdOf(cells[0] as Uint8Array), 3, pattern(1000))),
    ],
  ])('that is %s ends what is behind the next relay, on each link', async (_, spoil) => {
    for (const link of [0, 1, 2]) {
      const tree = await growTree()
      const { wire, outcome } = await stopQuestion(tree, link, 3000)
      // Whatever is cut short must be more than fill.
      expect(wire.near.sent.length).toBeGreaterThan(2)
      spoil(wire.near.sent)
      await network.settle()
      expect(['cell-rejected', 'protocol-violation']).toContain(await outcome)
      await expectLoss(tree, link, tree.target.error?.code as ErrorCode)
      await fell(tree)
    }
  })

  test('put on another branch of the same link is refused there, and lost here', async () => {
    const tree = await growTree()
    const { wire } = await stopQuestion(tree, 2)
    wire.held = true
    const other = outcomeOf(ask(tree.others[0], 'another'))
    await network.settle()
    const [mine, theirs] = wire.near.sent as [Uint8Array, Uint8Array]
    writeHeader(mine, circuitIdOf(theirs), command.relay)
    wire.held = false
    await network.settle()
    expect(await other).toBe('cell-rejected')
    expect(tree.target.error).toBeUndefined()
    // The cell that went astray is missing now.
    expect(await network.run(outcomeOf(ask(tree.target, 'next')))).toBe('cell-rejected')
    await expectAnswers([tree.others[1]])
    await fell(tree)
  })
})

describe('a cell towards the client', () => {
  test('with any bit of its body flipped ends the branch, or the circuit where the trunk was hit', async () => {
    const flip = fc.tuple(
      linkArbitrary,
      fc.integer({ min: cellHeaderSize * 8, max: cellSize * 8 - 1 }),
      fc.constantFrom(10, 3000),
    )
    await fc.assert(
      fc.asyncProperty(flip, async ([link, bit, bytes]) => {
        const tree = await growTree()
        const { wire, outcome } = await stopAnswer(tree, link, bytes)
        changeFirst(wire.far.sent, (cell) => flipBit(cell, bit))
        await network.settle()
        const isFill = bit >= (cellHeaderSize + layerBodySize(link + 1)) * 8
        const code = isFill ? 'protocol-violation' : 'cell-rejected'
        expect(await outcome).toBe(code)
        if (link === 2 || isFill) {
          // A relay sees to its fill, so with that the branch is lost as on the way out; the client sees the rest.
          await expectLoss(tree, link, code)
        } else {
          // What the client cannot open at the entry or middle, it cannot give to a branch.
          for (const hop of [tree.entry, tree.middle, tree.target]) expect(hop.error?.code).toBe(code)
        }
        await fell(tree)
      }),
      { numRuns: 60 },
    )
  })

  test.each([
    ['replayed', (cells: Uint8Array[]) => cells.splice(1, 0, Uint8Array.from(cells[0] as Uint8Array))],
    ['overtaken by the next', (cells: Uint8Array[]) => cells.splice(0, 2, ...cells.slice(0, 2).reverse())],
    ['lost', (cells: Uint8Array[]) => cells.shift()],
  ])('that is %s between middle and gateway closes that branch only', async (_, spoil) => {
    const tree = await growTree()
    const { wire, outcome } = await stopAnswer(tree, 2, 3000)
    expect(wire.far.sent.length).toBeGreaterThan(2)
    spoil(wire.far.sent)
    await network.settle()
    expect(await outcome).toBe('cell-rejected')
    await expectLoss(tree, 2, 'cell-rejected')
    await fell(tree)
  })
})

describe('a flipped bit of a header', () => {
  // Links break here, so each run has relays of its own.
  beforeEach(async () => {
    network = await MemoryNetwork.create('entry', 'middle', 'gateway-1', 'gateway-2')
    return async () => {
      network = await MemoryNetwork.create('entry', 'middle', 'gateway-1', 'gateway-2')
    }
  })

  const everyFlip = [0, 1, 2].flatMap((link) => ['out', 'back'].map((way) => ({ link, way })))

  test.each(everyFlip)('on link $link on the way $way gives an error at the next cell at the latest', async (where) => {
    for (let bit = 0; bit < cellHeaderSize * 8; bit++) {
      const tree = await growTree()
      const bystander = await network.open('entry', 'gateway-2')
      const stop = where.way === 'out' ? stopQuestion : stopAnswer
      const { wire, outcome } = await stop(tree, where.link)
      changeFirst(where.way === 'out' ? wire.near.sent : wire.far.sent, (cell) => flipBit(cell, bit))
      await network.settle()
      const next = tree.target.error === undefined ? outcomeOf(ask(tree.target, 'next')) : outcome
      const codes: Outcome[] = ['cell-rejected', 'protocol-violation', 'link-lost']
      expect({ bit, next: codes.includes(await network.run(next)) }).toEqual({ bit, next: true })
      expect({ bit, first: codes.includes(await outcome) }).toEqual({ bit, first: true })
      // An unknown command ends the link and all on it. Everything else stays with the circuit it hit.
      const linkIsLost = wire.dead
      expect(linkIsLost).toBe(bit >= 4 * 8 + 2)
      if (!linkIsLost && where.link === 2) await expectAnswers([tree.entry, tree.middle, ...tree.others])
      if (linkIsLost && where.link === 2) await expectAnswers([tree.entry, tree.middle, tree.others[1]])
      await expectAnswers(bystander.hops)
      bystander.hops[0]?.close()
      await fell(tree)
    }
  })
})
