/**
 * One branch of one isolation group: a gateway's hop below a trunk's middle, with the envelope session that lives and
 * dies with it.
 */
import { collect, type Hop, type Stream } from '@nightjar/shared/circuit'
import type { Crypto } from '@nightjar/shared/crypto'
import { type Relay, responderOf } from '@nightjar/shared/directory'
import { EnvelopeSession, recordSize, sizeClass } from '@nightjar/shared/envelope'
import { asNightjarError, type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { purpose, replySize, startHandshake } from '@nightjar/shared/handshake'
import { limits } from '@nightjar/shared/limits'
import { decodeAnswer, encodeQuestion, type Outcome, type Question, service } from '@nightjar/shared/rpc'
import { type Clock, minute, second, within } from '@nightjar/shared/runtime'
import type { TrunkSlot } from './trunk.ts'
import { watchHop } from './watch.ts'

const lifetime = 10 * minute
const lifetimeJitter = 2 * minute
export const requestsPerBranch = 1000
const answerTimeout = 25 * second
const nothing = new Uint8Array(0)

export interface BranchOptions {
  readonly crypto: Crypto
  readonly clock: Clock
  readonly slot: TrunkSlot
  readonly gateway: Relay
  /** A number in [0, 1), for the lifetime's jitter. */
  random(): number
}

export class Branch {
  readonly gateway: Relay
  readonly slot: TrunkSlot
  readonly #hop: Hop
  readonly #session: EnvelopeSession
  readonly #clock: Clock
  readonly #retireAt: number
  readonly #freed: (() => void)[] = []
  #requests = 0
  #running = 0
  #retired = false
  lastUsed: number

  constructor(options: BranchOptions, hop: Hop, session: EnvelopeSession) {
    this.gateway = options.gateway
    this.slot = options.slot
    this.#hop = hop
    this.#session = session
    this.#clock = options.clock
    this.lastUsed = options.clock.now()
    this.#retireAt = this.lastUsed + lifetime + (options.random() - 0.5) * 2 * lifetimeJitter
    watchHop(hop, {
      clock: options.clock,
      code: 'timed-out',
      isBusy: () => this.#running > 0,
      before: options.slot.trunk?.hop,
    })
    hop.onClosed(() => {
      session.destroy()
      this.#wakeAll()
    })
  }

  get error(): NightjarError | undefined {
    return this.#hop.error
  }

  get running(): number {
    return this.#running
  }

  /** Whether it has done its time or its number of requests and a fresh one should take over. */
  get isDue(): boolean {
    return this.#requests >= requestsPerBranch || this.#clock.now() >= this.#retireAt
  }

  onClosed(listener: (error: NightjarError) => void): void {
    this.#hop.onClosed(listener)
  }

  /** Takes no more requests; closes once those under way have ended. */
  retire(): void {
    this.#retired = true
    if (this.#running === 0) this.#hop.close('branch-retired')
  }

  /**
   * Asks the gateway. The answer may be a JSON-RPC error.
   * @throws NightjarError where no answer came: the branch was lost, the time ran out, or the answer was no answer
   */
  async ask(question: Question): Promise<Outcome> {
    this.#running += 1
    this.slot.busy += 1
    this.#requests += 1
    this.lastUsed = this.#clock.now()
    try {
      // Looked at in the same step in which the stream is opened, or others would take the place meanwhile.
      while (!this.#hasFreeStream()) await new Promise<void>((resolve) => this.#freed.push(resolve))
      const text = encodeQuestion(question)
      const cells = sizeClass(text.length, {
        minimum: 1,
        maximum: limits.questionCells,
        tooLarge: 'request-too-large',
      })
      const record = await this.#exchange(this.#session.seal(text, cells))
      return decodeAnswer(this.#session.open(record))
    } finally {
      this.#running -= 1
      this.slot.busy -= 1
      this.#freed.shift()?.()
      if (this.#retired && this.#running === 0) this.#hop.close('branch-retired')
    }
  }

  #exchange(record: Uint8Array): Promise<Uint8Array> {
    let stream: Stream | undefined
    const answered = new Promise<Uint8Array>((resolve, reject) => {
      const handler = collect({
        stream: () => stream as Stream,
        maxBytes: recordSize(limits.answerCells),
        onMessage: resolve,
        onFailure: (code) => reject(new NightjarError(code)),
      })
      stream = this.#hop.streams.open(service.rpc, nothing, handler, { data: record, end: true })
    })
    return within(this.#clock, answerTimeout, answered, () => {
      stream?.reset('timed-out')
      return new NightjarError('timed-out', { detail: 'answer' })
    })
  }

  /** False where as many requests run as the branch may have streams. @throws NightjarError where the branch is gone */
  #hasFreeStream(): boolean {
    if (this.#hop.streams.isUsedUp) this.#hop.close('branch-retired')
    if (this.#hop.error !== undefined) throw this.#hop.error
    return this.#hop.streams.canOpen
  }

  #wakeAll(): void {
    for (const wake of this.#freed.splice(0)) wake()
  }
}

/**
 * Opens a branch to `gateway` on the slot's trunk and agrees on an envelope session with it.
 * @throws NightjarError where the trunk is not up, the gateway cannot be reached, or does not prove who it is
 */
export async function openBranch(options: BranchOptions): Promise<Branch> {
  const { clock, crypto, gateway, slot } = options
  if (slot.trunk === undefined) throw slot.lastError ?? new NightjarError('network-unreachable')
  let hop: Hop | undefined
  slot.busy += 1
  try {
    hop = await slot.trunk.hop.extend(responderOf(gateway, 'onion', clock.now()))
    return new Branch(options, hop, await greet(crypto, clock, gateway, hop))
  } catch (error) {
    hop?.close()
    throw asNightjarError(error)
  } finally {
    slot.busy -= 1
  }
}

async function greet(crypto: Crypto, clock: Clock, gateway: Relay, hop: Hop): Promise<EnvelopeSession> {
  const handshake = await startHandshake(crypto, {
    purpose: purpose.envelope,
    depth: 0,
    responder: responderOf(gateway, 'envelope', clock.now()),
  })
  const reply = new Promise<Uint8Array>((resolve, reject) => {
    const onFailure = (code: ErrorCode) => reject(new NightjarError(code))
    const handler = collect({ stream: () => stream, maxBytes: replySize, onMessage: resolve, onFailure })
    const stream = hop.streams.open(service.envelope, nothing, handler, { data: handshake.hello, end: true })
  })
  const timedOut = () => new NightjarError('timed-out', { detail: 'envelope handshake' })
  const { keys } = await handshake.finish(await within(clock, limits.handshakeTimeout, reply, timedOut))
  return new EnvelopeSession(crypto, keys, 'client')
}
