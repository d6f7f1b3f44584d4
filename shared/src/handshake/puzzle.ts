/**
 * The client puzzle. A relay that has more handshakes to answer than it can answers CREATE with a challenge, and the
 * client sends its CREATE again with a solution behind the hello. Spec: docs/protocol.md, Puzzles.
 *
 *     challenge = difficulty u8 ‖ seed 32                        in PUZZLE
 *     solution  = difficulty u8 ‖ nonce u32                      in CREATE, behind the hello             5 bytes
 *     base      = SHA-256("nightjar-1 puzzle" ‖ seed ‖ hello)
 *     proof     = SHA-256(base ‖ nonce)                          its first `difficulty` bits are zero
 *
 * The hello is part of it, so one solution is good for one handshake. How a relay makes seeds, and when it asks, is the
 * relay's own affair (relay-server/src/limits/handshakes.ts).
 */
import { concat, Reader, readU32, utf8, writeU32 } from '../bytes/index.ts'
import { type Hash, size } from '../crypto/index.ts'
import { NightjarError, violation } from '../errors/index.ts'
import { limits } from '../limits.ts'
import { type Clock, millisecond, pause } from '../runtime.ts'
import { helloSize } from './messages.ts'

/** As PUZZLE carries it. */
export interface Challenge {
  /** Leading zero bits asked for, 1 to `limits.puzzleBits`. */
  readonly difficulty: number
  readonly seed: Uint8Array
}

export interface Solution {
  /** As in the challenge: a relay keeps none, and makes the seed of it again. */
  readonly difficulty: number
  readonly nonce: number
}

export const solutionSize = 1 + 4

const label = utf8('nightjar-1 puzzle')
const nonceOffset = size.hash

/** Tries between two looks at the rest of the world: some milliseconds even where a hash takes five microseconds. */
const triesAtOnce = 1024

/** What CREATE carries: a hello, and a solution where one was asked for. */
export function encodeCreate(hello: Uint8Array, solution: Solution): Uint8Array {
  const bytes = new Uint8Array(solutionSize)
  bytes[0] = solution.difficulty
  writeU32(bytes, 1, solution.nonce)
  return concat(hello, bytes)
}

/**
 * The hello in `message`, unread, and the solution if there is one.
 * @throws NightjarError `protocol-violation` for another length, or a difficulty that no relay may ask for
 */
export function decodeCreate(message: Uint8Array): { hello: Uint8Array; solution: Solution | undefined } {
  if (message.length === helloSize) return { hello: message, solution: undefined }
  const reader = new Reader(message, 'CREATE')
  const hello = reader.bytes(helloSize, 'hello')
  const difficulty = reader.u8('difficulty')
  if (difficulty === 0 || difficulty > limits.puzzleBits) throw violation('puzzle difficulty out of bounds')
  const solution = { difficulty, nonce: reader.u32('nonce') }
  reader.end()
  return { hello, solution }
}

/** The proof of `nonce`; what makes it one is `leadingZeroBits`. */
export function puzzleProof(hash: Hash, seed: Uint8Array, hello: Uint8Array, nonce: number): Uint8Array {
  return hash.sha256(attemptAt(hash, seed, hello, nonce))
}

export function leadingZeroBits(bytes: Uint8Array): number {
  let bits = 0
  for (let offset = 0; offset + 4 <= bytes.length; offset += 4) {
    const zeros = Math.clz32(readU32(bytes, offset))
    bits += zeros
    if (zeros < 32) break
  }
  return bits
}

/**
 * Finds the solution: 2^difficulty tries on average, a few milliseconds at a time.
 * @throws NightjarError `cancelled` once it is not wanted any more
 */
export async function solvePuzzle(
  hash: Hash,
  clock: Clock,
  challenge: Challenge,
  hello: Uint8Array,
  isWanted: () => boolean,
): Promise<Solution> {
  const { difficulty, seed } = challenge
  const attempt = attemptAt(hash, seed, hello, 0)
  for (let nonce = 0; ; nonce++) {
    if (nonce % triesAtOnce === 0 && nonce > 0) await pause(clock, 0 * millisecond)
    if (nonce % triesAtOnce === 0 && !isWanted()) throw new NightjarError('cancelled')
    writeU32(attempt, nonceOffset, nonce)
    if (leadingZeroBits(hash.sha256(attempt)) >= difficulty) return { difficulty, nonce }
  }
}

function attemptAt(hash: Hash, seed: Uint8Array, hello: Uint8Array, nonce: number): Uint8Array {
  const attempt = new Uint8Array(nonceOffset + 4)
  attempt.set(hash.sha256(concat(label, seed, hello)))
  writeU32(attempt, nonceOffset, nonce)
  return attempt
}
