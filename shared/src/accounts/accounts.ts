/**
 * What a wallet asks, so asked that no gateway and no provider learns that two accounts belong together. Each account has
 * an isolation group of its own. What watches know is answered here; what names several accounts is taken apart; and what has
 * to be asked of an account's gateway is put off, unless it is the account that the user is at.
 *
 * Left out: who the callers are. A site, or a wallet at the endpoint, is a group for what names no account.
 */
import { hex } from '../bytes/index.ts'
import { asNightjarError, NightjarError } from '../errors/index.ts'
import type { Call, Json, Outcome } from '../rpc/index.ts'
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
import { type AccountQuestion, AccountQuestions } from './accountQuestions.ts'
import { compared } from './compare.ts'
import { type AccountsContext, accountGroup, onceGroup } from './context.ts'
import { blockOfRound } from './grid.ts'
import { isSafeQuantity, quantityOf } from './json.ts'
import { Later, outcomeOf, type Question, stillApart } from './later.ts'
import { localQuestionOf } from './local.ts'
import { Trust, type TrustStatus } from './trust.ts'
import { Turns } from './turn.ts'
import { Watches } from './watches.ts'

export interface AccountRequest {
  /** The isolation group of what names no account: the caller's. */
  readonly site: string
  readonly chain: number
  readonly call: Call
  /** The user's accounts as far as the caller knows them: by what is refused it learns of no others. They are added to. */
  readonly own: OwnAccounts
  /** Accounts of one chain that this caller may have watched; of what a site may, see AccountQuestions. */
  readonly watchable?: number
}

export interface AccountsStatus extends TrustStatus {
  /** Accounts that are watched, each chain for itself, and how many of them have no value yet. */
  readonly watched: number
  readonly cold: number
  /** How old a balance may be, in milliseconds. */
  readonly freshness: number
}

type Parts = Extract<Apart, { kind: 'parts' }>

/** How a call for one account comes to an answer that nothing here knows. */
interface Ways {
  readonly ask: () => Promise<Outcome>
  /** The same at another time, when watches may know more. */
  readonly askLater: () => Promise<Outcome>
  /** When its watch will have come to say it, to which it is left then. */
  readonly comesAt: number | undefined
}

/** A part of a call that nothing is known of here. */
interface Silent {
  /** Undefined where it names no own account. */
  readonly account: Address | undefined
  readonly ask: () => Promise<Outcome>
  /** As AccountQuestions.comesAt. */
  comesAt(): Promise<number | undefined>
}

export class Accounts {
  readonly #context: AccountsContext
  readonly #trust: Trust
  readonly #watches: Watches
  readonly #questions: AccountQuestions
  readonly #turns: Turns
  readonly #later: Later
  /** How often all was ended. */
  #stops = 0

  constructor(context: AccountsContext) {
    this.#context = context
    this.#trust = new Trust(context)
    this.#watches = new Watches(context, this.#trust)
    this.#questions = new AccountQuestions(context, this.#trust, this.#watches)
    this.#turns = new Turns(context.clock)
    this.#later = new Later(context)
  }

  get status(): AccountsStatus {
    return { ...this.#trust.status, ...this.#watches.counts, freshness: this.#context.settings().freshness }
  }

  /** Ends all watches; what was put off is not asked any more. What is asked later begins anew. */
  stop(): void {
    this.#stops += 1
    this.#later.stop()
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
    if (call.method === 'eth_getTransactionReceipt' && 'result' in outcome) this.#noteReceipt(request, outcome.result)
    return outcome
  }

  /** Who knows of a receipt sends again with the next nonce: it must not be one from before that. */
  #noteReceipt({ chain, call, own }: AccountRequest, receipt: Json): void {
    const group = groupOf(call, own)
    const asked = group.kind === 'account' ? group.account : undefined
    const sender = this.#watches.of(chain)?.toldReceipt(receipt, asked)
    if (sender !== undefined) this.#later.drop(subjectOf(chain, sender))
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
    if (newest !== undefined) return { result: quantityOf(newest) }
    const outcome = await this.#send(request.site, request)
    const number = 'result' in outcome ? outcome.result : undefined
    if (isSafeQuantity(number)) this.#watches.tell(chain, Number(number))
    return outcome
  }

