/**
 * Where the cells are in one direction of a link: walks bytes as they pass, through the HTTP upgrade, WebSocket frame
 * headers and payloads, and says which bytes belong to which cell. Masks are zero on Nightjar's links, so payloads are
 * read as they stand.
 */

/** Bytes of one cell within a chunk. */
export interface CellPart {
  /** A view into the chunk: writing to it damages the cell. */
  readonly bytes: Buffer
  /** Where they stand in their cell. */
  readonly offset: number
  /** The cell's header, once its five bytes have passed. */
  readonly header: CellHeader | undefined
}

export interface CellHeader {
  readonly circuitId: number
  readonly command: number
}

export const cellCommand = { padding: 0, create: 1, created: 2, relay: 3, destroy: 4 } as const

export const cellSize = 1024
export const cellHeaderSize = 5

const headEnd = Buffer.from('\r\n\r\n')
const dataOpcodes: readonly number[] = [0, 1, 2]

export class CellWalker {
  #matchedHeadEnd = 0
  #upgraded = false
  #frameHeader = Buffer.alloc(0)
  /** Payload bytes of the current frame that are still to come. */
  #left = 0
  #isData = false
  #cellOffset = 0
  readonly #cellHeader = Buffer.alloc(cellHeaderSize)

  /** Calls `visit` for each stretch of a cell in `chunk`, in order. */
  walk(chunk: Buffer, visit: (part: CellPart) => void): void {
    let at = 0
    while (at < chunk.length) {
      if (!this.#upgraded) this.#readHead(chunk[at++] as number)
      else if (this.#left === 0) this.#readFrameHeader(chunk[at++] as number)
      else at += this.#readPayload(chunk.subarray(at), visit)
    }
  }

  #readHead(byte: number): void {
    if (byte === headEnd[this.#matchedHeadEnd]) this.#matchedHeadEnd += 1
    else this.#matchedHeadEnd = byte === headEnd[0] ? 1 : 0
    this.#upgraded = this.#matchedHeadEnd === headEnd.length
  }

  #readFrameHeader(byte: number): void {
    this.#frameHeader = Buffer.concat([this.#frameHeader, Buffer.of(byte)])
    const [first = 0, second] = this.#frameHeader
    if (second === undefined) return
    const shortLength = second & 0x7f
    const lengthBytes = shortLength === 126 ? 2 : shortLength === 127 ? 8 : 0
    const maskBytes = (second & 0x80) === 0 ? 0 : 4
    if (this.#frameHeader.length < 2 + lengthBytes + maskBytes) return
    this.#left =
      lengthBytes === 0
        ? shortLength
        : this.#frameHeader.readUIntBE(lengthBytes === 8 ? 4 : 2, lengthBytes === 8 ? 6 : 2)
    this.#isData = dataOpcodes.includes(first & 0x0f)
    this.#frameHeader = Buffer.alloc(0)
  }

  /** @returns how many bytes it took */
  #readPayload(bytes: Buffer, visit: (part: CellPart) => void): number {
    if (!this.#isData) {
      const skipped = Math.min(this.#left, bytes.length)
      this.#left -= skipped
      return skipped
    }
    const offset = this.#cellOffset
    const part = bytes.subarray(0, Math.min(this.#left, bytes.length, cellSize - offset))
    if (offset < cellHeaderSize) part.copy(this.#cellHeader, offset)
    const header =
      offset + part.length < cellHeaderSize
        ? undefined
        : { circuitId: this.#cellHeader.readUInt32BE(0), command: this.#cellHeader[4] as number }
    this.#left -= part.length
    this.#cellOffset = (offset + part.length) % cellSize
    visit({ bytes: part, offset, header })
    return part.length
  }
}
