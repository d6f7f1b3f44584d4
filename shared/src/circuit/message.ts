/**
 * Relay messages, inside the last layer.
 *
 *     type u8 ‖ stream u16 ‖ length u16 ‖ data ‖ zeros
 *
 * Between the client and one hop (stream 0):
 *     EXTEND         total u16 ‖ part   of  branch u16 ‖ identity 32 ‖ hello      grow a branch to that relay
 *     EXTENDED       total u16 ‖ part   of  branch u16 ‖ reply
 *     TRUNCATE       branch u16                                                   close a branch
 *     BRANCH_CLOSED  branch u16 ‖ code u8                                         it is closed (or never came to be)
 *     BRANCH_GOAWAY  branch u16 ‖ seconds u16                                      the relay behind it drains: move
 *     KEEP           branch u16 ‖ seconds u16                                      it stands for so long, client or not
 *     PING, PONG     token 8
 *     DROP           anything; cover
 *     SHAPE          reserved
 *     CREDIT         cells u16                                                    stream 0 = the branch itself
 * On streams:
 *     BEGIN          flags u8 ‖ serviceLength u8 ‖ service ‖ argumentLength u16 ‖ argument ‖ first data
 *     CONNECTED      nothing
 *     DATA           data
 *     END            code u8 ‖ last data                                          code 0 ends the message well
 */
import { concat, fromUtf8, Reader, readU16, u16, utf8, writeU16 } from '../bytes/index.ts'
import { violation } from '../errors/index.ts'
import { limits } from '../limits.ts'
import { second } from '../runtime.ts'

export const messageType = {
  extend: 1,
  extended: 2,
  truncate: 3,
  branchClosed: 4,
  begin: 5,
  connected: 6,
  data: 7,
  credit: 8,
  end: 9,
  drop: 10,
  ping: 11,
  pong: 12,
  shape: 13,
  branchGoaway: 14,
  keep: 15,
} as const

export const messageHeaderSize = 5

/** The stream of messages that concern the hop or branch as a whole. */
export const noStream = 0

export interface Message {
  readonly type: number
  readonly stream: number
  /** A view into the cell, valid until the next one is handled. */
  readonly data: Uint8Array
}

/** Writes a message to `target` from `offset` to its end, with zero fill. */
export function writeMessage(target: Uint8Array, offset: number, type: number, stream: number, data: Uint8Array): void {
  const dataStart = offset + messageHeaderSize
  if (dataStart + data.length > target.length) throw new RangeError('a relay message is larger than its cell')
  target[offset] = type
  writeU16(target, offset + 1, stream)
  writeU16(target, offset + 3, data.length)
  target.set(data, dataStart)
  target.fill(0, dataStart + data.length)
}

/** @throws NightjarError `protocol-violation` where the length lies or the fill is not zero. */
export function decodeMessage(inner: Uint8Array): Message {
  const end = messageHeaderSize + readU16(inner, 3)
  if (end > inner.length) throw violation('a relay message is longer than its cell')
  for (let i = end; i < inner.length; i++) if (inner[i] !== 0) throw violation('relay message fill is not zero')
  return { type: inner[0] as number, stream: readU16(inner, 1), data: inner.subarray(messageHeaderSize, end) }
}

/** BEGIN says that its data is the whole message: no END follows in that direction. */
const flagWhole = 1
/** BEGIN says that what comes back on the stream takes no credit, of the stream or of the branch. */
const flagFree = 2

export interface Begin {
  readonly service: string
  readonly argument: Uint8Array
  readonly whole: boolean
  readonly isFree: boolean
  readonly data: Uint8Array
}

export function beginOverhead(service: string, argument: Uint8Array): number {
  return 4 + utf8(service).length + argument.length
}

export function encodeBegin(begin: Begin): Uint8Array {
  const service = utf8(begin.service)
  return concat(
    Uint8Array.of((begin.whole ? flagWhole : 0) | (begin.isFree ? flagFree : 0), service.length),
    service,
    u16(begin.argument.length),
    begin.argument,
    begin.data,
  )
}

