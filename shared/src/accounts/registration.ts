/**
 * Keeps something followed: where it ends, it is asked for again, after a random pause of its own, so that what was lost
 * together does not come back together. Each failure doubles the pause, while it is short. What names nobody need not keep
 * apart from others: it may be hurried.
 */
import { asNightjarError, type ErrorCode } from '../errors/index.ts'
import type { Following, FollowOrder } from '../requests/index.ts'
import type { Outcome } from '../rpc/index.ts'
import { minute, type Timer } from '../runtime.ts'
import type { AccountsContext } from './context.ts'

/** Pauses are not doubled beyond this, where nothing else is said. */
const usualLongPause = 8 * minute

export interface RegistrationOptions {
  readonly context: AccountsContext
  readonly order: FollowOrder
  /** The longest pause after the first loss, in milliseconds. */
  readonly longestPause: number
  /** It is not doubled beyond this. */
  readonly longPause?: number
  /** @returns whether this is what was asked for: then the next loss is the first again */
  onOutcome(outcome: Outcome, gateway: string): boolean
  onRegistered?(): void
  /** The first of what was asked for has come since it was lost. */
  onBack?(): void
  /** No gateway took it: see `failedWith`. It is asked for again. */
  onFailed?(): void
  /** The gateway has told all there is. */
  onDone?(): void
}

export class Registration {
  readonly #options: RegistrationOptions
  #failures = 0
  #failedWith: ErrorCode | undefined
  #following: Following | undefined
  #retry: Timer | undefined
  #dueAt = 0
  /** What comes of an attempt that is no longer this one is not heard. */
  #attempt: object | undefined
  /** The last outcome was not what was asked for: a gateway that refuses says why, and is done. */
  #isRefused = false

  constructor(options: RegistrationOptions) {
    this.#options = options
  }

  /** Whether the last attempts failed, and nothing that was asked for has come since. */
  get isFailing(): boolean {
    return this.#failures > 1
  }

  /** Why the last attempt failed; undefined where it did not. */
  get failedWith(): ErrorCode | undefined {
    return this.#failedWith
  }

  /** Whether a gateway has taken it. */
  get isStanding(): boolean {
    return this.#following !== undefined
  }

  /** When it was last asked for again or will be, in the clock's elapsed milliseconds; 0 where it was not lost. */
  get dueAt(): number {
    return this.#dueAt
  }

  start(): void {
    void this.#register()
  }

  stop(): void {
    this.#attempt = undefined
    this.#retry?.cancel()
    this.#retry = undefined
    this.#following?.stop()
    this.#following = undefined
  }

  /** Something else is back: if this still pauses after several failures it is asked for at once, as if it had not failed. */
  hurry(): void {
    if (this.#retry === undefined || !this.isFailing) return
    this.#retry.cancel()
    this.#failures = 0
    this.start()
  }

  /** Leaves the gateway, which is silent or lies, and asks again like after a loss. */
  again(): void {
    this.stop()
    const { context, longestPause, longPause = usualLongPause } = this.#options
    const longest = Math.min(longestPause * 2 ** this.#failures, Math.max(longestPause, longPause))
    const pause = context.random() * longest
    this.#failures += 1
    this.#dueAt = context.clock.elapsed() + pause
    this.#retry = context.clock.after(pause, () => void this.#register())
  }

  async #register(): Promise<void> {
    const { context, order } = this.#options
    const attempt = {}
    this.#attempt = attempt
    this.#retry = undefined
    this.#isRefused = false
    const isCurrent = () => this.#attempt === attempt
    try {
      const following = await context.follow(order, {
        onOutcome: (outcome, gateway) => {
          if (!isCurrent()) return
          this.#isRefused = !this.#options.onOutcome(outcome, gateway)
          if (this.#isRefused || this.#failures === 0) return
          this.#failures = 0
          this.#options.onBack?.()
        },
        onEnd: (code) => {
          if (!isCurrent()) return
          // Of what goes on for ever no gateway can have told all.
          const isAll = code === 'done' && !this.#isRefused && this.#options.onDone !== undefined
          if (isAll) this.#finish()
          else this.again()
        },
      })
      if (!isCurrent()) return following.stop()
      this.#following = following
      this.#failedWith = undefined
      this.#options.onRegistered?.()
    } catch (error) {
      // Why the path is gone, every request says; this goes on once it is there again.
      if (!isCurrent()) return
      this.#failedWith = asNightjarError(error).code
      this.again()
      this.#options.onFailed?.()
    }
  }

  #finish(): void {
    this.stop()
    this.#options.onDone?.()
  }
}
