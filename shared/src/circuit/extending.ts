/**
 * How one hop grows: the numbers of its branches, the one EXTEND that is pending, and what comes for its branch before that
 * has a hop.
 */
import { HandshakeAssembler } from '../cell/index.ts'
import { type NightjarError, violation } from '../errors/index.ts'
import { ExtendQueue } from './extendQueue.ts'
import { decodeExtended } from './message.ts'

/** An EXTEND that waits for its answer, or has it while that is being checked. */
export class PendingExtend {
  readonly branch: number
  readonly reply: Promise<Uint8Array>
  /** Set where BRANCH_CLOSED came. */
  closed: NightjarError | undefined
  /** The seconds of a BRANCH_GOAWAY. */
  goaway: number | undefined
  readonly #resolve: (reply: Uint8Array) => void
  readonly #reject: (error: NightjarError) => void

  constructor(branch: number) {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    this.branch = branch
    this.reply = promise
    this.#resolve = resolve
    this.#reject = reject
    // Whoever began it may not wait for it yet.
    promise.catch(() => undefined)
  }

  answer(reply: Uint8Array): void {
    this.#resolve(reply)
  }

  close(error: NightjarError): void {
    this.closed = error
    this.#reject(error)
  }
}

export class Extending {
  readonly queue = new ExtendQueue()
  #reply = new HandshakeAssembler()
  #lastBranch = 0
  pending: PendingExtend | undefined

  /** Whether all branch numbers were given. */
  get isUsedUp(): boolean {
    return this.#lastBranch === 0xffff
  }

  /** Gives the next branch number. It is pending until `pending` is cleared. */
  begin(): PendingExtend {
    this.#lastBranch += 1
    this.pending = new PendingExtend(this.#lastBranch)
    return this.pending
  }

  /** The pending EXTEND where it is that of `branch`. @throws NightjarError `protocol-violation` for one that never was */
  pendingFor(branch: number, what: string): PendingExtend | undefined {
    if (branch === 0 || branch > this.#lastBranch) throw violation(`${what} a branch that never was`)
    return this.pending?.branch === branch ? this.pending : undefined
  }

  /** A part of an EXTENDED. The answer to an EXTEND that timed out may still come; it is dropped. */
  receive(data: Uint8Array): void {
    const whole = this.#reply.push(data)
    if (whole === undefined) return
    this.#reply = new HandshakeAssembler()
    const { branch, reply } = decodeExtended(whole)
    this.pendingFor(branch, 'EXTENDED for')?.answer(reply)
  }
}
