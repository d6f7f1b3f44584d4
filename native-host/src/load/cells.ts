/**
 * Cells through one relay process. The driver is the client on one side of the relay and the next relay on its other
 * side: it seals cells for the relay beforehand, sends them in full batches over several circuits, and counts what
 * arrives behind. So the relay is what limits, not the driver.
 *
 * The same driver measures the reference, a plain echo that does one AEAD per cell and sends each batch back.
 */
import { readFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
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
import { type RawData, WebSocket, WebSocketServer } from 'ws'

const batchCells = limits.cellsPerMessage
const circuits = 16
const roundCells = 128 * 1024
const rounds = 5
/** Below W per branch, so that the relay never has to close one. */
const inFlightCells = (limits.branchWindow / 2) * circuits
const socketOptions = {
  perMessageDeflate: false,
  rejectUnauthorized: false,
  generateMask: (mask: Buffer) => void mask.fill(0),
} as const

export interface CellsResult {
  /** Median over the rounds. */
  readonly cellsPerS: number
}

/** @param url of an echo server */
export async function measureEcho(url: string): Promise<CellsResult> {
  const socket = await openSocket(url)
  const arrived = new Counter()
  socket.on('message', (data: Buffer) => arrived.add(data.length / cellSize))
  const batch = Buffer.alloc(batchCells * cellSize, 1)
  const batches = Array.from({ length: roundCells / batchCells }, () => batch)
  const result = await measureRounds(socket, arrived, () => batches)
  socket.terminate()
  return result
}

export interface RelayCells {
  readonly crypto: Crypto
  /** The relay under test. */
  readonly relay: Relay
  /** The next relay in the network document, whose part the driver plays on this port of loopback. */
  readonly sink: Relay
  readonly sinkPort: number
  readonly sinkTls: { readonly certFile: string; readonly keyFile: string } | undefined
}

export async function measureRelay(options: RelayCells): Promise<CellsResult> {
  const arrived = new Counter()
  const closeSink = await listenSink(options, arrived)
  const socket = await openSocket(options.relay.addresses[0]?.url as string)
  const trees = await openCircuits(socket, options)
  const result = await measureRounds(socket, arrived, () => sealRound(trees))
  socket.terminate()
  closeSink()
  return result
}

class Counter {
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

async function measureRounds(
  socket: WebSocket,
  arrived: Counter,
  makeBatches: () => readonly Buffer[],
): Promise<CellsResult> {
  const speeds: number[] = []
  for (let round = -1; round < rounds; round++) {
    const batches = makeBatches()
    const start = arrived.count
    const begun = performance.now()
    for (const [index, batch] of batches.entries()) {
      await arrived.reaches(start + (index + 1) * batchCells - inFlightCells)
      socket.send(batch)
    }
    await arrived.reaches(start + batches.length * batchCells)
    // The first round only warms up.
    if (round >= 0) speeds.push((batches.length * batchCells * 1000) / (performance.now() - begun))
  }
  speeds.sort((a, b) => a - b)
  return { cellsPerS: speeds[Math.floor(speeds.length / 2)] as number }
}

function openSocket(url: string): Promise<WebSocket> {
  const socket = new WebSocket(url, [subprotocol], socketOptions)
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket))
    socket.once('error', reject)
  })
}

/** Answers every CREATE, without keys: only the client could notice, and the client is this driver. */
async function listenSink({ sinkPort, sinkTls, sink, crypto }: RelayCells, arrived: Counter): Promise<() => void> {
  const server =
    sinkTls === undefined
      ? createHttpServer()
      : createHttpsServer({ cert: readFileSync(sinkTls.certFile), key: readFileSync(sinkTls.keyFile) })
  const sockets = new WebSocketServer({ server, perMessageDeflate: false })
  sockets.on('connection', (socket) => {
    const hellos = new Map<number, HandshakeAssembler>()
    socket.on('message', (data: RawData) => {
      const message = data as Buffer
      let relayed = 0
      for (let offset = 0; offset < message.length; offset += cellSize) {
        const cell = message.subarray(offset, offset + cellSize)
        if (commandOf(cell) === command.relay) relayed += 1
        if (commandOf(cell) !== command.create) continue
        const id = circuitIdOf(cell)
        const assembler = hellos.get(id) ?? new HandshakeAssembler()
        hellos.set(id, assembler)
        if (assembler.push(bodyOf(cell)) === undefined) continue
        for (const reply of handshakeCells(id, command.created, crypto.randomBytes(replySize))) socket.send(reply)
      }
      arrived.add(relayed)
    })
  })
  const { hostname } = new URL(sink.addresses[0]?.url as string)
  await new Promise<void>((resolve) => server.listen(sinkPort, hostname, resolve))
  return () => {
    for (const socket of sockets.clients) socket.terminate()
    server.close()
  }
}

