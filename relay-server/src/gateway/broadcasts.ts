/**
 * Sends each raw transaction to a chain once: the same one again within ten minutes gets the first outcome. After an
 * attempt whose fate is unknown the chain is asked for the transaction before it is sent again.
 */

import { NightjarError } from '@nightjar/shared/errors'
import { type Call, type Outcome, transactionHash } from '@nightjar/shared/rpc'
import { minute } from '@nightjar/shared/runtime'
import { LRUCache } from 'lru-cache'
import type { Asker } from './provider.ts'

/** What a broadcast needs of the chain's upstreams. */
export interface Chain {
  /** `asker`: the gateway, unless it is said. */
  read(call: Call, signal: AbortSignal, asker?: Asker): Promise<Outcome>
  once(call: Call): Promise<Outcome>
}

const memory = { max: 20_000, ttl: 10 * minute }
/** How nodes say that they have the transaction already (geth, nethermind, erigon, besu, reth, anvil). */
const alreadyKnown = /already (known|imported|exists|in mempool)|\bknown transaction|AlreadyKnown/i

/** What was sent to a chain, whoever its providers are: outlives a change of them. */
export class BroadcastMemory {
  /** By hash: the outcome, or the attempt that is under way. */
  readonly sent = new LRUCache<string, Promise<Outcome>>(memory)
  readonly uncertain = new LRUCache<string, true>(memory)
}

export class Broadcasts {
  readonly #chain: Chain
  readonly #sent: BroadcastMemory['sent']
  readonly #uncertain: BroadcastMemory['uncertain']

  constructor(chain: Chain, { sent, uncertain } = new BroadcastMemory()) {
    this.#chain = chain
    this.#sent = sent
    this.#uncertain = uncertain
  }

  /** @throws NightjarError `bad-request`, or `upstream-failed`: whether it was accepted is then unknown */
  send(call: Call): Promise<Outcome> {
    const raw = Array.isArray(call.params) ? (call.params[0] as unknown) : undefined
    if (typeof raw !== 'string') return Promise.reject(new NightjarError('bad-request', { detail: 'raw transaction' }))
    let hash: string
    try {
      hash = transactionHash(raw)
    } catch (error) {
      return Promise.reject(error)
    }
    const known = this.#sent.get(hash)
    if (known !== undefined) return known
    const attempt = this.#attempt(hash, call)
    this.#sent.set(hash, attempt)
    return attempt
  }

  async #attempt(hash: string, call: Call): Promise<Outcome> {
    try {
      if (this.#uncertain.has(hash) && (await this.#isOnChain(hash))) return { result: hash }
      const outcome = await this.#chain.once(call)
      this.#uncertain.delete(hash)
      if (!('error' in outcome)) return outcome
      if (alreadyKnown.test(outcome.error.message)) return { result: hash }
      // Refused for a reason that may pass (funds, nonce): the next attempt is a new one.
      this.#sent.delete(hash)
      return outcome
    } catch (error) {
      this.#uncertain.set(hash, true)
      this.#sent.delete(hash)
      throw error
    }
  }

  async #isOnChain(hash: string): Promise<boolean> {
    const found = await this.#chain.read(
      { method: 'eth_getTransactionByHash', params: [hash] },
      new AbortController().signal,
    )
    // An error says neither that it is there nor that it is not.
    if ('error' in found) throw new NightjarError('upstream-failed')
    return found.result !== null
  }
}
