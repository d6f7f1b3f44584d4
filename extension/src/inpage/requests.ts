/**
 * `request` of EIP-1193, for both doors: keys, accounts and the choice of chain are the wallet's; everything else goes to
 * the background, which also refuses what no gateway forwards. A wallet's own RPC provider is asked nothing.
 */
import { ownerOf } from '@nightjar/shared/wallet'
import type { Door } from '../messages/page.ts'
import { copy, type PageCall, readCall } from './call.ts'
import type { Answer, Exchange, Question } from './exchange.ts'
import { methodNotAllowed, providerError } from './failures.ts'
import type { SubscriptionMessage, Subscriptions } from './subscriptions.ts'

export interface Background {
  readonly exchange: Exchange
  readonly subscriptions: Subscriptions
}

/** What differs between the wallet's provider and Nightjar's own. */
export interface DoorWay {
  readonly door: Door
  /** Decimal id of the chain that reads are about. */
  chain(): Promise<number>
  /** Answers what is the wallet's. */
  askWallet(call: PageCall): Promise<unknown>
  /** Answers the rest while Nightjar is off. */
  pass(call: PageCall): Promise<unknown>
  /** Without it there are no subscriptions, and the page has to poll. */
  deliver?(message: SubscriptionMessage): void
}

export type Request = (args: unknown) => Promise<unknown>

/** @returns `request`, which rejects with a ProviderError */
export function createRequest({ exchange, subscriptions }: Background, way: DoorWay): Request {
  return async (args) => {
    const call = readCall(args)
    // As it came: what is signed must be what the page handed over.
    if (isWallets(call.method)) return way.askWallet(call)
    const copied = copy(call)
    const answer = await ask({ ...copied, chain: await way.chain(), door: way.door })
    if ('pass' in answer) return way.pass(copied)
    if ('error' in answer) throw providerError(answer.error)
    return answer.result
  }

  async function ask(question: Question): Promise<Answer> {
    if (question.method === 'eth_unsubscribe') return subscriptions.unsubscribe(question)
    if (question.method !== 'eth_subscribe') return exchange.ask(question)
    return way.deliver === undefined ? { error: methodNotAllowed } : subscriptions.subscribe(question, way.deliver)
  }
}

/** Whose else a method is, and whether anybody's, is not asked here: the background knows, or, off, the wallet. */
export function isWallets(method: string): boolean {
  return ownerOf(method, () => true) === 'wallet'
}
