/**
 * Relays that could not be reached. They are not dialled again for a moment, so that clients that ask for one that is down
 * cost one dial a second. No longer: one that comes back would be missed by everybody who asks here.
 */
import type { ErrorCode } from '@nightjar/shared/errors'
import type { Clock } from '@nightjar/shared/runtime'
import { limits } from '../limits/limits.ts'

interface Failure {
  readonly code: ErrorCode
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
    const now = this.#clock.elapsed()
    for (const [each, { until }] of this.#failures) if (until <= now) this.#failures.delete(each)
    this.#failures.set(relay, { code, until: now + limits.dialPause })
  }
}
