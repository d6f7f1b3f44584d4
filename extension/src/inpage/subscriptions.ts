/**
 * `eth_subscribe` over the private path. The background forgets its subscriptions when it is stopped, so they are kept
 * here: after a reset each is made anew, under the id that the page knows. What happened in between is not made up for,
 * as with a node that was restarted.
 */
import type { Json } from '@nightjar/shared/rpc'
import type { BridgeEvent } from '../content/bridge.ts'
import type { PageEvent } from '../messages/page.ts'
import type { Answer, Exchange, Question } from './exchange.ts'

/** The `message` event of EIP-1193. */
export interface SubscriptionMessage {
  readonly type: 'eth_subscription'
  readonly data: { readonly subscription: string; readonly result: Json }
}

interface Live {
  /** As the page knows it. */
  readonly id: string
  /** As the background knows it; undefined while it is made anew. */
  current: string | undefined
  readonly question: Question
  readonly deliver: (message: SubscriptionMessage) => void
}

export class Subscriptions {
  readonly #exchange: Exchange
  readonly #later: (task: () => void) => void
  /** By the id that the page knows. */
  readonly #live = new Map<string, Live>()

  /** @param later runs a task after a while (a subscription that could not be made anew is tried again) */
  constructor(exchange: Exchange, later: (task: () => void) => void) {
    this.#exchange = exchange
    this.#later = later
    exchange.onEvent((event) => this.#handle(event))
  }

  async subscribe(question: Question, deliver: Live['deliver']): Promise<Answer> {
    const answer = await this.#exchange.ask(question)
    const id = idIn(answer)
    if (id !== undefined) this.#live.set(id, { id, current: id, question, deliver })
    return answer
  }

  async unsubscribe(question: Question): Promise<Answer> {
    const id = Array.isArray(question.params) ? question.params[0] : undefined
    const live = typeof id === 'string' ? this.#live.get(id) : undefined
    if (live === undefined) return this.#exchange.ask(question)
    this.#live.delete(live.id)
    return live.current === undefined ? { result: true } : this.#end(live, live.current)
  }

  #handle(event: PageEvent | BridgeEvent): void {
    if (event.event === 'gone') return this.#live.clear()
    for (const live of this.#live.values()) {
      if (event.event === 'subscription') {
        if (live.current !== event.subscription) continue
        live.deliver({ type: 'eth_subscription', data: { subscription: live.id, result: event.result } })
      } else if (event.event === 'ended') {
        if (live.current !== event.subscription) continue
        live.current = undefined
        this.#later(() => this.#again(live))
      } else if (live.current !== undefined) {
        live.current = undefined
        void this.#restore(live)
      }
    }
  }

  async #restore(live: Live): Promise<void> {
    const answer = await this.#exchange.ask(live.question)
    const id = idIn(answer)
    const isWanted = this.#live.get(live.id) === live
    if (id !== undefined) {
      if (isWanted) live.current = id
      else await this.#end(live, id)
    } else if (isOff(answer)) this.#live.delete(live.id)
    else if (isWanted) this.#later(() => this.#again(live))
  }

  #again(live: Live): void {
    if (this.#live.get(live.id) === live) void this.#restore(live)
  }

  #end(live: Live, id: string): Promise<Answer> {
    return this.#exchange.ask({ ...live.question, method: 'eth_unsubscribe', params: [id] })
  }
}

/** The user turned Nightjar off, which ends subscriptions. */
function isOff(answer: Answer): boolean {
  if (!('error' in answer)) return 'pass' in answer
  const data = answer.error.data as { readonly nightjar?: unknown } | null | undefined
  return data?.nightjar === 'turned-off'
}

function idIn(answer: Answer): string | undefined {
  return 'result' in answer && typeof answer.result === 'string' ? answer.result : undefined
}
