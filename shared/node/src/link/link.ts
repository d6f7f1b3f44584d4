/**
 * A link: cells over one WebSocket, batched. What is queued in one turn of the event loop leaves as one message of at
 * most 64 cells; anything else than whole cells coming in closes the link with a code.
 *
 * Link closes carry 4000 + the code's number as their WebSocket close code.
 */
import { cellSize, type Link, type LinkEvents } from '@nightjar/shared/cell'
import { type ErrorCode, fromWire, NightjarError, toWire } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { type Clock, second, type Timer } from '@nightjar/shared/runtime'
import type { RawData, WebSocket } from 'ws'
import { type Rate, TokenBucket } from './bucket.ts'
import { type LinkRates, type LinkTraffic, PacedReading, type SendMemory } from './rates.ts'

export const subprotocol = 'nightjar.link.1'
/** The HTTP header by which a relay that dials another one proves who it is (docs/protocol.md, Link). */
export const proofHeader = 'nightjar-relay'
/** The HTTP status for a proof that is not of now by the clock of the relay that was dialled. */
export const clocksDifferStatus = 412
const closeCodeBase = 4000
const messageBytes = limits.cellsPerMessage * cellSize

/**
 * Options of `ws` that both ends share: no deflate, no message larger than a full batch or of more frames than one, and
 * none that comes in crumbs: a full batch is 120 pieces where the network carries the least that IPv4 allows, 576 bytes.
 */
export const socketOptions = {
  perMessageDeflate: false,
  maxPayload: messageBytes,
  maxFragments: 1,
  maxBufferedChunks: 1024,
  closeTimeout: 2 * second,
} as const

/** What ended or refused something because of a limit. Names of kinds, never of clients. */
export type LinkRefusal =
  /** The system gave none, for want of files or memory. */
  | 'accept-failed'
  /** More connections than the relay looks at. */
  | 'accept-rate'
  | 'half-open'
  /** More of one address. */
  | 'address-rate'
  | 'address-connections'
  /** The address could not be asked about: the process that counts them is gone. */
  | 'address-unknown'
  /** Neither a link nor an answered question in time. */
  | 'slow-upgrade'
  | 'malformed-request'
  | 'no-link'
  | 'connections'
  /** More links than the share of whom they are counted for. */
  | 'connection-share'
  /** A link that nobody used gave way to a new one. */
  | 'unused'
  | 'malformed-frame'
  | 'control-frames'
  | 'slow-reader'

export interface LinkOptions {
  readonly clock: Clock
  readonly events: LinkEvents
  /** Closes the link when nothing was received for this long, in milliseconds. */
  readonly idleAfter: number
  readonly rates?: LinkRates | undefined
  onRefused?(refusal: LinkRefusal): void
}

/** Batches that no link fills now, for whichever sends next: idle links, which are most, hold none. */
const spareBatches: Uint8Array[] = []
const mostSpare = 64

const controlRate: Rate = { perSecond: 1, atOnce: limits.controlFrames }

export class WebSocketLink implements Link {
  readonly #socket: WebSocket
  readonly #clock: Clock
  readonly #events: LinkEvents
  readonly #idleAfter: number
  /** The cells of the next message, from the first on. */
  #batch: Uint8Array | undefined
  #batched = 0
  #scheduled = false
  /** Bytes handed to the socket that the system has not taken yet. */
  #unsent = 0
  #askedWhileFull = false
  #closed = false
  #lastReceived: number
  #lastSent: number
  #watch: Timer
  readonly #onRefused: (refusal: LinkRefusal) => void
  readonly #reading: PacedReading
  readonly #bandwidth: TokenBucket | undefined
  readonly #memory: SendMemory | undefined
  readonly #traffic: LinkTraffic | undefined
  #control: TokenBucket | undefined

