/**
 * The pages' end: one port for each frame that asks something. Who asks is what the browser says of the port; what it
 * asks is untrusted and parsed strictly.
 */
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import { type Call, catalogue, type Json, nightjarCodeOf, type Outcome, toRpcError } from '@nightjar/shared/rpc'
import type { Clock } from '@nightjar/shared/runtime'
import { ownerOf } from '@nightjar/shared/wallet'
import { type PageEvent, type PageRequest, type PageResponse, parsePageMessage } from '../../messages/page.ts'
import type { ShownAccounts } from '../../messages/shown.ts'
import { Filters } from '../requests/filters.ts'
import { frameOriginOf, type PageSender, topOriginOf } from '../requests/groups.ts'
import type { HeadChange } from '../requests/heads.ts'
import { Subscriptions } from '../requests/subscriptions.ts'
import { UnderWay } from './underWay.ts'

/** A port to a page's content script, as far as it is used. */
export interface PagePort {
  readonly sender: PageSender
  postMessage(message: PageResponse | PageEvent): void
  onMessage(listener: (message: unknown) => void): void
  onDisconnect(listener: () => void): void
  disconnect(): void
}

export interface PagesOptions {
  readonly clock: Clock
  randomBytes(length: number): Uint8Array
  /** Whether Nightjar is on, for pages of this origin. */
  isOnFor(origin: string): boolean
  /** Asks over the private path. @throws NightjarError where there is no answer */
  request(origin: string, chain: number, call: Call): Promise<Outcome>
  /** A page says which accounts its wallet showed it. */
  shown(origin: string, shown: ShownAccounts): void
  heads(origin: string, chain: number, listener: (change: HeadChange) => void): () => void
  /** A page's request was answered over the private path. */
  answered(): void
  failed(error: NightjarError): void
}

/** Serves the frames of all sites, each at the other end of its port until it goes away. */
export class Pages {
  readonly #options: PagesOptions
  readonly #underWay = new UnderWay()

  constructor(options: PagesOptions) {
    this.#options = options
  }

  serve(port: PagePort): void {
    const origin = topOriginOf(port.sender)
    if (origin === undefined) return port.disconnect()
    const frame = { origin, frame: frameOriginOf(port.sender) ?? origin, underWay: this.#underWay }
    const page = new Page(this.#options, port, frame)
    port.onMessage((message) => void page.onMessage(message))
    port.onDisconnect(() => page.close())
  }
}

interface Frame {
  /** Of the top-level page: the isolation group. */
  readonly origin: string
  /** Of the frame itself. */
  readonly frame: string
  readonly underWay: UnderWay
}

class Page {
  readonly #options: PagesOptions
  readonly #port: PagePort
  readonly #frame: Frame
  readonly #subscriptions: Subscriptions
  readonly #filters: Filters

  constructor(options: PagesOptions, port: PagePort, frame: Frame) {
    this.#options = options
    this.#port = port
    this.#frame = frame
    const { origin } = frame
    const read = (chain: number, call: Call) => options.request(origin, chain, call)
    this.#filters = new Filters({ ...options, read })
    this.#subscriptions = new Subscriptions({
      ...options,
      heads: (chain, listener) => options.heads(origin, chain, listener),
      read,
      send: (subscription, result) => this.#post({ event: 'subscription', subscription, result }),
      ended: (subscription) => this.#post({ event: 'ended', subscription }),
    })
  }

  close(): void {
    this.#subscriptions.endAll()
  }

  async onMessage(message: unknown): Promise<void> {
    const request = parsePageMessage(message)
    // Our own content script never sends such a thing, unless its page made it do so.
    if (request === undefined) {
      this.close()
      return this.#port.disconnect()
    }
    if ('accounts' in request) return this.#options.shown(this.#frame.origin, request)
    const { id } = request
    const done = this.#frame.underWay.begin(this.#frame.origin, request)
    try {
      if (done === undefined) throw new NightjarError('limit-reached', { detail: 'requests of one site' })
      this.#post({ id, ...(await this.#answer(request)) })
    } catch (error) {
      const failure = asNightjarError(error)
      this.#options.failed(failure)
      // Without the detail, which may name a file of the user's: that is for the popup.
      this.#post({ id, error: toRpcError(new NightjarError(failure.code, factsOf(failure))) })
    } finally {
      done?.()
    }
  }

  async #answer({ method, params, chain, door }: PageRequest): Promise<Outcome | { readonly pass: true }> {
    if (!this.#isOn()) {
      if (door === 'wallet') return { pass: true }
      throw new NightjarError('turned-off')
    }
    const call: Call = params === undefined ? { method } : { method, params: params as Call['params'] & Json }
    switch (ownerOf(method, (name) => catalogue.has(name))) {
      case 'network': {
        const outcome = await this.#options.request(this.#frame.origin, chain, call)
        if (!('error' in outcome) || nightjarCodeOf(outcome.error) === undefined) this.#options.answered()
        return outcome
      }
      case 'subscription':
        return { result: this.#subscription(chain, call) }
      case 'filter':
        return this.#filters.call(chain, call)
      default:
        // The wallet's own methods never come here; whatever else is not known is not passed on.
        throw new NightjarError('method-not-allowed', { facts: { method } })
    }
  }

  /** A frame of a chosen site is one wherever it is framed, as its script is there too. */
  #isOn(): boolean {
    return this.#options.isOnFor(this.#frame.origin) || this.#options.isOnFor(this.#frame.frame)
  }

  #subscription(chain: number, { method, params }: Call): Json {
    if (method === 'eth_subscribe') return this.#subscriptions.subscribe(chain, params)
    return this.#subscriptions.unsubscribe(Array.isArray(params) ? params[0] : undefined)
  }

  #post(message: PageResponse | PageEvent): void {
    try {
      this.#port.postMessage(message)
    } catch {
      // The frame is gone, and we may not have been told so yet.
      this.close()
    }
  }
}

function factsOf({ facts }: NightjarError) {
  return facts === undefined ? {} : { facts }
}
