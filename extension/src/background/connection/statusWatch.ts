/** What the daemon said last of how it is doing, and waiting for it to say something else. */
import type { Status } from '@nightjar/shared/bridge'
import type { Clock } from '@nightjar/shared/runtime'

export class StatusWatch {
  readonly #clock: Clock
  readonly #listeners = new Set<() => void>()
  #current: Status | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Undefined while the daemon is not connected. */
  get current(): Status | undefined {
    return this.#current
  }

  set(status: Status | undefined): void {
    this.#current = status
    for (const listener of [...this.#listeners]) listener()
  }

  /** Until the status is as wanted. @throws what `onTimeout` gives after `timeout` milliseconds, or on `signal` */
  until(
    isWanted: (status: Status) => boolean,
    { timeout, onTimeout, signal }: { timeout: number; onTimeout: () => Error; signal: AbortSignal },
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (this.#current === undefined || !isWanted(this.#current)) return
        finish()
        resolve()
      }
      const giveUp = () => {
        finish()
        reject(onTimeout())
      }
      const timer = this.#clock.after(timeout, giveUp)
      const finish = () => {
        timer.cancel()
        this.#listeners.delete(look)
        signal.removeEventListener('abort', giveUp)
      }
      signal.addEventListener('abort', giveUp)
      this.#listeners.add(look)
      look()
    })
  }
}
