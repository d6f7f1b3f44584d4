/**
 * A node without an EVM: what a contract returns is a hash of what it was asked, and what fails is told beforehand.
 * Multicall3 and the balance checker are written down a second time here, after their Solidity and with viem's encoding,
 * so that nothing of the code under test decides what is right.
 */
import {
  decodeFunctionData,
  encodeErrorResult,
  encodeFunctionResult,
  type Hex,
  keccak256,
  parseAbi,
  size,
  slice,
} from 'viem'
import type { Call, Json, JsonObject, Outcome } from '../call.ts'

export const multicall3 = '0xca11bde05977b3631167028862be2a173976ca11'
export const balanceChecker = '0xb1f8e55c7f64d203c1400b9d8555d050f94adf39'

export const abi = parseAbi([
  'function aggregate((address target, bytes callData)[] calls) payable returns (uint256 blockNumber, bytes[] returnData)',
  'function aggregate3((address target, bool allowFailure, bytes callData)[] calls) payable returns ((bool success, bytes returnData)[] returnData)',
  'function tryAggregate(bool requireSuccess, (address target, bytes callData)[] calls) payable returns ((bool success, bytes returnData)[] returnData)',
  'function blockAndAggregate((address target, bytes callData)[] calls) payable returns (uint256 blockNumber, bytes32 blockHash, (bool success, bytes returnData)[] returnData)',
  'function tryBlockAndAggregate(bool requireSuccess, (address target, bytes callData)[] calls) payable returns (uint256 blockNumber, bytes32 blockHash, (bool success, bytes returnData)[] returnData)',
  'function balances(address[] users, address[] tokens) view returns (uint256[])',
  'error Error(string)',
])

interface Returned {
  readonly success: boolean
  readonly data: Hex
}

export interface NodeInit {
  /** Whether the contract `target` reverts on `data`. */
  readonly fails?: (target: Hex, data: Hex) => boolean
  /** Whether there is no contract: then everything succeeds and returns nothing. */
  readonly isAbsent?: (target: Hex) => boolean
  readonly logs?: readonly JsonObject[]
}

export function createNode({ fails = () => false, isAbsent = () => false, logs = [] }: NodeInit = {}): {
  answer(call: Call): Outcome
} {
  const blockNumber = 0x1234n
  const blockHash: Hex = `0x${'0'.repeat(64)}`

  function execute(target: Hex, data: Hex): Returned {
    if (isAbsent(target)) return { success: true, data: '0x' }
    const decoded = decodeOrNothing(data)
    if (decoded?.functionName === 'balances') return balances(target, decoded.args)
    if (decoded !== undefined && target === multicall3) return multicall(decoded)
    if (fails(target, data)) return { success: false, data: revert(`${target} ${data.slice(0, 10)}`) }
    const hash = keccak256(`${target}${data.slice(2)}`)
    // From nothing to two words, and not only whole ones.
    return { success: true, data: slice(`${hash}${hash.slice(2)}`, 0, Number(BigInt(hash) % 65n) || undefined) }
  }

  function balances(target: Hex, [users, tokens]: readonly [readonly Hex[], readonly Hex[]]): Returned {
    const found: bigint[] = []
    for (const user of users) {
      for (const token of tokens) {
        if (fails(token, user)) return { success: false, data: revert(`${token} of ${user}`) }
        found.push(BigInt(keccak256(`${target}${user.slice(2)}${token.slice(2)}`)))
      }
    }
    return { success: true, data: encodeFunctionResult({ abi, functionName: 'balances', result: found }) }
  }

  function multicall(decoded: Exclude<ReturnType<typeof decode>, { functionName: 'balances' }>): Returned {
    const { functionName, args } = decoded
    const calls: readonly { target: Hex; callData: Hex; allowFailure?: boolean }[] =
      args.length === 1 ? args[0] : args[1]
    const requireSuccess = args.length === 1 ? functionName !== 'aggregate3' : args[0]
    const results: { success: boolean; returnData: Hex }[] = []
    for (const { target, callData, allowFailure = !requireSuccess } of calls) {
      const { success, data } = execute(target.toLowerCase() as Hex, callData)
      if (!success && !allowFailure) return { success: false, data: revert('Multicall3: call failed') }
      results.push({ success, returnData: data })
    }
    switch (functionName) {
      case 'aggregate': {
        const result = [blockNumber, results.map(({ returnData }) => returnData)] as const
        return { success: true, data: encodeFunctionResult({ abi, functionName, result }) }
      }
      case 'aggregate3':
      case 'tryAggregate':
        return { success: true, data: encodeFunctionResult({ abi, functionName, result: results }) }
      default: {
        const result = [blockNumber, blockHash, results] as const
        return { success: true, data: encodeFunctionResult({ abi, functionName, result }) }
      }
    }
  }

  return {
    answer(call) {
      const [message] = call.params as readonly JsonObject[]
      if (call.method === 'eth_getLogs') return { result: logs.filter((log) => matches(log, message as JsonObject)) }
      const { success, data } = execute(message?.to as Hex, (message?.data ?? message?.input) as Hex)
      return success ? { result: data } : { error: { code: 3, message: `execution reverted (${size(data)})`, data } }
    },
  }
}

function decode(data: Hex) {
  return decodeFunctionData({ abi, data })
}

function decodeOrNothing(data: Hex): ReturnType<typeof decode> | undefined {
  try {
    return decode(data)
  } catch (_otherFunction) {
    return undefined
  }
}

function revert(reason: string): Hex {
  return encodeErrorResult({ abi, errorName: 'Error', args: [reason] })
}

function matches(log: JsonObject, { address, topics }: JsonObject): boolean {
  const asked = [address, ...((topics as readonly Json[] | undefined) ?? [])]
  const given = [log.address, ...(log.topics as readonly Json[])]
  return asked.every((one, index) => {
    if (one === undefined || one === null) return true
    return Array.isArray(one) ? one.includes(given[index] as Json) : one === given[index]
  })
}