  /** On its sender's ordinary branch, whomever it names: it is public once it is sent. */
  async #broadcast(sender: Address, request: AccountRequest): Promise<Outcome> {
    const { chain, call, own } = request
    const named = own.namedIn(call).length
    if (named > 1) this.#trust.link({ reason: 'transfer', accounts: named, isSent: true })
    const hash = transactionOf(call)?.hash
    const stops = this.#stops
    let mayBeOut = false
    try {
      const outcome = await this.#send(accountGroup(sender), request)
      mayBeOut = 'result' in outcome
      return outcome
    } catch (error) {
      mayBeOut = asNightjarError(error).code === 'outcome-unknown'
      throw error
    } finally {
      this.#later.drop(subjectOf(chain, sender))
      const isWanted = mayBeOut && stops === this.#stops
      if (isWanted && hash !== undefined) void this.#watches.open(chain)?.watchReceipt(hash, sender)
    }
  }

  /** What the transaction costs that is about to be sent: it goes where that will go. */
  #askTransfer(payer: Address, request: AccountRequest, accounts: number): Promise<Outcome> {
    const ask = () => {
      this.#trust.link({ reason: 'transfer', accounts, isSent: true })
      return this.#send(accountGroup(payer), request)
    }
    return this.#inTurn(payer, request, { ask, askLater: ask, comesAt: undefined })
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

  async #askFor(account: Address, request: AccountRequest): Promise<Outcome> {
    const asked = { ...request, account }
    const known = await this.#questions.known(asked, true)
    if (known.outcome !== undefined) return known.outcome
    const ask = () => this.#questions.ask(asked, known)
    // One that cannot be read goes out as others do.
    if (request.call.method === 'eth_sendRawTransaction') return ask()
    const comesAt = await this.#questions.comesAt(asked, known)
    return this.#inTurn(account, request, { ask, askLater: () => this.#askNow(asked), comesAt })
  }

  /** At once where the user is at the account. Who asks for another is told when that may be, or when there is an answer. */
  async #inTurn(account: Address, request: AccountRequest, { ask, askLater, comesAt }: Ways): Promise<Outcome> {
    const pause = this.#turns.pauseOf(request.site, account)
    if (pause === 0) return ask()
    if (this.#isAtOnce) return ask()
    if (comesAt !== undefined) throw stillApart(pause)
    const subject = subjectOf(request.chain, account)
    const isPassing = isPassingNonce(request)
    const question = { parts: [askLater], join: ([only]: readonly Outcome[]) => only as Outcome, subject, isPassing }
    return this.#putOff(request, question, pause)
  }

  /** As its watch or, failing that, its gateway has it by now. */
  async #askNow(asked: AccountQuestion): Promise<Outcome> {
    const known = await this.#questions.known(asked, true)
    return known.outcome ?? this.#questions.ask(asked, known)
  }

  #putOff({ site, chain, call }: AccountRequest, question: Question, otherwise?: number): Promise<Outcome> {
    return this.#later.ask(site, JSON.stringify([chain, call]), question, otherwise)
  }

  /**
   * Where nobody has to be asked for but the account that the user is at, at once. Those that watches will say are waited
   * for; all others are put off.
   */
  async #askInParts(request: AccountRequest, apart: Parts): Promise<Outcome> {
    const { parts, needsSameBlock, join } = apart
    const block = needsSameBlock ? await this.#newestFor(request) : undefined
    const all = await Promise.all(
      parts.map(({ account, call }) => {
        const part = { ...request, call: block === undefined ? call : atBlock(call, block) }
        return outcomeOf(() => this.#partOf(account, part))
      }),
    )
    const named = all.flatMap((part) => ('ask' in part && part.account !== undefined ? [part] : []))
    if (!this.#isAtOnce && !this.#isInTurn(request.site, named)) {
      const times = await Promise.all(named.map((part) => part.comesAt()))
      const known = times.filter((time) => time !== undefined)
      if (known.length === times.length) throw stillApart(Math.max(...known) - this.#context.clock.elapsed())
      return this.#askInRound(request, apart, block)
    }
    const outcomes = all.map((part) => {
      if (!('ask' in part)) return part
      return outcomeOf(async () => {
        await this.#spread()
        return part.ask()
      })
    })
    // The first error in the order of the parts is the whole's, whether a node or we say it.
    return join(await Promise.all(outcomes))
  }

  #isInTurn(site: string, silent: readonly Silent[]): boolean {
    const [account, ...others] = new Set(silent.flatMap((part) => part.account ?? []))
    return account === undefined || (others.length === 0 && this.#turns.takeIfFree(site, account))
  }

  /** Each part at a time of its own, and all of one block, so that what is joined is what a node has there. */
  #askInRound(request: AccountRequest, { parts, needsSameBlock, join }: Parts, newest?: string): Promise<Outcome> {
    // Half an hour apart, the latest block is another for each.
    if (needsSameBlock && newest === undefined) throw new NightjarError('upstream-failed')
    const block = newest === undefined ? undefined : quantityOf(blockOfRound(request.chain, Number(newest)))
    const asked = parts.map(({ account, call }) => {
      const part = { ...request, call: block === undefined ? call : atBlock(call, block) }
      return () => (account === undefined ? this.#askForNobody(part) : this.#askNow({ ...part, account }))
    })
    return this.#putOff(request, { parts: asked, join })
  }

  async #partOf(account: Address | undefined, request: AccountRequest): Promise<Outcome | Silent> {
    if (account === undefined) {
      return { account, ask: () => this.#askForNobody(request), comesAt: async () => undefined }
    }
    const asked = { ...request, account }
    const known = await this.#questions.known(asked, false)
    if (known.outcome !== undefined) return known.outcome
    return { account, ask: () => this.#askNow(asked), comesAt: () => this.#questions.comesAt(asked, known) }
  }

  /** Whether users chose that nothing is put off. */
  get #isAtOnce(): boolean {
    return this.#context.settings().coldSpread === 0
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
    return isSafeQuantity(number) ? number : undefined
  }

  async #send(group: string, { chain, call }: Pick<AccountRequest, 'chain' | 'call'>): Promise<Outcome> {
    const outcome = await this.#context.request({ group, chain, call })
    this.#trust.count('unverified')
    return outcome
  }

  #spread(): Promise<void> {
    const { clock, random, settings } = this.#context
    return pause(clock, random() * settings().spread)
  }
}

/** Of which outcomes are dropped when the account sends, or has sent. */
function subjectOf(chain: number, account: Address): string {
  return `${chain} ${account}`
}

/** The nonce of the next transaction, which is another one after that: of a block that is named it stays the same. */
function isPassingNonce({ chain, call }: AccountRequest): boolean {
  return call.method === 'eth_getTransactionCount' && typeof localQuestionOf(chain, call)?.block !== 'number'
}
