/** A scripted relay and the hops it holds: the far ends of a client's circuits, and a gateway that answers questions. */
import { fromUtf8, readU16, writeU16 } from '@nightjar/shared/bytes'
import { cellBodySize, goawayCell, HandshakeAssembler, splitHandshake } from '@nightjar/shared/cell'
import {
  type Accept,
  collect,
  decodeExtend,
  decodeKeep,
  decodeMessage,
  encodeBranchClosed,
  encodeBranchGoaway,
  encodeExtended,
  LayerCipher,
  layerBodySize,
  layerCapacity,
  layerSize,
  type Message,
  messageHeaderSize,
  messageType,
  noStream,
  type Stream,
  StreamMux,
  writeMessage,
} from '@nightjar/shared/circuit'
import type { DhKeyPair } from '@nightjar/shared/crypto'
import type { Relay } from '@nightjar/shared/directory'
import { counterOf, EnvelopeSession, sizeClass } from '@nightjar/shared/envelope'
import { type ErrorCode, toWire } from '@nightjar/shared/errors'
import { answerHandshake, type SessionKeys } from '@nightjar/shared/handshake'
import { limits } from '@nightjar/shared/limits'
import { decodeQuestion, encodeAnswer, type Outcome, type Question, service } from '@nightjar/shared/rpc'
import { type Clock, pause, second } from '@nightjar/shared/runtime'
import { decodeTarget, type Target, tcpService } from '@nightjar/shared/shield'
import type { LinkPair } from '@nightjar/shared/testing'
import { nativeCrypto as crypto } from '@nightjar/shared-node/crypto'

export const documentHash = new Uint8Array(32).fill(9)

/** What a client follows at a gateway. */
export interface Followed {
  readonly question: Question
  push(outcome: Outcome): void
  end(): void
  /** What it was ended with from the client's side. */
  endedWith: ErrorCode | undefined
}

/** The exit's end of a connection. */
export interface FakeConnection {
  readonly host: string
  readonly stream: Stream
  /** What came from the client, as text. */
  received: string
  /** What its stream was ended with from the client's side. */
  endedWith: ErrorCode | undefined
}

/** A relay of the test, with the switches that break it. */
export class FakeRelay {
  readonly relay: Relay
  readonly onion: DhKeyPair
  readonly envelope: DhKeyPair
  /** False: cannot be dialled or extended to. */
  up = true
  /** Swallows every cell, as a machine does that lost its power. */
  silent = false
  /** Has no room: what is to go on from it, or to it, is closed with `busy`. */
  busy = false
  /** Says this to every EXTEND, or nothing at all, and does all else. */
  refuses: ErrorCode | 'without a word' | undefined
  /** Milliseconds that it takes to each EXTEND. */
  extendsTake = 0
  /** As a middle: has it decide what becomes of a cell for a branch, or from one; `pass` lets it go on. */
  onDown: ((child: FakeHop, pass: () => void) => void) | undefined
  onUp: ((child: FakeHop, pass: () => void) => void) | undefined
  /** Milliseconds that a KEEP takes to it. */
  keepLatency = 0
  /** Its answers cannot be opened. */
  garbles = false
  /** EXTENDs that it was asked for. */
  extendsAsked = 0
  /** Network document that it believes in. */
  documentVersion = 1
  answer: (question: Question) => Outcome | Promise<Outcome> = () => ({ result: this.relay.name })
  readonly asked: Question[] = []
  readonly followed: Followed[] = []
  /** What becomes of a connection through this exit: the code that it is refused with, or undefined where it stays open. */
  connect: (target: Target) => ErrorCode | undefined | Promise<ErrorCode | undefined> = () => undefined
  /** Connections asked for here, those that were refused too. */
  readonly connections: FakeConnection[] = []
  readonly hops = new Set<FakeHop>()
  readonly links: LinkPair[] = []
  dials = 0

  constructor(relay: Relay, onion: DhKeyPair, envelope: DhKeyPair) {
    this.relay = relay
    this.onion = onion
    this.envelope = envelope
  }

  /** Ends everything that goes through it, as a process does that is killed; it stays away until `up` is set. */
  kill(): void {
    this.up = false
    for (const hop of [...this.hops]) hop.end('link-lost')
    for (const link of this.links.splice(0)) link.b.close('link-lost')
  }

  /** Says that it will stop, on its links and to those before it; it goes on working. */
  drain(seconds: number): void {
    for (const { b } of this.links) b.send(goawayCell(seconds))
    for (const hop of this.hops) hop.announceDrain(seconds)
  }

  secrets(key: DhKeyPair) {
    return {
      identity: this.relay.identity,
      findKey: () => key,
      document: { version: this.documentVersion, hash: documentHash },
    }
  }
}

