/**
 * Which addresses a call names, whatever its method: in parameters and fields, as keys (state overrides), in words of
 * calldata and topics, and as signers of a raw transaction.
 *
 * A word counts as an address if twelve zero bytes begin it and the number is too large for an amount: whoever looks for
 * certain addresses, written in any other way, uses OwnAccounts. What is named by a hash only (a storage slot, an id) is
 * not found.
 */
import { type Address, addressOf, type Call, isObject, paramOf, textsIn } from './call.ts'
import { readTransaction, type SignedTransaction } from './transaction.ts'

/** Below 2^128 a word is an amount, a time or a precompiled contract, for all that can be told. */
const leastDigits = '00000000'

export function addressesIn(call: Call): ReadonlySet<Address> {
  const found = new Set<Address>()
  for (const text of textsIn(call.params ?? null)) addFrom(text, found)
  const transaction = transactionOf(call)
  if (transaction !== undefined) {
    const { sender, to, data, authorities } = transaction
    for (const address of [sender, to, ...authorities]) if (address !== undefined) found.add(address)
    addFrom(data, found)
  }
  return found
}

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

/** An address, a word, or words one after another: from the start, and behind a selector of four bytes. */
function addFrom(text: string, found: Set<Address>): void {
  const address = addressOf(text)
  if (address !== undefined) {
    found.add(address)
    return
  }
  if (!text.startsWith('0x')) return
  for (const start of [2, 10]) {
    for (let at = start; at + 64 <= text.length; at += 64) {
      const word = text.slice(at, at + 64)
      if (!/^0{24}[0-9a-f]{40}$/i.test(word) || word.startsWith(leastDigits, 24)) continue
      found.add(`0x${word.slice(24).toLowerCase()}`)
    }
  }
}
