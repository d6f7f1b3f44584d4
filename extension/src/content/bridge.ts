/**
 * The content script's part between a page and the background: it copies requests and answers, reading of them no more
 * than it needs to get each request answered whatever becomes of the service worker.
 *
 *   - It connects at the first request, so that pages that ask nothing wake nothing, and not before a prerendered page
 *     is shown.
 *   - When the port closes (the service worker was stopped, the page slept in the back/forward cache), reads without an
 *     answer are posted again on a fresh one. A raw transaction is not: it may be on its way.
 *   - What the wallet showed the page is said again on each fresh port, before anything is asked: the background
 *     remembers no accounts.
 *   - When the extension itself is gone, everything is refused. Nothing is ever left to the wallet instead.
 *
 * Nothing is checked here but size: the page is untrusted, and the background, which decides, checks it all.
 */
import type { RpcError } from '@nightjar/shared/rpc'
import { outcomeUnknown, pageOrphaned, requestTooLarge, timedOut } from '../inpage/failures.ts'
import { type PageEvent, type PageMessage, type PageRequest, type PageResponse, pagePort } from '../messages/page.ts'
import type { ShownAccounts } from '../messages/shown.ts'

/** Characters of a request as JSON: bounds what a page can make the background hold and parse. */
export const requestLength = 1024 * 1024

/** How often a read is posted again after its port closed. */
const repeats = 2

/** Of what the wallet showed the page: that many lists and transactions are said again. */
const shownKept = 20

/** What the bridge itself tells inpage. `reset`: subscriptions are gone, and can be made anew. `gone`: for good. */
export interface BridgeEvent {
  readonly event: 'reset' | 'gone'
}

/** A port of `chrome.runtime`. */
export interface RuntimePort {
  readonly onMessage: { addListener(listener: (message: PageResponse | PageEvent) => void): void }
  readonly onDisconnect: { addListener(listener: () => void): void }
  postMessage(message: PageMessage): void
  disconnect(): void
}

export interface Runtime {
  /** Undefined once the extension was updated or removed. */
  readonly id?: string
  /** Has to be read where a port closes, or the browser complains on the page's console. */
  readonly lastError?: unknown
  /** @throws where the extension is gone */
  connect(info: { name: string }): RuntimePort
}

/** One request that has no answer yet. */
interface Pending {
  readonly request: PageRequest
  posts: number
}

export class Bridge {
  readonly #page: Pick<MessagePort, 'postMessage'>
  readonly #runtime: Runtime
  readonly #pending = new Map<number, Pending>()
  /** By its text. */
  readonly #shown = new Map<string, ShownAccounts>()
  #background: RuntimePort | undefined
  #isAwake: boolean
  #isGone = false

  /** @param isAwake false while the page is prerendered; see `wake` */
  constructor(page: Pick<MessagePort, 'postMessage'>, runtime: Runtime, isAwake: boolean) {
    this.#page = page
    this.#runtime = runtime
    this.#isAwake = isAwake
  }

  /** The page asks. */
  ask(request: PageRequest): void {
    if (JSON.stringify(request).length > requestLength) return this.#refuse(request.id, requestTooLarge)
    if (this.#isGone) return this.#refuse(request.id, pageOrphaned)
    const pending = { request, posts: 0 }
    this.#pending.set(request.id, pending)
    if (this.#isAwake) this.#post(pending)
  }

  /** The wallet shows the page accounts. Said once on each port; nobody waits for an answer. */
  show(shown: ShownAccounts): void {
    const text = JSON.stringify(shown)
    if (this.#isGone || this.#shown.has(text) || text.length > requestLength) return
    if (this.#isAwake) this.#send(shown)
    this.#shown.set(text, shown)
    for (const oldest of this.#shown.keys()) {
      if (this.#shown.size <= shownKept) break
      this.#shown.delete(oldest)
    }
  }

  /** The prerendered page is shown now: what it asked may go out. */
  wake(): void {
    this.#isAwake = true
    for (const pending of this.#pending.values()) this.#post(pending)
  }

  /** The port is of no use any more: the page came back from a cache in which no port lives. */
  drop(): void {
    const port = this.#background
    if (port === undefined) return
    this.#lost(port)
    if (!this.#isGone) port.disconnect()
  }

  #post(pending: Pending): void {
    this.#send(pending.request, () => {
      pending.posts += 1
    })
  }

  /** @param begin called when there is a port to post to */
  #send(message: PageMessage, begin = () => {}): void {
    try {
      this.#background ??= this.#connect()
      begin()
      this.#background.postMessage(message)
    } catch {
      // The only way in which either throws: "Extension context invalidated."
      this.#gone()
    }
  }

  #connect(): RuntimePort {
    const port = this.#runtime.connect({ name: pagePort })
    port.onMessage.addListener((message) => {
      if (port !== this.#background) return
      if ('id' in message) this.#pending.delete(message.id)
      this.#page.postMessage(message)
    })
    port.onDisconnect.addListener(() => {
      void this.#runtime.lastError
      this.#lost(port)
    })
    for (const shown of this.#shown.values()) port.postMessage(shown)
    return port
  }

  #lost(port: RuntimePort): void {
    if (port !== this.#background) return
    this.#background = undefined
    if (this.#runtime.id === undefined) return this.#gone()
    this.#tell({ event: 'reset' })
    for (const pending of this.#pending.values()) {
      if (isTransaction(pending)) this.#refuse(pending.request.id, outcomeUnknown)
      else if (pending.posts > repeats) this.#refuse(pending.request.id, timedOut)
      else this.#post(pending)
    }
  }

  #gone(): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#background = undefined
    this.#tell({ event: 'gone' })
    for (const pending of this.#pending.values()) {
      this.#refuse(pending.request.id, isTransaction(pending) && pending.posts > 0 ? outcomeUnknown : pageOrphaned)
    }
  }

  #refuse(id: number, error: RpcError): void {
    this.#pending.delete(id)
    this.#page.postMessage({ id, error } satisfies PageResponse)
  }

  #tell(event: BridgeEvent): void {
    this.#page.postMessage(event)
  }
}

function isTransaction({ request }: Pending): boolean {
  return request.method === 'eth_sendRawTransaction'
}
