import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { bytesOf } from './fields.ts'
import { senderOf, type Transaction, verifyTransaction, verifyTransactions } from './index.ts'
import { at, changedLeaf, leavesOf, withAt } from './testing/change.ts'
import {
  type BlockAnswers,
  type Fields,
  forks,
  headerOf,
  last,
  mainnet,
  mixed,
  verifiedOf,
  withBlob,
} from './testing/vectors.ts'
import { rootOfList } from './trie.ts'

/** The transaction with a blob as viem 2.57.1 writes it from the answer's fields. */
const encodedBlob = bytesOf(
  '0x03f894827a6914843b9aca0084ee6b2800830186a09422222222222222222222222222222222222222228080c0843b9aca00e1a0010657f37554c781402a22917dee2f75def7ab966d7b770905398eba3c44401480a06ebd4bbdd4e41471e733668494090746a42a0986367d878df93408066c3cd5d1a05b2d4c89f7f8d0cba02a93ee66bca5d6cfa69b82c25bdbc00f92c5fc59172906',
)
/** What is not hashed and follows from nothing here; no value has it. */
const unchecked = ['from', 'blockTimestamp']
const position = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const step = fc.integer({ min: 1, max: 15 })

describe('verified are', () => {
  test.each(forks)('the transactions of $name', async ({ blocks }) => {
    for (const answers of blocks.filter(({ block }) => block.hash !== withBlob.block.hash)) {
      const transactions = verifiedOf(await verifyTransactions(answers.block, await headerOf(answers)))
      expect(transactions.map(({ hash }) => hash)).toEqual(answers.block.transactions.map(({ hash }) => hash))
      expect(transactions.map(senderOf)).toEqual(answers.block.transactions.map(({ from }) => from))
      expect(transactions.map((each) => each.effectiveGasPrice)).toEqual(
        answers.receipts.map((each) => BigInt(each.effectiveGasPrice as string)),
      )
    }
  })

  it('those of mainnet, from before signatures named a chain, and their senders', async () => {
    const { homestead } = mainnet
    const transactions = verifiedOf(
      await verifyTransactions(homestead, await headerOf({ block: homestead, receipts: [] })),
    )
    expect(transactions).toHaveLength(4)
    expect(transactions.map(senderOf)).toEqual(homestead.transactions.map(({ from }) => from))
  })

  it('each by itself, of every type', async () => {
    const { header, transactions } = await verified(mixed)
    expect(new Set(transactions.map(({ type }) => type))).toEqual(new Set([0, 1, 2, 4]))
    for (const transaction of transactions) {
      const answer = mixed.block.transactions[transaction.index]
      expect(await verifyTransaction(answer, transaction, header)).toEqual({ kind: 'verified', value: transaction })
    }
  })

  it('those of nodes that give the parity as v, and no type', async () => {
    const transactions = mixed.block.transactions.map(({ yParity: _, type, ...rest }) =>
      type === '0x0' ? rest : { ...rest, type: type as string },
    )
    expect(verifiedOf(await verifyTransactions({ transactions }, await headerOf(mixed)))).toHaveLength(
      mixed.receipts.length,
    )
  })

  // Its hash is the node's own; the root is not, see makeVectors.ts.
  it('one with a blob', async () => {
    const header = await headerOf(withBlob)
    const [answer] = withBlob.block.transactions as [Fields]
    const transactionsRoot = await rootOfList([encodedBlob])
    const [transaction] = verifiedOf(await verifyTransactions(withBlob.block, { ...header, transactionsRoot }))
    expect(transaction).toMatchObject({ type: 3, hash: answer.hash })
    expect(senderOf(transaction as Transaction)).toBe(answer.from)
    expect(await verifyTransactions(withBlob.block, header)).toEqual({ kind: 'lie', reason: 'transactions' })
  })
})

