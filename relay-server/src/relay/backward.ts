/**
 * The way from a relay's circuit back towards the client. Cells wait here unsealed, per branch, while the link is
 * behind; they are sealed when they leave, so the order of sealing is the order on the wire.
 */
import { writeU16 } from '@nightjar/shared/bytes'
import { cellHeaderSize, cellSize, command, writeHeader } from '@nightjar/shared/cell'
import {
  type CircuitTable,
  type LayerCipher,
  layerBodySize,
  layerOffset,
  layerSize,
  type Waiter,
  writeMessage,
} from '@nightjar/shared/circuit'
import { limits } from '@nightjar/shared/limits'
import { type RelayMeter, untimed } from './meter.ts'
import { queueLimit } from './queueLimit.ts'

/** Cells one circuit may send before another has its turn on a link that was behind. */
const turn = 8

/** Of the relay's own messages: what its streams have windows for, and answers to what needs no credit. */
const mostOwn = limits.branchWindow + limits.controlAllowance

const innerOffset = layerOffset(1) + layerSize

/** Where messages are written: one at a time, whichever circuit's, as it is sent or copied before the next. */
const scratch = new Uint8Array(cellSize)

interface Waiting {
  readonly cell: Uint8Array
  /** As the meter gave it. */
  readonly startedAt: number
}

export interface BackwardOptions {
  /** Owned and wiped by Backward. */
  readonly cipher: LayerCipher
  readonly meter: RelayMeter
  /** Called when nothing waits any more and the link still takes cells. */
  onDrained(): void
}

export class Backward implements Waiter {
  readonly #table: CircuitTable
  readonly #circuitId: number
  readonly #cipher: LayerCipher
  readonly #meter: RelayMeter
  /** Where this hop's body ends in a cell. */
  readonly #end: number
  readonly #mostQueued: number
  /** Waiting cells by branch, 0 = messages of this relay; each already shifted and with its branch written. */
  readonly #queues = new Map<number, Waiting[]>()
  readonly #onDrained: () => void
  #closed = false

  constructor(table: CircuitTable, circuitId: number, depth: number, options: BackwardOptions) {
    this.#table = table
    this.#circuitId = circuitId
    this.#cipher = options.cipher
    this.#meter = options.meter
    this.#end = cellHeaderSize + layerBodySize(depth)
    this.#mostQueued = queueLimit(depth)
    this.#onDrained = () => options.onDrained()
  }

  /** Whether a cell would leave at once; asking while it would not means `onDrained` will be called. */
  get writable(): boolean {
    const free = this.#queues.size === 0 && this.#table.link.writable
    if (!free) this.#table.wait(this)
    return free
  }

  /** Cells of `branch` that wait. */
  queuedOf(branch: number): number {
    return this.#queues.get(branch)?.length ?? 0
  }

  /** Sends a message of this relay itself. False where more wait than is allowed. */
  sendMessage(type: number, stream: number, data: Uint8Array): boolean {
    const cell = scratch
    writeMessage(cell.subarray(0, this.#end), innerOffset, type, stream, data)
    cell.fill(0, this.#end)
    return this.#send(0, cell, untimed)
  }

  /** Passes on a cell that came from `branch`; it is overwritten. False where more wait than is allowed. */
  passOn(branch: number, cell: Uint8Array): boolean {
    cell.copyWithin(innerOffset, cellHeaderSize, this.#end - layerSize)
    return this.#send(branch, cell, this.#meter.start())
  }

  /** Forgets what waits of a branch that is closed. */
  dropBranch(branch: number): void {
    this.#meter.queued.backward -= this.#queues.get(branch)?.length ?? 0
    this.#queues.delete(branch)
  }

  /** The circuit is over: what waits is forgotten, and nothing is sealed any more, as the key is wiped. */
  close(): void {
    this.#closed = true
    for (const branch of this.#queues.keys()) this.dropBranch(branch)
    this.#cipher.destroy()
  }

  onLinkWritable(): void {
    for (let sent = 0; sent < turn; sent++) {
      const [next] = this.#queues
      if (next === undefined) return this.#onDrained()
      const [branch, queue] = next
      this.#queues.delete(branch)
      const { cell, startedAt } = queue.shift() as Waiting
      this.#meter.queued.backward -= 1
      // Put back at the end: branches take turns.
      if (queue.length > 0) this.#queues.set(branch, queue)
      this.#sealAndSend(cell, startedAt)
    }
    this.#table.wait(this)
  }

  #send(branch: number, cell: Uint8Array, startedAt: number): boolean {
    if (this.#closed) return true
    writeU16(cell, innerOffset - 3, branch)
    cell[innerOffset - 1] = 0
    if (this.#queues.size === 0 && this.#table.link.writable) {
      this.#sealAndSend(cell, startedAt)
      return true
    }
    const queue = this.#queues.get(branch) ?? []
    if (queue.length >= (branch === 0 ? mostOwn : this.#mostQueued)) return false
    queue.push({ cell: cell.slice(), startedAt })
    this.#meter.queued.backward += 1
    this.#queues.set(branch, queue)
    this.#table.wait(this)
    return true
  }

  #sealAndSend(cell: Uint8Array, startedAt: number): void {
    this.#cipher.seal(cell, cellHeaderSize, this.#end)
    writeHeader(cell, this.#circuitId, command.relay)
    this.#table.link.send(cell)
    this.#meter.cells.backward += 1
    this.#meter.stop('backward', startedAt)
  }
}
