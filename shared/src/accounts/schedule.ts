/**
 * When the watch of an account begins and ends: each at a time of its own, so that accounts of one wallet neither appear
 * nor vanish together.
 */
import { minute, type Timer } from '../runtime.ts'
import type { AccountWatch } from './accountWatch.ts'
import type { AccountsContext } from './context.ts'

const shortestStay = 5 * minute
const longestStay = 15 * minute

export interface ScheduleOptions {
  readonly context: AccountsContext
  /** Makes the watch. */
  begin(): Promise<AccountWatch>
  onEnd(): void
}

export class Schedule {
  readonly #options: ScheduleOptions
  /** How long it stays after the last call. */
  readonly #stay: number
  #lastAsked: number
  #beginsAt: number
  #timer: Timer
  #watch: AccountWatch | undefined
  #isStopped = false

  /** @param pause milliseconds until it begins */
  constructor(options: ScheduleOptions, pause: number) {
    const { clock, random } = options.context
    this.#options = options
    this.#stay = shortestStay + random() * (longestStay - shortestStay)
    this.#lastAsked = clock.now()
    this.#beginsAt = clock.now() + pause
    this.#timer = clock.after(pause, () => void this.#begin())
  }

  get watch(): AccountWatch | undefined {
    return this.#watch
  }

  /** Milliseconds since the Unix epoch. */
  get beginsAt(): number {
    return this.#beginsAt
  }

  /** The wallet asked for the account. */
  touch(): void {
    this.#lastAsked = this.#options.context.clock.now()
  }

  /** Begins now, if it has not begun. */
  hurry(): void {
    if (this.#beginsAt <= this.#options.context.clock.now()) return
    this.#timer.cancel()
    const { clock } = this.#options.context
    this.#beginsAt = clock.now()
    this.#timer = clock.after(0, () => void this.#begin())
  }

  stop(): void {
    this.#isStopped = true
    this.#timer.cancel()
    this.#watch?.stop()
  }

  async #begin(): Promise<void> {
    const watch = await this.#options.begin()
    if (this.#isStopped) return
    this.#watch = watch
    watch.start()
    this.#endLater(this.#stay)
  }

  #endLater(delay: number): void {
    const { context, onEnd } = this.#options
    this.#timer = context.clock.after(delay, () => {
      const left = this.#lastAsked + this.#stay - context.clock.now()
      if (left > 0) return this.#endLater(left)
      this.stop()
      onEnd()
    })
  }
}
