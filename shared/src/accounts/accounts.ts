/**
 * What a wallet asks, so asked that no gateway and no provider learns that two accounts belong together. Each account has
 * an isolation group of its own. What watches know is answered here; what names several accounts is taken apart.
 *
 * Left out: who the callers are. A site, or a wallet at the endpoint, is a group for what names no account.
 */
import { hex } from '../bytes/index.ts'
import { asNightjarError, NightjarError } from '../errors/index.ts'
import { type Call, codeHash, type Outcome, toRpcError } from '../rpc/index.ts'
import { pause } from '../runtime.ts'
import {
  type Address,
  type Apart,
  atBlock,
  groupOf,
  type LinkingReason,
  type OwnAccounts,
  senderOf,
  takeApart,
  transactionOf,
  transferOf,
} from '../wallet/index.ts'
import type { ChainWatches } from './chainWatches.ts'
import { compared } from './compare.ts'
import { type AccountsContext, accountGroup, onceGroup } from './context.ts'
import { answerOf, type LocalQuestion, localQuestionOf, withoutBlock } from './local.ts'
import { readLogs } from './logs.ts'
import { askOwn, whereabouts } from './reading.ts'
import type { KnownReceipt } from './receiptWatch.ts'
import type { State } from './state.ts'
import { Trust, type TrustStatus } from './trust.ts'
import { Watches } from './watches.ts'

export interface AccountRequest {
  /** The isolation group of what names no account: the caller's. */
  readonly site: string
  readonly chain: number
  readonly call: Call
  /** The user's accounts as far as the caller knows them: by what is refused it learns of no others. They are added to. */
  readonly own: OwnAccounts
}

export interface AccountsStatus extends TrustStatus {
  /** Accounts that are watched, each chain for itself, and how many of them have no value yet. */
  readonly watched: number
  readonly cold: number
  /** How old a balance may be, in milliseconds. */
  readonly freshness: number
}

type Parts = Extract<Apart, { kind: 'parts' }>

export class Accounts {
  readonly #context: AccountsContext
  readonly #trust: Trust
  readonly #watches: Watches

  constructor(context: AccountsContext) {
    this.#context = context
    this.#trust = new Trust(context)
    this.#watches = new Watches(context, this.#trust)
  }

  get status(): AccountsStatus {
    return { ...this.#trust.status, ...this.#watches.counts, freshness: this.#context.settings().freshness }
  }

  /** Ends all watches. */
  stop(): void {
    this.#watches.stop()
  }

  /**
   * The answer, which may be a JSON-RPC error.
   * @throws NightjarError `would-link`, `still-apart`, `answer-refuted`, and what keeps the path from answering
   */
  async request(request: AccountRequest): Promise<Outcome> {
    const { call, own } = request
    own.learnFrom(call)
    const outcome = await this.#answer(request)
    own.learnFrom(call, outcome)
    return outcome
  }

  #answer(request: AccountRequest): Promise<Outcome> {
    const { call, own } = request
    const sender = call.method === 'eth_sendRawTransaction' ? senderOf(call) : undefined
    if (sender !== undefined) return this.#broadcast(sender, request)
    const group = groupOf(call, own)
    if (group.kind === 'none') return this.#askForNobody(request)
    if (group.kind === 'account') return this.#askFor(group.account, request)
    const payer = transferOf(call, own)
    if (payer !== undefined) return this.#askTransfer(payer, request, group.accounts.length)
    const apart = takeApart(call, own)
    if (apart.kind === 'parts') return this.#askInParts(request, apart)
    return this.#askLinking(request, group.accounts.length, apart.kind === 'linking' ? apart.reason : 'other')
  }

