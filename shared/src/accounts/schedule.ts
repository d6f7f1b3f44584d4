/**
 * When the watch of an account begins and ends: each at a time of its own, so that accounts of one wallet neither appear
 * nor vanish together.
 */
import { day, type Timer } from '../runtime.ts'
import type { AccountWatch } from './accountWatch.ts'
import type { AccountsContext } from './context.ts'

/**
 * How long it stays after the last call. Not minutes: a watch that came and went with the wallet's window would show, to
 * whoever sees all gateways, which accounts come and go together (docs/privacy/linking.md).
 */
const shortestStay = 3 * day
const longestStay = 7 * day

export interface ScheduleOptions {
  readonly context: AccountsContext
  /** Who asked for the account first. */
  readonly site: string
  /** Makes the watch. */
  begin(): Promise<AccountWatch>
  onEnd(): void
}

export class Schedule {
  /** In the clock's elapsed milliseconds. */
  readonly beginsAt: number
  readonly #options: ScheduleOptions
  /** How long it stays after the last call. */
  readonly #stay: number
  #lastAsked: number
  #timer: Timer
  #watch: AccountWatch | undefined
  #isStopped = false

  constructor(options: ScheduleOptions) {
    const { clock, random, settings } = options.context
    this.#options = options
    this.#stay = shortestStay + random() * (longestStay - shortestStay)
    this.#lastAsked = clock.elapsed()
    const pause = random() * settings().coldSpread
    this.beginsAt = clock.elapsed() + pause
    this.#timer = clock.after(pause, () => void this.#begin())
  }

  get site(): string {
    return this.#options.site
  }

  get watch(): AccountWatch | undefined {
    return this.#watch
  }

  /** The wallet asked for the account. */
  touch(): void {
    this.#lastAsked = this.#options.context.clock.elapsed()
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
      const left = this.#lastAsked + this.#stay - context.clock.elapsed()
      if (left > 0) return this.#endLater(left)
      this.stop()
      onEnd()
    })
  }
}
