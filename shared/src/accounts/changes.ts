/** Waiting for what others bring about. */
import type { Clock } from '../runtime.ts'

export class Changes {
  readonly #clock: Clock
  readonly #waiting = new Set<() => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Something may have become true that somebody waits for. */
  notify(): void {
    for (const look of [...this.#waiting]) look()
  }

  /** Resolves once `test` holds, or after `patience` milliseconds; says whether it held. */
  until(test: () => boolean, patience: number): Promise<boolean> {
    if (test()) return Promise.resolve(true)
    return new Promise((resolve) => {
      const finish = (held: boolean) => {
        this.#waiting.delete(look)
        timer.cancel()
        resolve(held)
      }
      const look = () => {
        if (test()) finish(true)
      }
      const timer = this.#clock.after(patience, () => finish(false))
      this.#waiting.add(look)
    })
  }
}
