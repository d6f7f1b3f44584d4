/**
 * Envelopes: requests and answers sealed end to end between the one who asks (the extension, or the host for its own
 * endpoint) and the gateway. The keys come from the handshake with purpose 2 against the gateway's envelope key.
 *
 *     record    = counter u64 ‖ tag 16 ‖ ciphertext
 *     plaintext = length u32 ‖ text ‖ zeros                  padded so that the record fills its size class
 *     associated data = direction u8 ‖ purpose u8            of a question
 *                     = direction u8 ‖ purpose u8 ‖ u64      of an answer: the counter of the question that it answers
 *
 * Whoever carries records can therefore not pass the answer to one question off as the answer to another. A session
 * lives and dies with one branch. Records may arrive in any order; each counter is accepted once.
 */
import { readU32, readU64, writeU32, writeU64 } from '../bytes/index.ts'
import { type Crypto, size } from '../crypto/index.ts'
import { NightjarError } from '../errors/index.ts'
import { purpose, type SessionKeys } from '../handshake/index.ts'
import { ReplayWindow } from './replay.ts'
import { recordOverhead, recordSize } from './sizeClass.ts'

const counterSize = 8
const textStart = counterSize + size.tag + 4

const forward = 0
const backward = 1

interface Direction {
  readonly key: Uint8Array
  readonly id: typeof forward | typeof backward
}

export class EnvelopeSession {
  readonly #crypto: Crypto
  readonly #out: Direction
  readonly #in: Direction
  readonly #seen = new ReplayWindow()
  #sent = 0
  #isDestroyed = false

  /** Takes ownership of `keys`. */
  constructor(crypto: Crypto, keys: SessionKeys, side: 'client' | 'gateway') {
    const towardsGateway: Direction = { key: keys.forward, id: forward }
    const towardsClient: Direction = { key: keys.backward, id: backward }
    this.#crypto = crypto
    this.#out = side === 'client' ? towardsGateway : towardsClient
    this.#in = side === 'client' ? towardsClient : towardsGateway
  }

  /**
   * Seals `text` into a record of `cells` cells. An answer needs `question`, the counter of what it answers.
   * @throws RangeError where it does not fit
   */
  seal(text: Uint8Array, cells: number, question?: number): Uint8Array {
    this.#requireKeys()
    const record = new Uint8Array(recordSize(cells))
    if (text.length + recordOverhead > record.length) throw new RangeError('the text does not fit its size class')
    writeU64(record, 0, this.#sent)
    writeU32(record, textStart - 4, text.length)
    record.set(text, textStart)
    const data = record.subarray(counterSize + size.tag)
    this.#crypto.aead.seal(this.#out.key, nonceOf(this.#sent), associated(this.#out, question), data, tagOf(record))
    this.#sent += 1
    return record
  }

  /**
   * Opens `record` in place and returns its text, a view. An answer opens only for the `question` that it answers.
   * @throws NightjarError `envelope-rejected` where it is not authentic or malformed, `replayed` where it came before
   */
  open(record: Uint8Array, question?: number): Uint8Array {
    this.#requireKeys()
    if (record.length < recordOverhead) throw new NightjarError('envelope-rejected', { detail: 'record is too short' })
    const counter = counterOf(record)
    if (!Number.isSafeInteger(counter)) throw new NightjarError('envelope-rejected', { detail: 'counter' })
    const data = record.subarray(counterSize + size.tag)
    if (!this.#crypto.aead.open(this.#in.key, nonceOf(counter), associated(this.#in, question), data, tagOf(record))) {
      throw new NightjarError('envelope-rejected', { detail: 'not authentic' })
    }
    if (!this.#seen.accept(counter)) throw new NightjarError('replayed')
    const length = readU32(record, textStart - 4)
    if (length > record.length - textStart) throw new NightjarError('envelope-rejected', { detail: 'length' })
    return record.subarray(textStart, textStart + length)
  }

  /** Wipes the keys. Nothing is sealed or opened any more: anybody could make records for keys that are zero. */
  destroy(): void {
    this.#isDestroyed = true
    this.#out.key.fill(0)
    this.#in.key.fill(0)
  }

  #requireKeys(): void {
    if (this.#isDestroyed) throw new NightjarError('envelope-rejected', { detail: 'the session is over' })
  }
}

/** The counter that `record` was sealed under, as it says; true once the record was opened. */
export function counterOf(record: Uint8Array): number {
  return readU64(record, 0)
}

// Written anew for each record, whichever session's: the AEAD is synchronous, and making them costs as much as a fifth of it.
const nonce = new Uint8Array(size.nonce)
const forAnswer = new Uint8Array(2 + counterSize)
const forQuestion = forAnswer.subarray(0, 2)

function associated({ id }: Direction, question: number | undefined): Uint8Array {
  forAnswer[0] = id
  forAnswer[1] = purpose.envelope
  if (question === undefined) return forQuestion
  writeU64(forAnswer, 2, question)
  return forAnswer
}

function tagOf(record: Uint8Array): Uint8Array {
  return record.subarray(counterSize, counterSize + size.tag)
}

function nonceOf(counter: number): Uint8Array {
  writeU64(nonce, size.nonce - counterSize, counter)
  return nonce
}
