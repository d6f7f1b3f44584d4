import { expect, test } from 'vitest'
import type { Call, Json } from '../call.ts'
import { atBlock } from './block.ts'

const getLogs = (filter: Json): Call => ({ method: 'eth_getLogs', params: [filter] })
const ethCall = (...rest: Json[]): Call => ({ method: 'eth_call', params: [{ to: '0x' }, ...rest] })

test.each<[Call, Call]>([
  [ethCall(), ethCall('0x99')],
  [ethCall('latest', { overrides: 1 }), ethCall('0x99', { overrides: 1 })],
  [getLogs({}), getLogs({ fromBlock: '0x99', toBlock: '0x99' })],
  [getLogs({ fromBlock: '0x1', address: 'x' }), getLogs({ fromBlock: '0x1', toBlock: '0x99', address: 'x' })],
  [getLogs({ fromBlock: 'latest', toBlock: '0x9a' }), getLogs({ fromBlock: '0x99', toBlock: '0x9a' })],
])('%j at block 0x99 is %j', (call, expected) => {
  expect(atBlock(call, '0x99')).toEqual(expected)
})

test.each<[Call]>([
  [ethCall('0x1')],
  [ethCall('pending')],
  [ethCall({ blockHash: '0x1' })],
  [getLogs({ blockHash: '0x1' })],
  [getLogs({ fromBlock: '0x1', toBlock: '0x2' })],
  [getLogs({ fromBlock: '0x1', toBlock: 'finalized' })],
  [getLogs(null)],
])('%j stays as it is', (call) => {
  expect(atBlock(call, '0x99')).toBe(call)
})
