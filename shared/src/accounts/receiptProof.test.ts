import { describe, expect, it } from 'vitest'
import { last, mixed, verifiedBlock } from '../proofs/testing/vectors.ts'
import type { Json } from '../rpc/index.ts'
import { FakeClock } from '../testing/index.ts'
import type { Agreement } from './agreement.ts'
import { BlockLists, type ListsPlace } from './blockLists.ts'
import { proveReceipt } from './receiptProof.ts'

const receipt = mixed.receipts[1] as (typeof mixed.receipts)[number]
const hash = receipt.transactionHash as string

async function headsOf(agreement?: Agreement, answers: { block?: unknown; receipts?: unknown } = {}) {
  const { header } = await verifiedBlock(mixed)
  const { block = mixed.block, receipts = mixed.receipts } = answers
  const lists = new BlockLists()
  const place: ListsPlace = {
    account: `0x${'a1'.repeat(20)}`,
    chain: 1,
    context: {
      clock: new FakeClock(),
      // As the vectors have it, or a test makes it.
      request: async ({ call }) => ({ result: (call.method === 'eth_getBlockReceipts' ? receipts : block) as Json }),
    },
    trust: { lie() {} },
  }
  return {
    place,
    agree: async (): Promise<Agreement> => agreement ?? { kind: 'agreed', hash: header.hash, header, operators: 2 },
    receipts: lists.receipts.bind(lists),
  }
}

function prove(heads: Awaited<ReturnType<typeof headsOf>>, hash: string, receipt: unknown) {
  // The vectors' receipts, or what a test makes of them.
  return proveReceipt(heads, heads.place, hash, receipt as Json)
}

describe('a receipt', () => {
  it('is verified against its block', async () => {
    expect(await prove(await headsOf(), hash, receipt)).toEqual({ kind: 'verified' })
  })

  it('is a lie where it is another transaction’s, or changed, or of no transaction of the block', async () => {
    const lie = { kind: 'lie', what: 'receipt' }
    expect(await prove(await headsOf(), `0x${'12'.repeat(32)}`, receipt)).toEqual(lie)
    expect(await prove(await headsOf(), hash, { ...receipt, status: '0x0' })).toEqual(lie)
    const invented = { ...receipt, transactionHash: `0x${'12'.repeat(32)}` }
    expect(await prove(await headsOf(), invented.transactionHash, invented)).toEqual(lie)
  })

  it('is not verified where the block or its lists cannot be had or checked', async () => {
    const { header } = await verifiedBlock(mixed)
    const unverified = { kind: 'unverified' }
    const cases: [Agreement | undefined, object][] = [
      [{ kind: 'alone', hash: header.hash }, {}],
      [{ kind: 'agreed', hash: header.hash, header: undefined, operators: 2 }, {}],
      [undefined, { block: null }],
      [undefined, { receipts: last.receipts }],
    ]
    for (const [agreement, answers] of cases) {
      expect(await prove(await headsOf(agreement, answers), hash, receipt)).toEqual(unverified)
    }
  })

  it('of a block that others do not have is not used', async () => {
    const elsewhere = { kind: 'elsewhere' }
    expect(await prove(await headsOf({ kind: 'disputed' }), hash, receipt)).toEqual(elsewhere)
    const { header } = await verifiedBlock(last)
    const other: Agreement = { kind: 'agreed', hash: header.hash, header, operators: 2 }
    expect(await prove(await headsOf(other), hash, receipt)).toEqual(elsewhere)
    expect(await prove(await headsOf(), hash, 'no receipt')).toEqual(elsewhere)
  })
})
