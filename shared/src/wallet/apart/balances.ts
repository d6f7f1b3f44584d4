/**
 * The balance checker, `balances(address[] users, address[] tokens) returns (uint256[])`: the balance of each user in
 * each token (the zero address is ether), users outermost. It is deployed at many addresses, so it is known by its
 * selector and by arguments that are encoded canonically.
 *
 * Each user gets a piece. Where the whole reverts (a token that answers garbage), the piece of the first user who meets
 * that token reverts alike.
 */
import { address, array, decode, record, word } from '../abi.ts'
import type { Address } from '../call.ts'
import type { OwnAccounts } from '../own.ts'
import { mostDigits, mostPieces, type Pieces } from './pieces.ts'
import { selectorDigits, selectorOf } from './views.ts'

const selector = selectorOf('balances(address[],address[])')
const input = record({ users: array(address), tokens: array(address) })
const output = record({ balances: array(word) })

export interface Balances {
  readonly users: readonly Address[]
  readonly tokens: readonly Address[]
}

/** What is asked for, if `data` (calldata, digits without 0x) is such a call. */
export function balancesOf(data: string): Balances | undefined {
  if (data.slice(0, selectorDigits).toLowerCase() !== selector) return undefined
  return decode(input, data.slice(selectorDigits))
}

export function splitBalances(data: string, own: OwnAccounts): Pieces | undefined {
  const asked = balancesOf(data)
  if (asked === undefined) return undefined
  const { users, tokens } = asked
  // No wallet lists an account twice.
  if (users.length > mostPieces || new Set(users).size < users.length) return undefined
  // Every piece repeats the tokens.
  if (users.length * input.write({ users: [], tokens }).length > mostDigits) return undefined
  return {
    pieces: users.map((user) => ({
      account: own.has(user) ? user : undefined,
      data: selector + input.write({ users: [user], tokens }),
    })),
    join: (returned) => {
      const found = returned.map((digits) => decode(output, digits)?.balances)
      if (found.some((balances) => balances?.length !== tokens.length)) return undefined
      return output.write({ balances: found.flatMap((balances) => balances ?? []) })
    },
  }
}
