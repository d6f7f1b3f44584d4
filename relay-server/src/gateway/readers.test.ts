import { limits } from '@nightjar/shared/limits'
import type { Json } from '@nightjar/shared/rpc'
import { hour, second } from '@nightjar/shared/runtime'
import { beforeEach, describe, expect, test } from 'vitest'
import { header } from './testing/blocks.ts'
import { account, emptyCodeHash, transaction } from './testing/scriptedChain.ts'
import { poll, WatchStage } from './testing/watchStage.ts'

let stage: WatchStage
let clock: WatchStage['clock']
let chain: WatchStage['chain']
beforeEach(begin)

function begin(): void {
  stage = new WatchStage()
  ;({ clock, chain } = stage)
}

describe('where the account cannot be read', () => {
  beforeEach(() => {
    chain.head = 9
  })

  test.each<[string, string, Json | 'upstream-failed']>([
    ['the upstream fails', 'eth_getProof', 'upstream-failed'],
    ['the upstream has an error', 'eth_getProof', { error: { code: -32000, message: 'header not found' } }],
    ['there is no proof', 'eth_getProof', { result: null }],
    ['a balance is none', 'eth_getProof', { result: { balance: 'much' } }],
    ['a proof is too long', 'eth_getProof', { result: { ...proofOf(), accountProof: Array(66).fill('0x') } }],
    ['a node of a proof is none', 'eth_getProof', { result: { ...proofOf(), accountProof: ['0x', 7] } }],
    ['a node of a proof is half a byte more', 'eth_getProof', { result: { ...proofOf(), accountProof: ['0x123'] } }],
    ['a hash is none', 'eth_getProof', { result: { ...proofOf(), codeHash: '0x12' } }],
  ])('as %s, that is told, and the next slot tries again', async (_, method, instead) => {
    const client = await stage.watch({ account, stride: 5, delay: 0 })
    chain.instead.set(method, instead as never)
    await stage.growTo(12)
    chain.instead.clear()
    await stage.growTo(15)
    expect(client.told).toEqual([
      [{ number: '0xa', error: expect.objectContaining({ code: -32603, data: { nightjar: 'upstream-failed' } }) }],
      [chain.state(15)],
    ])
  })

  test('as the block is another one by its number, that is told', async () => {
    const client = await stage.watch({ account, stride: 5, delay: 0 })
    chain.instead.set('eth_getBlockByNumber', { result: header(18) })
    await clock.elapse(poll)
    expect(client.told).toEqual([[{ number: '0xf', error: expect.anything() }]])
  })

  test('for half a minute in which there is no head either, the watch ends', async () => {
    const client = await stage.watch({ account, stride: 5, delay: 0 })
    chain.instead.set('eth_getBlockByNumber', 'upstream-failed')
    await clock.elapse(30 * second)
    expect([client.ends, clock.pending]).toEqual([['upstream-failed'], 0])
  })
})

function proofOf(): { readonly [name: string]: Json } {
  return { balance: '0x1', nonce: '0x1', codeHash: emptyCodeHash, storageHash: emptyCodeHash, accountProof: [] }
}

describe('an upstream without proofs', () => {
  test.each([
    [-32601, 'the method eth_getProof does not exist/is not available'],
    [-32004, 'Method not supported'],
    [-32000, 'unsupported method: eth_getProof'],
    [-32000, 'this method is not allowed on your plan'],
    [-32602, 'distance to target block exceeds maximum proof window'],
  ])('that says so (%i %s) is asked for the parts at that block', async (code, message) => {
    chain.head = 9
    const client = await stage.watch({ account, stride: 5, delay: 0 })
    chain.instead.set('eth_getProof', { error: { code, message } })
    await stage.growTo(10)
    expect(client.told).toEqual([
      [
        {
          number: '0xa',
          hash: chain.hash(10),
          balance: '0x0',
          nonce: '0x7',
          codeHash: emptyCodeHash,
          storageHash: null,
          proof: null,
        },
      ],
    ])
    const parts = chain.asked.filter(({ params }) => params[0] === account && params[1] === '0xa')
    expect(parts.map(({ method }) => method)).toEqual(['eth_getBalance', 'eth_getTransactionCount', 'eth_getCode'])
  })

  test('nor one of the parts is an upstream that fails', async () => {
    chain.head = 9
    const client = await stage.watch({ account, stride: 5, delay: 0 })
    chain.instead.set('eth_getProof', { error: { code: -32601, message: '' } })
    chain.instead.set('eth_getCode', { result: '0xabc' })
    await stage.growTo(10)
    expect(client.told).toEqual([[{ number: '0xa', error: expect.anything() }]])
  })
})

describe('a transaction', () => {
  const receipt = { transactionHash: transaction, status: '0x1' }

  test('is told of at each slot, until 64 blocks of the grid after it is there', async () => {
    const client = await stage.watch({ transaction, stride: 2, delay: 3 * second })
    await stage.growTo(7)
    expect(client.told).toEqual([2, 4, 6].map((number) => [{ number: `0x${number}`, receipt: null }]))
    chain.receipt = receipt
    await stage.growTo(8 + 2 * limits.receiptSlots - 1)
    expect(client.told.slice(3)).toEqual(
      Array.from({ length: 64 }, (_, index) => [{ number: `0x${(8 + 2 * index).toString(16)}`, receipt }]),
    )
    expect(client.ends).toEqual([])
    await stage.growTo(8 + 2 * limits.receiptSlots)
    expect(client.numbers.at(-1)).toEqual([136])
    expect([client.ends, clock.pending]).toEqual([['done'], 0])
  })

  test('that is never there is given up after an hour', async () => {
    const client = await stage.watch({ transaction, stride: 50, delay: 0 })
    await stage.growTo(299)
    expect(client.numbers).toEqual([[50], [100], [150], [200], [250]])
    expect(client.ends).toEqual([])
    await clock.elapse(1 * hour)
    expect([client.ends, clock.pending]).toEqual([['done'], 0])
  })

  test('whose receipt cannot be had is told of as well', async () => {
    const client = await stage.watch({ transaction, stride: 1, delay: 0 })
    chain.instead.set('eth_getTransactionReceipt', 'upstream-failed')
    await stage.growTo(2)
    chain.instead.set('eth_getTransactionReceipt', { result: 'yes' })
    await stage.growTo(3)
    chain.instead.clear()
    await stage.growTo(4)
    expect(client.told).toEqual([
      [{ number: '0x2', error: expect.anything() }],
      [{ number: '0x3', error: expect.anything() }],
      [{ number: '0x4', receipt: null }],
    ])
  })

  test('that leaves its block again is told of until it is 64 blocks since it was first there', async () => {
    const client = await stage.watch({ transaction, stride: 1, delay: 0 })
    chain.receipt = receipt
    await stage.growTo(2)
    chain.receipt = null
    await stage.growTo(66)
    expect([client.told.length, client.told.at(-1), client.ends]).toEqual([
      65,
      [{ number: '0x42', receipt: null }],
      ['done'],
    ])
  })
})
