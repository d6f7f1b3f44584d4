/** A background that says what a test tells it to, in place of the port to the content script. */
import type { Json, RpcError } from '@nightjar/shared/rpc'
import { turn } from '@nightjar/shared/testing'
import type { BridgeEvent } from '../../content/bridge.ts'
import type { PageEvent, PageRequest, PageResponse } from '../../messages/page.ts'
import type { ShownAccounts } from '../../messages/shown.ts'
import { type Channel, Exchange } from '../exchange.ts'
import type { Background } from '../requests.ts'
import { Subscriptions } from '../subscriptions.ts'

type Answer = { readonly result: Json } | { readonly error: RpcError } | { readonly pass: true }

export class FakeBackground implements Background {
  /** What came, in its order, as the port would have copied it. */
  readonly asked: PageRequest[] = []
  /** What it was told of accounts. */
  readonly shown: ShownAccounts[] = []
  /** Tasks for later, which a test runs when it likes. */
  readonly later: (() => void)[] = []
  readonly exchange: Exchange
  readonly subscriptions: Subscriptions
  /** Answers each request at once, where set. */
  answers: ((request: PageRequest) => Answer) | undefined
  #listener: (message: PageResponse | PageEvent | BridgeEvent) => void = () => {}

  constructor(answers?: (request: PageRequest) => Answer) {
    this.answers = answers
    const channel: Channel = {
      post: (message) => {
        const request = structuredClone(message)
        if ('accounts' in request) return void this.shown.push(request)
        this.asked.push(request)
        const answer = this.answers?.(request)
        if (answer !== undefined) queueMicrotask(() => this.answer(request.id, answer))
      },
      listen: (listener) => {
        this.#listener = listener
      },
    }
    this.exchange = new Exchange(channel)
    this.subscriptions = new Subscriptions(this.exchange, (task) => this.later.push(task))
  }

  get last(): PageRequest {
    const last = this.asked.at(-1)
    if (last === undefined) throw new Error('nothing was asked')
    return last
  }

  get methods(): string[] {
    return this.asked.map(({ method }) => method)
  }

  answer(id: number, answer: Answer): void {
    this.#listener({ id, ...answer })
  }

  tell(event: PageEvent | BridgeEvent): void {
    this.#listener(event)
  }

  /** Answers the newest request, and lets the page go on. */
  async answerLast(answer: Answer): Promise<void> {
    this.answer(this.last.id, answer)
    await turn()
  }
}
