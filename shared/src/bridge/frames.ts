/**
 * Frames of the daemon's local socket, the same as native messaging's so that the bridge only copies:
 *
 *     length u32 little-endian ‖ JSON in UTF-8            at most 1 MiB
 *
 * A message of more than 640 KiB travels as parts: { "part": 1, "of": 3, "bytes": base64 }, in order and without other
 * frames in between; none is empty.
 */
import { base64, concat, fromBase64, fromJson, utf8 } from '../bytes/index.ts'
import { NightjarError } from '../errors/index.ts'
import { limits } from '../limits.ts'

const headerSize = 4
const partBytes = 640 * 1024
const maxParts = Math.ceil(limits.localMessageBytes / partBytes)

/** The frames that carry `message`, ready to be written one after the other. */
export function encodeFrames(message: unknown): Uint8Array[] {
  return toParts(message).map((part) => frame(utf8(JSON.stringify(part))))
}

/** `message` itself where it is small enough, else its parts: what goes into one frame, or one `postMessage`, each. */
export function toParts(message: unknown): unknown[] {
  const text = utf8(JSON.stringify(message))
  if (text.length <= partBytes) return [message]
  const count = Math.ceil(text.length / partBytes)
  return Array.from({ length: count }, (_, index) => {
    const bytes = base64(text.subarray(index * partBytes, (index + 1) * partBytes))
    return { part: index + 1, of: count, bytes }
  })
}

function frame(text: Uint8Array): Uint8Array {
  const header = new Uint8Array(headerSize)
  new DataView(header.buffer).setUint32(0, text.length, true)
  return concat(header, text)
}

/** Takes bytes as they come and gives whole messages. */
export class FrameDecoder {
  readonly #joiner: PartsJoiner
  #pending: Uint8Array = new Uint8Array(0)

  constructor(onMessage: (message: unknown) => void) {
    this.#joiner = new PartsJoiner(onMessage)
  }

  /** @throws NightjarError `malformed-frame`; the connection is then to be closed */
  push(bytes: Uint8Array): void {
    this.#pending = this.#pending.length === 0 ? bytes : concat(this.#pending, bytes)
    for (;;) {
      if (this.#pending.length < headerSize) return
      const { buffer, byteOffset } = this.#pending
      const length = new DataView(buffer, byteOffset).getUint32(0, true)
      if (length > limits.localFrameBytes) throw malformed('frame is larger than the limit')
      if (this.#pending.length < headerSize + length) return
      const text = this.#pending.subarray(headerSize, headerSize + length)
      this.#pending = this.#pending.subarray(headerSize + length)
      this.#joiner.take(parse(text))
    }
  }
}

/** Takes messages and parts of messages and gives whole messages. */
export class PartsJoiner {
  readonly #onMessage: (message: unknown) => void
  #parts: Uint8Array[] = []
  #count = 0
  #bytes = 0

  constructor(onMessage: (message: unknown) => void) {
    this.#onMessage = onMessage
  }

  /** @throws NightjarError `malformed-frame`; the connection is then to be closed */
  take(value: unknown): void {
    const part = asPart(value)
    if (part === undefined) {
      if (this.#parts.length > 0) throw malformed('message between parts')
      return this.#onMessage(value)
    }
    if (part.part !== this.#parts.length + 1) throw malformed('parts out of order')
    if (part.part > 1 && part.of !== this.#count) throw malformed('number of parts')
    this.#count = part.of
    this.#bytes += part.bytes.length
    if (this.#bytes > limits.localMessageBytes) throw malformed('message is larger than the limit')
    this.#parts.push(part.bytes)
    if (part.part < part.of) return
    const whole = concat(...this.#parts)
    this.#parts = []
    this.#bytes = 0
    this.#onMessage(parse(whole))
  }
}

function asPart(value: unknown): { part: number; of: number; bytes: Uint8Array } | undefined {
  if (typeof value !== 'object' || value === null || !('part' in value)) return undefined
  const { part, of, bytes } = value as { part: unknown; of?: unknown; bytes?: unknown }
  if (!isCount(part) || !isCount(of) || part > of || typeof bytes !== 'string' || bytes === '') throw malformed('part')
  try {
    return { part, of, bytes: fromBase64(bytes) }
  } catch (cause) {
    throw malformed('part is not base64', cause)
  }
}

/** Bounded, as each part leaves an entry in memory until the last has come. */
function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= maxParts
}

function parse(text: Uint8Array): unknown {
  try {
    return fromJson(text)
  } catch (cause) {
    throw malformed('not JSON', cause)
  }
}

function malformed(detail: string, cause?: unknown): NightjarError {
  return new NightjarError('malformed-frame', { detail, cause })
}
