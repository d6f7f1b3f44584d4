/** A bounded reader: every decoder of the protocol reads through one, and ends it with `end` so that nothing trails. */
import { violation } from '../errors/index.ts'

export class Reader {
  readonly #bytes: Uint8Array
  readonly #name: string
  #offset = 0

  /** `name` is what error details call the message. */
  constructor(bytes: Uint8Array, name: string) {
    this.#bytes = bytes
    this.#name = name
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset
  }

  u8(field: string): number {
    return this.bytes(1, field)[0] as number
  }

  u16(field: string): number {
    const [a, b] = this.bytes(2, field) as unknown as [number, number]
    return (a << 8) | b
  }

  u32(field: string): number {
    const [a, b, c, d] = this.bytes(4, field) as unknown as [number, number, number, number]
    return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
  }

  /** The next `length` bytes as a view, not a copy. */
  bytes(length: number, field: string): Uint8Array {
    if (length > this.remaining) throw violation(`${this.#name} is cut off at ${field}`)
    const view = this.#bytes.subarray(this.#offset, this.#offset + length)
    this.#offset += length
    return view
  }

  /** All that is left, as a view. */
  rest(): Uint8Array {
    return this.bytes(this.remaining, 'the rest')
  }

  /** What is left must be zero fill. */
  zeros(): void {
    if (!isZero(this.rest())) throw violation(`${this.#name} has fill that is not zero`)
  }

  /** Nothing may be left. */
  end(): void {
    if (this.remaining > 0) throw violation(`${this.#name} has ${this.remaining} trailing bytes`)
  }
}

/** Whether all bytes are zero. */
export function isZero(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false
  return true
}