describe('never verified is', () => {
  it('a transaction of any type with one digit changed, wherever', async () => {
    const { header, transactions } = await verified(mixed)
    for (const transaction of transactions.slice(0, 6)) {
      const answer = mixed.block.transactions[transaction.index] as Fields
      for (const path of leavesOf(answer).filter(([name]) => name !== 'blockTimestamp')) {
        const changed = withAt(answer, path, changedLeaf(at(answer, path), 0.99, 1))
        const verdict = await verifyTransaction(changed, transaction, header)
        expect(verdict, `${transaction.type} ${path.join('.')}`).not.toMatchObject({ kind: 'verified' })
      }
    }
  })

  it('a block with one digit of a transaction changed', async () => {
    const header = await headerOf(last)
    const leaves = leavesOf(last.block.transactions).filter(([, name]) => !unchecked.includes(name as string))
    const verdictAt = (path: (typeof leaves)[number], where: number, by: number) => {
      const changed = changedLeaf(at(last.block.transactions, path), where, by)
      return verifyTransactions({ transactions: withAt(last.block.transactions, path, changed) }, header)
    }
    for (const path of leaves)
      expect(await verdictAt(path, 0.99, 1), path.join('.')).not.toMatchObject({ kind: 'verified' })
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...leaves), position, step, async (path, where, by) => {
        expect(await verdictAt(path, where, by)).not.toMatchObject({ kind: 'verified' })
      }),
      { numRuns: 200 },
    )
  })

  it('a block that lacks one, has one more, or has them in another order', async () => {
    const header = await headerOf(mixed)
    const all = mixed.block.transactions
    const lie = { kind: 'lie', reason: 'transactions' }
    for (const transactions of [all.slice(1), all.slice(0, -1), [], [...all, all[0]], all.toReversed()])
      expect(await verifyTransactions({ transactions }, header)).toEqual(lie)
  })

  it('what is not hashed: hash, place, price, parity, chain', async () => {
    const header = await headerOf(mixed)
    const lie = { kind: 'lie', reason: 'transaction' }
    const changes: [number, Fields][] = [
      [0, { hash: `0x${'11'.repeat(32)}` }],
      [0, { blockHash: last.block.hash }],
      [0, { blockNumber: '0x3' }],
      [0, { transactionIndex: '0x1' }],
      [0, { chainId: '0x1' }],
      [2, { gasPrice: '0xee6b2800' }],
      [2, { v: '0x0' }],
    ]
    for (const [index, change] of changes) {
      const transactions = mixed.block.transactions.with(index, { ...mixed.block.transactions[index], ...change })
      expect(await verifyTransactions({ transactions }, header), JSON.stringify(change)).toEqual(lie)
    }
  })

  it('another sender, or another transaction of the block', async () => {
    const { header, transactions } = await verified(mixed)
    const [first, second] = transactions as [Transaction, Transaction]
    const lie = { kind: 'lie', reason: 'transaction' }
    const answer = { ...mixed.block.transactions[0], from: `0x${'11'.repeat(20)}` }
    expect(await verifyTransaction(answer, first, header)).toEqual(lie)
    expect(await verifyTransaction(mixed.block.transactions[0], second, header)).toEqual(lie)
  })
})

it('takes what it does not look at from nowhere', async () => {
  const { transactions } = await verified(last)
  const changed = last.block.transactions.map((each) => ({
    ...each,
    from: `0x${'11'.repeat(20)}`,
    blockTimestamp: 'now',
  }))
  expect(verifiedOf(await verifyTransactions({ transactions: changed }, await headerOf(last)))).toEqual(transactions)
})

describe('not judged is', () => {
  // Optimism's deposits, Arbitrum's retryables, and whatever comes after EIP-7702.
  test.each(['0x7e', '0x69', '0x5', '0xff'])('a block with a transaction of type %s', async (type) => {
    const transactions = mixed.block.transactions.with(3, { ...mixed.block.transactions[3], type })
    expect(await verifyTransactions({ transactions }, await headerOf(mixed))).toEqual({
      kind: 'unverifiable',
      reason: 'unknown-type',
    })
  })

  test.each([
    ['hashes only', mixed.block.transactions.map(({ hash }) => hash), 'malformed'],
    ['null', null, 'malformed'],
    ['no signature', [{ ...mixed.block.transactions[0], r: undefined }], 'malformed'],
    ['more than a block can hold', Array.from({ length: 20_001 }, () => null), 'too-large'],
  ])('%s', async (_, transactions, reason) => {
    expect(await verifyTransactions({ transactions }, await headerOf(mixed))).toEqual({ kind: 'unverifiable', reason })
  })
})

async function verified(answers: BlockAnswers) {
  const header = await headerOf(answers)
  return { header, transactions: verifiedOf(await verifyTransactions(answers.block, header)) }
}
