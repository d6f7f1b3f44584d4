/**
 * The whole of the circuits against a model of them: a client grows, uses, renews, keeps and closes hops anywhere in its
 * trees, while links deliver in any order, fall behind and break. Afterwards the relays hold what the model holds.
 */
import { concat, isZero, readU32, u32 } from '@nightjar/shared/bytes'
import { CircuitTable, type Hop, openCircuit } from '@nightjar/shared/circuit'
import type { ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { maxDepth } from '@nightjar/shared/handshake'
import { limits } from '@nightjar/shared/limits'
import { second } from '@nightjar/shared/runtime'
import { pattern, turn } from '@nightjar/shared/testing'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ask, MemoryNetwork, type Wire } from './testing/memoryNetwork.ts'

const names = ['entry', 'middle', 'gateway-1', 'gateway-2']

/** A hop that the client wants: on its way until `hop` or `failure` is there. */
interface Node {
  readonly label: number
  readonly relay: string
  readonly parent: Node | undefined
  /** The link of the client on which its circuit is. */
  readonly table: CircuitTable
  hop: Hop | undefined
  failure: ErrorCode | undefined
  /** Why it must end with that code; `maybe` for one that was on its way when a link broke. */
  doomed: ErrorCode | 'maybe' | undefined
  /** Its relay was asked to keep it, and may have heard so. */
  isKept: boolean
  readonly ends: ErrorCode[]
  readonly exchanges: Exchange[]
}

interface Exchange {
  readonly question: Uint8Array
  answer: Uint8Array | ErrorCode | undefined
}

const pick = fc.nat(1000)
const side = fc.constantFrom('near' as const, 'far' as const)
const actionArbitrary = fc.oneof(
  { weight: 40, arbitrary: fc.record({ kind: fc.constant('deliver' as const), pick, side, cells: fc.nat(12) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('deliverAll' as const) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('stall' as const), pick, side }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('resume' as const), pick, side }) },
  { weight: 14, arbitrary: fc.record({ kind: fc.constant('grow' as const), pick, relay: fc.constantFrom(...names) }) },
  { weight: 20, arbitrary: fc.record({ kind: fc.constant('ask' as const), pick, bytes: fc.nat(3000) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('close' as const), pick }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('renew' as const), pick }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('keep' as const), pick }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cut' as const), pick }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('open' as const), pick }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), seconds: fc.nat(3) }) },
)
type Action = typeof actionArbitrary extends fc.Arbitrary<infer T> ? T : never

class Model {
  readonly network: MemoryNetwork
  readonly nodes: Node[] = []
  #lastLabel = 0
  #table: CircuitTable | undefined

  constructor(network: MemoryNetwork) {
    this.network = network
  }

  async apply(action: Action): Promise<void> {
    switch (action.kind) {
      case 'deliver':
        this.#pick(this.network.wires, action.pick)?.deliver(action.side, action.cells + 1)
        break
      case 'deliverAll':
        this.network.deliverAll()
        break
      case 'stall':
        this.#pick(this.network.wires, action.pick)?.[action.side].stall()
        break
      case 'resume':
        this.#pick(this.network.wires, action.pick)?.[action.side].resume()
        break
      case 'open':
        this.open()
        break
      case 'grow':
        this.#grow(this.#pick(this.live.filter(canGrow), action.pick), action.relay)
        break
      case 'ask':
        this.#ask(this.#pick(this.live, action.pick), action.bytes)
        break
      case 'close':
        this.#close(this.#pick(this.live, action.pick))
        break
      case 'renew':
        this.#renew(this.#pick(this.live.filter(canRenew), action.pick))
        break
      case 'keep':
        this.#keep(this.#pick(this.live.filter(canKeep), action.pick))
        break
      case 'cut':
        this.#cut(this.#pick(this.network.wires, action.pick))
        break
      case 'wait':
        this.network.clock.advance(action.seconds * second)
        break
    }
    await turn()
  }

  /** Hops that stand, as the client sees it. */
  get live(): Node[] {
    return this.nodes.filter(({ hop }) => hop !== undefined && hop.error === undefined)
  }

  /** A fresh circuit, on a link that all circuits of the client share. */
  open(): void {
    if (this.#table === undefined || this.#table.link.closed) {
      this.#table = new CircuitTable()
      this.network.connect(this.#table, 'entry')
    }
    const { responder } = this.network.relay('entry')
    this.#add('entry', undefined, this.#table, openCircuit(this.#table, responder, this.network.context))
  }

  closeAll(): void {
    for (const node of this.live.filter(({ parent }) => parent === undefined)) this.#close(node)
  }

  #grow(parent: Node | undefined, relay: string): Node | undefined {
    if (parent?.hop === undefined) return undefined
    return this.#add(relay, parent, parent.table, parent.hop.extend(this.network.relay(relay).responder))
  }

