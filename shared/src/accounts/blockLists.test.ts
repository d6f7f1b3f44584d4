import { beforeEach, expect, it } from 'vitest'
import type { Header, Hex } from '../proofs/index.ts'
import { type Fields, last, mixed, verifiedBlock } from '../proofs/testing/vectors.ts'
import type { Json } from '../rpc/index.ts'
import { FakeClock } from '../testing/index.ts'
import { BlockLists, type ListsPlace } from './blockLists.ts'
import type { LieReport } from './context.ts'

const [a, b]: readonly Hex[] = [`0x${'a1'.repeat(20)}`, `0x${'b2'.repeat(20)}`] as const
const [ofA, ofB] = [`account ${a}`, `account ${b}`]
const honest = { block: mixed.block as Json, receipts: mixed.receipts as readonly Fields[] as Json }

let header: Header
let lists: BlockLists
/** Who was asked for receipts. */
let asked: string[]
let lies: Omit<LieReport, 'at'>[]
/** What gateways say that are not honest, by group. */
let said: Map<string, { block?: Json; receipts?: Json; later?: Json }>

beforeEach(async () => {
  header = (await verifiedBlock(mixed)).header
  lists = new BlockLists()
  asked = []
  lies = []
  said = new Map()
})

const placeOf = (account: Hex): ListsPlace => ({
  account,
  chain: 1,
  context: {
    clock: new FakeClock(),
    async request({ group, call: { method, params } }, onAnswered) {
      onAnswered?.(`gateway of ${group}`)
      const { block, receipts, later = block } = { ...honest, ...said.get(group) }
      if (method === 'eth_getBlockReceipts') {
        asked.push(group)
        return { result: receipts }
      }
      return { result: (params as readonly Json[])[1] === true ? block : later }
    },
  },
  trust: { lie: (lie) => void lies.push(lie) },
})

it('are asked of the account’s own gateway, and once for all who need them in turn', async () => {
  expect(await lists.receipts(header, placeOf(a as Hex))).toHaveLength(mixed.receipts.length)
  expect(await lists.receipts(header, placeOf(b as Hex))).toHaveLength(mixed.receipts.length)
  expect(asked).toEqual([ofA])
  expect(lies).toEqual([])
})

it('that are false are blamed on who said them, and another is asked whom nobody else asks', async () => {
  said.set(ofA as string, { receipts: last.receipts as readonly Fields[] as Json })
  said.set(`${ofB} again`, { block: { ...(mixed.block as Fields), transactions: [] } as Json })
  expect(await lists.receipts(header, placeOf(a as Hex))).toHaveLength(mixed.receipts.length)
  expect(asked).toEqual([ofA, `${ofA} again`])
  expect(lies).toMatchObject([{ group: ofA, gateway: `gateway of ${ofA}`, what: 'receipts' }])

  said.set(ofB as string, { block: null })
  lists = new BlockLists()
  expect(await lists.receipts(header, placeOf(b as Hex))).toBeUndefined()
  expect(lies[1]).toMatchObject({ group: `${ofB} again`, what: 'transactions' })
})

it('of a block that was replaced meanwhile are nobody’s lie', async () => {
  const other = last.block as Json
  said.set(ofA as string, { receipts: last.receipts as readonly Fields[] as Json, later: other })
  said.set(`${ofA} again`, { block: other })
  expect(await lists.receipts(header, placeOf(a as Hex))).toBeUndefined()
  expect(lies).toEqual([])
})

it('that one account’s gateway keeps back are asked of another account’s', async () => {
  said.set(ofA as string, { block: null })
  said.set(`${ofA} again`, { receipts: null })
  const both = [a, b].map((account) => lists.receipts(header, placeOf(account as Hex)))
  const [none, all] = await Promise.all(both)
  expect(none).toBeUndefined()
  expect(all).toHaveLength(mixed.receipts.length)
  expect(asked).toEqual([`${ofA} again`, ofB])
})
