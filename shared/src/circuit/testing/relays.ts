/**
 * The relays of one circuit, as the client's tests need them: real handshakes and layers, each hop's body shifted on a
 * wire of its own as docs/protocol.md says, and every answer under the test's control.
 */
import { isZero, readU16, writeU16 } from '../../bytes/index.ts'
import {
  bodyOf,
  cellBodySize,
  circuitIdOf,
  command,
  decodeDestroy,
  HandshakeAssembler,
  handshakeCells,
  makeCell,
  puzzleCell,
  splitHandshake,
} from '../../cell/index.ts'
import type { Crypto, DhKeyPair } from '../../crypto/index.ts'
import { nobleCrypto } from '../../crypto/noble.ts'
import { type ErrorCode, toWire } from '../../errors/index.ts'
import {
  answerHandshake,
  type Challenge,
  decodeCreate,
  type Responder,
  type SessionKeys,
} from '../../handshake/index.ts'
import { type LinkPair, pairOfLinks, pattern } from '../../testing/index.ts'
import {
  type Accept,
  CircuitTable,
  decodeExtend,
  decodeMessage,
  encodeBranchClosed,
  encodeExtended,
  LayerCipher,
  layerBodySize,
  layerCapacity,
  layerSize,
  type Message,
  messageHeaderSize,
  messageType,
  noStream,
  StreamMux,
  writeMessage,
} from '../index.ts'

const crypto: Crypto = nobleCrypto

/** A relay that answers handshakes: what the client knows of it, and its secret. */
export interface TestRelay extends Responder {
  readonly onion: DhKeyPair
  /** Network document that it believes in. */
  readonly document: { readonly version: number; readonly hash: Uint8Array }
}

export async function makeRelay(seed: number): Promise<TestRelay> {
  const onion = await crypto.dh.fromSecret(pattern(32, seed))
  return {
    identity: pattern(32, seed + 1),
    key: onion.publicKey,
    keyId: pattern(8, seed + 2),
    onion,
    document: { version: 40 + seed, hash: pattern(32, seed + 3) },
  }
}

function answer(relay: TestRelay, hello: Uint8Array) {
  return answerHandshake(crypto, hello, {
    identity: relay.identity,
    findKey: () => relay.onion,
    document: relay.document,
  })
}

/** Does as it is told with the next CREATE or EXTEND. `hold` keeps it until `release`. */
export type Answering = 'answer' | 'hold' | ErrorCode

/** One hop, as its relay holds it. */
export class RelayHop {
  readonly depth: number
  /** What the client sent to this hop besides EXTEND and, where it serves streams, stream messages. */
  readonly received: Message[] = []
  readonly branches = new Map<number, RelayHop>()
  /** The branch of each EXTEND that was asked for, in order. */
  readonly extends: number[] = []
  answering: Answering = 'answer'
  /** Applied to each sealed body on its way to the client. */
  spoil: (body: Uint8Array) => Uint8Array = (body) => body
  streams: StreamMux | undefined
  readonly #relays: TestRelays
  readonly #forward: LayerCipher
  readonly #backward: LayerCipher
  readonly #up: (body: Uint8Array) => void
  #extend = new HandshakeAssembler()
  #held: (() => void)[] = []

  constructor(relays: TestRelays, depth: number, keys: SessionKeys, up: (body: Uint8Array) => void) {
    this.#relays = relays
    this.depth = depth
    this.#forward = new LayerCipher(crypto, keys.forward)
    this.#backward = new LayerCipher(crypto, keys.backward)
    this.#up = up
  }

  /** Offers services on streams. */
  serve(accept: Accept): void {
    const channel = {
      capacity: layerCapacity(this.depth),
      writable: true,
      send: (type: number, stream: number, data: Uint8Array) => this.send(type, stream, data),
    }
    this.streams = new StreamMux(channel, accept)
  }

  /** A body of the client: L_depth bytes and zeros up to 1019. */
  receive(body: Uint8Array): void {
    const length = layerBodySize(this.depth)
    if (!isZero(body.subarray(length))) throw new Error(`fill at depth ${this.depth} is not zero`)
    if (!this.#forward.open(body, 0, length)) throw new Error(`a cell does not open at depth ${this.depth}`)
    if (body[layerSize - 1] !== 0) throw new Error('a delay was asked for')
    const inner = body.subarray(layerSize, length)
    const branch = readU16(body, layerSize - 3)
    if (branch === 0) return this.#handle(decodeMessage(inner))
    const onward = new Uint8Array(cellBodySize)
    onward.set(inner)
    this.branches.get(branch)?.receive(onward)
  }

  send(type: number, stream: number, data: Uint8Array): void {
    const inner = new Uint8Array(layerCapacity(this.depth))
    writeMessage(inner, 0, type, stream, data)
    this.sendInner(inner)
  }

  /** Seals anything at all as a body of this hop. */
  sendInner(inner: Uint8Array, branch = 0, delay = 0): void {
    const body = new Uint8Array(layerBodySize(this.depth))
    writeU16(body, layerSize - 3, branch)
    body[layerSize - 1] = delay
    body.set(inner, layerSize)
    this.#backward.seal(body, 0, body.length)
    this.#up(this.spoil(body))
  }

  closeBranch(branch: number, code: ErrorCode): void {
    this.branches.delete(branch)
    this.send(messageType.branchClosed, noStream, encodeBranchClosed(branch, toWire(code)))
  }

  /** Answers the EXTENDs that were held. */
  release(): void {
    for (const run of this.#held.splice(0)) run()
  }

  #handle(message: Message): void {
    if (message.type === messageType.extend) return this.#handleExtend(message.data)
    if (message.type === messageType.truncate) this.branches.delete(readU16(message.data, 0))
    if (this.streams !== undefined && message.type >= messageType.begin && message.type <= messageType.end) {
      return this.streams.receive(message)
    }
    this.received.push({ ...message, data: Uint8Array.from(message.data) })
  }

  #handleExtend(data: Uint8Array): void {
    const whole = this.#extend.push(data)
    if (whole === undefined) return
    this.#extend = new HandshakeAssembler()
    const { branch, identity, hello } = decodeExtend(whole)
    this.extends.push(branch)
    const relay = this.#relays.find(identity)
    const { answering } = this
    if (answering === 'hold') this.#held.push(() => void this.#grow(branch, relay, hello))
    else if (answering !== 'answer') this.closeBranch(branch, answering)
    else void this.#grow(branch, relay, hello)
  }

