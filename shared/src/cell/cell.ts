/**
 * The cell: the only thing that links carry.
 *
 *     circuitId u32 ‖ command u8 ‖ body 1019
 *
 * Circuit ids are random and mean nothing beyond their link. The five header bytes rely on the link's TLS; RELAY bodies
 * are authenticated per hop (../circuit/onion.ts). Fill is zero and checked.
 */
import { concat, isZero, Reader, readU16, readU32, writeU16, writeU32 } from '../bytes/index.ts'
import { size } from '../crypto/index.ts'
import { violation } from '../errors/index.ts'
import { limits } from '../limits.ts'

export const cellSize = 1024
export const cellHeaderSize = 5
export const cellBodySize = cellSize - cellHeaderSize

export const command = {
  /** Cover; dropped by the receiver. */
  padding: 0,
  /** Opens a circuit: a part of the handshake's hello. */
  create: 1,
  /** A part of the handshake's reply. */
  created: 2,
  /** An onion-encrypted body. */
  relay: 3,
  /** Ends a circuit: `reason u8`; towards relays always 0. */
  destroy: 4,
  /** The sender drains: `seconds u16` left. */
  goaway: 5,
  /** Answers CREATE instead of CREATED: a puzzle to solve first (../handshake/puzzle.ts). */
  puzzle: 6,
} as const

const lastCommand = command.puzzle

/** The circuit id of commands that concern the whole link (PADDING, GOAWAY). */
export const noCircuit = 0

export function circuitIdOf(cell: Uint8Array): number {
  return readU32(cell, 0)
}

/** @throws NightjarError `protocol-violation` for a command that this version does not know. */
export function commandOf(cell: Uint8Array): number {
  const value = cell[4] as number
  if (value > lastCommand) throw violation('unknown command')
  return value
}

export function writeHeader(cell: Uint8Array, circuitId: number, cellCommand: number): void {
  writeU32(cell, 0, circuitId)
  cell[4] = cellCommand
}

export function bodyOf(cell: Uint8Array): Uint8Array {
  return cell.subarray(cellHeaderSize)
}

/** A fresh cell of `cellCommand` with `body` (at most 1019 bytes) and zero fill. */
export function makeCell(circuitId: number, cellCommand: number, body: Uint8Array): Uint8Array {
  const cell = new Uint8Array(cellSize)
  writeHeader(cell, circuitId, cellCommand)
  cell.set(body, cellHeaderSize)
  return cell
}

export function destroyCell(circuitId: number, reason: number): Uint8Array {
  return makeCell(circuitId, command.destroy, Uint8Array.of(reason))
}

/** The reason of a DESTROY. */
export function decodeDestroy(cell: Uint8Array): number {
  const reader = new Reader(bodyOf(cell), 'DESTROY')
  const reason = reader.u8('reason')
  reader.zeros()
  return reason
}

export function goawayCell(seconds: number): Uint8Array {
  const body = new Uint8Array(2)
  writeU16(body, 0, Math.min(seconds, 0xffff))
  return makeCell(noCircuit, command.goaway, body)
}

/** The seconds of a GOAWAY. */
export function decodeGoaway(cell: Uint8Array): number {
  const reader = new Reader(bodyOf(cell), 'GOAWAY')
  const seconds = reader.u16('seconds')
  reader.zeros()
  return seconds
}

/** The circuit it asks this of is forgotten: CREATE comes again, with the solution. */
export function puzzleCell(
  circuitId: number,
  { difficulty, seed }: { difficulty: number; seed: Uint8Array },
): Uint8Array {
  return makeCell(circuitId, command.puzzle, concat(Uint8Array.of(difficulty), seed))
}

/**
 * The challenge of a PUZZLE; the seed is a copy.
 * @throws NightjarError `protocol-violation` for a difficulty beyond what a client does for a relay, or no zeros behind it
 */
export function decodePuzzle(cell: Uint8Array): { difficulty: number; seed: Uint8Array } {
  const reader = new Reader(bodyOf(cell), 'PUZZLE')
  const difficulty = reader.u8('difficulty')
  if (difficulty === 0 || difficulty > limits.puzzleBits) throw violation('puzzle difficulty out of bounds')
  const seed = Uint8Array.from(reader.bytes(size.hash, 'seed'))
  reader.zeros()
  return { difficulty, seed }
}

/** A random circuit id that is neither 0 nor taken. */
export function freshCircuitId(randomBytes: (length: number) => Uint8Array, taken: (id: number) => boolean): number {
  for (;;) {
    const id = readU32(randomBytes(4), 0)
    if (id !== noCircuit && !taken(id)) return id
  }
}

/** Cuts `message` into parts of at most `capacity` bytes, each prefixed with the total: `total u16 ‖ part`. */
export function splitHandshake(message: Uint8Array, capacity: number): Uint8Array[] {
  const parts: Uint8Array[] = []
  const step = capacity - 2
  for (let offset = 0; offset < message.length; offset += step) {
    const piece = message.subarray(offset, offset + step)
    const part = new Uint8Array(2 + piece.length)
    writeU16(part, 0, message.length)
    part.set(piece, 2)
    parts.push(part)
  }
  return parts
}

/** The CREATE or CREATED cells that carry `message`. */
export function handshakeCells(circuitId: number, cellCommand: number, message: Uint8Array): Uint8Array[] {
  return splitHandshake(message, cellBodySize).map((part) => makeCell(circuitId, cellCommand, part))
}

/** Puts a handshake message together again; one per message, bounded by `limits.handshakeBytes`. */
export class HandshakeAssembler {
  readonly #parts: Uint8Array[] = []
  #received = 0
  #total: number | undefined

  /**
   * Takes `total u16 ‖ part` (which may end in zero fill when the part is the last) and returns the message once whole.
   * @throws NightjarError `protocol-violation` where totals differ, are out of bounds, the fill is not zero, or the
   * message was whole already.
   */
  push(chunk: Uint8Array): Uint8Array | undefined {
    if (chunk.length < 3) throw violation('handshake part is empty')
    const total = readU16(chunk, 0)
    if (total === 0 || total > limits.handshakeBytes) throw violation('handshake length out of bounds')
    if (this.#total !== undefined && total !== this.#total) throw violation('handshake lengths differ')
    this.#total = total
    const wanted = total - this.#received
    if (wanted === 0) throw violation('handshake part after the last')
    const part = chunk.slice(2, 2 + wanted)
    if (!isZero(chunk.subarray(2 + part.length))) throw violation('handshake fill is not zero')
    this.#parts.push(part)
    this.#received += part.length
    if (this.#received < total) return undefined
    const message = new Uint8Array(total)
    let offset = 0
    for (const piece of this.#parts) {
      message.set(piece, offset)
      offset += piece.length
    }
    return message
  }
}
