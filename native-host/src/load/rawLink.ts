/**
 * The driver's side of links to the relay under test: bare WebSockets with circuits on them, without the queues and
 * time-outs of a real client, so that driving costs as little as it can.
 */
import { readU32, writeU16 } from '@nightjar/shared/bytes'
import {
  bodyOf,
  cellSize,
  circuitIdOf,
  command,
  commandOf,
  HandshakeAssembler,
  handshakeCells,
  splitHandshake,
  writeHeader,
} from '@nightjar/shared/cell'
import {
  encodeExtend,
  LayerCipher,
  layerCapacity,
  layerOffset,
  layerSize,
  messageHeaderSize,
  messageType,
  noStream,
  writeMessage,
} from '@nightjar/shared/circuit'
import { type Crypto, size } from '@nightjar/shared/crypto'
import { type Relay, responderOf } from '@nightjar/shared/directory'
import { NightjarError } from '@nightjar/shared/errors'
import { purpose, replySize, startHandshake } from '@nightjar/shared/handshake'
import { limits } from '@nightjar/shared/limits'
import { subprotocol } from '@nightjar/shared-node/link'
import { WebSocket } from 'ws'

export const batchCells = limits.cellsPerMessage

const socketOptions = {
  perMessageDeflate: false,
  rejectUnauthorized: false,
  generateMask: (mask: Buffer) => void mask.fill(0),
} as const

/** Counts cells, and tells when there are enough. */
export class Counter {
  count = 0
  #waiting: { atLeast: number; resolve(): void } | undefined

  add(cells: number): void {
    this.count += cells
    if (this.#waiting === undefined || this.count < this.#waiting.atLeast) return
    this.#waiting.resolve()
    this.#waiting = undefined
  }

  reaches(atLeast: number): Promise<void> {
    if (this.count >= atLeast) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiting = { atLeast, resolve }
    })
  }
}

/** @param localAddress to connect from, where it is not for the system to choose */
export function openSocket(url: string, localAddress?: string): Promise<WebSocket> {
  const from = localAddress === undefined ? {} : { localAddress }
  const socket = new WebSocket(url, [subprotocol], { ...socketOptions, ...from })
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket))
    socket.once('error', reject)
  })
}

/** Rejects once one of them is closed: without it a lost cell would be waited for without end. */
export function untilLost(sockets: readonly WebSocket[]): Promise<never> {
  return new Promise((_, reject) => {
    for (const socket of sockets) socket.once('close', () => reject(new NightjarError('link-lost')))
  })
}

export interface RawCircuit {
  readonly id: number
  readonly forward: LayerCipher
  readonly backward: LayerCipher
}

type OnCell = (cell: Uint8Array) => void

/** Opens circuits of one hop on a socket. A cell that nobody waits for closes the socket: the relay has complained. */
export class RawLink {
  readonly #crypto: Crypto
  readonly #socket: WebSocket
  readonly #inbox = new Map<number, OnCell>()

  constructor(crypto: Crypto, socket: WebSocket) {
    this.#crypto = crypto
    this.#socket = socket
    socket.on('message', (data: Buffer) => {
      for (let offset = 0; offset < data.length; offset += cellSize) {
        const cell = data.subarray(offset, offset + cellSize)
        const onCell = this.#inbox.get(circuitIdOf(cell))
        if (onCell === undefined) socket.terminate()
        else onCell(cell)
      }
    })
  }

  async create(relay: Relay): Promise<RawCircuit> {
    const crypto = this.#crypto
    const id = readU32(crypto.randomBytes(4), 0)
    const responder = responderOf(relay, 'onion', Date.now())
    const handshake = await startHandshake(crypto, { purpose: purpose.hop, depth: 1, responder })
    const assembler = new HandshakeAssembler()
    const reply = await this.#receive<Uint8Array>(
      id,
      (cell, resolve, reject) => {
        if (commandOf(cell) !== command.created) return reject(new NightjarError('handshake-failed'))
        const whole = assembler.push(bodyOf(cell))
        if (whole !== undefined) resolve(whole)
      },
      handshakeCells(id, command.create, handshake.hello),
    )
    const { keys } = await handshake.finish(reply)
    return { id, forward: new LayerCipher(crypto, keys.forward), backward: new LayerCipher(crypto, keys.backward) }
  }

  /** Opens branch 1 to the relay of that identity, with any bytes for a hello: the reply is not looked at. */
  async extend({ id, forward, backward }: RawCircuit, identity: Uint8Array, hello: Uint8Array): Promise<void> {
    const capacity = layerCapacity(1) - messageHeaderSize
    const cells = splitHandshake(encodeExtend({ branch: 1, identity, hello }), capacity).map((part) => {
      const cell = new Uint8Array(cellSize)
      writeMessage(cell, layerOffset(2), messageType.extend, noStream, part)
      return sealFor({ id, forward }, 0, cell)
    })
    let partsLeft = Math.ceil((replySize + 2) / (capacity - 2))
    await this.#receive<void>(
      id,
      (cell, resolve, reject) => {
        const copy = Uint8Array.from(cell)
        if (!backward.open(copy, layerOffset(1), cellSize)) return reject(new NightjarError('cell-rejected'))
        if (copy[layerOffset(2)] !== messageType.extended) return reject(new NightjarError('connect-failed'))
        partsLeft -= 1
        if (partsLeft === 0) resolve()
      },
      cells,
    )
  }

  /** Sends `cells`, and gives what comes for the circuit to `onCell` until that has resolved or rejected. */
  async #receive<T>(
    id: number,
    onCell: (cell: Uint8Array, resolve: (value: T) => void, reject: (error: Error) => void) => void,
    cells: readonly Uint8Array[],
  ): Promise<T> {
    const answer = new Promise<T>((resolve, reject) => {
      this.#inbox.set(id, (cell) => onCell(cell, resolve, reject))
    })
    for (const cell of cells) this.#socket.send(cell)
    try {
      return await answer
    } finally {
      this.#inbox.delete(id)
    }
  }
}

function sealFor({ id, forward }: Omit<RawCircuit, 'backward'>, branch: number, cell: Uint8Array): Uint8Array {
  const offset = layerOffset(1)
  writeU16(cell, offset + size.tag, branch)
  cell[offset + layerSize - 1] = 0
  forward.seal(cell, offset, cellSize)
  writeHeader(cell, id, command.relay)
  return cell
}

/** Full messages of `cells` in all for branch 1, with cells of all `circuits` in turn. */
export function sealBatches(circuits: readonly RawCircuit[], cells: number): Buffer[] {
  return Array.from({ length: cells / batchCells }, () => {
    const batch = Buffer.alloc(batchCells * cellSize, 7)
    for (let index = 0; index < batchCells; index++) {
      const cell = new Uint8Array(batch.buffer, batch.byteOffset + index * cellSize, cellSize)
      sealFor(circuits[index % circuits.length] as RawCircuit, 1, cell)
    }
    return batch
  })
}
