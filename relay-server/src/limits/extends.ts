/**
 * How often circuits are extended to another relay. It answers so many handshakes of one link and sets puzzles for what
 * is beyond, which no client could solve: so a process asks for a little less, and divides that by use. A part of what
 * there is at once is kept from each source as far as it had all of late. So one alone has the whole rate, several that
 * ask without end have equal parts of it, and for whoever asks for little there is some left.
 *
 * Counted is what was admitted, in the window of time that runs and the one before: no more sources are remembered than
 * the rate lets through, and no relay that nobody was extended to in either.
 */
import type { Clock } from '@nightjar/shared/runtime'
import { type Rate, TokenBucket } from '@nightjar/shared-node/link'
import { limits } from './limits.ts'
import { type Source, SourceCounts } from './sources.ts'

const rate: Rate = { perSecond: limits.extendsPerRelay, atOnce: limits.extendsPerRelayAtOnce }
const kept = limits.keptOfExtends * limits.extendsPerRelayAtOnce

interface Target {
  readonly bucket: TokenBucket
  now: SourceCounts
  before: SourceCounts
}

export class Extends {
  readonly #clock: Clock
  /** By the identity of the relay. */
  readonly #targets = new Map<string, Target>()
  #window = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Relays that are remembered. */
  get size(): number {
    return this.#targets.size
  }

  /** Whether a circuit of `source` may be extended to `relay` now. */
  admit(relay: string, source: Source): boolean {
    this.#turnWindow()
    const target = this.#targets.get(relay) ?? this.#newTarget()
    if (!target.bucket.has(1 + kept * this.#partOf(target, source))) return false
    target.bucket.owe(1)
    target.now.add(source)
    this.#targets.set(relay, target)
    return true
  }

  /** What `source` had of all of late, 0 to 1. What is of the window before weighs less the longer that is over. */
  #partOf({ now, before }: Target, source: Source): number {
    const weight = 1 - (this.#clock.elapsed() / limits.extendWindow - this.#window)
    const all = now.total + weight * before.total
    return all === 0 ? 0 : (now.of(source) + weight * before.of(source)) / all
  }

  #turnWindow(): void {
    const window = Math.floor(this.#clock.elapsed() / limits.extendWindow)
    if (window === this.#window) return
    const isNext = window === this.#window + 1
    this.#window = window
    for (const [relay, target] of this.#targets) {
      // Its bucket is full by then.
      if (!isNext || target.now.total === 0) this.#targets.delete(relay)
      target.before = target.now
      target.now = new SourceCounts()
    }
  }

  #newTarget(): Target {
    return { bucket: new TokenBucket(this.#clock, rate), now: new SourceCounts(), before: new SourceCounts() }
  }
}
