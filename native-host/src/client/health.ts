/** Which relays failed lately, and until when each is passed over. */
import type { Relay } from '@nightjar/shared/directory'
import { type Clock, minute, second } from '@nightjar/shared/runtime'

const firstPause = 1 * second
const longestPause = 1 * minute

export class RelayHealth {
  readonly #clock: Clock
  readonly #failures = new Map<string, { count: number; avoidUntil: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Passes `relay` over for a while that doubles with each failure in a row. */
  failed(relay: Relay): void {
    const id = relay.id
    const count = (this.#failures.get(id)?.count ?? 0) + 1
    const pause = Math.min(firstPause * 2 ** (count - 1), longestPause)
    this.#failures.set(id, { count, avoidUntil: this.#clock.now() + pause })
  }

  worked(relay: Relay): void {
    this.#failures.delete(relay.id)
  }

  /** Failures in a row. */
  failuresOf(relay: Relay): number {
    return this.#failures.get(relay.id)?.count ?? 0
  }

  isAvoided(relay: Relay): boolean {
    return (this.#failures.get(relay.id)?.avoidUntil ?? 0) > this.#clock.now()
  }

  /** `relays` in their order, those that are passed over last, the one with the fewest failures first among these. */
  sort(relays: readonly Relay[]): Relay[] {
    const good = relays.filter((relay) => !this.isAvoided(relay))
    const avoided = relays.filter((relay) => this.isAvoided(relay))
    return [...good, ...avoided.sort((a, b) => this.failuresOf(a) - this.failuresOf(b))]
  }
}