/** @throws NightjarError `protocol-violation` for unknown flags or lengths out of bounds. */
export function decodeBegin(data: Uint8Array): Begin {
  const reader = new Reader(data, 'BEGIN')
  const flags = reader.u8('flags')
  if ((flags & ~(flagWhole | flagFree)) !== 0) throw violation('unknown flag in BEGIN')
  const serviceLength = reader.u8('service length')
  if (serviceLength > limits.serviceBytes) throw violation('service name too long')
  const service = fromUtf8(reader.bytes(serviceLength, 'service'))
  const argumentLength = reader.u16('argument length')
  if (argumentLength > limits.argumentBytes) throw violation('service argument too long')
  return {
    service,
    argument: reader.bytes(argumentLength, 'argument'),
    whole: (flags & flagWhole) !== 0,
    isFree: (flags & flagFree) !== 0,
    data: reader.rest(),
  }
}

export interface Extend {
  readonly branch: number
  /** Ed25519 identity of the relay to extend to, 32 bytes. */
  readonly identity: Uint8Array
  readonly hello: Uint8Array
}

export function encodeExtend(extend: Extend): Uint8Array {
  return concat(u16(extend.branch), extend.identity, extend.hello)
}

/** @throws NightjarError `protocol-violation` for branch 0 or a message cut off. */
export function decodeExtend(bytes: Uint8Array): Extend {
  const reader = new Reader(bytes, 'EXTEND')
  const branch = reader.u16('branch')
  if (branch === 0) throw violation('branch 0 cannot be extended')
  return { branch, identity: reader.bytes(32, 'identity'), hello: reader.rest() }
}

export function encodeExtended(branch: number, reply: Uint8Array): Uint8Array {
  return concat(u16(branch), reply)
}

/** @throws NightjarError `protocol-violation` for branch 0 or a message cut off. */
export function decodeExtended(bytes: Uint8Array): { branch: number; reply: Uint8Array } {
  const reader = new Reader(bytes, 'EXTENDED')
  const branch = reader.u16('branch')
  if (branch === 0) throw violation('branch 0 cannot be extended')
  return { branch, reply: reader.rest() }
}

export function encodeBranchClosed(branch: number, code: number): Uint8Array {
  return concat(u16(branch), Uint8Array.of(code))
}

export function decodeBranchClosed(data: Uint8Array): { branch: number; code: number } {
  const reader = new Reader(data, 'BRANCH_CLOSED')
  const message = { branch: reader.u16('branch'), code: reader.u8('code') }
  reader.end()
  return message
}

export function encodeBranchGoaway(branch: number, seconds: number): Uint8Array {
  return concat(u16(branch), u16(seconds))
}

export function decodeBranchGoaway(data: Uint8Array): { branch: number; seconds: number } {
  const reader = new Reader(data, 'BRANCH_GOAWAY')
  const message = { branch: reader.u16('branch'), seconds: reader.u16('seconds') }
  reader.end()
  return message
}

export interface Keep {
  readonly branch: number
  readonly seconds: number
}

export function encodeKeep({ branch, seconds }: Keep): Uint8Array {
  return concat(u16(branch), u16(seconds))
}

/** @throws NightjarError `protocol-violation` for branch 0, no time, or more than may be asked for. */
export function decodeKeep(data: Uint8Array): Keep {
  const reader = new Reader(data, 'KEEP')
  const keep = { branch: reader.u16('branch'), seconds: reader.u16('seconds') }
  reader.end()
  if (keep.branch === 0) throw violation('branch 0 cannot be kept')
  if (keep.seconds === 0 || keep.seconds * second > limits.keepLongest) throw violation('KEEP out of bounds')
  return keep
}

/** The one u16 of TRUNCATE (branch) and CREDIT (cells). */
export function decodeU16(data: Uint8Array, name: string): number {
  const reader = new Reader(data, name)
  const value = reader.u16('value')
  reader.end()
  return value
}

export const pingSize = 8
