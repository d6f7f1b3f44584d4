/** For which block a call asks, as far as its parts must all ask for the same one. */
import { type Call, isMissing, isObject, type Json, type JsonObject, paramOf, withParam } from '../call.ts'

/**
 * `fixed`: whoever answers, and whenever, answers for the same block. `latest`: the block differs from one answer to the
 * next. `unknowable`: it does too, and no number can stand for it (pending, safe, finalized, or no block at all).
 */
export type BlockChoice = 'fixed' | 'latest' | 'unknowable'

export function blockChoiceOf(call: Call): BlockChoice {
  if (call.method !== 'eth_getLogs') return choiceOf(paramOf(call, 1))
  const filter = paramOf(call, 0)
  if (!isObject(filter)) return 'unknowable'
  if (!isMissing(filter.blockHash)) return 'fixed'
  const choices = [choiceOf(filter.fromBlock), choiceOf(filter.toBlock)]
  return choices.find((choice) => choice === 'unknowable') ?? choices.find((choice) => choice === 'latest') ?? 'fixed'
}

/** The same eth_call or eth_getLogs for the block of that number where it asked for the latest one. */
export function atBlock(call: Call, number: `0x${string}`): Call {
  if (blockChoiceOf(call) !== 'latest') return call
  if (call.method !== 'eth_getLogs') return withParam(call, 1, number)
  // A filter, or there would be no choice.
  const filter = paramOf(call, 0) as JsonObject
  const fixed = (block: Json | undefined): Json => (choiceOf(block) === 'latest' ? number : (block as Json))
  return withParam(call, 0, { ...filter, fromBlock: fixed(filter.fromBlock), toBlock: fixed(filter.toBlock) })
}

function choiceOf(block: Json | undefined): BlockChoice {
  if (isMissing(block) || block === 'latest' || block === '') return 'latest'
  if (isObject(block)) return typeof (block.blockHash ?? block.blockNumber) === 'string' ? 'fixed' : 'unknowable'
  return typeof block === 'string' && (block === 'earliest' || /^0x[0-9a-f]+$/i.test(block)) ? 'fixed' : 'unknowable'
}
