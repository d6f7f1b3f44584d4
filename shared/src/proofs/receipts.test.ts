import fc from 'fast-check'
import { toBytes, toHex, toRlp } from 'viem'
import { describe, expect, it, test } from 'vitest'
import { type Hex, type Receipt, verifyReceipt, verifyReceipts } from './index.ts'
import { at, changedLeaf, leavesOf, type Path, withAt } from './testing/change.ts'
import { type Fields, forks, last, mixed, verifiedBlock, verifiedOf, withBlob } from './testing/vectors.ts'
import { rootOfList } from './trie.ts'

/** What is not hashed and follows from nothing here; no value has it. */
const unchecked = ['from', 'blobGasPrice', 'blobGasUsed', 'blockTimestamp']
const position = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const step = fc.integer({ min: 1, max: 15 })

function isChecked(path: Path): boolean {
  const [, name, , ofLog] = path
  return !unchecked.includes(name as string) || ofLog !== undefined
}

describe('verified are', () => {
  test.each(forks)('the receipts of $name', async ({ blocks }) => {
    for (const answers of blocks.filter(({ block }) => block.hash !== withBlob.block.hash)) {
      const { header, receipts } = await verifiedBlock(answers)
      for (const [index, answer] of answers.receipts.entries()) {
        const receipt = receipts[index] as Receipt
        expect(receipt).toMatchObject({
          isSuccess: answer.status === '0x1',
          gasUsed: BigInt(answer.gasUsed as string),
          transaction: { hash: answer.transactionHash, effectiveGasPrice: BigInt(answer.effectiveGasPrice as string) },
        })
        expect(await verifyReceipt(answer, receipt, header)).toEqual({ kind: 'verified', value: receipt })
      }
    }
  })

  it('success, failure and logs', async () => {
    const { receipts } = await verifiedBlock(mixed)
    expect(receipts.filter(({ isSuccess }) => isSuccess === false).map(({ transaction }) => transaction.index)).toEqual(
      [3],
    )
    const logs = receipts.flatMap((receipt) => receipt.logs)
    expect(logs.map(({ index }) => index)).toEqual(logs.map((_, index) => index))
    expect(logs).toHaveLength(17)
  })

  it('receipts from before Byzantium, which have a state root and no status', async () => {
    const [answers] = (forks[0] as (typeof forks)[number]).blocks as [typeof mixed]
    const { header, transactions: both } = await verifiedBlock(answers)
    const transactions = both.slice(0, 1)
    const { status: _, ...answer } = answers.receipts[0] as Fields
    const root = `0x${'11'.repeat(32)}` as const
    // viem's RLP, not ours.
    const encoded = toRlp([root, toHex(toBytes(answer.cumulativeGasUsed as Hex)), answer.logsBloom as Hex, []], 'bytes')
    const before = { ...header, receiptsRoot: await rootOfList([encoded]) }
    const [receipt] = verifiedOf(await verifyReceipts([{ ...answer, root }], before, transactions))
    expect(receipt?.isSuccess).toBeUndefined()
    const other = { ...answer, root: `0x${'12'.repeat(32)}` }
    expect(await verifyReceipts([other], before, transactions)).toEqual({ kind: 'lie', reason: 'receipts' })
  })

  // A node may leave out what is null, what came with London, and the contract of a creation that failed.
  it('receipts that leave out what they may', async () => {
    const { header, transactions, receipts } = await verifiedBlock(mixed)
    const bare = mixed.receipts.map(({ contractAddress: _, effectiveGasPrice: __, ...rest }) => rest)
    expect(verifiedOf(await verifyReceipts(bare, header, transactions))).toEqual(receipts)
  })
})