  async #grow(branch: number, relay: TestRelay, hello: Uint8Array): Promise<void> {
    const { reply, keys } = await answer(relay, hello)
    const up = (body: Uint8Array) => this.sendInner(body, branch)
    this.branches.set(branch, new RelayHop(this.#relays, this.depth + 1, keys, up))
    this.sendExtended(branch, reply)
  }

  sendExtended(branch: number, reply: Uint8Array): void {
    for (const part of splitHandshake(encodeExtended(branch, reply), layerCapacity(this.depth) - messageHeaderSize)) {
      this.send(messageType.extended, noStream, part)
    }
  }
}

/** The far side of the client's link: an entry for one circuit at a time, and all relays behind it. */
export class TestRelays {
  readonly pair: LinkPair
  readonly clientTable = new CircuitTable()
  readonly #table: CircuitTable
  readonly #known: readonly TestRelay[]
  answering: Answering = 'answer'
  /** Set before the next CREATEs are answered, one for each. */
  readonly puzzles: Challenge[] = []
  /** What came in CREATE, whole. */
  readonly creates: Uint8Array[] = []
  root: RelayHop | undefined
  /** Reasons of DESTROYs that the client sent. */
  readonly destroyed: number[] = []
  #hello = new HandshakeAssembler()
  #held: (() => void)[] = []
  #id = 0

  constructor(known: readonly TestRelay[]) {
    this.#known = known
    this.#table = new CircuitTable({ onCreate: (id, cell) => this.#accept(id, cell) })
    this.pair = pairOfLinks(this.clientTable, this.#table)
    this.clientTable.attach(this.pair.a)
    this.#table.attach(this.pair.b)
  }

  /** Sends a cell on the circuit, whatever it is. */
  sendCell(cellCommand: number, body: Uint8Array): void {
    this.pair.b.send(makeCell(this.#id, cellCommand, body))
  }

  find(identity: Uint8Array): TestRelay {
    const relay = this.#known.find((each) => each.identity.join() === identity.join())
    if (relay === undefined) throw new Error('the client asks for a relay that the test did not make')
    return relay
  }

  release(): void {
    for (const run of this.#held.splice(0)) run()
  }

  #accept(id: number, first: Uint8Array): void {
    this.#id = id
    this.#hello = new HandshakeAssembler()
    this.#table.add(id, {
      onCell: (cellCommand, cell) => this.#receive(cellCommand, cell),
      onLinkClosed() {},
    })
    this.#receive(command.create, first)
  }

  #receive(cellCommand: number, cell: Uint8Array): void {
    if (cellCommand === command.relay && this.root !== undefined) return this.root.receive(bodyOf(cell))
    if (cellCommand === command.destroy) {
      this.destroyed.push(decodeDestroy(cell))
      return this.#table.remove(circuitIdOf(cell))
    }
    if (cellCommand !== command.create) throw new Error(`the client sent command ${cellCommand} out of place`)
    const message = this.#hello.push(bodyOf(cell))
    if (message === undefined) return
    this.creates.push(message)
    const puzzle = this.puzzles.shift()
    if (puzzle !== undefined) {
      this.#table.remove(this.#id)
      return this.pair.b.send(puzzleCell(this.#id, puzzle))
    }
    const { hello } = decodeCreate(message)
    const { answering } = this
    if (answering === 'hold') this.#held.push(() => void this.#create(hello))
    else if (answering !== 'answer') this.sendCell(command.destroy, Uint8Array.of(toWire(answering)))
    else void this.#create(hello)
  }

  async #create(hello: Uint8Array): Promise<void> {
    const { reply, keys } = await answer(this.#known[0] as TestRelay, hello)
    this.root = new RelayHop(this, 1, keys, (body) => this.sendCell(command.relay, body))
    for (const cell of handshakeCells(this.#id, command.created, reply)) this.pair.b.send(cell)
  }
}
