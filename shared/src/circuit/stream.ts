/** What a stream is to those who use it, to the service that takes it, and to the channel that carries its messages. */
import type { ErrorCode } from '../errors/index.ts'

/** The way to the other end. */
export interface Channel {
  /** Bytes of a relay message's inner part (layerCapacity of the hop's depth). */
  readonly capacity: number
  /** False while the link is behind; `StreamMux.pump` is to be called when it is true again. */
  readonly writable: boolean
  /** `data` may be overwritten when it returns. */
  send(type: number, stream: number, data: Uint8Array): void
}

/** What the user of a stream is told. */
export interface StreamHandler {
  onConnected?(): void
  /** One cell's data, as a view that is valid during the call. Call `stream.consumed()` once it has been dealt with. */
  onData(data: Uint8Array): void
  /** All that was given to `send` so far has left, and more may follow. */
  onDrained?(): void
  /** The end that was given to `send` has left, and all before it. */
  onSent?(): void
  /** `done`: the other side has sent all. Anything else: the stream is over in both directions. */
  onEnd(code: ErrorCode): void
}

export interface Stream {
  readonly id: number
  /** Sends `data` (kept by reference until sent); `end` says that nothing follows. */
  send(data: Uint8Array, end: boolean): void
  /** Tells the client that the service is there (for services where it waits for that). */
  connected(): void
  /** Ends the stream in both directions, at once. Nothing is reported to the handler. */
  reset(code: ErrorCode): void
  /** Gives the sender back the credit of one `onData`; due once for each, also after the stream's end. */
  consumed(): void
}

export interface Opening {
  readonly service: string
  /** A view that is valid during the call. */
  readonly argument: Uint8Array
  /** True where all data comes with the BEGIN. */
  readonly whole: boolean
  /** What is sent back takes no credit. */
  readonly isFree: boolean
}

/** Decides on a BEGIN: a handler, or the code to refuse it with. */
export type Accept = (stream: Stream, opening: Opening) => StreamHandler | ErrorCode
