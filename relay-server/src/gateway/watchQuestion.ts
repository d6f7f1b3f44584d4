/**
 * The question that begins a watch.
 *
 *     method "nightjar_watch"
 *     params [{ "account": "0x…" 20 bytes, "stride": blocks, "delay": milliseconds, "secret": 16 bytes in hexadecimal }]
 *          | [{ "transaction": "0x…" 32 bytes, "stride": …, "delay": …, "secret": … }]
 */
import { NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'

export interface WatchQuestion {
  readonly subject: 'account' | 'transaction'
  /** Address or hash, in lower case: how a wallet writes it is nobody's business upstream. */
  readonly id: string
  /** The grid is the blocks whose number is a multiple of this. */
  readonly stride: number
  /** Milliseconds from a grid block to the slot. */
  readonly delay: number
  /** Who knows it is the client that began the watch. */
  readonly secret: string
}

const forms = { account: /^0x[0-9a-f]{40}$/i, transaction: /^0x[0-9a-f]{64}$/i } as const

/** @throws NightjarError `bad-request` */
export function parseWatch(params: unknown): WatchQuestion {
  if (!Array.isArray(params) || params.length !== 1) throw bad('one object')
  const [fields] = params as readonly unknown[]
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) throw bad('one object')
  const { stride, delay, secret, ...rest } = fields as { readonly [name: string]: unknown }
  const [named, ...others] = Object.entries(rest)
  if (named === undefined || others.length > 0) throw bad('an account or a transaction')
  const [subject, id] = named
  if (subject !== 'account' && subject !== 'transaction') throw bad('an account or a transaction')
  if (typeof id !== 'string' || !forms[subject].test(id)) throw bad(subject)
  if (!isWhole(stride, 1, limits.watchStride)) throw bad('stride')
  if (!isWhole(delay, 0, limits.watchDelay)) throw bad('delay')
  if (typeof secret !== 'string' || !/^[0-9a-f]{32}$/.test(secret)) throw bad('secret')
  return { subject, id: id.toLowerCase(), stride, delay, secret }
}

function isWhole(value: unknown, least: number, most: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
}

function bad(field: string): NightjarError {
  return new NightjarError('bad-request', { detail: field })
}
