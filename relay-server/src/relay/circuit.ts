/**
 * A circuit as one relay holds it: the id and keys towards the client, and a map from branch numbers to the circuits on
 * onward links. It opens or seals one layer of each cell and knows nothing of what the cells are for.
 */
import { equalBytes, isZero, readU16 } from '@nightjar/shared/bytes'
import {
  bodyOf,
  cellHeaderSize,
  command,
  decodeDestroy,
  destroyCell,
  HandshakeAssembler,
  handshakeCells,
  puzzleCell,
  splitHandshake,
} from '@nightjar/shared/cell'
import {
  type Accept,
  type Channel,
  type CircuitEnd,
  type CircuitTable,
  decodeExtend,
  decodeMessage,
  decodeU16,
  type Extend,
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
  pingSize,
  StreamMux,
} from '@nightjar/shared/circuit'
import type { Crypto } from '@nightjar/shared/crypto'
import type { Relay } from '@nightjar/shared/directory'
import { asNightjarError, type ErrorCode, NightjarError, toWire, violation } from '@nightjar/shared/errors'
import { answerHandshake, type Challenge, maxDepth, purpose, type ResponderSecrets } from '@nightjar/shared/handshake'
import { limits } from '@nightjar/shared/limits'
import type { Clock, Timer } from '@nightjar/shared/runtime'
import { type Rate, TokenBucket } from '@nightjar/shared-node/link'
import { Age } from '../limits/age.ts'
import type { LinkHandshakes } from '../limits/handshakes.ts'
import type { Queue, Queues } from '../limits/queues.ts'
import type { OnRefused } from '../limits/refusal.ts'
import { Backward } from './backward.ts'
import { countCode, type RelayMeter } from './meter.ts'
import { Onward } from './onward.ts'
import { queueLimit } from './queueLimit.ts'

/** What a circuit needs of its relay. */
export interface CircuitHost {
  readonly crypto: Crypto
  readonly clock: Clock
  /** The keys to answer handshakes with, now. */
  secrets(): ResponderSecrets
  /** The relay of that identity in the verified network document. */
  findRelay(identity: Uint8Array): Relay | undefined
  /** A link to `relay`, shared by all circuits that go there. */
  linkTo(relay: Relay): Promise<CircuitTable>
  /** The services of this relay for one circuit; called at its first BEGIN. Listeners are told when the circuit ends. */
  serve(onEnded: (listener: () => void) => void): Accept
}

/** What keeps a circuit within what its link, and the process, can bear. */
export interface CircuitBounds {
  readonly handshakes: Pick<LinkHandshakes, 'admit'>
  readonly queues: Queues
  readonly onRefused: OnRefused
}

const beginRate: Rate = { perSecond: limits.beginsPerBranch, atOnce: limits.beginsPerBranchAtOnce }

interface OpenState {
  readonly depth: number
  readonly forward: LayerCipher
  readonly backward: Backward
  readonly streams: StreamMux
  readonly age: Age
}

export class RelayCircuit implements CircuitEnd {
  readonly #host: CircuitHost
  readonly #meter: RelayMeter
  readonly #bounds: CircuitBounds
  readonly #table: CircuitTable
  readonly #id: number
  #hello: HandshakeAssembler | undefined = new HandshakeAssembler()
  #open: OpenState | undefined
  #over = false
  #deadline: Timer
  readonly #branches = new Map<number, Onward>()
  #lastBranch = 0
  #extend = new HandshakeAssembler()
  #extending: number | undefined
  readonly #endedListeners: (() => void)[] = []

  constructor(host: CircuitHost, meter: RelayMeter, bounds: CircuitBounds, table: CircuitTable, circuitId: number) {
    this.#host = host
    this.#meter = meter
    this.#bounds = bounds
    this.#table = table
    this.#id = circuitId
    meter.circuits += 1
    bounds.queues.owners.add(this)
    this.#deadline = host.clock.after(limits.handshakeTimeout, () => this.#failHandshake('timed-out'))
  }

  onCell(cellCommand: number, cell: Uint8Array): void {
    try {
      if (cellCommand === command.relay) return this.#receiveForward(cell)
      if (cellCommand === command.create) return this.#receiveHello(cell)
      if (cellCommand === command.destroy) {
        decodeDestroy(cell)
        return this.#end('done')
      }
      throw violation('command out of place')
    } catch (error) {
      this.destroy(asNightjarError(error).code)
    }
  }

