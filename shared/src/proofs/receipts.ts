/**
 * A block's receipts (eth_getBlockReceipts) against its receiptsRoot, with its verified transactions: a receipt does not
 * say whose it is, only its place in the list does.
 *
 * Of what nodes add to the hashed fields all is checked but `from` (verifyReceipt does: recovering the senders of a whole
 * block takes long) and what blobs used and cost, which depends on each chain's own parameters. Neither is in the value.
 */
import { concat, equalBytes } from '../bytes/index.ts'
import { bounds } from './bounds.ts'
import {
  data,
  type Fields,
  fieldsOf,
  fixed,
  type Hex,
  type Item,
  isAbsent,
  listOf,
  quantity,
  receiver,
  rlp,
  scalar,
} from './fields.ts'
import type { Header } from './header.ts'
import { createdBy, isPlaced, prefixOf, senderOf, type Transaction, typeOf } from './transactions.ts'
import { rootOfList } from './trie.ts'
import { judge, lie, unverifiable, type Verdict } from './verdict.ts'

export interface Log {
  readonly address: Hex
  readonly topics: readonly Hex[]
  readonly data: Hex
  /** Its place among the logs of the block. */
  readonly index: number
  readonly transaction: Transaction
}

export interface Receipt {
  readonly transaction: Transaction
  /** Whether it succeeded; undefined before Byzantium, when receipts had a state root instead (EIP-658). */
  readonly isSuccess: boolean | undefined
  readonly gasUsed: bigint
  readonly cumulativeGasUsed: bigint
  readonly logs: readonly Log[]
  /** As it is hashed. */
  readonly encoded: Uint8Array
}

/** The receipts of the block with this verified header and these verified transactions. */
export function verifyReceipts(
  answer: unknown,
  header: Header,
  transactions: readonly Transaction[],
): Promise<Verdict<readonly Receipt[]>> {
  return judge(async () => {
    const answers = listOf(answer, bounds.transactions).map(fieldsOf)
    const encoded = answers.map(encode)
    if ((await rootOfList(encoded)) !== header.receiptsRoot) throw lie('receipts')

    const receipts: Receipt[] = []
    let logIndex = 0
    let gasBefore = 0n
    for (const [index, fields] of answers.entries()) {
      const transaction = transactions[index]
      if (transaction === undefined) throw lie('receipts')
      const receipt = receiptOf(fields, encoded[index] as Uint8Array, transaction, gasBefore, logIndex)
      if (!isTrue(fields, receipt, header)) throw lie('receipt')
      receipts.push(receipt)
      logIndex += receipt.logs.length
      gasBefore = receipt.cumulativeGasUsed
    }
    if (receipts.length !== transactions.length) throw lie('receipts')
    return receipts
  })
}

/** One receipt (eth_getTransactionReceipt), `from` too, against the one that was verified with its block. */
export function verifyReceipt(answer: unknown, receipt: Receipt, header: Header): Promise<Verdict<Receipt>> {
  return judge(() => {
    const fields = fieldsOf(answer)
    const isSame = equalBytes(encode(fields), receipt.encoded)
    const isItsSender = fixed(fields.from, 20) === senderOf(receipt.transaction)
    if (!isSame || !isItsSender || !isTrue(fields, receipt, header)) throw lie('receipt')
    return receipt
  })
}

function encode(fields: Fields): Uint8Array {
  const type = typeOf(fields)
  const logs = listOf(fields.logs, bounds.logs).map((log): Item => {
    const { address, topics, data: bytes } = fieldsOf(log)
    return [fixed(address, 20), topicsOf(topics), data(bytes)]
  })
  const bloom = fixed(fields.logsBloom, 256)
  return concat(prefixOf(type), rlp([outcomeOf(fields), scalar(quantity(fields.cumulativeGasUsed)), bloom, logs]))
}

export function topicsOf(topics: unknown): Hex[] {
  return listOf(topics, mostTopics).map((topic) => fixed(topic, 32))
}

/** LOG0 to LOG4. */
export const mostTopics = 4

/** The status, or the state root of receipts from before Byzantium. */
function outcomeOf({ status, root }: Fields): Hex {
  if (isAbsent(status)) return fixed(root, 32)
  const outcome = quantity(status)
  if (outcome > 1n) throw unverifiable('malformed')
  return scalar(outcome)
}

function receiptOf(
  fields: Fields,
  encoded: Uint8Array,
  transaction: Transaction,
  gasBefore: bigint,
  firstLog: number,
): Receipt {
  const outcome = outcomeOf(fields)
  const cumulativeGasUsed = quantity(fields.cumulativeGasUsed)
  const logs = listOf(fields.logs, bounds.logs).map((log, index): Log => {
    const { address, topics, data: bytes } = fieldsOf(log)
    return {
      address: fixed(address, 20),
      topics: topicsOf(topics),
      data: data(bytes),
      index: firstLog + index,
      transaction,
    }
  })
  const isSuccess = outcome.length > 4 ? undefined : outcome === '0x01'
  return { transaction, isSuccess, gasUsed: cumulativeGasUsed - gasBefore, cumulativeGasUsed, logs, encoded }
}

/** Whether what stands beside the hashed fields follows from them and from the transaction. */
function isTrue(fields: Fields, receipt: Receipt, header: Header): boolean {
  const { transaction, gasUsed, logs } = receipt
  const price = fields.effectiveGasPrice
  return (
    typeOf(fields) === transaction.type &&
    isPlaced(fields, transaction.index, header) &&
    fixed(fields.transactionHash, 32) === transaction.hash &&
    receiver(fields.to) === (transaction.to ?? '0x') &&
    receiver(fields.contractAddress) === createdIn(fields, receipt) &&
    quantity(fields.gasUsed) === gasUsed &&
    // Nodes from before London do not give it.
    (isAbsent(price) || quantity(price) === transaction.effectiveGasPrice) &&
    listOf(fields.logs, bounds.logs).every((log, index) => isLogPlaced(fieldsOf(log), logs[index], header))
  )
}

/** What contractAddress must be. Some nodes leave it out where the creation failed. */
function createdIn(fields: Fields, { transaction, isSuccess }: Receipt): Hex {
  if (transaction.to !== undefined) return '0x'
  if (isSuccess === false && receiver(fields.contractAddress) === '0x') return '0x'
  const sender = senderOf(transaction)
  return sender === undefined ? '0x' : createdBy(sender, transaction.nonce)
}

/** Whether an answer's log says the block, transaction and place that the verified one has. */
export function isLogPlaced(fields: Fields, log: Log | undefined, header: Header): boolean {
  return (
    log !== undefined &&
    isPlaced(fields, log.transaction.index, header) &&
    fixed(fields.transactionHash, 32) === log.transaction.hash &&
    quantity(fields.logIndex) === BigInt(log.index) &&
    (isAbsent(fields.removed) || fields.removed === false) &&
    (isAbsent(fields.blockTimestamp) || quantity(fields.blockTimestamp) === header.timestamp)
  )
}
