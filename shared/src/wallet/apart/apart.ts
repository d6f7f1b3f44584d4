/**
 * A call that names several of the user's accounts, taken apart so that each part names one, and put together again so
 * that the answer is the node's for the whole, byte for byte.
 *
 * What cannot be taken apart so is `linking`: whoever sees it sees that the accounts belong together. The caller refuses
 * it, or asks the user. Learn from a call (OwnAccounts.learnFrom) before taking it apart.
 */
import {
  type Address,
  addressOf,
  type Call,
  dataOf,
  isObject,
  type Json,
  type Outcome,
  paramOf,
  withParam,
} from '../call.ts'
import type { OwnAccounts } from '../own.ts'
import { splitBalances } from './balances.ts'
import { blockChoiceOf } from './block.ts'
import { type LinkingReason, reasonOf } from './linking.ts'
import { joinLogs, splitFilter } from './logs.ts'
import { splitBatch } from './multicall.ts'
import { joinReturned } from './pieces.ts'

export interface Part {
  /** Whose branch it takes; undefined where it names no own account. */
  readonly account: Address | undefined
  readonly call: Call
}

export type Apart =
  /** It names one own account at most. */
  | { readonly kind: 'whole' }
  | {
      readonly kind: 'parts'
      readonly parts: readonly Part[]
      /** The parts ask for the latest block, which may be another for each: fix its number first (`atBlock`). */
      readonly needsSameBlock: boolean
      /**
       * The outcome of the whole from those of the parts, in their order: the first error, else the joined answer, else
       * `misfit`.
       */
      join(outcomes: readonly Outcome[]): Outcome
    }
  | { readonly kind: 'linking'; readonly accounts: readonly Address[]; readonly reason: LinkingReason }

/** What `join` answers where the parts are not what a node returns, or not of one block: they may be asked again. */
export const misfit: Outcome = {
  error: { code: -32603, message: 'The parts of the answer do not fit together. Try again.' },
}

/** One value of a call, dealt out by account. */
interface Split {
  readonly pieces: readonly { readonly account: Address | undefined; readonly value: Json }[]
  /** The call with `value` in the place of the one that was dealt out. */
  callWith(value: Json): Call
  /** Of results only; undefined where they do not fit together. */
  join(results: readonly Json[]): Outcome | undefined
}

export function takeApart(call: Call, own: OwnAccounts): Apart {
  const accounts = own.namedIn(call)
  if (accounts.length < 2) return { kind: 'whole' }
  const block = blockChoiceOf(call)
  const split = block === 'unknowable' ? undefined : splitCall(call, own)
  if (split === undefined || !isApart(split, own)) return { kind: 'linking', accounts, reason: reasonOf(call, own) }
  const parts = split.pieces.map(({ account, value }) => ({ account, call: split.callWith(value) }))
  return {
    kind: 'parts',
    parts,
    needsSameBlock: block === 'latest',
    join: (outcomes) => {
      const results: Json[] = []
      for (const outcome of outcomes) {
        if ('error' in outcome) return outcome
        results.push(outcome.result)
      }
      return (results.length === parts.length ? split.join(results) : undefined) ?? misfit
    },
  }
}

/**
 * Whether each part names its account only. Whatever else the call names (its caller, a state override, a token that is
 * an account) all parts would share.
 */
function isApart({ pieces, callWith }: Split, own: OwnAccounts): boolean {
  if (own.namedIn(callWith(null)).length > 0) return false
  return pieces.every(({ account, value }) => own.namedInValue(value).every((named) => named === account))
}

function splitCall(call: Call, own: OwnAccounts): Split | undefined {
  if (call.method === 'eth_call') return splitMessage(call, own)
  if (call.method === 'eth_getLogs') return splitLogs(call, own)
  return undefined
}

/** Every part keeps the caller, value, gas, block and overrides of the whole. */
function splitMessage(call: Call, own: OwnAccounts): Split | undefined {
  const message = paramOf(call, 0)
  if (!isObject(message)) return undefined
  const target = addressOf(message.to)
  const data = dataOf(message)
  if (target === undefined || data === undefined) return undefined
  const split = splitBalances(data.digits, own) ?? splitBatch(target, data.digits, own)
  return (
    split && {
      pieces: split.pieces.map(({ account, data }) => ({ account, value: `0x${data}` })),
      callWith: (value) => withParam(call, 0, { ...message, [data.field]: value }),
      join: (results) => {
        const returned = results.map(digitsOf)
        if (returned.some((digits) => digits === undefined)) return undefined
        const joined = joinReturned(split, returned as readonly string[])
        return joined === undefined ? undefined : { result: `0x${joined}` }
      },
    }
  )
}

function splitLogs(call: Call, own: OwnAccounts): Split | undefined {
  const filter = paramOf(call, 0)
  const split = isObject(filter) ? splitFilter(filter, own) : undefined
  return (
    split && {
      pieces: split.pieces,
      callWith: (value) => withParam(call, 0, split.filterWith(value)),
      join: joinLogs,
    }
  )
}

function digitsOf(result: Json): string | undefined {
  return typeof result === 'string' && result.startsWith('0x') ? result.slice(2) : undefined
}
