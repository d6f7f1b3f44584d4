/**
 * Envelopes: requests and answers sealed end to end between the one who asks (the extension, or the host for its own
 * endpoint) and the gateway. The keys come from the handshake with purpose 2 against the gateway's envelope key.
 *
 *     record    = counter u64 ‖ tag 16 ‖ ciphertext         associated data = direction u8 ‖ purpose u8
 *     plaintext = length u32 ‖ text ‖ zeros                  padded so that the record fills its size class
 *
 * A session lives and dies with one branch. Records may arrive in any order; each counter is accepted once.
 */
import { readU32, readU64, writeU32, writeU64 } from '../bytes/index.ts'
import { type Crypto, size } from '../crypto/index.ts'
import { NightjarError } from '../errors/index.ts'
import { purpose, type SessionKeys } from '../handshake/index.ts'
import { ReplayWindow } from './replay.ts'
import { recordOverhead, recordSize } from './sizeClass.ts'

const counterSize = 8
const textStart = counterSize + size.tag + 4

const forwardData = Uint8Array.of(0, purpose.envelope)
const backwardData = Uint8Array.of(1, purpose.envelope)

interface Direction {
  readonly key: Uint8Array
  readonly associated: Uint8Array
}

export class EnvelopeSession {
  readonly #crypto: Crypto
  readonly #out: Direction
  readonly #in: Direction
  readonly #seen = new ReplayWindow()
  #sent = 0

  /** Takes ownership of `keys`. */
  constructor(crypto: Crypto, keys: SessionKeys, side: 'client' | 'gateway') {
    const forward = { key: keys.forward, associated: forwardData }
    const backward = { key: keys.backward, associated: backwardData }
    this.#crypto = crypto
    this.#out = side === 'client' ? forward : backward
    this.#in = side === 'client' ? backward : forward
  }

  /** Seals `text` into a record of `cells` cells. @throws RangeError where it does not fit */
  seal(text: Uint8Array, cells: number): Uint8Array {
    const record = new Uint8Array(recordSize(cells))
    if (text.length + recordOverhead > record.length) throw new RangeError('the text does not fit its size class')
    writeU64(record, 0, this.#sent)
    writeU32(record, textStart - 4, text.length)
    record.set(text, textStart)
    const data = record.subarray(counterSize + size.tag)
    this.#crypto.aead.seal(this.#out.key, nonceOf(this.#sent), this.#out.associated, data, tagOf(record))
    this.#sent += 1
    return record
  }

  /**
   * Opens `record` in place and returns its text, a view.
   * @throws NightjarError `envelope-rejected` where it is not authentic or malformed, `replayed` where it came before
   */
  open(record: Uint8Array): Uint8Array {
    if (record.length < recordOverhead) throw new NightjarError('envelope-rejected', { detail: 'record is too short' })
    const counter = readU64(record, 0)
    if (!Number.isSafeInteger(counter)) throw new NightjarError('envelope-rejected', { detail: 'counter' })
    const data = record.subarray(counterSize + size.tag)
    if (!this.#crypto.aead.open(this.#in.key, nonceOf(counter), this.#in.associated, data, tagOf(record))) {
      throw new NightjarError('envelope-rejected', { detail: 'not authentic' })
    }
    if (!this.#seen.accept(counter)) throw new NightjarError('replayed')
    const length = readU32(record, textStart - 4)
    if (length > record.length - textStart) throw new NightjarError('envelope-rejected', { detail: 'length' })
    return record.subarray(textStart, textStart + length)
  }

  /** Wipes the keys. */
  destroy(): void {
    this.#out.key.fill(0)
    this.#in.key.fill(0)
  }
}

function tagOf(record: Uint8Array): Uint8Array {
  return record.subarray(counterSize, counterSize + size.tag)
}

function nonceOf(counter: number): Uint8Array {
  const nonce = new Uint8Array(size.nonce)
  writeU64(nonce, size.nonce - counterSize, counter)
  return nonce
}
