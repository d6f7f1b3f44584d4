/** A client that obeys nothing: it seals whatever a test wants and shows each cell that comes back. */
import { isZero, readU16, writeU16 } from '@nightjar/shared/bytes'
import {
  bodyOf,
  cellHeaderSize,
  cellSize,
  circuitIdOf,
  command,
  commandOf,
  decodeDestroy,
  HandshakeAssembler,
  handshakeCells,
  makeCell,
  splitHandshake,
  writeHeader,
} from '@nightjar/shared/cell'
import {
  CircuitTable,
  decodeBranchClosed,
  decodeExtended,
  decodeMessage,
  encodeExtend,
  LayerCipher,
  layerBodySize,
  layerCapacity,
  layerOffset,
  layerSize,
  type Message,
  messageHeaderSize,
  messageType,
  noStream,
  writeMessage,
} from '@nightjar/shared/circuit'
import { type ErrorCode, fromWire } from '@nightjar/shared/errors'
import { purpose, type Responder, type SessionKeys, startHandshake } from '@nightjar/shared/handshake'
import { nativeCrypto as crypto } from '@nightjar/shared-node/crypto'
import type { MemoryNetwork, Wire } from './memoryNetwork.ts'

/** One hop, as the raw client holds it. */
export interface RawHop {
  readonly depth: number
  readonly parent: RawHop | undefined
  readonly branch: number
  readonly forward: LayerCipher
  readonly backward: LayerCipher
  /** The key that `forward` began with. */
  readonly forwardKey: Uint8Array
}

/** What came back: a message of a hop, or the circuit's end. */
export interface Arrival {
  readonly hop: RawHop | undefined
  readonly type: number
  readonly stream: number
  readonly data: Uint8Array
}

export const circuitEnd = -1

export class RawClient {
  readonly id: number
  readonly wire: Wire
  readonly #network: MemoryNetwork
  readonly #hops: RawHop[] = []
  readonly #cells: Uint8Array[] = []
  readonly #read: Arrival[] = []

  /** On a link of its own to `relay`, as from the relay called `before` where there is one. */
  constructor(network: MemoryNetwork, relay: string, id = 0x01020304, before = 'raw client') {
    this.#network = network
    this.id = id
    const table = new CircuitTable()
    this.wire = network.connect(table, relay, before)
    table.add(id, {
      onCell: (_, cell) => void this.#cells.push(Uint8Array.from(cell)),
      onLinkClosed() {},
    })
  }

  /** The CREATE cells for a hello, and what to do with the reply. */
  async hello(responder: Responder, depth: number, kind: (typeof purpose)['hop' | 'envelope'] = purpose.hop) {
    return startHandshake(crypto, { purpose: kind, depth, responder })
  }

