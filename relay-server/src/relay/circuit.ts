/**
 * A circuit as one relay holds it: the id and keys towards the client, its branches, and its streams where this is the
 * last hop. It opens or seals one layer of each cell and knows nothing of what the cells are for.
 */
import { isZero, readU16 } from '@nightjar/shared/bytes'
import { cellHeaderSize, command, decodeDestroy, destroyCell, handshakeCells, puzzleCell } from '@nightjar/shared/cell'
import {
  type Accept,
  type Channel,
  type CircuitEnd,
  type CircuitTable,
  decodeKeep,
  decodeMessage,
  decodeU16,
  LayerCipher,
  layerBodySize,
  layerCapacity,
  layerSize,
  type Message,
  messageType,
  noStream,
  pingSize,
  StreamMux,
} from '@nightjar/shared/circuit'
import { asNightjarError, type ErrorCode, NightjarError, toWire, violation } from '@nightjar/shared/errors'
import type { Challenge } from '@nightjar/shared/handshake'
import { limits } from '@nightjar/shared/limits'
import { type Rate, TokenBucket } from '@nightjar/shared-node/link'
import { Age } from '../limits/age.ts'
import type { Queue } from '../limits/queues.ts'
import { Backward } from './backward.ts'
import { Branches } from './branches.ts'
import type { CircuitBounds, CircuitHost } from './host.ts'
import { countCode, type RelayMeter } from './meter.ts'
import { type Answer, Opening } from './opening.ts'

const beginRate: Rate = { perSecond: limits.beginsPerBranch, atOnce: limits.beginsPerBranchAtOnce }

interface OpenState {
  readonly depth: number
  readonly forward: LayerCipher
  readonly backward: Backward
  readonly branches: Branches
  readonly streams: StreamMux
  readonly age: Age
}

export class RelayCircuit implements CircuitEnd {
  readonly #host: CircuitHost
  readonly #meter: RelayMeter
  readonly #bounds: CircuitBounds
  readonly #table: CircuitTable
  readonly #id: number
  readonly #opening: Opening
  #open: OpenState | undefined
  #over = false
  readonly #endedListeners: (() => void)[] = []

  constructor(host: CircuitHost, meter: RelayMeter, bounds: CircuitBounds, table: CircuitTable, circuitId: number) {
    this.#host = host
    this.#meter = meter
    this.#bounds = bounds
    this.#table = table
    this.#id = circuitId
    meter.circuits += 1
    bounds.circuits.add(bounds.source)
    bounds.queues.owners.add(this)
    this.#opening = new Opening(host, bounds, {
      onAnswer: (answer) => this.#begin(answer),
      onPuzzle: (challenge) => this.#setPuzzle(challenge),
      onFailed: (code) => {
        countCode(this.#meter.handshakes, code)
        this.destroy(code)
      },
    })
  }

  onCell(cellCommand: number, cell: Uint8Array): void {
    try {
      if (cellCommand === command.relay) return this.#receiveForward(cell)
      if (cellCommand === command.create) return this.#opening.receive(cell)
      if (cellCommand === command.destroy) {
        decodeDestroy(cell)
        return this.#end('done')
      }
      throw violation('command out of place')
    } catch (error) {
      this.destroy(asNightjarError(error).code)
    }
  }

  /** What waits for the client itself, and for each branch. */
  *queues(): Generator<Queue> {
    if (this.#open === undefined) return
    const { backward, branches } = this.#open
    yield { cells: backward.queuedOf(0), giveUp: () => this.destroy('overflow') }
    for (const [branch, held] of branches.held()) {
      yield { cells: held + backward.queuedOf(branch), giveUp: () => branches.lose(branch, 'overflow') }
    }
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

  #setPuzzle(challenge: Challenge): void {
    countCode(this.#meter.handshakes, 'busy')
    this.#table.link.send(puzzleCell(this.#id, challenge))
    this.#end('busy')
  }

  #begin({ hello: { depth }, keys, reply }: Answer): void {
    const { crypto, clock } = this.#host
    countCode(this.#meter.handshakes, 'done')
    const backward = new Backward(this.#table, this.#id, depth, {
      cipher: new LayerCipher(crypto, keys.backward),
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
    const forward = new LayerCipher(crypto, keys.forward)
    const branches = new Branches(this.#host, this.#meter, this.#bounds, {
      depth,
      tell: (type, data) => this.#tell(type, noStream, data),
      onBackward: (branch, cell) => this.#receiveBackward(depth, backward, branch, cell),
      onEnded: (branch) => backward.dropBranch(branch),
    })
    const age = new Age(clock, (refusal, code) => {
      this.#bounds.onRefused(refusal)
      this.destroy(code)
    })
    this.#open = { depth, forward, backward, branches, streams, age }
    for (const cell of handshakeCells(this.#id, command.created, reply)) this.#table.link.send(cell)
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
    cell.copyWithin(cellHeaderSize, inner, end)
    cell.fill(0, end - layerSize, end)
    open.branches.passOn(branch, cell, delay, startedAt)
    this.#bounds.queues.check()
  }

  #receiveBackward(depth: number, backward: Backward, branch: number, cell: Uint8Array): void {
    const end = cellHeaderSize + layerBodySize(depth)
    if (!isZero(cell.subarray(end - layerSize))) throw violation('cell fill is not zero')
    if (!backward.passOn(branch, cell)) throw new NightjarError('overflow')
    this.#bounds.queues.check()
  }

  #handle({ branches, streams }: OpenState, message: Message): void {
    switch (message.type) {
      case messageType.extend:
        return branches.receiveExtend(message.data)
      case messageType.truncate:
        return branches.close(decodeU16(message.data, 'TRUNCATE'), 'done')
      case messageType.keep:
        return branches.keep(decodeKeep(message.data))
      case messageType.ping:
        if (message.data.length !== pingSize) throw violation('PING of another length')
        return this.#tell(messageType.pong, noStream, message.data)
      case messageType.pong:
      case messageType.drop:
        return
      default:
        if (message.type === messageType.begin && streams.openCount >= limits.streamsPerBranch) {
          this.#bounds.onRefused('streams')
        }
        return streams.receive(message)
    }
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
    this.#bounds.circuits.remove(this.#bounds.source)
    this.#bounds.queues.owners.delete(this)
    countCode(this.#meter.circuitsClosed, code)
    this.#opening.stop()
    this.#table.remove(this.#id)
    this.#open?.branches.closeAll(code)
    this.#open?.age.stop()
    this.#open?.forward.destroy()
    this.#open?.backward.close()
    this.#open?.streams.closeAll('link-lost')
    for (const listener of this.#endedListeners) listener()
  }
}
