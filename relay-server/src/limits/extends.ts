/**
 * How often circuits are extended to another relay. It answers so many handshakes of one link and sets puzzles for what
 * is beyond, which no client could solve: so a process asks for a little less, and divides that by use. A part of what
 * there is at once is kept from each source as far as it had all of late. So one alone has the whole rate, several that
 * ask without end have equal parts of it, and for whoever asks for little there is some left. The same is done once more by
 * circuits, as one source may be an entry with all its clients; by the root of what each had, so that a hundred circuits of one
 * client are still told from those that had next to nothing.
 *
 * Counted is what was admitted, in the window of time that runs and the one before: no more sources and circuits are remembered
 * than the rate lets through, and no relay that nobody was extended to in either.
 */
import type { Clock } from '@nightjar/shared/runtime'
import { type Rate, TokenBucket } from '@nightjar/shared-node/link'
import { limits } from './limits.ts'
import { Counts, type Origin } from './sources.ts'

const rate: Rate = { perSecond: limits.extendsPerRelay, atOnce: limits.extendsPerRelayAtOnce }
const kept = limits.keptOfExtends * limits.extendsPerRelayAtOnce
const keptOfCircuits = limits.keptOfCircuits * limits.extendsPerRelayAtOnce

interface Window {
  readonly sources: Counts
  readonly circuits: Counts<object>
}

interface Target {
  readonly bucket: TokenBucket
  now: Window
  before: Window
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

  /** Whether a circuit may be extended to `relay` now. */
  admit(relay: string, { source, circuit }: Origin): boolean {
    this.#turnWindow()
    const target = this.#targets.get(relay) ?? this.#newTarget()
    const { now, before } = target
    const ofSource = this.#partOf(now.sources, before.sources, source)
    const ofCircuit = this.#partOf(now.circuits, before.circuits, circuit)
    if (!target.bucket.has(1 + kept * ofSource + keptOfCircuits * Math.sqrt(ofCircuit))) return false
    target.bucket.owe(1)
    now.sources.add(source)
    now.circuits.add(circuit)
    this.#targets.set(relay, target)
    return true
  }

  /** What `holder` had of all of late, 0 to 1. What is of the window before weighs less the longer that is over. */
  #partOf<Holder>(now: Counts<Holder>, before: Counts<Holder>, holder: Holder): number {
    const weight = 1 - (this.#clock.elapsed() / limits.extendWindow - this.#window)
    const all = now.total + weight * before.total
    return all === 0 ? 0 : (now.of(holder) + weight * before.of(holder)) / all
  }

  #turnWindow(): void {
    const window = Math.floor(this.#clock.elapsed() / limits.extendWindow)
    if (window === this.#window) return
    const isNext = window === this.#window + 1
    this.#window = window
    for (const [relay, target] of this.#targets) {
      // Its bucket is full by then.
      if (!isNext || target.now.sources.total === 0) this.#targets.delete(relay)
      target.before = target.now
      target.now = newWindow()
    }
  }

  #newTarget(): Target {
    return { bucket: new TokenBucket(this.#clock, rate), now: newWindow(), before: newWindow() }
  }
}

function newWindow(): Window {
  return { sources: new Counts(), circuits: new Counts() }
}