  #add(relay: string, parent: Node | undefined, table: CircuitTable, opening: Promise<Hop>): Node {
    this.#lastLabel += 1
    const node: Node = {
      label: this.#lastLabel,
      relay,
      parent,
      table,
      hop: undefined,
      failure: undefined,
      doomed: undefined,
      isKept: false,
      ends: [],
      exchanges: [],
    }
    this.nodes.push(node)
    opening.then(
      (hop) => {
        node.hop = hop
        hop.onClosed((error) => void node.ends.push(error.code))
      },
      (error: NightjarError) => {
        node.failure = error.code
      },
    )
    return node
  }

  #ask(node: Node | undefined, bytes: number): void {
    if (node?.hop === undefined || !node.hop.streams.canOpen) return
    const question = concat(u32(node.label), pattern(bytes, node.exchanges.length))
    const exchange: Exchange = { question, answer: undefined }
    node.exchanges.push(exchange)
    ask(node.hop, question).then(
      (answer) => {
        exchange.answer = answer
      },
      (error: NightjarError) => {
        exchange.answer = error.code
      },
    )
  }

  #close(node: Node | undefined): void {
    if (node?.hop === undefined) return
    this.#doom(node, 'cancelled')
    node.hop.close()
  }

  /** For longer than any schedule takes. */
  #keep(node: Node | undefined): void {
    if (node === undefined) return
    node.isKept = true
    node.hop?.keep(limits.keepLongest / second)
  }

  /** As the host does it: the successor first, then the end of the old one. */
  #renew(node: Node | undefined): void {
    const successor = this.#grow(node?.parent, node?.relay ?? '')
    if (successor === undefined) return
    const closeOld = async () => {
      while (successor.hop === undefined && successor.failure === undefined) await turn()
      if (successor.hop !== undefined) this.#close(node)
    }
    void closeOld()
  }

  /** The link breaks: everything that runs over it is lost, and what was just growing over it may be. */
  #cut(wire: Wire | undefined): void {
    if (wire === undefined) return
    for (const node of this.nodes) {
      const { from } = wire
      const crosses =
        node.parent === undefined
          ? from === 'client' && node.table.link === wire.near
          : node.parent.relay === from && node.relay === wire.to
      if (!crosses) continue
      if (node.hop === undefined) node.doomed ??= 'maybe'
      else this.#doom(node, 'link-lost')
    }
    wire.cut()
  }

  #doom(node: Node, code: ErrorCode): void {
    node.doomed ??= code
    for (const child of this.nodes) if (child.parent === node) this.#doom(child, code)
  }

  #pick<T>(list: readonly T[], index: number): T | undefined {
    const usable = list.filter((each) => !(each instanceof Object && 'dead' in each && each.dead === true))
    return usable[index % Math.max(usable.length, 1)]
  }
}

function canGrow({ hop }: Node): boolean {
  return hop !== undefined && hop.depth < maxDepth && hop.canExtend
}

function canRenew({ parent }: Node): boolean {
  return parent?.hop !== undefined && parent.hop.error === undefined && canGrow(parent)
}

function canKeep({ parent, isKept }: Node): boolean {
  return parent !== undefined && !isKept
}

/** Whether relays may still hold it though its client has lost it: it was to be kept, or what it grows from was. */
function mayBeLeft(node: Node): boolean {
  return node.isKept || (node.parent !== undefined && mayBeLeft(node.parent))
}

/** Everything that was stalled goes on, and all arrives. */
async function calm(network: MemoryNetwork): Promise<void> {
  for (const wire of network.wires) {
    wire.near.resume()
    wire.far.resume()
  }
  await network.settle()
}

function checkClient(model: Model): void {
  for (const node of model.nodes) {
    // Opening always comes to an end, and a hop that stands was not to be lost.
    expect(node.hop === undefined).toBe(node.failure !== undefined)
    // No relay is two hops in a row.
    const isSame = node.relay === node.parent?.relay
    if (node.hop === undefined) {
      expect(['link-lost', 'cancelled', 'timed-out', isSame ? 'refused' : undefined]).toContain(node.failure)
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

test('after any schedule surviving hops work, lost ones have ended with a code, and relays hold nothing else', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(actionArbitrary, { minLength: 60, maxLength: 200, size: 'max' }), async (actions) => {
      const network = await MemoryNetwork.create(...names)
      const model = new Model(network)
      model.open()
      model.open()
      await network.settle()
      for (const action of actions) await model.apply(action)
      await calm(network)
      checkClient(model)
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
