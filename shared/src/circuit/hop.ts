/**
 * One hop of a circuit, as the client holds it: its layer's keys, the branches that grow from it, and its streams.
 */
import { readU16, writeU16 } from '../bytes/index.ts'
import { cellSize, splitHandshake } from '../cell/index.ts'
import type { Crypto } from '../crypto/index.ts'
import { asNightjarError, type ErrorCode, fromWire, NightjarError, violation } from '../errors/index.ts'
import { type DocumentStamp, purpose, type Responder, type SessionKeys, startHandshake } from '../handshake/index.ts'
import { limits } from '../limits.ts'
import { type Clock, minute, second, within } from '../runtime.ts'
import { Extending } from './extending.ts'
import {
  decodeBranchClosed,
  decodeBranchGoaway,
  decodeMessage,
  encodeExtend,
  encodeKeep,
  type Message,
  messageHeaderSize,
  messageType,
  noStream,
  pingSize,
  writeMessage,
} from './message.ts'
import { LayerCipher, layerCapacity, layerOffset, layerSize } from './onion.ts'
import type { Channel } from './stream.ts'
import { StreamMux } from './streams.ts'

/** Called once when a hop and all below it are gone. */
export type Closed = (error: NightjarError) => void

/** Called once when a hop is to be left, while it still works; with the seconds for which it will, where they were told. */
export type Goaway = (seconds: number) => void

export interface CircuitContext {
  readonly crypto: Crypto
  readonly clock: Clock
  /** Told which network document each relay believes in. */
  onDocument?(stamp: DocumentStamp): void
}

/** What a hop needs of the circuit that it belongs to. */
export interface HopCircuit {
  readonly context: CircuitContext
  /** False while the link is behind; asking then means being pumped once it is not. */
  readonly writable: boolean
  /** One cell's room, filled and sent in one go. */
  readonly scratch: Uint8Array
  sendScratch(): void
  close(code: ErrorCode): void
}

/** One hop of a circuit, as the client holds it. Made by `openCircuit` and `Hop.extend`. */
export class Hop {
  readonly depth: number
  readonly streams: StreamMux
  /** When something last came from this hop, in the clock's elapsed milliseconds. */
  lastHeard: number
  readonly #circuit: HopCircuit
  readonly #parent: { hop: Hop; branch: number } | undefined
  readonly #forward: LayerCipher
  readonly #backward: LayerCipher
  readonly #children = new Map<number, Hop>()
  readonly #pings = new Map<string, () => void>()
  readonly #extending = new Extending()
  #error: NightjarError | undefined
  readonly #closedListeners: Closed[] = []
  /** Until when, in the clock's elapsed milliseconds, where the hop before it was told to keep it. */
  #keptUntil: number | undefined
  /** It is there for the one branch that grows from it, and ends with that. */
  #isBetween = false
  #goaway: number | undefined
  readonly #goawayListeners: Goaway[] = []

  constructor(circuit: HopCircuit, keys: SessionKeys, parent?: { hop: Hop; branch: number }) {
    this.#circuit = circuit
    this.#parent = parent
    this.depth = parent === undefined ? 1 : parent.hop.depth + 1
    this.#forward = new LayerCipher(circuit.context.crypto, keys.forward)
    this.#backward = new LayerCipher(circuit.context.crypto, keys.backward)
    this.lastHeard = circuit.context.clock.elapsed()
    const channel: Channel = {
      capacity: layerCapacity(this.depth),
      get writable() {
        return circuit.writable
      },
      send: (type, stream, data) => this.#send(type, stream, data),
    }
    this.streams = new StreamMux(channel)
  }

  get error(): NightjarError | undefined {
    return this.#error
  }

  /** The hop that this one is a branch of; undefined for the entry. */
  get parent(): Hop | undefined {
    return this.#parent?.hop
  }

