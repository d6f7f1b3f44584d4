/** A clock that stands still until a test moves it. */
import type { Clock, Timer } from '../runtime.ts'
import { turn } from './turn.ts'

interface Pending {
  readonly due: number
  readonly action: () => void
}

export class FakeClock implements Clock {
  /** What `now` is ahead of `elapsed`. */
  #offset: number
  #elapsed = 0
  readonly #pending = new Set<Pending>()

  constructor(now = Date.UTC(2026, 0, 1)) {
    this.#offset = now
  }

  now(): number {
    return this.#offset + this.#elapsed
  }

  elapsed(): number {
    return this.#elapsed
  }

  /** Somebody sets the machine's clock, by so many milliseconds. No time goes on. */
  set(change: number): void {
    this.#offset += change
  }

  after(delay: number, action: () => void): Timer {
    const timer = { due: this.#elapsed + Math.max(delay, 0), action }
    this.#pending.add(timer)
    return { cancel: () => void this.#pending.delete(timer) }
  }

  /** Timers that were set and have neither fired nor been cancelled. */
  get pending(): number {
    return this.#pending.size
  }

  /** Moves time on by `duration` milliseconds. What falls due fires in order, timers that it sets included. */
  advance(duration: number): void {
    const end = this.#elapsed + duration
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) this.#fire(next)
    this.#elapsed = end
  }

  /** Like `advance`, but whatever waits for a timer runs before the next timer fires. */
  async elapse(duration: number): Promise<void> {
    const end = this.#elapsed + duration
    await turn()
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#fire(next)
      await turn()
    }
    this.#elapsed = end
  }

  #fire(timer: Pending): void {
    this.#pending.delete(timer)
    this.#elapsed = timer.due
    timer.action()
  }

  /** The earliest timer due by `end`; of several the one that was set first. */
  #next(end: number): Pending | undefined {
    let first: Pending | undefined
    for (const timer of this.#pending) {
      if (timer.due <= end && (first === undefined || timer.due < first.due)) first = timer
    }
    return first
  }
}
