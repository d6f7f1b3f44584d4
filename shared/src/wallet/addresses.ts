/** Whose call it is: the transaction that it broadcasts, and in whose name it acts. */
import { type Address, addressOf, type Call, isObject, paramOf } from './call.ts'
import { readTransaction, type SignedTransaction } from './transaction.ts'

/** The transaction that the call broadcasts. */
export function transactionOf(call: Call): SignedTransaction | undefined {
  const raw = call.method === 'eth_sendRawTransaction' ? paramOf(call, 0) : undefined
  return typeof raw === 'string' ? readTransaction(raw) : undefined
}

/** In whose name the call acts: the signer of a raw transaction, or the `from` of a message call or transaction. */
export function senderOf(call: Call): Address | undefined {
  const message = paramOf(call, 0)
  return isObject(message) ? addressOf(message.from) : transactionOf(call)?.sender
}
