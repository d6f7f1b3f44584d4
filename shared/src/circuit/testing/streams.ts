/** Streams over a wire whose server records each of them, and the messages of a peer that a test writes itself. */
import { concat, u16 } from '../../bytes/index.ts'
import { type ErrorCode, toWire } from '../../errors/index.ts'
import { limits } from '../../limits.ts'
import { pattern } from '../../testing/index.ts'
import {
  type Begin,
  encodeBegin,
  type Message,
  messageType,
  type Opening,
  type Stream,
  type StreamMux,
} from '../index.ts'
import { Recorder, wire } from './wire.ts'

export const nothing = new Uint8Array(0)
/** Cells that one end can be made to hold, by whatever sender: those with credit given back, and a window without. */
export const mostHeld = limits.heldPerBranch + limits.branchWindow

export function heldBy(sides: Iterable<{ recorder: Recorder }>): number {
  return [...sides].reduce((sum, { recorder }) => sum + recorder.unconsumed, 0)
}

/** A wire whose server records each stream, and answers nothing unless told. */
export function recording(options: { depth?: number; consume?: 'at once' | 'later'; refuse?: ErrorCode } = {}) {
  const accepted: { stream: Stream; opening: Opening; recorder: Recorder }[] = []
  const joined = wire((stream, opening) => {
    if (options.refuse !== undefined) return options.refuse
    const recorder = new Recorder(options.consume)
    recorder.stream = stream
    accepted.push({ stream, opening: { ...opening, argument: Uint8Array.from(opening.argument) }, recorder })
    return recorder
  }, options.depth)
  return { ...joined, accepted }
}

export function open(mux: StreamMux, data: Uint8Array, end: boolean, recorder = new Recorder(), argument = nothing) {
  const stream = mux.open('rpc', argument, recorder, { data, end })
  recorder.stream = stream
  return { stream, recorder }
}

export function begin(stream: number, fields: Partial<Begin> = {}): Message {
  const data = encodeBegin({ service: 'rpc', argument: nothing, whole: false, isFree: false, data: nothing, ...fields })
  return { type: messageType.begin, stream, data }
}

export function data(stream: number, bytes: Uint8Array = pattern(1)): Message {
  return { type: messageType.data, stream, data: bytes }
}

export function end(stream: number, code: ErrorCode = 'done', bytes: Uint8Array = nothing): Message {
  return { type: messageType.end, stream, data: concat(Uint8Array.of(toWire(code)), bytes) }
}

export function credit(stream: number, cells: number): Message {
  return { type: messageType.credit, stream, data: u16(cells) }
}
