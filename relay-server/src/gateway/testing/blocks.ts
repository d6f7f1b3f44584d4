/** Blocks as an upstream answers them, and a chain whose newest one a test sets. */
import { NightjarError } from '@nightjar/shared/errors'
import type { Call, Json, Outcome } from '@nightjar/shared/rpc'
import type { Chain } from '../broadcasts.ts'

type Fields = Record<string, Json>

/** What `newHeads` shows of block `number`; `fork` tells blocks of one number apart. */
export function header(number: number, fork = 0): Fields {
  const word = (seed: number) => `0x${(number * 256 + seed).toString(16).padStart(64, '0')}`
  return {
    number: `0x${number.toString(16)}`,
    hash: word(fork),
    parentHash: `0x${((number - 1) * 256).toString(16).padStart(64, '0')}`,
    timestamp: `0x${(1_700_000_000 + 12 * number).toString(16)}`,
    gasLimit: '0x2255100',
    gasUsed: '0x1',
    baseFeePerGas: '0x3b9aca00',
    miner: '0x4838b106fce9647bdf1e7877bf73ce8b0bad5f97',
    logsBloom: `0x${'0'.repeat(512)}`,
    mixHash: word(1),
    nonce: '0x0000000000000000',
    extraData: '0x546974616e',
    difficulty: '0x0',
    receiptsRoot: word(2),
    sha3Uncles: word(3),
    stateRoot: word(4),
    transactionsRoot: word(5),
    withdrawalsRoot: word(6),
    blobGasUsed: '0x0',
    excessBlobGas: '0x0',
    parentBeaconBlockRoot: word(7),
    requestsHash: word(8),
  }
}

/** The same as an upstream answers it, with all that is not for followers. */
export function block(number: number, fork = 0): Fields {
  return {
    ...header(number, fork),
    size: '0x1234',
    totalDifficulty: '0xc70d815d562d3cfa955',
    transactions: [`0x${'ab'.repeat(32)}`],
    uncles: [],
    withdrawals: [{ index: '0x1', validatorIndex: '0x2', address: `0x${'cd'.repeat(20)}`, amount: '0x3' }],
  }
}

export class FollowedChain implements Chain {
  readonly asked: Call[] = []
  readonly signals: AbortSignal[] = []
  /** What the next polls get; a code is what they fail with, and a promise keeps them waiting. */
  latest: Outcome | 'upstream-failed' | Promise<Outcome> = { result: block(1) }

  show(number: number, fork = 0): void {
    this.latest = { result: block(number, fork) }
  }

  async read(call: Call, signal: AbortSignal): Promise<Outcome> {
    this.asked.push(call)
    this.signals.push(signal)
    if (this.latest === 'upstream-failed') throw new NightjarError('upstream-failed')
    return this.latest
  }

  once(): Promise<Outcome> {
    return Promise.reject(new Error('followers send nothing'))
  }
}