  /** Opens the circuit, telling the relay that it is at `depth`: beyond 1 as the relay before it would. */
  async create(name: string, depth = 1): Promise<RawHop> {
    const handshake = await this.hello(this.#network.relay(name).responder, depth)
    for (const cell of handshakeCells(this.id, command.create, handshake.hello)) this.wire.near.send(cell)
    await this.#network.settle()
    const assembler = new HandshakeAssembler()
    let reply: Uint8Array | undefined
    for (const cell of this.#cells.splice(0)) reply = assembler.push(bodyOf(cell))
    const { keys } = await handshake.finish(reply as Uint8Array)
    return this.#addHop(keys, depth, undefined, 0)
  }

  /** Sends EXTEND for `branch` in as many cells as it takes. */
  async requestExtend(hop: RawHop, responder: Responder, branch: number, depth = hop.depth + 1) {
    const handshake = await this.hello(responder, depth)
    const message = encodeExtend({ branch, identity: responder.identity, hello: handshake.hello })
    for (const part of splitHandshake(message, layerCapacity(hop.depth) - messageHeaderSize)) {
      this.send(hop, messageType.extend, noStream, part)
    }
    return handshake
  }

  /** The hop behind `branch` of `hop`, or the code that the branch was closed with. */
  async extend(
    hop: RawHop,
    name: string,
    branch: number,
    options: { depth?: number } = {},
  ): Promise<RawHop | ErrorCode> {
    const { depth = hop.depth + 1 } = options
    const handshake = await this.requestExtend(hop, this.#network.relay(name).responder, branch, depth)
    await this.#network.settle()
    const assembler = new HandshakeAssembler()
    for (const { type, data } of this.arrivals()) {
      if (type === messageType.branchClosed) return fromWire(decodeBranchClosed(data).code)
      if (type === circuitEnd) return fromWire(data[0] as number)
      if (type !== messageType.extended) continue
      const whole = assembler.push(data)
      if (whole === undefined) continue
      const { keys } = await handshake.finish(decodeExtended(whole).reply)
      return this.#addHop(keys, depth, hop, branch)
    }
    throw new Error('neither EXTENDED nor BRANCH_CLOSED came')
  }

  /** Seals and sends a relay message for `hop`; `delay` goes into the layer of the hop before it. */
  send(hop: RawHop, type: number, stream: number, data: Uint8Array, delay = 0): void {
    const cell = this.seal(hop, type, stream, data, delay)
    // On a link the first hop's body stands right behind the header, at whatever depth that is.
    this.wire.near.send(makeCell(this.id, command.relay, cell.subarray(layerOffset(this.#first.depth))))
  }

  /** The cell as `send` has it, nested as for an entry. */
  seal(hop: RawHop, type: number, stream: number, data: Uint8Array, delay = 0): Uint8Array {
    const cell = new Uint8Array(cellSize)
    writeMessage(cell, layerOffset(hop.depth) + layerSize, type, stream, data)
    return this.sealLayers(hop, cell, { delay })
  }

  /** Puts the layers of `hop` and all before it around what stands in `cell`. */
  sealLayers(
    hop: RawHop,
    cell: Uint8Array,
    options: { branch?: number; delay?: number; ownDelay?: number } = {},
  ): Uint8Array {
    let branch = options.branch ?? 0
    let delay = options.ownDelay ?? 0
    for (let at: RawHop | undefined = hop; at !== undefined; at = at.parent) {
      const offset = layerOffset(at.depth)
      writeU16(cell, offset + layerSize - 3, branch)
      cell[offset + layerSize - 1] = delay
      at.forward.seal(cell, offset, cellSize)
      branch = at.branch
      delay = at === hop ? (options.delay ?? 0) : 0
    }
    writeHeader(cell, this.id, command.relay)
    return cell
  }

  /** What has come since the last call, opened. */
  arrivals(): Arrival[] {
    for (const cell of this.#cells.splice(0)) this.#read.push(this.#open(cell))
    return this.#read.splice(0)
  }

  /** The code of the DESTROY among `arrivals`, the code of a BRANCH_CLOSED, or undefined. */
  ending(): ErrorCode | undefined {
    for (const { type, data } of this.arrivals()) {
      if (type === circuitEnd) return fromWire(data[0] as number)
      if (type === messageType.branchClosed) return fromWire(decodeBranchClosed(data).code)
    }
    return undefined
  }

  #open(cell: Uint8Array): Arrival {
    if (circuitIdOf(cell) !== this.id) throw new Error('a cell of another circuit')
    if (commandOf(cell) === command.destroy) {
      return { hop: undefined, type: circuitEnd, stream: noStream, data: Uint8Array.of(decodeDestroy(cell)) }
    }
    if (commandOf(cell) !== command.relay) throw new Error(`a cell of command ${commandOf(cell)}`)
    let hop = this.#first
    const fill = cell.subarray(cellHeaderSize + layerBodySize(hop.depth))
    if (!isZero(fill)) throw new Error('a cell whose fill is not zero')
    cell.copyWithin(layerOffset(hop.depth), cellHeaderSize)
    for (;;) {
      const offset = layerOffset(hop.depth)
      if (!hop.backward.open(cell, offset, cellSize))
        throw new Error(`a cell that the hop at ${hop.depth} did not seal`)
      const branch = readU16(cell, offset + layerSize - 3)
      if (branch === 0) {
        const { type, stream, data }: Message = decodeMessage(cell.subarray(offset + layerSize))
        return { hop, type, stream, data }
      }
      const at = hop
      const child = this.#hops.find((each) => each.parent === at && each.branch === branch)
      if (child === undefined) throw new Error(`a cell of branch ${branch}, which is not there`)
      hop = child
    }
  }

  get #first(): RawHop {
    return this.#hops.find(({ parent }) => parent === undefined) as RawHop
  }

  #addHop(keys: SessionKeys, depth: number, parent: RawHop | undefined, branch: number): RawHop {
    const forwardKey = Uint8Array.from(keys.forward)
    const forward = new LayerCipher(crypto, keys.forward)
    const backward = new LayerCipher(crypto, keys.backward)
    const hop = { depth, parent, branch, forward, backward, forwardKey }
    this.#hops.push(hop)
    return hop
  }
}