interface Tree {
  readonly id: number
  readonly forward: LayerCipher
}

/** Circuits through the relay, each with branch 1 to the sink. */
async function openCircuits(socket: WebSocket, { crypto, relay, sink }: RelayCells): Promise<Tree[]> {
  const inbox = new Map<number, (cell: Uint8Array) => void>()
  socket.on('message', (data: Buffer) => {
    for (let offset = 0; offset < data.length; offset += cellSize) {
      const cell = data.subarray(offset, offset + cellSize)
      inbox.get(circuitIdOf(cell))?.(cell)
    }
  })

  async function openOne(): Promise<Tree> {
    const id = readU32(crypto.randomBytes(4), 0)
    const responder = responderOf(relay, 'onion', Date.now())
    const handshake = await startHandshake(crypto, { purpose: purpose.hop, depth: 1, responder })
    const assembler = new HandshakeAssembler()
    const reply = await new Promise<Uint8Array>((resolve, reject) => {
      inbox.set(id, (cell) => {
        if (commandOf(cell) !== command.created) return reject(new NightjarError('handshake-failed'))
        const whole = assembler.push(bodyOf(cell))
        if (whole !== undefined) resolve(whole)
      })
      for (const cell of handshakeCells(id, command.create, handshake.hello)) socket.send(cell)
    })
    const { keys } = await handshake.finish(reply)
    const forward = new LayerCipher(crypto, keys.forward)
    const backward = new LayerCipher(crypto, keys.backward)
    await new Promise<void>((resolve, reject) => {
      let parts = 0
      inbox.set(id, (cell) => {
        const copy = Uint8Array.from(cell)
        if (!backward.open(copy, layerOffset(1), cellSize)) return reject(new NightjarError('cell-rejected'))
        if (copy[layerOffset(2)] !== messageType.extended) return reject(new NightjarError('connect-failed'))
        parts += 1
        if (parts === Math.ceil((replySize + 2) / (layerCapacity(1) - messageHeaderSize - 2))) resolve()
      })
      const hello = crypto.randomBytes(handshake.hello.length)
      const extend = encodeExtend({ branch: 1, identity: sink.identity, hello })
      for (const part of splitHandshake(extend, layerCapacity(1) - messageHeaderSize)) {
        const cell = new Uint8Array(cellSize)
        writeMessage(cell, layerOffset(2), messageType.extend, noStream, part)
        socket.send(sealFor({ id, forward }, 0, cell))
      }
    })
    inbox.delete(id)
    return { id, forward }
  }

  return Promise.all(Array.from({ length: circuits }, openOne))
}

function sealFor(tree: Tree, branch: number, cell: Uint8Array): Uint8Array {
  const offset = layerOffset(1)
  writeU16(cell, offset + size.tag, branch)
  cell[offset + layerSize - 1] = 0
  tree.forward.seal(cell, offset, cellSize)
  writeHeader(cell, tree.id, command.relay)
  return cell
}

/** Batches for one round, with cells of all circuits in turn. */
function sealRound(trees: readonly Tree[]): Buffer[] {
  return Array.from({ length: roundCells / batchCells }, () => {
    const batch = Buffer.alloc(batchCells * cellSize, 7)
    for (let index = 0; index < batchCells; index++) {
      const cell = new Uint8Array(batch.buffer, batch.byteOffset + index * cellSize, cellSize)
      sealFor(trees[index % trees.length] as Tree, 1, cell)
    }
    return batch
  })
}
