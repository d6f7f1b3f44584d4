/**
 * Places at a provider, one for each connection that it is asked over. Who finds none waits, and not for longer than the
 * patience, nor once it wants none any more: what it wanted to ask is never sent then. The next place is for whoever has
 * fewest, and of those for who waited longest: one who asks much, or what takes long, waits for himself.
 */
import type { Clock, Timer } from '@nightjar/shared/runtime'
import type { Asker } from './provider.ts'

export interface PlacesOptions {
  readonly places: number
  /** Milliseconds. */
  readonly patience: number
  readonly clock: Clock
}

interface Waiting {
  readonly asker: Asker
  readonly due: number
  onPlace(): void
  onTooLate(): void
}

/** No connection was free in time. */
export class Crowded extends Error {}

export class Places {
  readonly #options: PlacesOptions
  /** Who waited longest comes first, and is due first. */
  readonly #line = new Set<Waiting>()
  /** Of those who have any. */
  readonly #held = new Map<Asker, number>()
  #free: number
  #next: Timer | undefined

  constructor(options: PlacesOptions) {
    this.#options = options
    this.#free = options.places
  }

  /** Takes a place where one is free; else false. */
  takeFree(asker: Asker): boolean {
    if (this.#free === 0) return false
    this.#free -= 1
    this.#count(asker, 1)
    return true
  }

  /** Resolves with a place taken. @throws Crowded, or what `signal` was aborted with */
  wait(asker: Asker, signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason)
    const due = this.#options.clock.elapsed() + this.#options.patience
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        this.#drop(waiting)
        reject(signal?.reason)
      }
      const over = () => signal?.removeEventListener('abort', giveUp)
      const waiting: Waiting = {
        asker,
        due,
        onPlace() {
          over()
          resolve()
        },
        onTooLate() {
          over()
          reject(new Crowded('no connection was free in time'))
        },
      }
      this.#line.add(waiting)
      signal?.addEventListener('abort', giveUp, { once: true })
      this.#next ??= this.#options.clock.after(this.#options.patience, () => this.#turnAway())
    })
  }

  /** The place that `asker` had. */
  leave(asker: Asker): void {
    this.#count(asker, -1)
    const next = this.#whoseTurn()
    if (next === undefined) {
      this.#free += 1
      return
    }
    this.#count(next.asker, 1)
    this.#drop(next)
    next.onPlace()
  }

  /** Nobody waits any more. */
  close(): void {
    for (const { onTooLate } of this.#line) onTooLate()
    this.#line.clear()
    this.#stop()
  }

  #whoseTurn(): Waiting | undefined {
    let first: Waiting | undefined
    let fewest = Number.POSITIVE_INFINITY
    for (const waiting of this.#line) {
      const held = this.#held.get(waiting.asker) ?? 0
      if (held >= fewest) continue
      first = waiting
      fewest = held
      if (held === 0) break
    }
    return first
  }

  #count(asker: Asker, change: 1 | -1): void {
    const held = (this.#held.get(asker) ?? 0) + change
    if (held > 0) this.#held.set(asker, held)
    else this.#held.delete(asker)
  }

  #drop(waiting: Waiting): void {
    this.#line.delete(waiting)
    if (this.#line.size === 0) this.#stop()
  }

  #turnAway(): void {
    const now = this.#options.clock.elapsed()
    for (const waiting of this.#line) {
      if (waiting.due > now) {
        this.#next = this.#options.clock.after(waiting.due - now, () => this.#turnAway())
        return
      }
      this.#line.delete(waiting)
      waiting.onTooLate()
    }
    this.#next = undefined
  }

  #stop(): void {
    this.#next?.cancel()
    this.#next = undefined
  }
}