  /** The hops that are branches of this one now. */
  get branches(): readonly Hop[] {
    return [...this.#children.values()]
  }

  get branchCount(): number {
    return this.#children.size
  }

  /** Whether there is room for another branch: 32 at a time, and 65535 in a circuit's life. */
  get canExtend(): boolean {
    return !this.isUsedUp && this.#children.size < limits.branchesPerCircuit
  }

  /** Whether all branch numbers were given; the circuit then has to be replaced. */
  get isUsedUp(): boolean {
    return this.#extending.isUsedUp
  }

  /** Whether the hop before it was told to keep it. */
  get isKept(): boolean {
    return this.#keptUntil !== undefined
  }

  /** Whether it was kept for as long as it was to be, by a clock that may be a little slower than the keeper's. */
  get isTimeOver(): boolean {
    return this.#keptUntil !== undefined && this.#circuit.context.clock.elapsed() >= this.#keptUntil - 1 * minute
  }

  onClosed(listener: Closed): void {
    if (this.#error === undefined) this.#closedListeners.push(listener)
    else listener(this.#error)
  }

  onGoaway(listener: Goaway): void {
    if (this.#goaway === undefined) this.#goawayListeners.push(listener)
    else listener(this.#goaway)
  }

  /** The hop is to be left: its relay drains, or (with 0 seconds) what it grows from is being replaced. */
  goaway(seconds: number): void {
    if (this.#goaway !== undefined || this.#error !== undefined) return
    this.#goaway = seconds
    for (const listener of this.#goawayListeners.splice(0)) listener(seconds)
  }

  /**
   * Grows a branch to `relay`. Calls are served one after the other (one EXTEND pending per hop).
   * @throws NightjarError what the hop answered, `timed-out`, or `handshake-failed`; the same one for all that waited for it
   */
  extend(relay: Responder): Promise<Hop> {
    return this.#extending.queue.add(relay.identity, () => this.#extendNow(relay))
  }

  /**
   * Grows a branch to `relay` with `inner` between, which is there for that alone and ends with it.
   * @param onInnerFailed told before it throws because of `inner`
   * @throws NightjarError as `extend`
   */
  async extendThrough(inner: Responder, relay: Responder, onInnerFailed: () => void): Promise<Hop> {
    const between = await this.extend(inner).catch((error: unknown) => {
      onInnerFailed()
      throw error
    })
    between.#isBetween = true
    try {
      return await between.extend(relay)
    } catch (error) {
      if (between.error !== undefined) onInnerFailed()
      between.close()
      throw error
    }
  }

  /** Resolves when the hop has answered. Never rejects; use with a time-out. */
  ping(): Promise<void> {
    return new Promise((resolve) => {
      const token = this.#circuit.context.crypto.randomBytes(pingSize)
      this.#pings.set(token.join(), resolve)
      this.#send(messageType.ping, noStream, token)
    })
  }

  /** Sends cover that this hop drops. */
  drop(): void {
    this.#send(messageType.drop, noStream, new Uint8Array(0))
  }

  /**
   * Has the hop that this branch grows from keep it for so many seconds, whatever becomes of the circuit, and end it then;
   * and the hop before that, where this is there for the branch alone. Once for each, and not for the entry, which is no
   * branch.
   */
  keep(seconds: number): void {
    if (this.#parent === undefined) throw new Error('the entry is no branch to keep')
    const { hop, branch } = this.#parent
    if (this.#error !== undefined) return
    this.#keptUntil = this.#circuit.context.clock.elapsed() + seconds * second
    hop.#send(messageType.keep, noStream, encodeKeep({ branch, seconds }))
    if (hop.#isBetween) hop.keep(seconds)
  }

  /** Ends this hop and all below it; the entry's end is the circuit's. */
  close(code: ErrorCode = 'cancelled'): void {
    if (this.#error !== undefined) return
    if (this.#parent === undefined) return this.#circuit.close(code)
    const { hop, branch } = this.#parent
    hop.#truncate(branch)
    this.fail(new NightjarError(code))
    hop.#closeIfOver()
  }

  /** For the circuit: this hop and all below it are gone. */
  fail(error: NightjarError): void {
    if (this.#error !== undefined) return
    this.#error = error
    if (this.#parent !== undefined) this.#parent.hop.#children.delete(this.#parent.branch)
    // What ends with the hop before it was lost, and not replaced; but one that is there for it alone ends at the same time.
    const isReplaced = error.code === 'branch-retired' && !this.#isBetween
    const below = isReplaced ? new NightjarError('link-lost', { cause: error }) : error
    for (const child of [...this.#children.values()]) child.fail(below)
    this.#extending.pending?.close(error)
    this.streams.closeAll(error.code === 'done' ? 'cancelled' : error.code)
    this.#forward.destroy()
    this.#backward.destroy()
    this.#goawayListeners.length = 0
    for (const listener of this.#closedListeners.splice(0)) listener(error)
  }

  /** For the circuit: opens this hop's layer at its offset, then handles it or passes it to the branch it names. */
  receive(cell: Uint8Array): void {
    const offset = layerOffset(this.depth)
    if (!this.#backward.open(cell, offset, cellSize)) throw new NightjarError('cell-rejected')
    this.lastHeard = this.#circuit.context.clock.elapsed()
    const inner = offset + layerSize
    const branch = readU16(cell, inner - 3)
    if (cell[inner - 1] !== 0) throw violation('delay towards the client')
    if (branch === 0) return this.#handle(decodeMessage(cell.subarray(inner)))
    const child = this.#children.get(branch)
    if (child !== undefined) return child.#receiveGuarded(cell)
    // What a branch sent before it heard of its end is dropped; a branch that never was is an error.
    this.#extending.pendingFor(branch, 'cell from')
  }

  /** For the circuit: the link takes cells again. */
  pump(): void {
    this.streams.pump()
    for (const child of this.#children.values()) child.pump()
  }

  /** An error below the second hop ends that branch only; at the entry or middle it ends the circuit. */
  #receiveGuarded(cell: Uint8Array): void {
    try {
      this.receive(cell)
    } catch (error) {
      if (this.depth <= 2) throw error
      // One that is kept goes on unheard: what would be said of it now would say that somebody is there.
      if (this.isKept) this.fail(asNightjarError(error))
      else this.close(asNightjarError(error).code)
    }
  }

  #handle(message: Message): void {
    switch (message.type) {
      case messageType.extended:
        return this.#extending.receive(message.data)
      case messageType.branchClosed:
        return this.#handleBranchClosed(message.data)
      case messageType.branchGoaway:
        return this.#handleBranchGoaway(message.data)
      case messageType.ping:
        // Not answered: whoever asks would learn from when there is an answer when the client is there.
        requirePing(message.data)
        return
      case messageType.pong: {
        const token = requirePing(message.data).join()
        this.#pings.get(token)?.()
        this.#pings.delete(token)
        return
      }
      case messageType.drop:
        return
      default:
        return this.streams.receive(message)
    }
  }

  async #extendNow(relay: Responder): Promise<Hop> {
    if (this.#error !== undefined) throw this.#error
    if (!this.canExtend) throw new NightjarError('limit-reached', { detail: 'branches of a circuit' })
    const { crypto, clock } = this.#circuit.context
    const handshake = await startHandshake(crypto, { purpose: purpose.hop, depth: this.depth + 1, responder: relay })
    if (this.#error !== undefined) throw this.#error
    const pending = this.#extending.begin()
    const { branch } = pending
    try {
      const message = encodeExtend({ branch, identity: relay.identity, hello: handshake.hello })
      for (const part of splitHandshake(message, layerCapacity(this.depth) - messageHeaderSize)) {
        this.#send(messageType.extend, noStream, part)
      }
      const late = () => new NightjarError('timed-out', { detail: 'EXTEND' })
      const reply = await within(clock, limits.handshakeTimeout, pending.reply, late)
      const { keys, document } = await handshake.finish(reply)
      const error = this.#error ?? pending.closed
      if (error !== undefined) throw error
      this.#circuit.context.onDocument?.(document)
      const hop = new Hop(this.#circuit, keys, { hop: this, branch })
      this.#children.set(branch, hop)
      if (pending.goaway !== undefined) hop.goaway(pending.goaway)
      return hop
    } catch (error) {
      this.#truncate(branch)
      throw error
    } finally {
      this.#extending.pending = undefined
    }
  }

  #handleBranchClosed(data: Uint8Array): void {
    const { branch, code } = decodeBranchClosed(data)
    const child = this.#children.get(branch)
    const said = code === 0 ? 'link-lost' : fromWire(code)
    // Whoever gives a branch up opens the next one at once, and blames nobody: that is for this side to say.
    const isEarly = said === 'branch-retired' && child?.isTimeOver !== true
    const error = new NightjarError(isEarly ? 'link-lost' : said)
    const pending = this.#extending.pendingFor(branch, 'BRANCH_CLOSED for')
    if (pending !== undefined) return pending.close(error)
    child?.fail(error)
    this.#closeIfOver()
  }

  #closeIfOver(): void {
    if (this.#isBetween && this.#children.size === 0 && this.#extending.pending === undefined) this.close()
  }

  #handleBranchGoaway(data: Uint8Array): void {
    const { branch, seconds } = decodeBranchGoaway(data)
    const pending = this.#extending.pendingFor(branch, 'BRANCH_GOAWAY for')
    if (pending === undefined) this.#children.get(branch)?.goaway(seconds)
    else pending.goaway = seconds
  }

  #truncate(branch: number): void {
    if (this.#error !== undefined) return
    const data = new Uint8Array(2)
    writeU16(data, 0, branch)
    this.#send(messageType.truncate, noStream, data)
  }

  #send(type: number, stream: number, data: Uint8Array): void {
    if (this.#error !== undefined) return
    const cell = this.#circuit.scratch
    const inner = layerOffset(this.depth) + layerSize
    writeMessage(cell, inner, type, stream, data)
    let hop: Hop | undefined = this
    let branch = 0
    while (hop !== undefined) {
      const offset = layerOffset(hop.depth)
      writeU16(cell, offset + layerSize - 3, branch)
      cell[offset + layerSize - 1] = 0
      hop.#forward.seal(cell, offset, cellSize)
      branch = hop.#parent?.branch ?? 0
      hop = hop.#parent?.hop
    }
    this.#circuit.sendScratch()
  }
}

function requirePing(data: Uint8Array): Uint8Array {
  if (data.length !== pingSize) throw violation('PING of another length')
  return data
}