/** What hops have in common. */
export interface Surroundings {
  readonly clock: Clock
  /** The relay of an identity. */
  find(identity: Uint8Array): FakeRelay
}

/** One hop of one circuit, at its relay. */
export class FakeHop {
  readonly owner: FakeRelay
  readonly children = new Map<number, FakeHop>()
  readonly #around: Surroundings
  readonly #depth: number
  readonly #forward: LayerCipher
  readonly #backward: LayerCipher
  readonly #up: (body: Uint8Array) => void
  readonly #onEnd: (code: ErrorCode) => void
  /** Has the hop before tell the client that this one's relay drains; the link tells of the entry. */
  readonly announceDrain: (seconds: number) => void
  readonly #streams: StreamMux
  #extend = new HandshakeAssembler()
  /** The hop before was told to keep it, whatever becomes of the circuit. */
  isKept = false

  constructor(around: Surroundings, owner: FakeRelay, depth: number, keys: SessionKeys, events: HopEvents) {
    this.#around = around
    this.owner = owner
    this.#depth = depth
    this.#forward = new LayerCipher(crypto, keys.forward)
    this.#backward = new LayerCipher(crypto, keys.backward)
    this.#up = events.up
    this.#onEnd = events.onEnd
    this.announceDrain = events.announceDrain
    this.#streams = new StreamMux(
      {
        capacity: layerCapacity(depth),
        writable: true,
        send: (type, stream, data) => this.#send(type, stream, data),
      },
      serviceOf(owner),
    )
    owner.hops.add(this)
  }

  receive(body: Uint8Array): void {
    if (this.owner.silent || !this.owner.hops.has(this)) return
    const length = layerBodySize(this.#depth)
    if (!this.#forward.open(body, 0, length)) throw new Error(`a cell does not open at ${this.owner.relay.name}`)
    const inner = body.subarray(layerSize, length)
    const branch = readU16(body, layerSize - 3)
    if (branch === 0) return this.#handle(decodeMessage(inner))
    const onward = new Uint8Array(cellBodySize)
    onward.set(inner)
    const child = this.children.get(branch)
    if (child === undefined) return
    const pass = () => child.receive(onward)
    if (this.owner.onDown !== undefined && this.#depth === 2) this.owner.onDown(child, pass)
    else pass()
  }

  /** Forgets the hop and all behind it, and tells the one before. */
  end(code: ErrorCode): void {
    if (!this.owner.hops.delete(this)) return
    for (const child of [...this.children.values()]) if (!child.isKept) child.end(code)
    this.#streams.closeAll('link-lost')
    this.#onEnd(code)
  }

  /** Sends a cell that does not open. */
  spoil(): void {
    this.#up(new Uint8Array(layerBodySize(this.#depth)).fill(1))
  }

  /** Ends the branch towards `name` only, with `code`. */
  closeBranchTo(name: string, code: ErrorCode): void {
    for (const child of [...this.children.values()]) if (child.owner.relay.name === name) child.end(code)
  }

  #handle({ type, stream, data }: Message): void {
    if (type === messageType.extend) return this.#handleExtend(data)
    if (type === messageType.truncate) return this.children.get(readU16(data, 0))?.end('done')
    if (type === messageType.keep) return this.#keep(decodeKeep(data))
    if (type === messageType.ping) return this.#send(messageType.pong, noStream, data)
    this.#streams.receive({ type, stream, data })
  }

  #handleExtend(data: Uint8Array): void {
    const whole = this.#extend.push(data)
    if (whole === undefined) return
    this.#extend = new HandshakeAssembler()
    const { branch, identity, hello } = decodeExtend(whole)
    void this.#grow(branch, this.#around.find(identity), Uint8Array.from(hello))
  }

  #keep({ branch, seconds }: { branch: number; seconds: number }): void {
    const child = this.children.get(branch)
    if (child === undefined) return
    child.isKept = true
    this.#around.clock.after(seconds * second + this.owner.keepLatency, () => child.end('branch-retired'))
  }

  async #grow(branch: number, target: FakeRelay, hello: Uint8Array): Promise<void> {
    this.owner.extendsAsked += 1
    const { refuses, extendsTake } = this.owner
    if (extendsTake > 0) await pause(this.#around.clock, extendsTake)
    if (refuses === 'without a word') return
    if (refuses !== undefined) return this.#sendClosed(branch, refuses)
    if (this.owner.busy || (target.up && target.busy)) return this.#sendClosed(branch, 'busy')
    if (!target.up) return this.#sendClosed(branch, 'connect-failed')
    if (target.silent) return
    const { reply, keys } = await answerHandshake(crypto, hello, target.secrets(target.onion))
    const child = new FakeHop(this.#around, target, this.#depth + 1, keys, {
      up: (body) => {
        const pass = () => this.#sendInner(body, branch)
        if (this.owner.onUp !== undefined && this.#depth === 2) this.owner.onUp(child, pass)
        else pass()
      },
      onEnd: (code) => {
        this.children.delete(branch)
        if (code !== 'done') this.#sendClosed(branch, code)
      },
      announceDrain: (seconds) => this.#send(messageType.branchGoaway, noStream, encodeBranchGoaway(branch, seconds)),
    })
    this.children.set(branch, child)
    const size = layerCapacity(this.#depth) - messageHeaderSize
    for (const part of splitHandshake(encodeExtended(branch, reply), size)) {
      this.#send(messageType.extended, noStream, part)
    }
  }

  #sendClosed(branch: number, code: ErrorCode): void {
    this.#send(messageType.branchClosed, noStream, encodeBranchClosed(branch, toWire(code)))
  }

  #send(type: number, stream: number, data: Uint8Array): void {
    const inner = new Uint8Array(layerCapacity(this.#depth))
    writeMessage(inner, 0, type, stream, data)
    this.#sendInner(inner, 0)
  }

  #sendInner(inner: Uint8Array, branch: number): void {
    if (this.owner.silent || !this.owner.hops.has(this)) return
    const body = new Uint8Array(layerBodySize(this.#depth))
    writeU16(body, layerSize - 3, branch)
    body.set(inner.subarray(0, body.length - layerSize), layerSize)
    this.#backward.seal(body, 0, body.length)
    this.#up(body)
  }
}

interface HopEvents {
  up(body: Uint8Array): void
  /** `done` where the client ended it. */
  onEnd(code: ErrorCode): void
  announceDrain(seconds: number): void
}

function serviceOf(owner: FakeRelay): Accept {
  const [exit, gateway] = [exitService(owner), gatewayService(owner)]
  return (stream, opening) => (opening.service === tcpService ? exit : gateway)(stream, opening)
}

/** An exit that is connected to nothing but the test. */
function exitService(owner: FakeRelay): Accept {
  return (stream, opening) => {
    const target = decodeTarget(opening.argument)
    const connection: FakeConnection = { host: target.host, stream, received: '', endedWith: undefined }
    owner.connections.push(connection)
    const answer = (code: ErrorCode | undefined) => (code === undefined ? stream.connected() : stream.reset(code))
    // After the handler is in place, which what is sent at once needs.
    void Promise.resolve(owner.connect(target)).then(answer)
    return {
      onData(data) {
        connection.received += fromUtf8(data)
        stream.consumed()
      },
      onEnd(code) {
        connection.endedWith = code
      },
    }
  }
}

/** The services of a gateway, without policy or cache: whatever `answer` says. */
function gatewayService(owner: FakeRelay): Accept {
  let session: EnvelopeSession | undefined

  async function greet(stream: Stream, hello: Uint8Array): Promise<void> {
    const { reply, keys } = await answerHandshake(crypto, hello, owner.secrets(owner.envelope))
    session = new EnvelopeSession(crypto, keys, 'gateway')
    stream.send(reply, true)
  }

  async function answer(stream: Stream, open: EnvelopeSession, record: Uint8Array): Promise<void> {
    const question = decodeQuestion(open.open(record))
    owner.asked.push(question)
    const text = encodeAnswer(await owner.answer(question))
    const cells = sizeClass(text.length, { minimum: 1, maximum: limits.answerCells, tooLarge: 'answer-too-large' })
    const sealed = open.seal(text, cells, counterOf(record))
    if (owner.garbles) sealed[sealed.length - 1] = (sealed[sealed.length - 1] ?? 0) ^ 1
    stream.send(sealed, true)
  }

  function follow(stream: Stream, open: EnvelopeSession, record: Uint8Array): Followed {
    const question = decodeQuestion(open.open(record))
    const followed: Followed = {
      question,
      push: (outcome) => stream.send(open.seal(encodeAnswer(outcome), question.cells, counterOf(record)), false),
      end: () => stream.send(new Uint8Array(0), true),
      endedWith: undefined,
    }
    owner.followed.push(followed)
    return followed
  }

  return (stream, opening) => {
    let followed: Followed | undefined
    const onMessage = (message: Uint8Array) => {
      const bytes = Uint8Array.from(message)
      if (opening.service === service.envelope) return void greet(stream, bytes)
      if (session === undefined) return
      if (opening.service === service.follow) followed = follow(stream, session, bytes)
      else void answer(stream, session, bytes)
    }
    const onFailure = (code: ErrorCode) => {
      if (followed !== undefined) followed.endedWith = code
    }
    return collect({ stream: () => stream, maxBytes: 1 << 20, onMessage, onFailure })
  }
}
