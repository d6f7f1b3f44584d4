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

export const subprotocol = 'nightjar.link.1'
const closeCodeBase = 4000
const messageBytes = limits.cellsPerMessage * cellSize

/** Options of `ws` that both ends share: no deflate, and no message larger than a full batch. */
export const socketOptions = {
  perMessageDeflate: false,
  maxPayload: messageBytes,
  closeTimeout: 2 * second,
} as const

export interface LinkOptions {
  readonly clock: Clock
  readonly events: LinkEvents
  /** Closes the link when nothing was received for this long, in milliseconds. */
  readonly idleAfter: number
}

export class WebSocketLink implements Link {
  readonly #socket: WebSocket
  readonly #clock: Clock
  readonly #events: LinkEvents
  readonly #idleAfter: number
  readonly #batch = new Uint8Array(messageBytes)
  #batched = 0
  #scheduled = false
  /** Bytes handed to the socket that the system has not taken yet. */
  #unsent = 0
  #askedWhileFull = false
  #closed = false
  #lastReceived: number
  #lastSent: number
  #watch: Timer

  constructor(socket: WebSocket, options: LinkOptions) {
    this.#socket = socket
    this.#clock = options.clock
    this.#events = options.events
    this.#idleAfter = options.idleAfter
    this.#lastReceived = options.clock.now()
    this.#lastSent = this.#lastReceived
    this.#watch = this.#scheduleWatch()
    socket.on('message', (data, isBinary) => this.#onMessage(data, isBinary))
    socket.on('error', (cause) => this.#end(new NightjarError('link-lost', { cause })))
    socket.on('close', (code) => this.#end(closeError(code)))
  }

  get writable(): boolean {
    const free = this.#unsent + this.#batched < limits.linkBufferedBytes
    if (!free) this.#askedWhileFull = true
    return free && !this.#closed
  }

  get closed(): boolean {
    return this.#closed
  }

  send(cell: Uint8Array): void {
    if (this.#closed) return
    if (this.#unsent > limits.linkUnsentBytes) return this.#abandon('overflow')
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
    if (this.#batched === 0 || this.#closed) return
    // A copy of the exact size: the socket keeps it until the system takes it, and the batch is filled anew meanwhile.
    const message = Buffer.from(this.#batch.subarray(0, this.#batched))
    this.#batched = 0
    if (this.#unsent === 0) this.#lastSent = this.#clock.now()
    this.#unsent += message.length
    this.#socket.send(message, (error) => {
      // A failed send is followed by the socket's own `error` or `close`.
      if (error === undefined || error === null) this.#onSent(message.length)
    })
  }

  #onSent(bytes: number): void {
    this.#unsent -= bytes
    this.#lastSent = this.#clock.now()
    if (!this.#askedWhileFull || this.#closed || this.#unsent > limits.linkBufferedBytes / 2) return
    this.#askedWhileFull = false
    this.#events.onWritable()
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    if (this.#closed) return
    this.#lastReceived = this.#clock.now()
    if (!isBinary || !(data instanceof Buffer) || data.length === 0 || data.length % cellSize !== 0) {
      return this.close('protocol-violation')
    }
    for (let offset = 0; offset < data.length && !this.#closed; offset += cellSize) {
      this.#events.onCell(new Uint8Array(data.buffer, data.byteOffset + offset, cellSize))
    }
  }

  #scheduleWatch(): Timer {
    return this.#clock.after(Math.min(this.#idleAfter, limits.linkStall) / 2, () => {
      const now = this.#clock.now()
      if (this.#unsent > 0 && now - this.#lastSent > limits.linkStall) return this.#abandon('timed-out')
      if (now - this.#lastReceived > this.#idleAfter) return this.close('idle')
      this.#watch = this.#scheduleWatch()
    })
  }

  /** For a peer that takes nothing any more: a closing message would only queue behind the rest. */
  #abandon(code: ErrorCode): void {
    this.#end(new NightjarError(code))
    this.#socket.terminate()
  }

  #end(error: NightjarError): void {
    if (this.#closed) return
    this.#closed = true
    this.#watch.cancel()
    this.#batched = 0
    this.#events.onClose(error)
  }
}

function closeError(code: number): NightjarError {
  if (code < closeCodeBase || code > closeCodeBase + 255) return new NightjarError('link-lost')
  const reason = fromWire(code - closeCodeBase)
  return new NightjarError(reason === 'done' ? 'link-lost' : reason)
}
