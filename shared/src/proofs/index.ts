export {
  type Account,
  type AccountQuestion,
  emptyCodeHash,
  fitsOwnProof,
  verifyAccount,
  verifyCode,
} from './account.ts'
export type { Hex } from './fields.ts'
export { type Header, verifyHeader } from './header.ts'
export { mayHoldLogs, verifyLogs } from './logs.ts'
export { type Log, type Receipt, verifyReceipt, verifyReceipts } from './receipts.ts'
export { senderOf, type Transaction, verifyTransaction, verifyTransactions } from './transactions.ts'
export { emptyRoot } from './trie.ts'
export type { Doubt, Lie, Verdict } from './verdict.ts'
