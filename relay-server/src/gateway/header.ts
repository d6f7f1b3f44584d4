/**
 * The header of the newest block, out of an answer of `eth_getBlockByNumber` that may hold anything. Its fields are those
 * of geth's `newHeads` (execution-apis, schema Block, without its lists): never the transactions, nor what else an
 * upstream adds.
 */
import { recordOverhead, recordSize } from '@nightjar/shared/envelope'
import { limits } from '@nightjar/shared/limits'
import { encodeAnswer, type Json, type Outcome } from '@nightjar/shared/rpc'
import { data, hash, malformed, objectOf, quantity, resultOf, textOf } from './fields.ts'

export interface Head {
  readonly number: bigint
  readonly hash: string
  readonly parentHash: string
  /** The answer that is sealed for those who follow: `{ "result": header }`. */
  readonly text: Uint8Array
  /** The whole block as the upstream gave it, with the hashes of its transactions. */
  readonly block: Json
}

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
  const block = objectOf(resultOf(outcome), 'block')
  const header: Record<string, string> = {}
  for (const [name, form] of Object.entries(always)) header[name] = textOf(block[name], name, form)
  for (const name of mostly) {
    if (block[name] !== undefined && block[name] !== null) header[name] = textOf(block[name], name, data)
  }
  const text = encodeAnswer({ result: header })
  if (text.length + recordOverhead > recordSize(limits.paddedAnswerCells)) throw malformed('size')
  return {
    number: BigInt(header.number as string),
    hash: (header.hash as string).toLowerCase(),
    parentHash: (header.parentHash as string).toLowerCase(),
    text,
    block,
  }
}
