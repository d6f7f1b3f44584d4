/**
 * A question that names one account: what watches know of it, and what its own gateway says, checked as far as it can be.
 *
 * Left out: whether it may be asked now, or what that would show (accounts.ts).
 */
import { NightjarError } from '../errors/index.ts'
import { type Call, codeHash, type Outcome } from '../rpc/index.ts'
import { type Address, atBlock } from '../wallet/index.ts'
import type { ChainWatches } from './chainWatches.ts'
import { type AccountsContext, accountGroup } from './context.ts'
import { isSafeQuantity, quantityOf } from './json.ts'
import { answerOf, type LocalQuestion, localQuestionOf, withoutBlock } from './local.ts'
import { readLogs } from './logs.ts'
import { askOwn, whereabouts } from './reading.ts'
import type { KnownReceipt } from './receiptWatch.ts'
import type { State } from './state.ts'
import type { Trust } from './trust.ts'
import type { Watches } from './watches.ts'

/**
 * Accounts of one chain that are watched because one site asked for them first. Few people show a site more; a hostile page
 * can name as many strangers as it likes, and would take the places of all accounts that are not watched yet.
 */
const usuallyWatchable = 20

export interface AccountQuestion {
  readonly account: Address
  readonly site: string
  readonly chain: number
  readonly call: Call
  /** Accounts of one chain that this site may have watched, where it is one that needs more than sites do. */
  readonly watchable?: number
}

/** What is known here of the answer. */
export interface Known {
  /** The answer itself. */
  readonly outcome?: Outcome
  /** What a watch might answer, and what it has to say. */
  readonly question?: LocalQuestion | undefined
  readonly state?: State | undefined
  readonly receipt?: KnownReceipt | undefined
}

export class AccountQuestions {
  readonly #context: AccountsContext
  readonly #trust: Trust
  readonly #watches: Watches

  constructor(context: AccountsContext, trust: Trust, watches: Watches) {
    this.#context = context
    this.#trust = trust
    this.#watches = watches
  }

  /**
   * Nothing is sent for it but what makes the account be watched from some time on.
   * @param isAlone it was asked for by itself: then its first value is not waited for, as there may be a direct way
   * @throws NightjarError `answer-refuted`
   */
  async known(asked: AccountQuestion, isAlone: boolean): Promise<Known> {
    const { account, site, chain, call, watchable = usuallyWatchable } = asked
    const isWatched = this.#watches.touch(chain, account, { site, watchable })
    const watches = this.#watches.of(chain)
    const receipt = watches && knownReceipt(watches, call)
    if (receipt !== undefined && call.method === 'eth_getTransactionReceipt') {
      this.#trust.count(receipt.trust)
      return { outcome: { result: receipt.receipt } }
    }
    const local = localQuestionOf(chain, call)
    const question = local?.account === account ? local : undefined
    const state = question && isWatched ? await watches?.watched(question, isAlone, isAtStake(call)) : undefined
    const outcome = question && this.#answerFrom(question, state)
    return outcome === undefined ? { question, state, receipt } : { outcome }
  }

  /** When its watch will have come to say it: see ChainWatches.comesAt. */
  async comesAt({ chain }: AccountQuestion, { question, state }: Known): Promise<number | undefined> {
    if (question === undefined || state !== undefined) return undefined
    return this.#watches.of(chain)?.comesAt(question)
  }

  /**
   * Asked of its own gateway.
   * @throws NightjarError `answer-refuted`, and what keeps the path from answering
   */
  async ask(asked: AccountQuestion, { question, state, receipt }: Known): Promise<Outcome> {
    const { chain, call } = asked
    const watches = this.#watches.of(chain)
    const proven = question && state === undefined ? await watches?.proven(question, isAtStake(call)) : state
    const answered = question && this.#answerFrom(question, proven)
    if (answered !== undefined) return answered
    const outcome = await this.#send(asked, proven)
    const told = 'result' in outcome ? outcome.result : null
    if (watches !== undefined && question?.what === 'nonce' && isSafeQuantity(told)) {
      return { result: quantityOf(watches.toldNonce(question, Number(told))) }
    }
    const isUntold = receipt?.receipt === null && call.method === 'eth_getTransactionByHash'
    return isUntold ? withoutBlock(outcome) : outcome
  }

  #answerFrom(question: LocalQuestion, state: State | undefined): Outcome | undefined {
    const answer = state && answerOf(question, state)
    if (answer !== undefined) this.#trust.count(state?.trust ?? 'unverified')
    return answer
  }

  /** Logs are checked, and code against its hash where `state` has one. */
  async #send({ account, chain, call }: AccountQuestion, state: State | undefined): Promise<Outcome> {
    const place = { context: this.#context, chain, account }
    const heads = this.#watches.of(chain)?.heads
    const reading = heads && { ...place, heads, trust: this.#trust }
    if (call.method === 'eth_getLogs' && reading !== undefined) {
      const { outcome, trust } = await readLogs(reading, call)
      this.#trust.count(trust)
      return outcome
    }
    const checked = call.method === 'eth_getCode' && state?.trust === 'verified' ? state : undefined
    // At its block: the latest code may be newer than what is known of it.
    const fixed = checked === undefined ? call : atBlock(call, quantityOf(checked.number))
    const { outcome, gateway } = await askOwn(place, fixed)
    const code = 'result' in outcome ? outcome.result : undefined
    const isKnown = checked !== undefined && typeof code === 'string'
    if (isKnown && codeHash(code) !== checked.codeHash) {
      const where = reading && (await whereabouts(reading, checked.number, checked.hash))
      const evidence = { code, hash: checked.codeHash }
      if (where === 'there') this.#trust.lie({ group: accountGroup(account), gateway, chain, what: 'code', evidence })
      throw new NightjarError('answer-refuted')
    }
    this.#trust.count(isKnown ? 'verified' : 'unverified')
    return outcome
  }
}

/** A nonce is asked for when something is about to be sent. */
function isAtStake({ method }: Call): boolean {
  return method === 'eth_getTransactionCount'
}

/** Of the transaction that the call names first, where it is watched. */
function knownReceipt(watches: ChainWatches, { params }: Call): KnownReceipt | undefined {
  const hash: unknown = Array.isArray(params) ? params[0] : undefined
  return typeof hash === 'string' ? watches.receipt(hash.toLowerCase()) : undefined
}