  constructor(socket: WebSocket, options: LinkOptions) {
    this.#socket = socket
    this.#clock = options.clock
    this.#events = options.events
    this.#idleAfter = options.idleAfter
    this.#lastReceived = options.clock.elapsed()
    this.#lastSent = this.#lastReceived
    this.#watch = this.#scheduleWatch()
    this.#onRefused = (refusal) => options.onRefused?.(refusal)
    const rates = options.rates ?? {}
    this.#bandwidth = rates.bandwidth
    this.#memory = rates.memory
    this.#traffic = rates.traffic
    const onResumed = () => {
      this.#lastReceived = options.clock.elapsed()
    }
    this.#reading = new PacedReading(socket, { clock: options.clock, rates, onResumed })
    socket.on('message', (data, isBinary) => this.#onMessage(data, isBinary))
    socket.on('ping', () => this.#onControlFrame())
    socket.on('pong', () => this.#onControlFrame())
    socket.on('error', (cause) => this.#onError(cause))
    socket.on('close', (code) => this.#end(closeError(code)))
  }

  get writable(): boolean {
    const free = this.#unsent + this.#batched < this.#mostBuffered
    if (!free) this.#askedWhileFull = true
    return free && !this.#closed
  }

  get #mostBuffered(): number {
    return this.#memory?.isScarce === true ? limits.scarceLinkBufferedBytes : limits.linkBufferedBytes
  }

  get closed(): boolean {
    return this.#closed
  }

  send(cell: Uint8Array): void {
    if (this.#closed) return
    if (this.#unsent > limits.linkUnsentBytes) return this.#abandonSlow('overflow')
    this.#batch ??= spareBatches.pop() ?? new Uint8Array(messageBytes)
    this.#batch.set(cell, this.#batched)
    this.#batched += cellSize
    if (this.#batched === messageBytes) return this.#flush()
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#flush()
    })
  }

  close(code: ErrorCode): void {
    if (this.#closed) return
    this.#flush()
    this.#end(new NightjarError(code))
    this.#socket.close(closeCodeBase + toWire(code))
  }

  #flush(): void {
    const batch = this.#batch
    if (batch === undefined || this.#closed) return
    // A copy of the exact size: the socket keeps it until the system takes it, and the batch is filled anew meanwhile. Not
    // of Node's pool, whose slabs live as long as the smallest piece of them that some idle socket keeps.
    const message = Buffer.allocUnsafeSlow(this.#batched)
    message.set(batch.subarray(0, this.#batched))
    this.#batched = 0
    this.#batch = undefined
    if (spareBatches.length < mostSpare) spareBatches.push(batch)
    this.#bandwidth?.owe(message.length)
    if (this.#traffic !== undefined) this.#traffic.sent += message.length
    if (this.#unsent === 0) this.#lastSent = this.#clock.elapsed()
    this.#unsent += message.length
    if (this.#memory !== undefined) this.#memory.unsent += message.length
    this.#socket.send(message, (error) => {
      // A failed send is followed by the socket's own `error` or `close`.
      if (error === undefined || error === null) this.#onSent(message.length)
    })
  }

  #onSent(bytes: number): void {
    // What was left at the end is accounted for.
    if (this.#closed) return
    this.#unsent -= bytes
    if (this.#memory !== undefined) this.#memory.unsent -= bytes
    this.#lastSent = this.#clock.elapsed()
    if (!this.#askedWhileFull || this.#unsent > this.#mostBuffered / 2) return
    this.#askedWhileFull = false
    this.#events.onWritable()
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    if (this.#closed) return
    this.#lastReceived = this.#clock.elapsed()
    if (!isBinary || !(data instanceof Buffer) || data.length === 0 || data.length % cellSize !== 0) {
      this.#onRefused('malformed-frame')
      return this.close('protocol-violation')
    }
    if (this.#traffic !== undefined) this.#traffic.received += data.length
    this.#reading.took(data.length)
    for (let offset = 0; offset < data.length && !this.#closed; offset += cellSize) {
      this.#events.onCell(new Uint8Array(data.buffer, data.byteOffset + offset, cellSize))
    }
  }

  /** No Nightjar sends any; what stands between two may, now and then. */
  #onControlFrame(): void {
    this.#control ??= new TokenBucket(this.#clock, controlRate)
    if (this.#control.take(1) || this.#closed) return
    this.#onRefused('control-frames')
    this.close('protocol-violation')
  }

  /** For frames that are none `ws` has answered with a close code of its own. */
  #onError(cause: Error & { code?: unknown }): void {
    const isMalformed = typeof cause.code === 'string' && cause.code.startsWith('WS_ERR_')
    if (isMalformed && !this.#closed) this.#onRefused('malformed-frame')
    this.#end(new NightjarError(isMalformed ? 'protocol-violation' : 'link-lost', { cause }))
  }

  #scheduleWatch(): Timer {
    return this.#clock.after(Math.min(this.#idleAfter, limits.linkStall) / 2, () => {
      const now = this.#clock.elapsed()
      if (this.#unsent > 0 && now - this.#lastSent > limits.linkStall) return this.#abandonSlow('timed-out')
      if (now - this.#lastReceived > this.#idleAfter) return this.close('idle')
      this.#watch = this.#scheduleWatch()
    })
  }

  /** For a peer that takes nothing any more: a closing message would only queue behind the rest. */
  #abandonSlow(code: ErrorCode): void {
    this.#onRefused('slow-reader')
    this.#end(new NightjarError(code))
    this.#socket.terminate()
  }

  #end(error: NightjarError): void {
    if (this.#closed) return
    this.#closed = true
    this.#watch.cancel()
    this.#batch = undefined
    if (this.#memory !== undefined) this.#memory.unsent -= this.#unsent
    this.#reading.end()
    this.#events.onClose(error)
  }
}

function closeError(code: number): NightjarError {
  if (code < closeCodeBase || code > closeCodeBase + 255) return new NightjarError('link-lost')
  const reason = fromWire(code - closeCodeBase)
  return new NightjarError(reason === 'done' ? 'link-lost' : reason)
}
