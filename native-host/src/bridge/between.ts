/**
 * Passes on what the daemon says, unchanged, and puts messages of the host's own between two of the daemon's. For that it
 * reads the lengths of the frames (shared/bridge), and whether one is a part that others must follow at once; no more.
 */
import { Transform, type TransformCallback } from 'node:stream'
import { encodeFrames } from '@nightjar/shared/bridge'

const headerSize = 4
/** Enough of a frame for its length and what `toParts` writes first. */
const startSize = headerSize + 40

export class Between extends Transform {
  /** The first bytes of the frame that is passing. */
  #start = Buffer.alloc(0)
  /** What of it has passed. */
  #passed = 0
  /** Whether the last frame was a part that is not the last one. */
  #isOpen = false
  readonly #waiting: unknown[] = []

  /** Sends `message` as soon as nothing of the daemon's is half-way. */
  put(message: unknown): void {
    this.#waiting.push(message)
    if (this.#isPlace) this.#flush()
  }

  override _transform(bytes: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    let pushed = 0
    for (let offset = 0; offset < bytes.length; ) {
      const piece = bytes.subarray(offset, offset + this.#wanted)
      this.#take(piece)
      offset += piece.length
      if (this.#waiting.length === 0 || !this.#isPlace) continue
      this.push(bytes.subarray(pushed, offset))
      pushed = offset
      this.#flush()
    }
    if (pushed < bytes.length) this.push(bytes.subarray(pushed))
    done()
  }

  get #isPlace(): boolean {
    return this.#passed === 0 && !this.#isOpen
  }

  /** Up to the end of the header, then up to the end of the frame. */
  get #wanted(): number {
    return (this.#passed < headerSize ? headerSize : this.#frameSize) - this.#passed
  }

  get #frameSize(): number {
    return headerSize + this.#start.readUInt32LE(0)
  }

  #take(piece: Buffer): void {
    const missing = startSize - this.#start.length
    if (missing > 0) this.#start = Buffer.concat([this.#start, piece.subarray(0, missing)])
    this.#passed += piece.length
    if (this.#passed < headerSize || this.#passed < this.#frameSize) return
    const [, part, of] = /^\{"part":(\d+),"of":(\d+),/.exec(this.#start.toString('latin1', headerSize)) ?? []
    this.#isOpen = Number(part) < Number(of)
    this.#start = Buffer.alloc(0)
    this.#passed = 0
  }

  #flush(): void {
    for (const message of this.#waiting.splice(0)) this.push(Buffer.concat(encodeFrames(message)))
  }
}
