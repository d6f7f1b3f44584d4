import { describe, expect, test } from 'vitest'
import { isSizeClass } from '../envelope/index.ts'
import { limits } from '../limits.ts'
import { catalogue, methodOf, unknownMethod } from './index.ts'

describe.each([...catalogue])('%s', (name, method) => {
  test('has a class of answer that a question may name', () => {
    expect(isSizeClass(method.answerCells, limits.paddedAnswerCells)).toBe(true)
    expect(methodOf(name)).toBe(method)
  })

  test('only reads, or is the one broadcast', () => {
    expect(method.kind).toBe(name === 'eth_sendRawTransaction' ? 'broadcast' : 'read')
  })

  test('is part of the public Ethereum JSON-RPC API: no keys, no node management, no state at the gateway', () => {
    expect(name).toMatch(/^(eth|net|web3)_[a-zA-Z0-9_]+$/)
    expect(name).not.toMatch(/sign|account|filter|subscribe|coinbase|mining|hashrate|submit|work|sendTransaction$/i)
  })
})

test('what wallets poll looks alike, the broadcast and unknown methods too', () => {
  const alike = [
    'eth_getBalance',
    'eth_getTransactionCount',
    'eth_call',
    'eth_getTransactionReceipt',
    'eth_estimateGas',
    'eth_blockNumber',
    'eth_gasPrice',
    'eth_feeHistory',
    'eth_chainId',
    'eth_sendRawTransaction',
    'no_suchMethod',
  ]
  expect(new Set(alike.map((name) => methodOf(name).answerCells)).size).toBe(1)
})

test('there are few classes, as each tells something', () => {
  expect(new Set([...catalogue.values()].map(({ answerCells }) => answerCells)).size).toBeLessThanOrEqual(3)
})

test('names that every object has are unknown methods', () => {
  for (const name of [
    'constructor',
    '__proto__',
    'toString',
    'hasOwnProperty',
    '',
    'ETH_GETBALANCE',
    'eth_getBalance ',
  ]) {
    expect(methodOf(name)).toBe(unknownMethod)
  }
  expect(unknownMethod.kind).toBe('read')
})
