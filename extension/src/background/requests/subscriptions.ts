/**
 * `eth_subscribe` of one page: `newHeads` and `logs`, made from the pushed heads. Logs are read by block hash, so that no
 * filter stays at a gateway; those of a block that was dropped come again with `removed: true`.
 */
import { hex } from '@nightjar/shared/bytes'
import { NightjarError } from '@nightjar/shared/errors'
import type { Call, Json, Outcome } from '@nightjar/shared/rpc'
import type { Head, HeadChange } from './heads.ts'

export interface SubscriptionsOptions {
  randomBytes(length: number): Uint8Array
  /** Listens to the heads of a chain; returns what ends it. */
  heads(chain: number, listener: (change: HeadChange) => void): () => void
  read(chain: number, call: Call): Promise<Outcome>
  send(subscription: string, result: Json): void
}

/** Bounds what one page can make the extension ask at each block. */
const atMost = 100
const blocksRemembered = 64

export class Subscriptions {
  readonly #options: SubscriptionsOptions
  readonly #ends = new Map<string, () => void>()

  constructor(options: SubscriptionsOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#ends.size
  }

  /** @returns the id. @throws NightjarError `bad-request`, `method-not-allowed`, `limit-reached` */
  subscribe(chain: number, params: Call['params']): string {
    const [kind, filter] = Array.isArray(params) ? (params as readonly Json[]) : []
    if (this.#ends.size >= atMost) throw new NightjarError('limit-reached', { detail: 'subscriptions of one page' })
    const id = `0x${hex(this.#options.randomBytes(16))}`
    this.#ends.set(id, this.#options.heads(chain, this.#listener(id, chain, kind, filter)))
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

  #listener(id: string, chain: number, kind: Json | undefined, filter: Json | undefined) {
    if (kind === 'newHeads') {
      return ({ added }: HeadChange) => {
        for (const { header } of added) this.#options.send(id, header)
      }
    }
    if (kind === 'logs') return this.#logs(id, chain, filterOf(filter))
    throw new NightjarError('method-not-allowed', { detail: 'subscription' })
  }

  #logs(id: string, chain: number, filter: { readonly [key: string]: Json }): (change: HeadChange) => void {
    const told = new Map<string, readonly Json[]>()
    let work: Promise<void> = Promise.resolve()

    const tell = async ({ removed, added }: HeadChange) => {
      for (const { hash } of removed) {
        for (const log of [...(told.get(hash) ?? [])].reverse())
          this.#sendIfWanted(id, { ...asObject(log), removed: true })
        told.delete(hash)
      }
      for (const head of added) {
        const logs = await this.#logsOf(chain, head, filter)
        told.set(head.hash, logs)
        for (const log of logs) this.#sendIfWanted(id, log)
      }
      for (const hash of [...told.keys()].slice(0, -blocksRemembered)) told.delete(hash)
    }

    return (change) => {
      work = work.then(() => tell(change)).catch(() => this.#fail(id))
    }
  }

  async #logsOf(chain: number, { hash }: Head, filter: { readonly [key: string]: Json }): Promise<readonly Json[]> {
    const outcome = await this.#options.read(chain, { method: 'eth_getLogs', params: [{ ...filter, blockHash: hash }] })
    if ('error' in outcome || !Array.isArray(outcome.result)) throw new NightjarError('upstream-failed')
    return outcome.result as readonly Json[]
  }

  #sendIfWanted(id: string, result: Json): void {
    if (this.#ends.has(id)) this.#options.send(id, result)
  }

  /** A block's logs cannot be had. To go on would leave a hole that nobody sees: the page finds its subscription ended. */
  #fail(id: string): void {
    this.unsubscribe(id)
  }
}

function filterOf(filter: Json | undefined): { readonly [key: string]: Json } {
  const { address, topics, ...rest } = asObject(filter ?? {})
  if (Object.keys(rest).some((key) => key !== 'fromBlock' && key !== 'toBlock')) {
    throw new NightjarError('bad-request', { detail: 'filter' })
  }
  return { ...(address === undefined ? {} : { address }), ...(topics === undefined ? {} : { topics }) }
}

function asObject(value: Json): { readonly [key: string]: Json } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new NightjarError('bad-request', { detail: 'filter' })
  }
  return value as { readonly [key: string]: Json }
}
