/**
 * Relays that could not be reached. They are not dialled again for a while, so that clients that ask for one that is down
 * cost no dials: a second at first, so that one that comes back is there, and twice as long each time it fails again.
 */
import type { ErrorCode } from '@nightjar/shared/errors'
import type { Clock } from '@nightjar/shared/runtime'
import { limits } from '../limits/limits.ts'

interface Failure {
  readonly code: ErrorCode
  readonly pause: number
  /** As `Clock.elapsed` counts. */
  readonly until: number
}

export class FailedDials {
  readonly #clock: Clock
  /** By the identity of the relay. */
  readonly #failures = new Map<string, Failure>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Relays that are remembered. */
  get size(): number {
    return this.#failures.size
  }

  /** How the last dial failed, where `relay` is not to be dialled yet. */
  codeOf(relay: string): ErrorCode | undefined {
    const failure = this.#failures.get(relay)
    return failure !== undefined && this.#clock.elapsed() < failure.until ? failure.code : undefined
  }

  add(relay: string, code: ErrorCode): void {
    // Of several that were under way at once one counts.
    if (this.codeOf(relay) !== undefined) return
    this.#forgetOld()
    const before = this.#failures.get(relay)
    const pause = before === undefined ? limits.dialPause : Math.min(2 * before.pause, limits.longestDialPause)
    this.#failures.set(relay, { code, pause, until: this.#clock.elapsed() + pause })
  }

  /** It could be reached. */
  delete(relay: string): void {
    this.#failures.delete(relay)
  }

  /** What nobody has asked for since says nothing about now. */
  #forgetOld(): void {
    const before = this.#clock.elapsed() - limits.longestDialPause
    for (const [relay, { until }] of this.#failures) if (until <= before) this.#failures.delete(relay)
  }
}
