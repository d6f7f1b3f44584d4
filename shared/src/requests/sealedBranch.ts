/**
 * One isolation group's way to one gateway, from the side that seals: the envelope session that lives and dies with the
 * branch that carries it.
 */
import type { Crypto } from '../crypto/index.ts'
import { type Relay, responderOf } from '../directory/index.ts'
import { counterOf, EnvelopeSession, sizeClass } from '../envelope/index.ts'
import { asNightjarError, type ErrorCode, NightjarError } from '../errors/index.ts'
import { purpose, startHandshake } from '../handshake/index.ts'
import { limits } from '../limits.ts'
import { decodeAnswer, encodeQuestion, type Outcome, type Question, watchMethod } from '../rpc/index.ts'
import { type Clock, minute } from '../runtime.ts'
import type { Carrier, Following } from './carrier.ts'

const lifetime = 10 * minute
const lifetimeJitter = 2 * minute
export const requestsPerBranch = 1000

/**
 * A branch on which something is watched is kept: it stands for a time between the first two, in milliseconds, whatever
 * becomes of the client, and its successor is opened at some moment of the last `overlap`. So its gateway cannot tell a
 * client that is away, or comes back, from one that is there (docs/protocol.md, "Kept branches").
 */
export const keptFor = { shortest: 90 * minute, longest: 120 * minute, overlap: 75 * minute }

export interface SealedBranchOptions {
  readonly crypto: Crypto
  readonly clock: Clock
  /** A number in [0, 1), for its times. */
  random(): number
  /** The gateway sent what is no answer: what carries it lets through nothing that others have changed. */
  onUnreadable?(): void
}

export interface OutcomeHandler {
  onOutcome(outcome: Outcome): void
  /** Nothing more comes. */
  onEnd(code: ErrorCode): void
}

export class SealedBranch {
  readonly gateway: Relay
  readonly carrier: Carrier
  readonly #session: EnvelopeSession
  readonly #options: SealedBranchOptions
  #retireAt: number
  #isKept = false
  #requests = 0
  #running = 0

  /** Takes ownership of `session`. */
  constructor(options: SealedBranchOptions, gateway: Relay, carrier: Carrier, session: EnvelopeSession) {
    this.gateway = gateway
    this.carrier = carrier
    this.#session = session
    this.#options = options
    this.#retireAt = options.clock.elapsed() + lifetime + (options.random() - 0.5) * 2 * lifetimeJitter
    carrier.onClosed(() => this.#wipeWhenUnused())
  }

  get error(): NightjarError | undefined {
    return this.carrier.error
  }

  /** Whether it has done its time or its number of requests, or is to be left, and a fresh one should take over. */
  get isDue(): boolean {
    return this.isLeaving || this.#requests >= requestsPerBranch || this.#options.clock.elapsed() >= this.#retireAt
  }

  /** Whether a relay on its way drains, and it is time to go elsewhere. */
  get isLeaving(): boolean {
    return this.carrier.isLeaving === true
  }

  /** Told once, when it is. */
  onLeaving(listener: () => void): void {
    this.carrier.onLeaving?.(listener)
  }

  /**
   * Asks the gateway. The answer may be a JSON-RPC error.
   * @throws NightjarError where no answer came: the branch was lost, the time ran out, or the answer was no answer
   */
  async ask(question: Question): Promise<Outcome> {
    const record = this.#seal(question)
    const asked = counterOf(record)
    this.#running += 1
    try {
      const answer = await this.carrier.exchange(record)
      try {
        return decodeAnswer(this.#session.open(answer, asked))
      } catch (error) {
        this.#giveUp()
        throw error
      }
    } finally {
      this.#running -= 1
      this.#wipeWhenUnused()
    }
  }

  /**
   * Asks once for many answers, each padded to `question.cells`. An answer that cannot be opened, or that comes after a
   * later one, ends the branch.
   */
  follow(question: Question, handler: OutcomeHandler): Following {
    const sealed = this.#seal(question)
    if (question.method === watchMethod) this.#keep()
    const asked = counterOf(sealed)
    let last = -1
    let isOver = false
    const end = (code: ErrorCode) => {
      if (isOver) return
      isOver = true
      handler.onEnd(code)
    }
    const following = this.carrier.follow(sealed, question.cells, {
      onRecord: (record) => {
        let outcome: Outcome
        try {
          const counter = counterOf(record)
          outcome = decodeAnswer(this.#session.open(record, asked))
          if (counter <= last) throw new NightjarError('envelope-rejected', { detail: 'order' })
          last = counter
        } catch (error) {
          following.stop()
          end(asNightjarError(error).code)
          return this.#giveUp()
        }
        if (!isOver) handler.onOutcome(outcome)
      },
      onEnd: end,
    })
    // With the branch ends the session, whatever the carrier says of what is followed on it.
    this.carrier.onClosed(({ code }) => end(code))
    return {
      stop() {
        isOver = true
        following.stop()
      },
    }
  }

  retire(): void {
    this.carrier.retire()
  }

  /** What came was no answer. */
  #giveUp(): void {
    this.#options.onUnreadable?.()
    this.carrier.retire(true)
  }

  #keep(): void {
    if (this.#isKept) return
    this.#isKept = true
    const { clock, random } = this.#options
    const duration = keptFor.shortest + random() * (keptFor.longest - keptFor.shortest)
    this.#retireAt = clock.elapsed() + duration - random() * keptFor.overlap
    this.carrier.keep(duration)
  }

  /** A retired carrier closes with its last answer, which is still to be opened then. */
  #wipeWhenUnused(): void {
    if (this.error !== undefined && this.#running === 0) this.#session.destroy()
  }

  #seal(question: Question): Uint8Array {
    // The session's keys are wiped with its branch: nothing may be sealed with what they then are.
    if (this.error !== undefined) throw this.error
    this.#requests += 1
    const text = encodeQuestion(question)
    const cells = sizeClass(text.length, {
      minimum: 1,
      maximum: limits.questionCells,
      tooLarge: 'request-too-large',
    })
    return this.#session.seal(text, cells)
  }
}

/** Opens a carrier to the gateway with `hello` and gives the gateway's reply. */
export type Greet = (hello: Uint8Array) => Promise<{ readonly reply: Uint8Array; readonly carrier: Carrier }>

/**
 * Agrees on an envelope session with `gateway`, as the network document describes it.
 * @throws NightjarError what `greet` throws, or `handshake-failed` where the gateway does not prove who it is
 */
export async function openSealedBranch(
  options: SealedBranchOptions,
  gateway: Relay,
  greet: Greet,
): Promise<SealedBranch> {
  const { crypto, clock } = options
  const responder = responderOf(gateway, 'envelope', clock.now())
  const handshake = await startHandshake(crypto, { purpose: purpose.envelope, depth: 0, responder })
  const { reply, carrier } = await greet(handshake.hello)
  try {
    const { keys } = await handshake.finish(reply)
    return new SealedBranch(options, gateway, carrier, new EnvelopeSession(crypto, keys, 'client'))
  } catch (cause) {
    carrier.retire(true)
    throw asHandshakeFailed(cause)
  }
}

/** A reply that cannot be read proves as little as one that is wrong. */
function asHandshakeFailed(cause: unknown): NightjarError {
  const error = asNightjarError(cause)
  return error.code === 'handshake-failed' ? error : new NightjarError('handshake-failed', { cause })
}
