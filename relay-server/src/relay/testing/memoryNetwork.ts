/**
 * Relays without sockets: real circuits, links of the memory. A cell moves only when the test delivers it, so a test
 * decides every order of events. Each relay serves `echo` and a few services that behave badly on purpose.
 */
import { hex, isZero, readU32, utf8 } from '@nightjar/shared/bytes'
import {
  type Accept,
  type CircuitContext,
  CircuitTable,
  collect,
  type Hop,
  openCircuit,
  type Stream,
} from '@nightjar/shared/circuit'
import type { Crypto } from '@nightjar/shared/crypto'
import { type Relay, responderOf } from '@nightjar/shared/directory'
import { type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import type { Responder } from '@nightjar/shared/handshake'
import { limits } from '@nightjar/shared/limits'
import { day } from '@nightjar/shared/runtime'
import { FakeClock, ScriptedLink, turn } from '@nightjar/shared/testing'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import type { Dial } from '@nightjar/shared-node/link'
import type { RelayBounds } from '../../limits/bounds.ts'
import type { NextTurn } from '../../limits/handshakeQueue.ts'
import { HandshakeGate } from '../../limits/handshakes.ts'
import type { Refusal } from '../../limits/refusal.ts'
import type { CircuitHost } from '../host.ts'
import type { Direction } from '../meter.ts'
import { LinkPool, type Place } from '../pool.ts'
import { createRelay, type RelayCore } from '../relay.ts'

export type Side = 'near' | 'far'

/** One link: `near` is the end that dialled. */
export class Wire {
  readonly from: string
  readonly to: string
  readonly near: ScriptedLink
  readonly far: ScriptedLink
  /** Keeps everything on its way. */
  held = false

  constructor(from: string, to: string, nearTable: CircuitTable, farTable: CircuitTable) {
    this.from = from
    this.to = to
    this.near = new ScriptedLink(nearTable)
    this.far = new ScriptedLink(farTable)
    nearTable.attach(this.near)
    farTable.attach(this.far)
  }

  get dead(): boolean {
    return this.near.closed || this.far.closed
  }

  /** Moves up to `cells` cells towards `side`, then a close. False where nothing was on its way. */
  deliver(side: Side, cells = Number.POSITIVE_INFINITY): boolean {
    if (this.held) return false
    const [from, to] = side === 'far' ? [this.near, this.far] : [this.far, this.near]
    let moved = 0
    for (; moved < cells && from.sent.length > 0; moved++) to.receive(from.sent.shift() as Uint8Array)
    const closes = from.closedWith !== undefined && from.sent.length === 0 && !to.closed
    if (closes) to.lose(from.closedWith)
    return moved > 0 || closes
  }

  /** It breaks: what is on its way is lost, and both ends are told. */
  cut(): void {
    this.near.take()
    this.far.take()
    this.near.lose()
    this.far.lose()
  }
}

/** What one circuit's services saw. */
export interface Session {
  readonly streams: Stream[]
  readonly received: Uint8Array[]
  ended: boolean
}

export interface MemoryRelay {
  readonly name: string
  readonly relay: Relay
  readonly responder: Responder
  readonly core: RelayCore
  readonly pool: LinkPool
  /** Of the links that came in, and of those it dialled. */
  readonly incoming: CircuitTable[]
  readonly outgoing: CircuitTable[]
  readonly sessions: Session[]
}

/** A cell that a relay has timed. */
export interface TimedCell {
  readonly relay: string
  readonly direction: Direction
  readonly milliseconds: number
}

export class MemoryNetwork {
  readonly clock = new FakeClock()
  readonly wires: Wire[] = []
  readonly relays = new Map<string, MemoryRelay>()
  /** Names of relays that cannot be dialled. */
  readonly unreachable = new Set<string>()
  /** Names of relays that nobody finds in the network document. */
  readonly unknown = new Set<string>()
  /** Services by the names of relays that have others than those of the tests. */
  readonly services = new Map<string, CircuitHost['serve']>()
  /** By the names of relays, for links to come: what else than a generous one decides on handshakes. */
  readonly gates = new Map<string, Pick<HandshakeGate, 'link'>>()
  /** When relays do what they put off: at once, unless a test says otherwise. */
  nextTurn: NextTurn = (action) => action()
  /** Circuits that each relay may have. */
  mostCircuits = Number.POSITIVE_INFINITY
  /** Circuits that each relay gives one link that is no relay's. */
  mostOfClientLink = Number.POSITIVE_INFINITY
  /** What each relay may have waiting. */
  queuedCells = Number.POSITIVE_INFINITY
  /** Places on links between relays that somebody took and has not left. */
  places = 0
  /** What relays refused. */
  readonly refused: Refusal[] = []
  /** Seals with a key that was wiped, or with a key and a nonce that were used before: must stay empty. */
  readonly misuses: string[] = []
  readonly timed: TimedCell[] = []
  /** Every key of a layer that sealed anything, as its owner holds it. */
  readonly keys = new Set<Uint8Array>()
  readonly #crypto = watchSeals(this.misuses, this.keys)
  readonly context: CircuitContext = { crypto: this.#crypto, clock: this.clock }

  static async create(...names: readonly string[]): Promise<MemoryNetwork> {
    const network = new MemoryNetwork()
    for (const name of names) network.relays.set(name, await network.#makeRelay(name))
    return network
  }

  relay(name: string): MemoryRelay {
    return this.relays.get(name) as MemoryRelay
  }

  /** The link between two relays (or the client) that is open now. */
  wire(from: string, to: string): Wire {
    return this.wires.find((wire) => wire.from === from && wire.to === to && !wire.dead) as Wire
  }

  /** A link of `table` to the relay called `to`, which sees it come from `address`, or from the relay called `from`. */
  connect(table: CircuitTable, to: string, from = 'client', address?: string): Wire {
    const relay = this.relay(to)
    const incoming = relay.core.accept(address, this.relays.get(from)?.relay.identity)
    relay.incoming.push(incoming)
    const wire = new Wire(from, to, table, incoming)
    this.wires.push(wire)
    return wire
  }

  /** Delivers until nothing moves any more. */
  async settle(): Promise<void> {
    do {
      await turn()
    } while (this.deliverAll())
  }

  /** Delivers what is on its way now, without letting promises go on. False where that is nothing. */
  deliverAll(): boolean {
    let moved = false
    for (const wire of [...this.wires]) {
      moved = wire.deliver('far') || moved
      moved = wire.deliver('near') || moved
    }
    return moved
  }

  /** `promise`, with everything delivered meanwhile. */
  async run<T>(promise: Promise<T>): Promise<T> {
    // Looked at below; without this a rejection would count as unhandled while the network settles.
    promise.catch(() => undefined)
    await this.settle()
    return promise
  }

  /** The hops of a fresh circuit of a client through the relays of these names, on one link. */
  async open(...names: readonly [string, ...string[]]): Promise<{ table: CircuitTable; wire: Wire; hops: Hop[] }> {
    const table = new CircuitTable()
    const wire = this.connect(table, names[0])
    const hops: Hop[] = []
    for (const name of names) hops.push(await this.grow(hops.at(-1) ?? table, name))
    return { table, wire, hops }
  }

  /** One more hop: a circuit's first on a table, or a branch of a hop. */
  grow(parent: CircuitTable | Hop, name: string): Promise<Hop> {
    const { responder } = this.relay(name)
    return this.run(
      parent instanceof CircuitTable ? openCircuit(parent, responder, this.context) : parent.extend(responder),
    )
  }

  /** Circuits held by all relays together. */
  get circuits(): number {
    return [...this.relays.values()].reduce((sum, { core }) => sum + core.counts.circuits, 0)
  }

  /** Entries of the tables of all links of all relays: two for each branch, one for each circuit of a client. */
  get entries(): number {
    const tables = [...this.relays.values()].flatMap(({ incoming, outgoing }) => [...incoming, ...outgoing])
    return tables.reduce((sum, table) => sum + table.size, 0)
  }

  async #makeRelay(name: string): Promise<MemoryRelay> {
    const crypto = this.#crypto
    const keyPair = await crypto.dh.generate()
    const relay = describeRelay(name, keyPair.publicKey, this.clock.now())
    const incoming: CircuitTable[] = []
    const outgoing: CircuitTable[] = []
    const sessions: Session[] = []
    const dial: Dial = async ({ url, table }) => {
      const to = new URL(url).pathname.slice(1)
      if (this.unreachable.has(to)) throw new NightjarError('connect-failed')
      outgoing.push(table)
      return this.connect(table, to, name).near
    }
    const bounds = this.#bounds(name)
    const { onRefused } = bounds
    const prove = async () => 'a proof'
    const pool = new LinkPool({ dial, clock: this.clock, idleAfter: limits.linkIdle, onRefused, prove })
    const findRelay = (identity: Uint8Array) => {
      const found = [...this.relays.values()].find(({ relay }) => relay.id === hex(identity))
      return found === undefined || this.unknown.has(found.name) ? undefined : found.relay
    }
    const core = createRelay(
      {
        crypto,
        clock: this.clock,
        nextTurn: (action) => this.nextTurn(action),
        secrets: () => ({
          identity: relay.identity,
          findKey: (keyId) => (hex(keyId) === hex(relay.onionKeys[0]?.id as Uint8Array) ? keyPair : undefined),
          document: { version: 1, hash: new Uint8Array(32) },
        }),
        findRelay,
        isRelay: (identity) => findRelay(identity) !== undefined,
        placeTo: async (target, origin) => this.#counted(await pool.placeTo(target, origin)),
        serve: (onEnded) => {
          const own = this.services.get(name)
          if (own !== undefined) return own(onEnded)
          const session: Session = { streams: [], received: [], ended: false }
          sessions.push(session)
          onEnded(() => {
            session.ended = true
          })
          return serveTests(session)
        },
      },
      bounds,
      (direction, milliseconds) => this.timed.push({ relay: name, direction, milliseconds }),
    )
    const responder = responderOf(relay, 'onion', this.clock.now())
    return { name, relay, responder, core, pool, incoming, outgoing, sessions }
  }

  #counted({ table, leave, refused }: Place): Place {
    this.places += 1
    return {
      table,
      refused,
      leave: () => {
        this.places -= 1
        leave()
      },
    }
  }

  #bounds(name: string): RelayBounds {
    const onRefused = (refusal: Refusal) => void this.refused.push(refusal)
    const generous = new HandshakeGate({ crypto: nativeCrypto, clock: this.clock, perSecond: 1e9, onRefused })
    const [circuits, ofClientLink] = [() => this.mostCircuits, () => this.mostOfClientLink]
    const queuedCells = () => this.queuedCells
    return {
      handshakes: { link: () => (this.gates.get(name) ?? generous).link() },
      get circuits() {
        return circuits()
      },
      get circuitsOfClientLink() {
        return ofClientLink()
      },
      get queuedCells() {
        return queuedCells()
      },
      onRefused,
    }
  }
}

