/**
 * Native-messaging frames, read and written without the product's own code: u32 little-endian ‖ JSON, and messages of
 * more than 640 KiB in parts (shared/src/bridge/frames.ts).
 */

/** A message of either side. */
export interface Message {
  readonly id?: number
  readonly type?: string
  readonly event?: string
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string; readonly data?: { readonly nightjar?: string } }
  readonly [field: string]: unknown
}

const headerSize = 4
const partBytes = 640 * 1024

interface Part {
  readonly part: number
  readonly of: number
  readonly bytes: string
}

/** One frame, whatever is in it. */
export function frameOf(text: string): Buffer {
  const header = Buffer.alloc(headerSize)
  header.writeUInt32LE(Buffer.byteLength(text))
  return Buffer.concat([header, Buffer.from(text)])
}

/** The frames that carry `message`. */
export function encodeMessage(message: object): Buffer {
  const text = Buffer.from(JSON.stringify(message))
  const count = Math.ceil(text.length / partBytes)
  if (count === 1) return frameOf(text.toString())
  const parts = Array.from({ length: count }, (_, index) => {
    const bytes = text.subarray(index * partBytes, (index + 1) * partBytes).toString('base64')
    return frameOf(JSON.stringify({ part: index + 1, of: count, bytes } satisfies Part))
  })
  return Buffer.concat(parts)
}

/** Takes bytes as they come and gives whole messages, as they stand on the wire. */
export class MessageReader {
  #chunks: Buffer[] = []
  #length = 0
  #parts: Buffer[] = []

  push(bytes: Buffer): string[] {
    this.#chunks.push(bytes)
    this.#length += bytes.length
    return [...this.#frames()].flatMap((text) => this.#join(text))
  }

  *#frames(): Generator<string> {
    for (let size = this.#sizeOfNext(); size <= this.#length; size = this.#sizeOfNext()) {
      const all = Buffer.concat(this.#chunks)
      this.#chunks = [all.subarray(size)]
      this.#length -= size
      yield all.toString('utf8', headerSize, size)
    }
  }

  /** With its header; infinite before that is there. */
  #sizeOfNext(): number {
    if (this.#length < headerSize) return Number.POSITIVE_INFINITY
    if ((this.#chunks[0] as Buffer).length < headerSize) this.#chunks = [Buffer.concat(this.#chunks)]
    return headerSize + (this.#chunks[0] as Buffer).readUInt32LE()
  }

  #join(text: string): string[] {
    if (!text.startsWith('{"part":')) return [text]
    const { part, of, bytes } = JSON.parse(text) as Part
    this.#parts.push(Buffer.from(bytes, 'base64'))
    if (part < of) return []
    return [Buffer.concat(this.#parts.splice(0)).toString('utf8')]
  }
}
