/** `eth_subscribe` of one page: `newHeads` and `logs`, made from the pushed heads. */
import { hex } from '@nightjar/shared/bytes'
import { NightjarError } from '@nightjar/shared/errors'
import type { Call, Json, Outcome } from '@nightjar/shared/rpc'
import type { Clock } from '@nightjar/shared/runtime'
import type { HeadChange } from './heads.ts'
import { LogFeed, type LogFilter } from './logFeed.ts'

export interface SubscriptionsOptions {
  readonly clock: Clock
  randomBytes(length: number): Uint8Array
  /** Listens to the heads of a chain; returns what ends it. */
  heads(chain: number, listener: (change: HeadChange) => void): () => void
  read(chain: number, call: Call): Promise<Outcome>
  send(subscription: string, result: Json): void
  /** The subscription cannot go on. */
  ended(subscription: string): void
}

/** Bounds what one page can make the extension ask at each block. */
const atMost = 100

export class Subscriptions {
  readonly #options: SubscriptionsOptions
  readonly #ends = new Map<string, () => void>()

  constructor(options: SubscriptionsOptions) {
    this.#options = options
  }

  /** @returns the id. @throws NightjarError `bad-request`, `method-not-allowed`, `limit-reached` */
  subscribe(chain: number, params: Call['params']): string {
    const [kind, filter] = Array.isArray(params) ? (params as readonly Json[]) : []
    if (this.#ends.size >= atMost) throw new NightjarError('limit-reached', { detail: 'subscriptions of one page' })
    const id = `0x${hex(this.#options.randomBytes(16))}`
    this.#ends.set(id, this.#begin(id, chain, kind, filter))
    return id
  }

  /** Whether there was such a subscription. */
  unsubscribe(id: unknown): boolean {
    if (typeof id !== 'string') return false
    this.#ends.get(id)?.()
    return this.#ends.delete(id)
  }

  endAll(): void {
    for (const end of this.#ends.values()) end()
    this.#ends.clear()
  }

  /** Begins to tell the page, under `id`; returns what ends it. */
  #begin(id: string, chain: number, kind: Json | undefined, filter: Json | undefined): () => void {
    const { clock, heads, read, send } = this.#options
    if (kind === 'newHeads') {
      return heads(chain, ({ added }) => {
        for (const { header } of added) send(id, header)
      })
    }
    if (kind !== 'logs') throw new NightjarError('method-not-allowed', { detail: 'subscription' })
    const feed = new LogFeed({
      clock,
      filter: filterOf(filter),
      read: (call) => read(chain, call),
      send: (log) => send(id, log),
      onFailed: () => {
        if (this.unsubscribe(id)) this.#options.ended(id)
      },
    })
    const end = heads(chain, (change) => feed.onChange(change))
    return () => {
      end()
      feed.end()
    }
  }
}

function filterOf(filter: Json | undefined): LogFilter {
  const { address = null, topics = null, ...rest } = asObject(filter ?? {})
  const isKnown = Object.keys(rest).every((key) => key === 'fromBlock' || key === 'toBlock')
  // A node would refuse it with each block, which the page could not be told.
  if (!isKnown || !areAddresses(address) || !areTopics(topics)) {
    throw new NightjarError('bad-request', { detail: 'filter' })
  }
  return { ...(address === null ? {} : { address }), ...(topics === null ? {} : { topics }) }
}

function areAddresses(value: Json): boolean {
  const isAddress = (each: Json) => typeof each === 'string' && /^0x[0-9a-f]{40}$/i.test(each)
  return value === null || isOneOrMore(value, isAddress)
}

/** Each of them is one, several of which any will do, or null for any at all. */
function areTopics(value: Json): boolean {
  const isTopic = (each: Json) => each === null || (typeof each === 'string' && /^0x[0-9a-f]{64}$/i.test(each))
  return value === null || (Array.isArray(value) && value.every((each: Json) => isOneOrMore(each, isTopic)))
}

function isOneOrMore(value: Json, isOne: (each: Json) => boolean): boolean {
  return Array.isArray(value) ? value.every(isOne) : isOne(value)
}

function asObject(value: Json): LogFilter {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new NightjarError('bad-request', { detail: 'filter' })
  }
  return value as LogFilter
}
