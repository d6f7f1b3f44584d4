/**
 * The header of the newest block, out of an answer of `eth_getBlockByNumber` that may hold anything. Its fields are those
 * of geth's `newHeads` (execution-apis, schema Block, without its lists): never the transactions, nor what else an
 * upstream adds.
 */
import { recordOverhead, recordSize } from '@nightjar/shared/envelope'
import { NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { encodeAnswer, type Json, type Outcome } from '@nightjar/shared/rpc'

export interface Head {
  readonly number: bigint
  readonly hash: string
  /** The answer that is sealed for those who follow: `{ "result": header }`. */
  readonly text: Uint8Array
}

const quantity = /^0x[0-9a-f]{1,64}$/i
const hash = /^0x[0-9a-f]{64}$/i
const data = /^0x[0-9a-f]*$/i

/** What every header has. */
const always = { number: quantity, hash, parentHash: hash, timestamp: quantity }
/** What depends on the chain and its age; left out where the upstream has none, or null. */
const mostly = [
  'gasLimit',
  'gasUsed',
  'baseFeePerGas',
  'miner',
  'logsBloom',
  'mixHash',
  'nonce',
  'extraData',
  'difficulty',
  'receiptsRoot',
  'sha3Uncles',
  'stateRoot',
  'transactionsRoot',
  'withdrawalsRoot',
  'blobGasUsed',
  'excessBlobGas',
  'parentBeaconBlockRoot',
  'requestsHash',
]

/** @throws NightjarError `upstream-failed` where the answer holds no header, or one that fits no class of answers */
export function headOf(outcome: Outcome): Head {
  if ('error' in outcome) throw bad('error')
  const block = outcome.result
  if (!isObject(block)) throw bad('block')
  const header: Record<string, string> = {}
  for (const [name, form] of Object.entries(always)) header[name] = field(block, name, form)
  for (const name of mostly) {
    if (block[name] !== undefined && block[name] !== null) header[name] = field(block, name, data)
  }
  const text = encodeAnswer({ result: header })
  if (text.length + recordOverhead > recordSize(limits.paddedAnswerCells)) throw bad('size')
  return { number: BigInt(header.number as string), hash: (header.hash as string).toLowerCase(), text }
}

type JsonObject = { readonly [key: string]: Json }

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function field(block: JsonObject, name: string, form: RegExp): string {
  const value = block[name]
  if (typeof value !== 'string' || !form.test(value)) throw bad(name)
  return value
}

function bad(field: string): NightjarError {
  return new NightjarError('upstream-failed', { detail: field })
}
