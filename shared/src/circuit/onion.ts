/**
 * Onion layers of RELAY cells.
 *
 *     hop at depth i: body of length L_i, rest of the 1019 bytes zero:  tag 16 ‖ ciphertext      L_1 = 1019, L_{i+1} = L_i − 19
 *     plaintext = branch u16 ‖ delay u8 ‖ inner          branch 0: inner is a message for this hop, else pass it on
 *
 * Nested in the client's buffer all bodies end at the cell's last byte, so layers are sealed and opened in place. On a
 * link the body stands right behind the header; a relay therefore shifts it by one layer (19 bytes).
 *
 * Nonce = counter (u64, left-padded to 96 bits), one per hop instance and direction, never sent, never reset.
 * Epoch = counter >> 16; at each epoch K' = HKDF-Expand(K, "ratchet", 32) and K is wiped (forward secrecy in a circuit).
 */
import { utf8, writeU32 } from '../bytes/index.ts'
import { cellHeaderSize, cellSize } from '../cell/index.ts'
import { type Crypto, hkdfExpand, size } from '../crypto/index.ts'

/** What each layer costs: tag, branch, delay. */
export const layerSize = size.tag + 3
export const epochCells = 2 ** 16

/** Where the body of the layer at `depth` (from 1) begins in a nested cell. */
export function layerOffset(depth: number): number {
  return cellHeaderSize + layerSize * (depth - 1)
}

/** L_i: the length of the body at `depth`. */
export function layerBodySize(depth: number): number {
  return cellSize - layerOffset(depth)
}

/** Bytes left for a relay message inside `depth` layers: 962 at three hops, 943 at four. */
export function layerCapacity(depth: number): number {
  return layerBodySize(depth) - layerSize
}

const ratchetLabel = utf8('ratchet')
const nothing = new Uint8Array(0)

/** One direction of one hop: a key with its counter. Use each instance for one direction only. */
export class LayerCipher {
  readonly #crypto: Crypto
  readonly #nonce = new Uint8Array(size.nonce)
  #key: Uint8Array
  #counter = 0

  /** Takes ownership of `key` (32 bytes). */
  constructor(crypto: Crypto, key: Uint8Array) {
    this.#crypto = crypto
    this.#key = key
  }

  /** Cells done so far. */
  get counter(): number {
    return this.#counter
  }

  /** Seals in place: the plaintext stands from `offset + 16` to `end`; the tag goes to `offset`. */
  seal(cell: Uint8Array, offset: number, end: number): void {
    const data = cell.subarray(offset + size.tag, end)
    this.#crypto.aead.seal(this.#key, this.#nonce, nothing, data, cell.subarray(offset, offset + size.tag))
    this.#advance()
  }

  /** Opens in place what stands from `offset` to `end`; false where it is not the next cell of this key. */
  open(cell: Uint8Array, offset: number, end: number): boolean {
    const data = cell.subarray(offset + size.tag, end)
    const good = this.#crypto.aead.open(this.#key, this.#nonce, nothing, data, cell.subarray(offset, offset + size.tag))
    if (good) this.#advance()
    return good
  }

  /** Wipes the key. */
  destroy(): void {
    this.#key.fill(0)
  }

  #advance(): void {
    this.#counter += 1
    const low = this.#counter >>> 0
    writeU32(this.#nonce, 8, low)
    if (low % epochCells !== 0) return
    writeU32(this.#nonce, 4, Math.floor(this.#counter / 2 ** 32))
    const next = hkdfExpand(this.#crypto.hash, this.#key, ratchetLabel, size.key)
    this.#key.fill(0)
    this.#key = Uint8Array.from(next)
  }
}
