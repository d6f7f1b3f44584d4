/**
 * Questions to the background and its answers, matched by id, over the port to the content script. An answer always
 * comes: the content script refuses what the background cannot answer.
 */
import type { Outcome } from '@nightjar/shared/rpc'
import type { BridgeEvent } from '../content/bridge.ts'
import type { PageEvent, PageMessage, PageRequest, PageResponse } from '../messages/page.ts'
import type { ShownAccounts } from '../messages/shown.ts'
import { badParams, pageOrphaned } from './failures.ts'

export type Question = Omit<PageRequest, 'id'>

/** `pass`: Nightjar is off. */
export type Answer = Outcome | { readonly pass: true }

/** The port to the content script, with what it needs taken along before the page can touch it. */
export interface Channel {
  post(message: PageMessage): void
  listen(listener: (message: PageResponse | PageEvent | BridgeEvent) => void): void
}

export class Exchange {
  readonly #channel: Channel
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  readonly #listeners: ((event: PageEvent | BridgeEvent) => void)[] = []
  #lastId = 0
  #isGone = false

  constructor(channel: Channel) {
    this.#channel = channel
    channel.listen((message) => {
      if ('event' in message) return this.#handle(message)
      const { id, ...answer } = message
      this.#waiting.get(id)?.(answer as Answer)
      this.#waiting.delete(id)
    })
  }

  /** Never rejects: what goes wrong is an answer as well. */
  ask(question: Question): Promise<Answer> {
    if (this.#isGone) return Promise.resolve({ error: pageOrphaned })
    this.#lastId += 1
    const id = this.#lastId
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve)
      try {
        this.#channel.post({ ...question, id })
      } catch {
        // Nested so deeply that the browser cannot copy it; as JSON it was small enough for `copy`.
        this.#waiting.delete(id)
        resolve({ error: badParams('Params are nested too deeply.') })
      }
    })
  }

  /** The wallet shows the page accounts: nothing is answered. */
  show(shown: ShownAccounts): void {
    if (!this.#isGone) this.#channel.post(shown)
  }

  onEvent(listener: (event: PageEvent | BridgeEvent) => void): void {
    this.#listeners.push(listener)
  }

  #handle(event: PageEvent | BridgeEvent): void {
    if (event.event === 'gone') this.#isGone = true
    for (const listener of this.#listeners) listener(event)
  }
}
