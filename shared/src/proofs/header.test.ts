import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { verifyHeader } from './index.ts'
import { changedLeaf } from './testing/change.ts'
import { type Fields, forks, last, mainnet, mixed, verifiedOf } from './testing/vectors.ts'

/** What a block's JSON has besides its header. */
const besides = ['size', 'totalDifficulty', 'transactions', 'uncles', 'withdrawals']
const headerFields = Object.keys(last.block).filter((name) => !besides.includes(name))

describe('verified is', () => {
  test.each(Object.entries(mainnet))('the %s block of mainnet', async (_, block) => {
    const header = verifiedOf(await verifyHeader(block, block.hash))
    expect(header.hash).toBe(block.hash)
    expect(header.stateRoot).toBe(block.stateRoot)
    expect(header.number).toBe(BigInt(block.number as string))
  })

  test.each(forks)('each block of $name', async ({ blocks }) => {
    for (const { block } of blocks) expect(await verifyHeader(block, block.hash)).toMatchObject({ kind: 'verified' })
  })

  it('what says null for the fields of later forks', async () => {
    const { homestead } = mainnet
    const block = { ...homestead, baseFeePerGas: null, withdrawalsRoot: null }
    expect(verifiedOf(await verifyHeader(block, homestead.hash))).not.toHaveProperty('baseFeePerGas')
  })

  it('what spells its numbers and bytes otherwise', async () => {
    const block = {
      ...last.block,
      number: '0x0004',
      stateRoot: (last.block.stateRoot as string).toUpperCase().replace('X', 'x'),
    }
    expect(verifiedOf(await verifyHeader(block, last.block.hash))).toEqual(
      verifiedOf(await verifyHeader(last.block, last.block.hash)),
    )
  })
})

describe('a lie is', () => {
  it('any field with another digit', async () => {
    expect(headerFields).toHaveLength(22)
    const change = fc.tuple(
      fc.constantFrom(...headerFields),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.integer({ min: 1, max: 15 }),
    )
    await fc.assert(
      fc.asyncProperty(change, async ([name, position, step]) => {
        const block = { ...last.block, [name]: changedLeaf(last.block[name] ?? null, position, step) }
        expect(await verifyHeader(block, last.block.hash)).toEqual({ kind: 'lie', reason: 'block-hash' })
      }),
      { numRuns: 300 },
    )
  })

  it('another real block', async () => {
    expect(await verifyHeader(mixed.block, last.block.hash)).toEqual({ kind: 'lie', reason: 'block-hash' })
    expect(await verifyHeader({ ...mixed.block, hash: last.block.hash }, last.block.hash)).toEqual({
      kind: 'lie',
      reason: 'block-hash',
    })
  })

  it('a block without the last of its fields, or with one more', async () => {
    expect(await verifyHeader(without('requestsHash'), last.block.hash)).toEqual({ kind: 'lie', reason: 'block-hash' })
    const block = { ...mainnet.homestead, baseFeePerGas: '0x0' }
    expect(await verifyHeader(block, block.hash)).toEqual({ kind: 'lie', reason: 'block-hash' })
  })
})

describe('not judged is', () => {
  test.each(headerFields.filter((name) => name !== 'requestsHash'))('a block without %s', async (name) => {
    expect(await verifyHeader(without(name), last.block.hash)).toEqual({ kind: 'unverifiable', reason: 'malformed' })
  })

  // Arbitrum, zkSync, and a fork that is still to come: all with the right hash.
  test.each(['l1BlockNumber', 'l1BatchNumber', 'blockAccessListHash'])('a block with %s', async (name) => {
    const block = { ...last.block, [name]: '0x1' }
    expect(await verifyHeader(block, last.block.hash)).toEqual({ kind: 'unverifiable', reason: 'unknown-field' })
  })

  test.each<[string, Fields]>([
    ['a hash that is too short', { stateRoot: '0x11' }],
    ['a number that is no text', { number: 4 }],
    ['a number above 2^256', { number: `0x1${'00'.repeat(32)}` }],
    ['a number without digits', { number: '0x' }],
    ['a number below zero', { number: '-0x4' }],
  ])('%s', async (_, fields) => {
    expect(await verifyHeader({ ...last.block, ...fields }, last.block.hash)).toEqual({
      kind: 'unverifiable',
      reason: 'malformed',
    })
  })

  it('extraData without end', async () => {
    const block = { ...last.block, extraData: `0x${'00'.repeat(70_000)}` }
    expect(await verifyHeader(block, last.block.hash)).toEqual({ kind: 'unverifiable', reason: 'too-large' })
  })
})

function without(name: string): Fields {
  const { [name]: _, ...block } = last.block
  return block
}
