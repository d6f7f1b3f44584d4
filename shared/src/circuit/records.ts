/**
 * Cuts what comes on a stream into records of one size, for services that go on answering (`heads`). It holds at most
 * one unfinished record, and what the records mean is for others.
 */
import type { ErrorCode } from '../errors/index.ts'
import type { Stream, StreamHandler } from './stream.ts'

export interface RecordsOptions {
  /** The stream, known at the latest when its first data comes. */
  stream(): Stream
  /** Bytes of a record. */
  readonly size: number
  /** A whole record, which is the receiver's to keep. */
  onRecord(record: Uint8Array): void
  /** Nothing more comes: `done` after the last whole record, `protocol-violation` where it ended within one. */
  onEnd(code: ErrorCode): void
}

export function cutRecords(options: RecordsOptions): StreamHandler {
  const { size, onRecord, onEnd } = options
  // Made with a record's first byte, so that a stream that waits for the next one holds nothing.
  let record: Uint8Array | undefined
  let length = 0

  return {
    onData(data) {
      options.stream().consumed()
      for (let taken = 0; taken < data.length; ) {
        record ??= new Uint8Array(size)
        const part = data.subarray(taken, taken + size - length)
        record.set(part, length)
        length += part.length
        taken += part.length
        if (length < size) return
        const whole = record
        record = undefined
        length = 0
        onRecord(whole)
      }
    },
    onEnd(code) {
      const isCutOff = record !== undefined
      record = undefined
      onEnd(code === 'done' && isCutOff ? 'protocol-violation' : code)
    },
  }
}
