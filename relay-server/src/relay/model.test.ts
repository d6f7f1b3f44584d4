/**
 * The whole of the circuits against a model of them: a client grows, uses, renews, keeps and closes hops anywhere in its
 * trees, while links deliver in any order, fall behind and break. Afterwards the relays hold what the model holds.
 */
import { concat, isZero, readU32, u32 } from '@nightjar/shared/bytes'
import type { CircuitTable, Hop } from '@nightjar/shared/circuit'
import { pattern } from '@nightjar/shared/testing'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { limits } from '../limits/limits.ts'
import { ask, MemoryNetwork } from './testing/memoryNetwork.ts'
import { actionArbitrary, canGrow, Model, mostBranches, type Node, names } from './testing/model.ts'

/** Whether relays may still hold it though its client has lost it: it was to be kept, or what it grows from was. */
function mayBeLeft(node: Node): boolean {
  return node.isKept || (node.parent !== undefined && mayBeLeft(node.parent))
}

/** Everything that was stalled goes on, and all arrives; relays whose links were cut may be dialled again. */
async function calm(network: MemoryNetwork): Promise<void> {
  for (const wire of network.wires) {
    wire.near.resume()
    wire.far.resume()
  }
  await network.settle()
  network.clock.advance(limits.longestDialPause)
  await network.settle()
}

function checkClient(model: Model): void {
  for (const node of model.nodes) {
    // Opening always comes to an end, and a hop that stands was not to be lost.
    expect(node.hop === undefined).toBe(node.failure !== undefined)
    // No relay is two hops in a row, and none has more branches than it may.
    const isSame = node.relay === node.parent?.relay
    const isFull = node.parent !== undefined && node.beside.size >= mostBranches(node.parent)
    if (node.hop === undefined) {
      const refusals = [isSame ? 'refused' : undefined, isFull ? 'limit-reached' : undefined]
      expect(['link-lost', 'cancelled', 'timed-out', ...refusals]).toContain(node.failure)
    } else if (isSame) {
      expect.unreachable('a hop that extends to itself')
    } else if (node.hop.error === undefined) {
      expect([undefined, 'maybe']).toContain(node.doomed)
      expect(node.ends).toEqual([])
    } else {
      expect(node.doomed).toBeDefined()
      expect(node.ends).toHaveLength(1)
      expect(['link-lost', 'cancelled']).toContain(node.ends[0])
    }
    for (const { question, answer } of node.exchanges) {
      // An answer may have come before the end; a hop that stands owes one for every question.
      if (answer instanceof Uint8Array) expect(answer).toEqual(question)
      else expect({ answer, lost: node.hop?.error !== undefined }).toEqual({ answer: expect.any(String), lost: true })
    }
  }
}

function checkRelays(model: Model): void {
  const { network, live } = model
  const left = model.nodes.filter((node) => !live.includes(node) && mayBeLeft(node))
  let all = 0
  let grown = 0
  for (const { name, core, incoming, outgoing, sessions } of network.relays.values()) {
    const here = live.filter(({ relay }) => relay === name)
    const onward = live.filter(({ parent }) => parent?.relay === name)
    const sizes = (tables: readonly CircuitTable[]) => tables.reduce((sum, { size }) => sum + size, 0)
    const { circuits, branches } = core.counts
    all += circuits
    grown += branches
    expect({ name, in: sizes(incoming), out: sizes(outgoing) }).toEqual({ name, in: circuits, out: branches })
    // What is live, and of what was to be kept no more than there was.
    expect(circuits).toBeGreaterThanOrEqual(here.length)
    expect(circuits).toBeLessThanOrEqual(here.length + left.filter(({ relay }) => relay === name).length)
    expect(branches).toBeGreaterThanOrEqual(onward.length)
    expect(branches).toBeLessThanOrEqual(onward.length + left.filter(({ parent }) => parent?.relay === name).length)
    for (const { received } of sessions) {
      const labels = new Set(received.map((question) => readU32(question, 0)))
      expect(labels.size).toBeLessThanOrEqual(1)
      for (const label of labels) expect(model.nodes.find((node) => node.label === label)?.relay).toBe(name)
    }
  }
  // Each branch is a circuit of the next relay and has its place, and the others are those of clients.
  expect(network.places).toBe(grown)
  expect(all - grown).toBe(live.filter(({ parent }) => parent === undefined).length)
}

async function askEverywhere(model: Model): Promise<void> {
  for (const { hop, label } of model.live) {
    const question = concat(u32(label), pattern(2000, label))
    expect(await model.network.run(ask(hop as Hop, question))).toEqual(question)
  }
}

/** At no time has a hop more branches than it may. */
function checkBranches({ live }: Model): void {
  for (const node of live) expect(node.hop?.branches.length).toBeLessThanOrEqual(mostBranches(node))
}

/** There is room for as many as it may have, and the next is refused. */
async function fill(model: Model, parent: Node): Promise<void> {
  const grow = async () => {
    const node = model.grow(parent, names.find((name) => name !== parent.relay) as string)
    await model.network.settle()
    return node?.failure
  }
  const missing = mostBranches(parent) - (parent.hop as Hop).branches.length
  for (let count = 0; count < missing; count++) expect(await grow()).toBeUndefined()
  expect(await grow()).toBe('limit-reached')
}

/** The first middle, which has many, and all others. */
async function fillAll(model: Model): Promise<void> {
  const middle = model.live.find(({ hop }) => hop?.depth === 2)
  for (const node of model.live.filter(canGrow)) if (node.hop?.depth !== 2 || node === middle) await fill(model, node)
}

test('after any schedule surviving hops work, lost ones have ended with a code, and relays hold nothing else', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(actionArbitrary, { minLength: 60, maxLength: 200, size: 'max' }), async (actions) => {
      const network = await MemoryNetwork.create(...names)
      const model = new Model(network)
      model.open()
      model.open()
      await network.settle()
      // Most is to grow from middles.
      for (const entry of model.live) model.grow(entry, 'middle')
      await network.settle()
      for (const action of actions) {
        await model.apply(action)
        checkBranches(model)
      }
      await calm(network)
      checkClient(model)
      checkRelays(model)
      await fillAll(model)
      checkRelays(model)
      await askEverywhere(model)

      model.closeAll()
      await network.settle()
      checkClient(model)
      network.clock.advance(limits.keepLongest)
      await network.settle()
      const { circuits, entries, places } = network
      expect({ circuits, entries, places }).toEqual({ circuits: 0, entries: 0, places: 0 })
      for (const { core, sessions } of network.relays.values()) {
        expect(core.counts).toMatchObject({ branches: 0, keptBranches: 0, queued: { forward: 0, backward: 0 } })
        for (const session of sessions) expect(session.ended).toBe(true)
      }
      // Unused links close by themselves; then no timer is left either.
      network.clock.advance(2 * limits.linkIdle)
      await network.settle()
      expect(network.clock.pending).toBe(0)
      for (const { pool } of network.relays.values()) expect(pool.size).toBe(0)
      expect(network.misuses).toEqual([])
      for (const key of network.keys) expect(isZero(key)).toBe(true)
    }),
    // Shrinking takes minutes: leave `endOnFailure` out, and give the seed that failed, to get a short schedule.
    { numRuns: 40, endOnFailure: true },
  )
}, 60_000)
