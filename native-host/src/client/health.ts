/** Which relays failed lately or drain, and until when each is passed over. */
import type { Relay } from '@nightjar/shared/directory'
import { type Clock, minute, second } from '@nightjar/shared/runtime'

const firstPause = 1 * second
const longestPause = 1 * minute

export class RelayHealth {
  readonly #clock: Clock
  readonly #failures = new Map<string, { count: number; avoidUntil: number }>()
  readonly #draining = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Passes `relay` over for a while that doubles with each failure in a row. */
  failed(relay: Relay): void {
    const id = relay.id
    const count = (this.#failures.get(id)?.count ?? 0) + 1
    const pause = Math.min(firstPause * 2 ** (count - 1), longestPause)
    this.#failures.set(id, { count, avoidUntil: this.#clock.elapsed() + pause })
  }

  /**
   * It is going to stop: passed over for so many seconds, however well it works. No longer than after a failure: whoever
   * carries the news could else keep clients away from relays that work, and steer them to others.
   */
  drains(relay: Relay, seconds: number): void {
    const until = this.#clock.elapsed() + Math.min(seconds * second, longestPause)
    this.#draining.set(relay.id, Math.max(until, this.#draining.get(relay.id) ?? 0))
  }

  /** It took a new circuit, which it would not if it drained: it has been started again. */
  tookNew(relay: Relay): void {
    this.#draining.delete(relay.id)
  }

  worked(relay: Relay): void {
    this.#failures.delete(relay.id)
  }

  /** Failures in a row. */
  failuresOf(relay: Relay): number {
    return this.#failures.get(relay.id)?.count ?? 0
  }

  isAvoided(relay: Relay): boolean {
    return this.#isDraining(relay) || (this.#failures.get(relay.id)?.avoidUntil ?? 0) > this.#clock.elapsed()
  }

  /**
   * `relays` in their order, those that are passed over last: the one with the fewest failures first among these, and those
   * that drain at the very end, as they refuse for certain.
   */
  sort(relays: readonly Relay[]): Relay[] {
    const good = relays.filter((relay) => !this.isAvoided(relay))
    const avoided = relays.filter((relay) => this.isAvoided(relay))
    const order = (a: Relay, b: Relay) =>
      Number(this.#isDraining(a)) - Number(this.#isDraining(b)) || this.failuresOf(a) - this.failuresOf(b)
    return [...good, ...avoided.sort(order)]
  }

  #isDraining(relay: Relay): boolean {
    return (this.#draining.get(relay.id) ?? 0) > this.#clock.elapsed()
  }
}
