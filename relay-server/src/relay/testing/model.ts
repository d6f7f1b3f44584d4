/**
 * What a client did with its circuits and what it has to have of them: the model of model.test.ts, and the actions that its
 * schedules are made of.
 */
import { concat, u32 } from '@nightjar/shared/bytes'
import { CircuitTable, type Hop, openCircuit } from '@nightjar/shared/circuit'
import type { ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { maxDepth } from '@nightjar/shared/handshake'
import { second } from '@nightjar/shared/runtime'
import { pattern, turn } from '@nightjar/shared/testing'
import fc from 'fast-check'
import { limits } from '../../limits/limits.ts'
import { ask, type MemoryNetwork, type Wire } from './memoryNetwork.ts'

export const names = ['entry', 'middle', 'gateway-1', 'gateway-2']

/** A hop that the client wants: on its way until `hop` or `failure` is there. */
export interface Node {
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
  /** Other branches of its parent that stood while it was on its way, or one that it may share its failure with. */
  readonly beside: Set<Node>
  readonly ends: ErrorCode[]
  readonly exchanges: Exchange[]
}

interface Exchange {
  readonly question: Uint8Array
  answer: Uint8Array | ErrorCode | undefined
}

const pick = fc.nat(1000)
const side = fc.constantFrom('near' as const, 'far' as const)
export const actionArbitrary = fc.oneof(
  { weight: 40, arbitrary: fc.record({ kind: fc.constant('deliver' as const), pick, side, cells: fc.nat(12) }) },
  { weight: 14, arbitrary: fc.record({ kind: fc.constant('deliverAll' as const) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('stall' as const), pick, side }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('resume' as const), pick, side }) },
  { weight: 14, arbitrary: fc.record({ kind: fc.constant('grow' as const), pick, relay: fc.constantFrom(...names) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('crowd' as const), pick, relay: fc.constantFrom(...names) }) },
  { weight: 20, arbitrary: fc.record({ kind: fc.constant('ask' as const), pick, bytes: fc.nat(3000) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('close' as const), pick }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('renew' as const), pick }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('keep' as const), pick }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cut' as const), pick }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('open' as const), pick }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), seconds: fc.nat(3) }) },
)
export type Action = typeof actionArbitrary extends fc.Arbitrary<infer T> ? T : never

export class Model {
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
        this.#growAny((node) => this.#hasRoom(node), action)
        break
      case 'crowd':
        this.#growAny((node) => !this.#hasRoom(node), action)
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

  /** One more branch of `parent`, be there room or not. */
  grow(parent: Node | undefined, relay: string): Node | undefined {
    if (parent?.hop === undefined) return undefined
    return this.#add(relay, parent, parent.table, parent.hop.extend(this.network.relay(relay).responder))
  }

  #growAny(where: (node: Node) => boolean, { pick, relay }: { pick: number; relay: string }): void {
    const parents = this.live.filter((node) => canGrow(node) && where(node))
    this.grow(this.#pick(parents, pick), relay)
  }

  /** What is on its way counts. */
  #hasRoom(node: Node): boolean {
    const children = this.nodes.filter(({ parent }) => parent === node)
    const all = children.filter(({ hop, failure }) => failure === undefined && hop?.error === undefined)
    return all.length < mostBranches(node)
  }

  #add(relay: string, parent: Node | undefined, table: CircuitTable, opening: Promise<Hop>): Node {
    this.#lastLabel += 1
    const isSibling = (each: Node) => parent !== undefined && each.parent === parent
    const ahead = this.nodes.filter((each) => isSibling(each) && each.relay === relay && isOnItsWay(each))
    const node: Node = {
      label: this.#lastLabel,
      relay,
      parent,
      table,
      hop: undefined,
      failure: undefined,
      doomed: undefined,
      isKept: false,
      beside: new Set([...this.live.filter(isSibling), ...ahead.flatMap(({ beside }) => [...beside])]),
      ends: [],
      exchanges: [],
    }
    this.nodes.push(node)
    opening.then(
      (hop) => {
        node.hop = hop
        for (const each of this.nodes.filter(isSibling)) if (isOnItsWay(each)) each.beside.add(node)
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

  /** As the host does it: the successor first, then the end of the old one; which goes on where there is no room for both. */
  #renew(node: Node | undefined): void {
    const successor = this.grow(node?.parent, node?.relay ?? '')
    if (successor === undefined) return
    const closeOld = async () => {
      while (isOnItsWay(successor)) await turn()
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

function isOnItsWay({ hop, failure }: Node): boolean {
  return hop === undefined && failure === undefined
}

/** How many branches a hop can have at once. */
export function mostBranches({ hop }: Node): number {
  return hop?.depth === 2 ? limits.branchesPerCircuit : limits.branchesBesideMiddle
}

export function canGrow({ hop }: Node): boolean {
  return hop !== undefined && hop.depth < maxDepth && hop.canExtend
}

function canRenew({ parent }: Node): boolean {
  return parent?.hop !== undefined && parent.hop.error === undefined && canGrow(parent)
}

function canKeep({ parent, isKept }: Node): boolean {
  return parent !== undefined && !isKept
}
