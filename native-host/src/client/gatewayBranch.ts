/**
 * A branch to a gateway. It carries sealed records and does not know who seals them: the daemon itself for its endpoint,
 * or an extension across the bridge.
 */
import { collect, cutRecords, type Hop, type Stream } from '@nightjar/shared/circuit'
import { recordSize } from '@nightjar/shared/envelope'
import { asNightjarError, type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { replySize } from '@nightjar/shared/handshake'
import { limits } from '@nightjar/shared/limits'
import type { Carrier, FollowHandler, Following } from '@nightjar/shared/requests'
import { service } from '@nightjar/shared/rpc'
import { second, within } from '@nightjar/shared/runtime'
import { Branch, type BranchOptions } from './branch.ts'

const answerTimeout = 25 * second
const nothing = new Uint8Array(0)

export class GatewayBranch extends Branch implements Carrier {
  readonly #freed: (() => void)[] = []
  /** What is followed on it: each ends for its follower, and goes on unheard. */
  readonly #followers = new Set<() => void>()
  #running = 0

  constructor(options: BranchOptions, hop: Hop) {
    super(options, hop)
    hop.onClosed(() => this.#wakeAll())
  }

  /** Exchanges under way. What is followed does not count: it may last for ever. */
  override get running(): number {
    return this.#running
  }

  override get isFollowed(): boolean {
    return this.#followers.size > 0
  }

  override get isKept(): boolean {
    return this.hop.isKept
  }

  keep(duration: number): void {
    if (!this.isKept) this.hop.keep(Math.round(duration / second))
  }

  /** What is followed on one that is kept is not ended there: a client that came back could not either. */
  override retire(failed = false): void {
    super.retire(failed)
    if (this.isKept) for (const leave of [...this.#followers]) leave()
  }

  protected override get isExpecting(): boolean {
    return this.#running > 0
  }

  /** @throws NightjarError where no answer came: the branch was lost, or the time ran out */
  async exchange(record: Uint8Array): Promise<Uint8Array> {
    this.refuseIfRetired()
    this.#running += 1
    this.lastUsed = this.clock.elapsed()
    try {
      // Looked at in the same step in which the stream is opened, or others would take the place meanwhile.
      while (!this.#hasFreeStream()) await new Promise<void>((resolve) => this.#freed.push(resolve))
      const answer = await this.#send(service.rpc, record, recordSize(limits.answerCells), answerTimeout)
      this.answered()
      return answer
    } finally {
      this.#running -= 1
      this.#freed.shift()?.()
      this.closeIfOver()
    }
  }

  /** @throws NightjarError where the branch is gone, or has as many streams as it may */
  follow(record: Uint8Array, cells: number, handler: FollowHandler): Following {
    this.refuseIfRetired()
    if (!this.#hasFreeStream()) throw new NightjarError('limit-reached', { detail: 'streams of a branch' })
    this.lastUsed = this.clock.elapsed()
    const end = (code: ErrorCode) => {
      // Left before: nobody hears it any more.
      if (this.#followers.delete(leave)) handler.onEnd(code)
      this.closeIfOver()
    }
    const leave = () => end('branch-retired')
    const cutting = cutRecords({
      stream: () => stream,
      size: recordSize(cells),
      onRecord: (each) => {
        if (!this.#followers.has(leave)) return
        this.lastUsed = this.clock.elapsed()
        this.answered()
        handler.onRecord(each)
      },
      onEnd: end,
    })
    const first = { data: record, end: true }
    const stream: Stream = this.hop.streams.open(service.follow, nothing, cutting, first, { isFree: this.isKept })
    this.#followers.add(leave)
    return {
      stop: () => {
        this.#followers.delete(leave)
        stream.reset('cancelled')
        this.closeIfOver()
      },
    }
  }

  /** Hands the gateway the hello of an envelope handshake, once. @throws NightjarError where no reply came */
  greet(hello: Uint8Array): Promise<Uint8Array> {
    return this.#send(service.envelope, hello, replySize, limits.handshakeTimeout)
  }

  async #send(name: string, message: Uint8Array, maxBytes: number, timeout: number): Promise<Uint8Array> {
    let stream: Stream | undefined
    const answered = new Promise<Uint8Array>((resolve, reject) => {
      const handler = collect({
        stream: () => stream as Stream,
        maxBytes,
        onMessage: resolve,
        onFailure: (code) => reject(new NightjarError(code)),
      })
      stream = this.hop.streams.open(name, nothing, handler, { data: message, end: true })
    })
    this.slot.busy += 1
    try {
      return await within(this.clock, timeout, answered, () => {
        stream?.reset('timed-out')
        return new NightjarError('timed-out', { detail: name === service.rpc ? 'answer' : 'envelope handshake' })
      })
    } finally {
      this.slot.busy -= 1
    }
  }

  /** False where as many requests run as the branch may have streams. @throws NightjarError where the branch is gone */
  #hasFreeStream(): boolean {
    if (this.hop.streams.isUsedUp) this.hop.close('branch-retired')
    if (this.hop.error !== undefined) throw this.hop.error
    return this.hop.streams.canOpen
  }

  #wakeAll(): void {
    for (const wake of this.#freed.splice(0)) wake()
  }
}

/** A branch to a gateway, and the gateway's reply to the hello of an envelope handshake. */
export interface GreetedBranch {
  readonly branch: GatewayBranch
  readonly reply: Uint8Array
}

/** @throws NightjarError where the gateway does not reply */
export async function openGatewayBranch(options: BranchOptions, hop: Hop, hello: Uint8Array): Promise<GreetedBranch> {
  const branch = new GatewayBranch(options, hop)
  try {
    return { branch, reply: await branch.greet(hello) }
  } catch (error) {
    branch.close()
    throw asNightjarError(error)
  }
}