describe('never verified are', () => {
  it('receipts with one digit changed, wherever', async () => {
    const { header, transactions } = await verifiedBlock(last)
    const leaves = leavesOf(last.receipts).filter(isChecked)
    const verdictAt = (path: Path, where: number, by: number) =>
      verifyReceipts(withAt(last.receipts, path, changedLeaf(at(last.receipts, path), where, by)), header, transactions)
    for (const path of leaves)
      expect(await verdictAt(path, 0.99, 1), path.join('.')).not.toMatchObject({ kind: 'verified' })
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...leaves), position, step, async (path, where, by) => {
        expect(await verdictAt(path, where, by)).not.toMatchObject({ kind: 'verified' })
      }),
      { numRuns: 200 },
    )
  })

  it('one receipt with one digit changed, its sender too', async () => {
    const { header, receipts } = await verifiedBlock(mixed)
    for (const index of [0, 1, 2, 3, 4]) {
      const answer = mixed.receipts[index] as Fields
      const isLooked = ([name]: Path) => name === 'from' || !unchecked.includes(name as string)
      for (const path of leavesOf(answer).filter(isLooked)) {
        const changed = withAt(answer, path, changedLeaf(at(answer, path), 0.99, 1))
        const verdict = await verifyReceipt(changed, receipts[index] as Receipt, header)
        expect(verdict, path.join('.')).not.toMatchObject({ kind: 'verified' })
      }
    }
  })

  it('a list that lacks one, has one more, or is in another order', async () => {
    const { header, transactions } = await verifiedBlock(mixed)
    const all = mixed.receipts
    for (const list of [all.slice(1), all.slice(0, -1), [], [...all, all[0]], all.toReversed()])
      expect(await verifyReceipts(list, header, transactions)).toEqual({ kind: 'lie', reason: 'receipts' })
  })

  it('true receipts beside the transactions of another block, or beside too few or too many', async () => {
    const { header, transactions } = await verifiedBlock(mixed)
    const others = (await verifiedBlock(last)).transactions
    expect(await verifyReceipts(mixed.receipts, header, others)).toEqual({ kind: 'lie', reason: 'receipt' })
    expect(await verifyReceipts(mixed.receipts, header, transactions.slice(1))).toMatchObject({ kind: 'lie' })
    expect(await verifyReceipts(mixed.receipts, header, transactions.slice(0, -1))).toMatchObject({ kind: 'lie' })
    const tooMany = [...transactions, ...transactions.slice(0, 1)]
    expect(await verifyReceipts(mixed.receipts, header, tooMany)).toEqual({ kind: 'lie', reason: 'receipts' })
  })

  it('a failure that is said to have succeeded, and a log that is hidden', async () => {
    const { header, transactions, receipts } = await verifiedBlock(mixed)
    const succeeded = { ...mixed.receipts[3], status: '0x1' }
    const hidden = { ...mixed.receipts[0], logs: [] }
    expect(await verifyReceipt(succeeded, receipts[3] as Receipt, header)).toEqual({ kind: 'lie', reason: 'receipt' })
    expect(await verifyReceipt(hidden, receipts[0] as Receipt, header)).toEqual({ kind: 'lie', reason: 'receipt' })
    for (const list of [mixed.receipts.with(3, succeeded), mixed.receipts.with(0, hidden)])
      expect(await verifyReceipts(list, header, transactions)).toEqual({ kind: 'lie', reason: 'receipts' })
  })

  it('a created contract that is said to be elsewhere, or hidden', async () => {
    const created = forks[0]?.blocks[0] as typeof mixed
    const { header, transactions } = await verifiedBlock(created)
    expect(created.receipts[0]?.contractAddress).toBe('0x5fbdb2315678afecb367f032d93f642f64180aa3')
    for (const contractAddress of [`0x${'11'.repeat(20)}`, null]) {
      const list = created.receipts.with(0, { ...created.receipts[0], contractAddress })
      expect(await verifyReceipts(list, header, transactions)).toEqual({ kind: 'lie', reason: 'receipt' })
    }
  })
})

it('takes what it does not look at from nowhere', async () => {
  const { header, transactions, receipts } = await verifiedBlock(last)
  const list = last.receipts.map((each) => ({ ...each, ...Object.fromEntries(unchecked.map((name) => [name, '0x1'])) }))
  expect(verifiedOf(await verifyReceipts(list, header, transactions))).toEqual(receipts)
})

describe('not judged are', () => {
  test.each([
    ['null', null, 'malformed'],
    ['receipts of a type that is not known', [{ ...mixed.receipts[0], type: '0x7e' }], 'unknown-type'],
    ['a status that is neither', [{ ...mixed.receipts[0], status: '0x2' }], 'malformed'],
    ['neither status nor root', [{ ...mixed.receipts[0], status: null }], 'malformed'],
    ['five topics', [withTopics(5)], 'too-large'],
    ['more than a block can hold', Array.from({ length: 20_001 }, () => null), 'too-large'],
  ])('%s', async (_, list, reason) => {
    const { header, transactions } = await verifiedBlock(mixed)
    expect(await verifyReceipts(list, header, transactions)).toEqual({ kind: 'unverifiable', reason })
  })

  function withTopics(count: number): Fields {
    const topics = Array.from({ length: count }, () => `0x${'11'.repeat(32)}`)
    return { ...mixed.receipts[0], logs: [{ address: `0x${'11'.repeat(20)}`, topics, data: '0x' }] }
  }
})
