/** Whatever a stranger sends, each check comes to a verdict, and never to `verified`. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  type Receipt,
  type Transaction,
  type Verdict,
  verifyAccount,
  verifyCode,
  verifyHeader,
  verifyLogs,
  verifyReceipt,
  verifyReceipts,
  verifyTransaction,
  verifyTransactions,
} from './index.ts'
import { leavesOf, type Path, withAt } from './testing/change.ts'
import {
  type Json,
  judged,
  last,
  mixed,
  type ProofAnswer,
  prague,
  verifiedBlock,
  verifiedOf,
} from './testing/vectors.ts'

const contract = prague.proofs[3] as ProofAnswer
const [{ filter, answer: logs }] = prague.logs as [(typeof prague.logs)[number]]

/** Each check with an answer that it verifies. */
async function checks(): Promise<
  [name: string, answer: Json, check: (answer: unknown) => Promise<Verdict<unknown>>][]
> {
  const { header, transactions, receipts } = await verifiedBlock(last)
  const block = await verifiedBlock(mixed)
  const account = verifiedOf(await judged(contract))
  const { stateRoot } = block.header
  const transaction = transactions[0] as Transaction
  const receipt = receipts[0] as Receipt
  return [
    ['header', last.block, (answer) => verifyHeader(answer, header.hash)],
    ['account', contract.answer, (answer) => verifyAccount(answer, contract, stateRoot)],
    ['code', prague.code.answer, (answer) => verifyCode(answer, account)],
    ['transactions', last.block, (answer) => verifyTransactions(answer, header)],
    ['transaction', last.block.transactions[0] ?? null, (answer) => verifyTransaction(answer, transaction, header)],
    ['receipts', last.receipts, (answer) => verifyReceipts(answer, header, transactions)],
    ['receipt', last.receipts[0] ?? null, (answer) => verifyReceipt(answer, receipt, header)],
    ['logs', logs, (answer) => verifyLogs(answer, filter, block.header, block.receipts)],
  ]
}

const all = await checks()
const named = all.map(([name, answer, check]) => ({ name, answer, check }))

const hex = fc.uint8Array({ maxLength: 40 }).map((bytes) => `0x${Buffer.from(bytes).toString('hex')}`)
const strange = fc.oneof(
  fc.constantFrom(null, '', '0x', '0x0', '-0x1', '0x ', 'ⅷ', '0x1\n', [], {}, [[]], 0, -1, 1.5, true, '__proto__'),
  hex,
  fc.jsonValue() as fc.Arbitrary<Json>,
)

it.each(named)('$name verifies what a node answered', async ({ answer, check }) => {
  expect(await check(answer)).toMatchObject({ kind: 'verified' })
})

it.each(named)('$name never verifies or throws at any JSON', async ({ check }) => {
  await fc.assert(
    fc.asyncProperty(strange, async (answer) => {
      expect((await check(answer)).kind).not.toBe('verified')
    }),
    { numRuns: 300 },
  )
})

it.each(named)(
  '$name never throws at an answer with anything in any place, and says no other than before',
  async ({ answer, check }) => {
    const value = verifiedOf(await check(answer))
    const places = [
      ...new Set(
        leavesOf(answer)
          .flatMap(prefixes)
          .map((path) => JSON.stringify(path)),
      ),
    ]
    const anywhere = fc.constantFrom(...places.map((path) => JSON.parse(path) as Path))
    await fc.assert(
      fc.asyncProperty(anywhere, strange, async (path, replacement) => {
        const verdict = await check(withAt(answer, path, replacement))
        // It may stand where nobody looks; the value is the same then.
        if (verdict.kind === 'verified') expect(verdict.value).toEqual(value)
      }),
      { numRuns: 300 },
    )
  },
)

it.each(named)(
  '$name takes no field from a prototype, and none that JSON calls __proto__',
  async ({ answer, check }) => {
    if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) return
    const inherited: unknown = Object.create(answer)
    expect((await check(inherited)).kind).not.toBe('verified')
    const nested: unknown = JSON.parse(`{"__proto__":${JSON.stringify(answer)}}`)
    expect((await check(nested)).kind).not.toBe('verified')
  },
)

/** The path and all that lead to it, the whole among them. */
function prefixes(path: Path): Path[] {
  return [...path.map((_, index) => path.slice(0, index)), path]
}