  async #blockNumber(request: AccountRequest): Promise<Outcome> {
    const { chain } = request
    const newest = await this.#watches.newest(chain)
    if (newest !== undefined) return { result: numberText(newest) }
    const outcome = await this.#send(request.site, request)
    const number = 'result' in outcome ? outcome.result : undefined
    if (typeof number === 'string' && /^0x[0-9a-f]{1,13}$/i.test(number)) this.#watches.tell(chain, Number(number))
    return outcome
  }

  /** On its sender's ordinary branch, whomever it names: it is public once it is sent. */
  async #broadcast(sender: Address, request: AccountRequest): Promise<Outcome> {
    const { chain, call, own } = request
    const named = own.namedIn(call).length
    if (named > 1) this.#trust.link({ reason: 'transfer', accounts: named, isSent: true })
    const outcome = await this.#send(accountGroup(sender), request)
    const hash = transactionOf(call)?.hash
    if ('result' in outcome && hash !== undefined) void this.#watches.open(chain)?.watchReceipt(hash, sender)
    return outcome
  }

  /** What the transaction costs that is about to be sent: it goes where that will go. */
  #askTransfer(payer: Address, request: AccountRequest, accounts: number): Promise<Outcome> {
    this.#trust.link({ reason: 'transfer', accounts, isSent: true })
    return this.#send(accountGroup(payer), request)
  }

  async #askForNobody(request: AccountRequest): Promise<Outcome> {
    const { site, chain, call } = request
    const context = this.#context
    if (call.method === 'eth_blockNumber') return this.#blockNumber(request)
    if (call.method !== 'eth_call' || !context.settings().compareCalls) return this.#send(site, request)
    const newest = () => this.#newestFor(request)
    const { outcome, trust } = await compared(context, this.#trust, { group: site, chain, call }, newest)
    this.#trust.count(trust)
    return outcome
  }

  /** @param beside the other accounts of the call that this is a part of */
  async #askFor(account: Address, request: AccountRequest, beside?: readonly Address[]): Promise<Outcome> {
    const { site, chain, call } = request
    const isAlone = beside === undefined
    // A nonce is asked for when something is about to be sent.
    const isAtStake = call.method === 'eth_getTransactionCount'
    const isWatched = this.#watches.touch(chain, account)
    const watches = this.#watches.of(chain)
    const known = watches && knownReceipt(watches, call)
    if (known !== undefined && call.method === 'eth_getTransactionReceipt') {
      this.#trust.count(known.trust)
      return { result: known.receipt }
    }
    const asked = localQuestionOf(chain, call)
    const question = asked?.account === account ? asked : undefined
    const state = question && isWatched ? await watches?.watched(question, isAlone, isAtStake) : undefined
    const answer = question && this.#answerFrom(question, state)
    if (answer !== undefined) return answer
    if (question !== undefined && isWatched && state === undefined) await watches?.assertAskable(question, site, beside)
    if (!isAlone) await this.#spread()
    const proven = question && state === undefined ? await watches?.proven(question, isAtStake) : state
    const answered = question && this.#answerFrom(question, proven)
    if (answered !== undefined) return answered
    const outcome = await this.#sendFor(account, request, proven)
    const isUntold = known?.receipt === null && call.method === 'eth_getTransactionByHash'
    return isUntold ? withoutBlock(outcome) : outcome
  }

  #answerFrom(question: LocalQuestion, state: State | undefined): Outcome | undefined {
    const answer = state && answerOf(question, state)
    if (answer !== undefined) this.#trust.count(state?.trust ?? 'unverified')
    return answer
  }

  async #askInParts(request: AccountRequest, { parts, needsSameBlock, join }: Parts): Promise<Outcome> {
    const block = needsSameBlock ? await this.#newestFor(request) : undefined
    const named = parts.flatMap(({ account }) => account ?? [])
    const outcomes = parts.map(async ({ account, call }) => {
      const part = { ...request, call: block === undefined ? call : atBlock(call, block) }
      const others = named.filter((other) => other !== account)
      try {
        if (account !== undefined) return await this.#askFor(account, part, others)
        await this.#spread()
        return await this.#askForNobody(part)
      } catch (error) {
        // The first error in the order of the parts is the whole's, whether a node or we say it.
        return { error: toRpcError(asNightjarError(error)) }
      }
    })
    return join(await Promise.all(outcomes))
  }

  async #askLinking(request: AccountRequest, accounts: number, reason: LinkingReason): Promise<Outcome> {
    const isSent = this.#context.settings().linking === 'alone'
    this.#trust.link({ reason, accounts, isSent })
    if (!isSent) throw new NightjarError('would-link')
    // A group that nothing else is in, and whose name nobody has met.
    return this.#send(onceGroup(hex(this.#context.crypto.randomBytes(16))), request)
  }

  /** The block at which the parts of a call are asked, or a call is compared. */
  async #newestFor(request: AccountRequest): Promise<`0x${string}` | undefined> {
    const outcome = await this.#blockNumber({ ...request, call: { method: 'eth_blockNumber', params: [] } })
    const number = 'result' in outcome ? outcome.result : undefined
    return typeof number === 'string' && number.startsWith('0x') ? (number as `0x${string}`) : undefined
  }

  async #send(group: string, { chain, call }: Pick<AccountRequest, 'chain' | 'call'>): Promise<Outcome> {
    const outcome = await this.#context.request({ group, chain, call })
    this.#trust.count('unverified')
    return outcome
  }

  /**
   * To the account's own gateway. Logs are checked, and code against its hash where `state` has one.
   * @throws NightjarError `answer-refuted`, and what keeps the path from answering
   */
  async #sendFor(account: Address, request: AccountRequest, state: State | undefined): Promise<Outcome> {
    const { chain } = request
    const place = { context: this.#context, chain, account }
    const heads = this.#watches.of(chain)?.heads
    const reading = heads && { ...place, heads, trust: this.#trust }
    if (request.call.method === 'eth_getLogs' && reading !== undefined) {
      const { outcome, trust } = await readLogs(reading, request.call)
      this.#trust.count(trust)
      return outcome
    }
    const checked = request.call.method === 'eth_getCode' && state?.trust === 'verified' ? state : undefined
    // At its block: the latest code may be newer than what is known of it.
    const call = checked === undefined ? request.call : atBlock(request.call, numberText(checked.number))
    const { outcome, gateway } = await askOwn(place, call)
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

  #spread(): Promise<void> {
    const { clock, random, settings } = this.#context
    return pause(clock, random() * settings().spread)
  }
}

/** Of the transaction that the call names first, where it is watched. */
function knownReceipt(watches: ChainWatches, { params }: Call): KnownReceipt | undefined {
  const hash: unknown = Array.isArray(params) ? params[0] : undefined
  return typeof hash === 'string' ? watches.receipt(hash.toLowerCase()) : undefined
}

function numberText(number: number): `0x${string}` {
  return `0x${number.toString(16)}`
}
