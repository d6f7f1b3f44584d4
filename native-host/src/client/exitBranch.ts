/**
 * A branch to an exit. Each of its streams is a TCP connection from the exit to a listed host; what goes over it, TLS as
 * a rule, is none of the branch's business.
 */
import type { Hop, Stream, StreamHandler } from '@nightjar/shared/circuit'
import { type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { minute, within } from '@nightjar/shared/runtime'
import { encodeTarget, type Target, tcpService } from '@nightjar/shared/shield'
import { Branch, type BranchOptions } from './branch.ts'

const lifetime = 10 * minute
const lifetimeJitter = 2 * minute
/** Replaced before the 65535 stream ids of a branch are used up. */
const streamsPerLife = 50_000
const nothing = { data: new Uint8Array(0), end: false }

export interface ExitOrder extends Target {
  /** Aborted where nobody waits for the connection any more, before it stands. */
  readonly signal?: AbortSignal | undefined
}

/** Takes over the stream of a connection that stands, in the same turn, so that nothing that comes on it is missed. */
export type Join = (stream: Stream) => StreamHandler

export class ExitBranch extends Branch {
  readonly #retireAt: number
  #opened = 0
  #connecting = 0
  /** When a stream last sent something, in the clock's elapsed milliseconds. */
  #lastSent = Number.NEGATIVE_INFINITY
  /** When something last came on a stream, likewise. */
  #lastReceived = Number.NEGATIVE_INFINITY

  constructor(options: BranchOptions, hop: Hop) {
    super(options, hop)
    this.#retireAt = this.clock.elapsed() + lifetime + (options.random() - 0.5) * 2 * lifetimeJitter
  }

  /** Streams that are open, in one direction at least. */
  override get running(): number {
    return this.hop.streams.openCount
  }

  /** A connection that stands may be quiet for hours: only what was asked or sent is waited upon. */
  protected override get isExpecting(): boolean {
    return this.#connecting > 0 || this.#lastSent >= this.hop.lastHeard
  }

  /** Whether it has done its time, and a fresh one should take the streams that come. */
  get isDue(): boolean {
    return this.isLeaving || this.#opened >= streamsPerLife || this.clock.elapsed() >= this.#retireAt
  }

  /** Whether it has as many streams as an exit allows on one. */
  get isFull(): boolean {
    return this.running >= limits.tcpStreamsPerBranch
  }

  /** Since when nothing was asked of it, sent or received on it, in the clock's elapsed milliseconds. */
  get quietSince(): number {
    return Math.max(this.lastUsed, this.#lastSent, this.#lastReceived)
  }

  /**
   * Has the exit connect to `target`; once the connection stands, `join` takes it over.
   * @param timeout milliseconds
   * @throws NightjarError why it does not stand: what the exit said, `timed-out`, `cancelled` by the order's signal, or
   * what the branch was lost with
   */
  async connect(target: ExitOrder, timeout: number, join: Join): Promise<void> {
    this.refuseIfRetired()
    const { promise: connected, resolve, reject } = Promise.withResolvers<void>()
    let joined: StreamHandler | undefined
    const end = (code: ErrorCode) => {
      if (joined !== undefined) joined.onEnd(code)
      else {
        // Not over where only the other direction is, which then never was.
        stream.reset('cancelled')
        reject(new NightjarError(code === 'done' ? 'host-unreachable' : code))
      }
      this.#noteEnd()
    }
    const handler: StreamHandler = {
      onConnected: () => {
        joined ??= join(this.#noting(stream))
        resolve()
      },
      onData: (data) => {
        this.#lastReceived = this.clock.elapsed()
        if (joined !== undefined) return joined.onData(data)
        stream.consumed()
        end('protocol-violation')
      },
      onDrained: () => joined?.onDrained?.(),
      onEnd: end,
    }
    const stream = this.hop.streams.open(tcpService, encodeTarget(target), handler, nothing)
    const onAbort = () => {
      if (joined === undefined) end('cancelled')
    }
    target.signal?.addEventListener('abort', onAbort)
    this.#opened += 1
    this.#connecting += 1
    this.slot.busy += 1
    this.lastUsed = this.clock.elapsed()
    try {
      await within(this.clock, timeout, connected, () => {
        stream.reset('timed-out')
        return new NightjarError('timed-out', { detail: 'connection to the host' })
      })
    } finally {
      target.signal?.removeEventListener('abort', onAbort)
      this.#connecting -= 1
      this.slot.busy -= 1
      this.closeIfOver()
    }
  }

  /** The stream as its user has it: what it sends is an answer waited for, and its end may be the branch's. */
  #noting(stream: Stream): Stream {
    return {
      id: stream.id,
      connected: stream.connected,
      consumed: stream.consumed,
      send: (data, end) => {
        this.#lastSent = this.clock.elapsed()
        this.slot.lastSent = this.#lastSent
        stream.send(data, end)
        if (end) this.#noteEnd()
      },
      reset: (code) => {
        stream.reset(code)
        this.#noteEnd()
      },
    }
  }

  #noteEnd(): void {
    this.lastUsed = this.clock.elapsed()
    this.closeIfOver()
  }
}
