/** Who has called the endpoint since the daemon's start, for the evidence that a wallet really uses it. */
import type { Caller } from '@nightjar/shared/bridge'
import type { Clock } from '@nightjar/shared/runtime'
import { LRUCache } from 'lru-cache'

/** Bounds what a caller could fill with ever new chain ids. */
const remembered = 64

export class Callers {
  readonly #clock: Clock
  readonly #callers = new LRUCache<string, Caller>({ max: remembered })

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `origin`: of the calling extension, or `local`. */
  note(origin: string, chain: number): void {
    const key = `${chain} ${origin}`
    const requests = (this.#callers.get(key)?.requests ?? 0) + 1
    this.#callers.set(key, { origin, chain, requests, last: this.#clock.now() })
  }

  /** The latest first. */
  get all(): Caller[] {
    return [...this.#callers.values()]
  }
}
