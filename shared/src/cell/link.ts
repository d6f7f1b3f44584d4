/**
 * What a circuit needs of a link. The WebSocket link of the daemons implements it (shared/node); tests use scripted
 * ones.
 */
import type { ErrorCode, NightjarError } from '../errors/index.ts'

export interface Link {
  /** False while the socket is behind; whoever has cells then waits for `onWritable`. */
  readonly writable: boolean
  readonly closed: boolean
  /**
   * Queues one cell of 1024 bytes; it is copied. Cells sent in one turn of the event loop leave as one message.
   * A link that was told to close drops them: its circuits have been told too.
   */
  send(cell: Uint8Array): void
  close(code: ErrorCode): void
}

/** Whoever owns a link hands these in when it is made. */
export interface LinkEvents {
  /** A view that is valid only during the call, and that the receiver may overwrite. */
  onCell(cell: Uint8Array): void
  onWritable(): void
  /** Once, at the end, whoever ended it. */
  onClose(error: NightjarError): void
}
