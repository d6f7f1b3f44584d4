/** Collects what comes on a stream into one message, for services that answer a whole question. */
import type { ErrorCode } from '../errors/index.ts'
import type { Stream, StreamHandler } from './stream.ts'

/** Bytes that all unfinished messages of a branch may hold together. */
export interface Budget {
  left: number
}

export interface CollectOptions {
  /** The stream, known at the latest when its first data comes. */
  stream(): Stream
  readonly maxBytes: number
  readonly budget?: Budget
  /** All of the message, once the other side has ended it. */
  onMessage(message: Uint8Array): void
  /** The stream ended in any other way, also after its message, or the message grew too large. */
  onFailure(code: ErrorCode): void
}

export function collect(options: CollectOptions): StreamHandler {
  // One buffer that doubles, not a list of parts: a sender of empty or tiny cells must not fill memory with objects.
  let buffer = new Uint8Array(0)
  let length = 0
  let failed = false

  function release(): void {
    if (options.budget !== undefined) options.budget.left += length
    buffer = new Uint8Array(0)
    length = 0
  }

  function append(data: Uint8Array): void {
    if (length + data.length > buffer.length) {
      const larger = new Uint8Array(Math.min(options.maxBytes, Math.max(2 * buffer.length, length + data.length)))
      larger.set(buffer)
      buffer = larger
    }
    buffer.set(data, length)
    length += data.length
  }

  return {
    onData(data) {
      options.stream().consumed()
      if (failed) return
      if (length + data.length > options.maxBytes || data.length > (options.budget?.left ?? data.length)) {
        failed = true
        release()
        options.stream().reset('limit-reached')
        return options.onFailure('limit-reached')
      }
      if (options.budget !== undefined) options.budget.left -= data.length
      append(data)
    },
    onEnd(code) {
      if (failed) return
      const message = code === 'done' ? buffer.subarray(0, length) : undefined
      release()
      if (message === undefined) options.onFailure(code)
      else options.onMessage(message)
    },
  }
}
