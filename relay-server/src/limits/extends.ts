/** How often the circuits of one link may be extended to the same relay. */
import type { Clock } from '@nightjar/shared/runtime'
import { type Rate, TokenBucket } from '@nightjar/shared-node/link'
import { limits } from './limits.ts'

const rate: Rate = { perSecond: limits.extendsPerLink, atOnce: limits.extendsPerLinkAtOnce }

export class LinkExtends {
  readonly #clock: Clock
  /** By the identity of the relay: no more entries than the network document has relays. */
  readonly #buckets = new Map<string, TokenBucket>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  admit(relay: string): boolean {
    const bucket = this.#buckets.get(relay) ?? new TokenBucket(this.#clock, rate)
    this.#buckets.set(relay, bucket)
    return bucket.take(1)
  }
}
