import { describe, expect, it } from 'vitest'
import { last, mixed, verifiedBlock } from '../proofs/testing/vectors.ts'
import { BlockLists } from './blockLists.ts'
import type { Agreement } from './heads.ts'
import { proveReceipt } from './receiptProof.ts'

const receipt = mixed.receipts[1] as (typeof mixed.receipts)[number]
const hash = receipt.transactionHash as string

async function headsOf(agreement?: Agreement, answers: { block?: unknown; receipts?: unknown } = {}) {
  const { header } = await verifiedBlock(mixed)
  const { block = mixed.block, receipts = mixed.receipts } = answers
  const lists = new BlockLists(async (method) => (method === 'eth_getBlockReceipts' ? receipts : block))
  return {
    agree: async (): Promise<Agreement> => agreement ?? { kind: 'agreed', hash: header.hash, header },
    receipts: lists.receipts.bind(lists),
  }
}

describe('a receipt', () => {
  it('is verified against its block', async () => {
    expect(await proveReceipt(await headsOf(), hash, receipt)).toEqual({ kind: 'verified' })
  })

  it('is a lie where it is another transaction’s, or changed, or of no transaction of the block', async () => {
    const lie = { kind: 'lie', what: 'receipt' }
    expect(await proveReceipt(await headsOf(), `0x${'12'.repeat(32)}`, receipt)).toEqual(lie)
    expect(await proveReceipt(await headsOf(), hash, { ...receipt, status: '0x0' })).toEqual(lie)
    const invented = { ...receipt, transactionHash: `0x${'12'.repeat(32)}` }
    expect(await proveReceipt(await headsOf(), invented.transactionHash, invented)).toEqual(lie)
  })

  it('is not verified where the block or its lists cannot be had or checked', async () => {
    const { header } = await verifiedBlock(mixed)
    const unverified = { kind: 'unverified' }
    const cases: [Agreement | undefined, object][] = [
      [{ kind: 'alone', hash: header.hash }, {}],
      [{ kind: 'agreed', hash: header.hash, header: undefined }, {}],
      [undefined, { block: null }],
      [undefined, { receipts: last.receipts }],
    ]
    for (const [agreement, answers] of cases) {
      expect(await proveReceipt(await headsOf(agreement, answers), hash, receipt)).toEqual(unverified)
    }
  })

  it('of a block that others do not have is not used', async () => {
    const elsewhere = { kind: 'elsewhere' }
    expect(await proveReceipt(await headsOf({ kind: 'disputed' }), hash, receipt)).toEqual(elsewhere)
    const { header } = await verifiedBlock(last)
    const other: Agreement = { kind: 'agreed', hash: header.hash, header }
    expect(await proveReceipt(await headsOf(other), hash, receipt)).toEqual(elsewhere)
    expect(await proveReceipt(await headsOf(), hash, 'no receipt')).toEqual(elsewhere)
  })
})
