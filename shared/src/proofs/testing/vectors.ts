/** The recorded answers: of anvil (makeVectors.ts writes them) and of Ethereum mainnet, whose hashes anyone can look up. */
import { readFileSync } from 'node:fs'
import type { Account, Header, Hex, Receipt, Transaction, Verdict } from '../index.ts'
import { verifyAccount, verifyHeader, verifyReceipts, verifyTransactions } from '../index.ts'

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json }
export type Fields = { [name: string]: Json }

export interface BlockAnswers {
  readonly block: Fields & { hash: Hex; transactions: Fields[] }
  readonly receipts: Fields[]
}

export interface ProofAnswer {
  readonly block: number
  readonly address: Hex
  readonly slots: Hex[]
  readonly answer: Fields & { accountProof: Hex[]; storageProof: (Fields & { proof: Hex[] })[] }
}

function load<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`./vectors/${name}.json`, import.meta.url), 'utf8')) as T
}

export const forks = ['berlin', 'london', 'shanghai', 'cancun', 'prague'].map((name) => ({
  name,
  ...load<{ blocks: BlockAnswers[] }>(name),
}))

export const prague = load<{
  blocks: [BlockAnswers, BlockAnswers, BlockAnswers, BlockAnswers]
  proofs: ProofAnswer[]
  code: { address: Hex; block: number; answer: Hex }
  logs: { filter: Fields; answer: Fields[] }[]
}>('prague')

export const mainnet = load<{ blocks: Record<'genesis' | 'homestead' | 'prague', BlockAnswers['block']> }>(
  'mainnet',
).blocks

/** The block with transactions of all types but blobs, the one with a blob, and the last, with two transactions. */
export const [, mixed, withBlob, last] = prague.blocks

export function verifiedOf<T>(verdict: Verdict<T>): T {
  if (verdict.kind !== 'verified') throw new Error(`${verdict.kind}: ${verdict.reason}`)
  return verdict.value
}

export async function headerOf({ block }: BlockAnswers): Promise<Header> {
  return verifiedOf(await verifyHeader(block, block.hash))
}

export interface VerifiedBlock {
  readonly header: Header
  readonly transactions: readonly Transaction[]
  readonly receipts: readonly Receipt[]
}

export async function verifiedBlock(answers: BlockAnswers): Promise<VerifiedBlock> {
  const header = await headerOf(answers)
  const transactions = verifiedOf(await verifyTransactions(answers.block, header))
  return { header, transactions, receipts: verifiedOf(await verifyReceipts(answers.receipts, header, transactions)) }
}

export async function stateRootAt(number: number): Promise<Hex> {
  return (await headerOf(prague.blocks[number - 1] as BlockAnswers)).stateRoot
}

/** `answer` judged as the answer to the question that `asked` was recorded for. */
export async function judged(asked: ProofAnswer, answer: unknown = asked.answer): Promise<Verdict<Account>> {
  return verifyAccount(answer, asked, await stateRootAt(asked.block))
}
