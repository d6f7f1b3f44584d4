/**
 * What one call may ask of a provider: blocks of `eth_getLogs`, gas of calls that are only simulated. A refusal is the
 * gateway's answer, as a provider's own would be, and says what to change; it is nothing to try again elsewhere.
 */
import type { Call, Json, Outcome } from '@nightjar/shared/rpc'
import { isObject, quantity } from './fields.ts'

export interface CallLimits {
  /** Blocks that one `eth_getLogs` may look through. */
  readonly logBlocks: number
  /** Gas that one call may be given; where a call names none, the provider's own limit holds. */
  readonly callGas: number
}

/** EIP-1474 "limit exceeded". */
const limitExceeded = -32005

/** The refusal of `call`, if it asks for too much. @param newest the number of the newest block */
export function refusalOf(
  call: Call,
  limits: CallLimits,
  newest: () => Promise<bigint>,
): Outcome | Promise<Outcome | undefined> | undefined {
  const params = Array.isArray(call.params) ? (call.params as readonly Json[]) : []
  switch (call.method) {
    case 'eth_getLogs':
      return blocksOf(params[0], newest).then((blocks) => refuseBlocks(blocks, BigInt(limits.logBlocks)))
    case 'eth_call':
    case 'eth_estimateGas':
    case 'eth_createAccessList':
      return refuseGas(gasOf(params[0]), BigInt(limits.callGas))
    case 'eth_simulateV1':
      return refuseGas(gasOfAll(params[0]), BigInt(limits.callGas))
    default:
      return undefined
  }
}

function refuseBlocks(asked: bigint, most: bigint): Outcome | undefined {
  if (asked <= most) return undefined
  return refuse(`Ask eth_getLogs for at most ${most} blocks at once: this filter spans ${asked}.`)
}

function refuseGas(asked: bigint, most: bigint): Outcome | undefined {
  if (asked <= most) return undefined
  return refuse(`Give a call at most ${most} gas, or leave gas out: this one names ${asked}.`)
}

function refuse(message: string): Outcome {
  return { error: { code: limitExceeded, message } }
}

async function blocksOf(filter: Json | undefined, newest: () => Promise<bigint>): Promise<bigint> {
  // By hash it is one block; what is malformed is for the provider to say.
  if (filter === undefined || !isObject(filter) || filter.blockHash !== undefined) return 1n
  const from = numberOf(filter.fromBlock)
  const to = numberOf(filter.toBlock)
  if (from === to) return 1n
  return (to ?? (await newest())) - (from ?? (await newest())) + 1n
}

/** The block that `name` stands for; undefined for the newest ones, whatever they are called. */
function numberOf(name: Json | undefined): bigint | undefined {
  if (name === 'earliest') return 0n
  return typeof name === 'string' && quantity.test(name) ? BigInt(name) : undefined
}

function gasOf(transaction: Json | undefined): bigint {
  if (transaction === undefined || !isObject(transaction)) return 0n
  const { gas } = transaction
  if (typeof gas === 'number' && Number.isSafeInteger(gas)) return BigInt(gas)
  return typeof gas === 'string' && quantity.test(gas) ? BigInt(gas) : 0n
}

/** All calls of all blocks that are simulated. */
function gasOfAll(options: Json | undefined): bigint {
  if (options === undefined || !isObject(options)) return 0n
  const calls = listOf(options.blockStateCalls).flatMap((block) => (isObject(block) ? listOf(block.calls) : []))
  return calls.reduce((sum: bigint, call) => sum + gasOf(call), 0n)
}

function listOf(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : []
}