function watchSeals(misuses: string[], keys: Set<Uint8Array>): Crypto {
  const used = new Set<string>()
  return {
    ...nativeCrypto,
    aead: {
      ...nativeCrypto.aead,
      seal(key, nonce, associated, data, tag) {
        const use = `${hex(key)} ${hex(nonce)}`
        if (isZero(key)) misuses.push('a wiped key')
        if (used.has(use)) misuses.push('a nonce twice')
        used.add(use)
        keys.add(key)
        nativeCrypto.aead.seal(key, nonce, associated, data, tag)
      },
    },
  }
}

/** What the network document says of a relay. */
export function describeRelay(name: string, onionKey: Uint8Array, now: number): Relay {
  const identity = nativeCrypto.randomBytes(32)
  return {
    version: 1,
    id: hex(identity),
    identity,
    name,
    onionKeys: [{ id: nativeCrypto.randomBytes(8), key: onionKey, validAfter: now - day, validUntil: now + 365 * day }],
    envelopeKeys: [],
    addresses: [{ url: `ws://127.0.0.1/${name}` }],
    roles: ['relay'],
    region: 'test',
    chains: [],
    capacity: 1000,
    software: 'test',
    published: now,
    operator: name,
    networks: [name],
  }
}

/** `echo` answers with the question; `pour` with as many bytes as the argument says; `sink` takes and never credits. */
function serveTests(session: Session): Accept {
  return (stream, { service, argument }) => {
    session.streams.push(stream)
    const answer = (message: Uint8Array) => {
      session.received.push(message)
      stream.send(service === 'pour' ? new Uint8Array(readU32(argument, 0)).fill(7) : message, true)
    }
    if (service === 'sink') return { onData() {}, onEnd() {} }
    if (service !== 'echo' && service !== 'pour') return 'unknown-service'
    return collect({ stream: () => stream, maxBytes: 1024 * 1024, onMessage: answer, onFailure() {} })
  }
}

const nothing = new Uint8Array(0)

/** Asks a hop's service. Rejects with the code that the stream ended with. */
export function ask(
  hop: Hop,
  data: Uint8Array | string,
  options: { service?: string; argument?: Uint8Array } = {},
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let stream: Stream | undefined
    const handler = collect({
      stream: () => stream as Stream,
      maxBytes: 8 * 1024 * 1024,
      onMessage: resolve,
      onFailure: (code: ErrorCode) => reject(new NightjarError(code)),
    })
    const { service = 'echo', argument = nothing } = options
    const bytes = typeof data === 'string' ? utf8(data) : data
    stream = hop.streams.open(service, argument, handler, { data: bytes, end: true })
  })
}
