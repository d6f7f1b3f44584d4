/**
 * Relays that are not to be dialled for a while. One that could not be reached is left alone for a moment, so that clients that
 * ask for it cost one dial a second. No longer: one that comes back would be missed by everybody who asks here. One that
 * takes links and drops them costs a TLS handshake each, so its pause grows until one stands.
 */
import type { ErrorCode } from '@nightjar/shared/errors'
import type { Clock } from '@nightjar/shared/runtime'
import { limits } from '../limits/limits.ts'

interface Pause {
  readonly code: ErrorCode
  /** As `Clock.elapsed` counts. */
  readonly until: number
  /** Short links in a row. */
  readonly shortLinks: number
}

export class DialPauses {
  readonly #clock: Clock
  /** By the identity of the relay. */
  readonly #pauses = new Map<string, Pause>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Relays that are remembered. */
  get size(): number {
    return this.#pauses.size
  }

  /** Why `relay` is not to be dialled yet. */
  codeOf(relay: string): ErrorCode | undefined {
    const pause = this.#pauses.get(relay)
    return pause !== undefined && this.#clock.elapsed() < pause.until ? pause.code : undefined
  }

  /** It could not be reached. */
  addFailure(relay: string, code: ErrorCode): void {
    this.#forgetOld()
    this.#add(relay, { code, pause: limits.dialPause, shortLinks: this.#shortLinksOf(relay) })
  }

  /**
   * A link to it was of no use before it was `linkSteadyAfter` old. The first in a row may be chance: that costs no pause. Those
   * that come within one count no further.
   */
  addShortLink(relay: string, code: ErrorCode): void {
    this.#forgetOld()
    if (this.codeOf(relay) !== undefined) return
    const before = this.#shortLinksOf(relay)
    const pause = before === 0 ? 0 : Math.min(limits.dialPause * 2 ** (before - 1), limits.longestDialPause)
    this.#add(relay, { code, pause, shortLinks: before + 1 })
  }

  #shortLinksOf(relay: string): number {
    return this.#pauses.get(relay)?.shortLinks ?? 0
  }

  #add(relay: string, { code, pause, shortLinks }: { code: ErrorCode; pause: number; shortLinks: number }): void {
    const until = this.#clock.elapsed() + pause
    // A dial under way that fails does not end a longer pause.
    if ((this.#pauses.get(relay)?.until ?? 0) <= until) this.#pauses.set(relay, { code, until, shortLinks })
  }

  /** A link that was dialled when its pause was over stands by then. */
  #forgetOld(): void {
    const now = this.#clock.elapsed()
    for (const [relay, { until }] of this.#pauses) {
      if (until + limits.linkSteadyAfter <= now) this.#pauses.delete(relay)
    }
  }
}
