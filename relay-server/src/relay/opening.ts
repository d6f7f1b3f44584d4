/**
 * How a circuit begins: its CREATE is put together, admitted or answered with a puzzle, waits its turn, and is answered;
 * all of it within the time that a handshake may take.
 */
import { bodyOf, HandshakeAssembler } from '@nightjar/shared/cell'
import { asNightjarError, type ErrorCode, violation } from '@nightjar/shared/errors'
import { answerHandshake, type Challenge, purpose } from '@nightjar/shared/handshake'
import { limits } from '@nightjar/shared/limits'
import type { Timer } from '@nightjar/shared/runtime'
import type { CircuitBounds, CircuitHost } from './host.ts'

export type Answer = Awaited<ReturnType<typeof answerHandshake>>

/** Exactly one of them is called, unless `stop` comes first. */
export interface OpeningEvents {
  onAnswer(answer: Answer): void
  /** The circuit is to be forgotten: with the solution, CREATE comes as if for the first time. */
  onPuzzle(challenge: Challenge): void
  onFailed(code: ErrorCode): void
}

export class Opening {
  readonly #host: CircuitHost
  readonly #bounds: CircuitBounds
  readonly #events: OpeningEvents
  readonly #deadline: Timer
  #hello: HandshakeAssembler | undefined = new HandshakeAssembler()
  #over = false

  constructor(host: CircuitHost, bounds: CircuitBounds, events: OpeningEvents) {
    this.#host = host
    this.#bounds = bounds
    this.#events = events
    this.#deadline = host.clock.after(limits.handshakeTimeout, () => this.#fail('timed-out'))
  }

  /** Takes a cell of CREATE. @throws NightjarError `protocol-violation` for what is none, or comes after the last */
  receive(cell: Uint8Array): void {
    if (this.#hello === undefined) throw violation('CREATE out of place')
    const message = this.#hello.push(bodyOf(cell))
    if (message === undefined) return
    this.#hello = undefined
    const verdict = this.#bounds.handshakes.admit(message)
    if ('challenge' in verdict) {
      this.stop()
      return this.#events.onPuzzle(verdict.challenge)
    }
    this.#bounds.handshakeQueue.add(this.#bounds.source, {
      answer: () => this.#startAnswer(verdict.hello),
      refuse: () => this.#fail('limit-reached'),
    })
  }

  /** Nobody wants it any more, or it is done. */
  stop(): void {
    this.#over = true
    this.#deadline.cancel()
  }

  #startAnswer(hello: Uint8Array): boolean {
    if (this.#over) return false
    this.#answer(hello).catch((error: unknown) => this.#fail(asNightjarError(error).code))
    return true
  }

  async #answer(hello: Uint8Array): Promise<void> {
    const answer = await answerHandshake(this.#host.crypto, hello, this.#host.secrets())
    if (answer.hello.purpose !== purpose.hop) throw violation('CREATE for another purpose')
    if (this.#over) return
    this.stop()
    this.#events.onAnswer(answer)
  }

  #fail(code: ErrorCode): void {
    if (this.#over) return
    this.stop()
    this.#events.onFailed(code)
  }
}