  get longestQueue(): Queue {
    const backward = this.#open?.backward
    let longest: Queue = { cells: backward?.queuedOf(0) ?? 0, giveUp: () => this.destroy('overflow') }
    for (const [branch, onward] of this.#branches) {
      const cells = onward.held + (backward?.queuedOf(branch) ?? 0)
      if (cells > longest.cells) longest = { cells, giveUp: () => this.#loseBranch(branch, 'overflow') }
    }
    return longest
  }

  onLinkClosed({ code }: NightjarError): void {
    this.#end(code)
  }

  /** Ends the circuit from this side, telling the client why. */
  destroy(code: ErrorCode): void {
    if (this.#over) return
    this.#table.link.send(destroyCell(this.#id, toWire(code)))
    this.#end(code)
  }

  #receiveHello(cell: Uint8Array): void {
    if (this.#hello === undefined) throw violation('CREATE out of place')
    const message = this.#hello.push(bodyOf(cell))
    if (message === undefined) return
    this.#hello = undefined
    const verdict = this.#bounds.handshakes.admit(message)
    if ('challenge' in verdict) return this.#setPuzzle(verdict.challenge)
    this.#answer(verdict.hello).catch((error: unknown) => this.#failHandshake(asNightjarError(error).code))
  }

  /** And forgets the circuit: with the solution, CREATE comes as if for the first time. */
  #setPuzzle(challenge: Challenge): void {
    countCode(this.#meter.handshakes, 'busy')
    this.#table.link.send(puzzleCell(this.#id, challenge))
    this.#end('busy')
  }

  #failHandshake(code: ErrorCode): void {
    countCode(this.#meter.handshakes, code)
    this.destroy(code)
  }

  async #answer(hello: Uint8Array): Promise<void> {
    const { crypto } = this.#host
    const answer = await answerHandshake(crypto, hello, this.#host.secrets())
    if (answer.hello.purpose !== purpose.hop) throw violation('CREATE for another purpose')
    if (this.#over) return
    countCode(this.#meter.handshakes, 'done')
    this.#deadline.cancel()
    const { depth } = answer.hello
    const cipher = new LayerCipher(crypto, answer.keys.backward)
    const backward = new Backward(this.#table, this.#id, depth, {
      cipher,
      meter: this.#meter,
      onDrained: () => streams.pump(),
    })
    const channel: Channel = {
      capacity: layerCapacity(depth),
      get writable() {
        return backward.writable
      },
      send: (type, stream, data) => this.#tell(type, stream, data),
    }
    const accept: Accept = (stream, opening) => this.#serve(stream, opening)
    const streams = new StreamMux(channel, accept)
    const forward = new LayerCipher(crypto, answer.keys.forward)
    const age = new Age(this.#host.clock, (refusal, code) => {
      this.#bounds.onRefused(refusal)
      this.destroy(code)
    })
    this.#open = { depth, forward, backward, streams, age }
    for (const cell of handshakeCells(this.#id, command.created, answer.reply)) this.#table.link.send(cell)
  }

  /** The services are made at the first BEGIN: most circuits only forward. */
  #serve: Accept = (stream, opening) => {
    const serve = this.#host.serve((listener) => this.#endedListeners.push(listener))
    const begins = new TokenBucket(this.#host.clock, beginRate)
    this.#serve = (each, its) => {
      if (begins.take(1)) return serve(each, its)
      this.#bounds.onRefused('begin-rate')
      return 'limit-reached'
    }
    return this.#serve(stream, opening)
  }

  #receiveForward(cell: Uint8Array): void {
    const open = this.#open
    if (open === undefined) throw violation('RELAY before CREATED')
    open.age.isUsed = true
    this.#meter.cells.forward += 1
    const startedAt = this.#meter.start()
    const end = cellHeaderSize + layerBodySize(open.depth)
    if (!isZero(cell.subarray(end))) throw violation('cell fill is not zero')
    if (!open.forward.open(cell, cellHeaderSize, end)) throw new NightjarError('cell-rejected')
    const inner = cellHeaderSize + layerSize
    const branch = readU16(cell, inner - 3)
    const delay = cell[inner - 1] as number
    if (delay > 0 && (open.depth === 1 || branch === 0)) throw violation('delay out of place')
    if (branch === 0) return this.#handle(open, decodeMessage(cell.subarray(inner, end)))
    const onward = this.#branches.get(branch)
    if (onward === undefined) {
      // The client may not have heard yet that the branch is gone.
      if (branch <= this.#lastBranch) return
      throw violation('cell for a branch that never was')
    }
    cell.copyWithin(cellHeaderSize, inner, end)
    cell.fill(0, end - layerSize, end)
    if (!onward.passOn(cell, delay, startedAt)) this.#loseBranch(branch, 'overflow')
    this.#bounds.queues.check()
  }

  #receiveBackward(open: OpenState, branch: number, cell: Uint8Array): void {
    const end = cellHeaderSize + layerBodySize(open.depth)
    if (!isZero(cell.subarray(end - layerSize))) throw violation('cell fill is not zero')
    if (!open.backward.passOn(branch, cell)) throw new NightjarError('overflow')
    this.#bounds.queues.check()
  }

  #handle(open: OpenState, message: Message): void {
    switch (message.type) {
      case messageType.extend:
        return this.#handleExtend(open, message.data)
      case messageType.truncate:
        return this.#closeBranch(decodeU16(message.data, 'TRUNCATE'), 'done')
      case messageType.ping:
        if (message.data.length !== pingSize) throw violation('PING of another length')
        return this.#tell(messageType.pong, noStream, message.data)
      case messageType.pong:
      case messageType.drop:
        return
      default:
        return open.streams.receive(message)
    }
  }

  #handleExtend(open: OpenState, data: Uint8Array): void {
    const whole = this.#extend.push(data)
    if (whole === undefined) return
    this.#extend = new HandshakeAssembler()
    const extend = decodeExtend(whole)
    if (extend.branch <= this.#lastBranch) throw violation('branch number used before')
    if (this.#extending !== undefined) throw violation('two EXTENDs at once')
    if (open.depth === maxDepth) throw violation('EXTEND beyond the longest path')
    this.#lastBranch = extend.branch
    this.#extending = extend.branch
    this.#grow(open, extend).catch((error: unknown) => {
      const { code } = asNightjarError(error)
      countCode(this.#meter.branchesClosed, code)
      this.#loseBranch(extend.branch, code)
    })
  }

  async #grow(open: OpenState, extend: Extend): Promise<void> {
    if (this.#branches.size >= limits.branchesPerCircuit) throw new NightjarError('limit-reached')
    const relay = this.#host.findRelay(extend.identity)
    if (relay === undefined) throw new NightjarError('unknown-relay')
    // Two hops at one relay would be two that know the same, and circuits that go round in it.
    if (equalBytes(extend.identity, this.#host.secrets().identity)) throw new NightjarError('refused')
    // `extend` is a view into the cell, which is gone after the first wait.
    const { branch } = extend
    const hello = Uint8Array.from(extend.hello)
    const table = await this.#host.linkTo(relay)
    if (this.#over || this.#extending !== branch) return
    const onward = new Onward(table, this.#host.crypto, this.#host.clock, {
      meter: this.#meter,
      mostHeld: queueLimit(open.depth),
      events: {
        onReply: (reply) => {
          this.#extending = undefined
          for (const part of splitHandshake(
            encodeExtended(branch, reply),
            layerCapacity(open.depth) - messageHeaderSize,
          )) {
            this.#tell(messageType.extended, noStream, part)
          }
        },
        onBackward: (cell) => this.#receiveBackward(open, branch, cell),
        onLost: (code) => this.#loseBranch(branch, code),
        onGoaway: (seconds) => this.#tell(messageType.branchGoaway, noStream, encodeBranchGoaway(branch, seconds)),
      },
    })
    this.#branches.set(branch, onward)
    this.#meter.branches += 1
    onward.create(hello)
  }

  /** The client asked for it. */
  #closeBranch(branch: number, code: ErrorCode): void {
    if (branch === 0 || branch > this.#lastBranch) throw violation('TRUNCATE of a branch that never was')
    if (this.#extending === branch) this.#extending = undefined
    const onward = this.#branches.get(branch)
    if (onward !== undefined) this.#endBranch(onward, code)
    this.#branches.delete(branch)
    this.#open?.backward.dropBranch(branch)
  }

  #endBranch(onward: Onward, code: ErrorCode): void {
    onward.close()
    this.#meter.branches -= 1
    countCode(this.#meter.branchesClosed, code)
  }

  /** It is gone by itself: tells the client. The rest of the circuit goes on. */
  #loseBranch(branch: number, code: ErrorCode): void {
    if (this.#over) return
    this.#closeBranch(branch, code)
    this.#tell(messageType.branchClosed, noStream, encodeBranchClosed(branch, toWire(code)))
  }

  /** Sends a message to the client; one who takes none while asking for more is cut off. */
  #tell(type: number, stream: number, data: Uint8Array): void {
    if (this.#open?.backward.sendMessage(type, stream, data) === false) this.destroy('overflow')
    else this.#bounds.queues.check()
  }

  #end(code: ErrorCode): void {
    if (this.#over) return
    this.#over = true
    this.#meter.circuits -= 1
    this.#bounds.queues.owners.delete(this)
    countCode(this.#meter.circuitsClosed, code)
    this.#deadline.cancel()
    this.#table.remove(this.#id)
    for (const onward of this.#branches.values()) this.#endBranch(onward, code)
    this.#branches.clear()
    this.#open?.age.stop()
    this.#open?.forward.destroy()
    this.#open?.backward.close()
    this.#open?.streams.closeAll('link-lost')
    for (const listener of this.#endedListeners) listener()
  }
}
