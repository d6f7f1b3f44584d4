/**
 * What a call, or the outcome of one, says about which accounts are the user's own.
 *
 * Wallets ask for the balance and nonce of their own accounts, and call in their name; pages ask for more than that, and
 * what they name is then taken for the user's too. The contract that a call goes to is not learnt from it.
 */
import { transactionOf } from './addresses.ts'
import { balancesOf } from './apart/balances.ts'
import { batchOf } from './apart/multicall.ts'
import { selectorDigits, view } from './apart/views.ts'
import { type Address, addressOf, type Call, dataOf, isObject, type Json, type Outcome, paramOf } from './call.ts'

export interface Learnt {
  /** The wallet listed them. */
  readonly listed: readonly Address[]
  /** A call made them likely. */
  readonly seen: readonly Address[]
  readonly transaction?: { readonly hash: string; readonly account: Address }
}

const nothing: Learnt = { listed: [], seen: [] }

/** @param outcome of the call, where there is one yet */
export function learntFrom(call: Call, outcome?: Outcome): Learnt {
  switch (call.method) {
    case 'eth_accounts':
    case 'eth_requestAccounts':
      return { listed: addressesOf(resultOf(outcome)), seen: [] }
    case 'eth_getBalance':
    case 'eth_getTransactionCount':
      return { listed: [], seen: worthy([addressOf(paramOf(call, 0))]) }
    case 'eth_call':
    case 'eth_estimateGas':
    case 'eth_createAccessList':
      return { listed: [], seen: worthy(namedByMessage(paramOf(call, 0))) }
    case 'eth_sendTransaction':
      return learntFromSending(call, outcome)
    case 'eth_sendRawTransaction': {
      const transaction = transactionOf(call)
      if (transaction === undefined) return nothing
      const { hash, sender, authorities } = transaction
      return { listed: [], seen: [sender, ...authorities], transaction: { hash, account: sender } }
    }
    default:
      return nothing
  }
}

function learntFromSending(call: Call, outcome: Outcome | undefined): Learnt {
  const message = paramOf(call, 0)
  const seen = worthy([isObject(message) ? addressOf(message.from) : undefined])
  const hash = resultOf(outcome)
  const [account] = seen
  if (account === undefined || typeof hash !== 'string' || !/^0x[0-9a-f]{64}$/i.test(hash)) return { listed: [], seen }
  return { listed: [], seen, transaction: { hash: hash.toLowerCase(), account } }
}

/** The caller, and whose balances are asked for in one call for many. */
function namedByMessage(message: Json | undefined): readonly (Address | undefined)[] {
  if (!isObject(message)) return []
  const from = addressOf(message.from)
  const data = dataOf(message)?.digits
  if (data === undefined) return [from]
  return [from, ...balanceOwners(data), ...(batchOf(data)?.calls ?? []).flatMap((one) => balanceOwners(one.data))]
}

/** Whose ether is asked for, alone or beside tokens. */
function balanceOwners(data: string): readonly (Address | undefined)[] {
  const isEther = data.startsWith(view.getEthBalance) && data.length === selectorDigits + 64
  return isEther ? [addressOf(`0x${data.slice(-40)}`)] : (balancesOf(data)?.users ?? [])
}

/** Nobody's account is a number as small as a precompiled contract's, or the zero address. */
function worthy(addresses: readonly (Address | undefined)[]): readonly Address[] {
  return addresses.filter((address) => address !== undefined && !address.startsWith(`0x${'0'.repeat(32)}`)) as Address[]
}

function addressesOf(value: Json | undefined): readonly Address[] {
  return Array.isArray(value) ? worthy(value.map((item) => addressOf(item))) : []
}

function resultOf(outcome: Outcome | undefined): Json | undefined {
  return outcome !== undefined && 'result' in outcome ? outcome.result : undefined
}
