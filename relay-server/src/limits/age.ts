/** How long a circuit stands: until nobody has used it for three hours, looked at as often, and a day at most. */
import type { ErrorCode } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import type { Clock, Timer } from '@nightjar/shared/runtime'
import type { Refusal } from './refusal.ts'

export class Age {
  readonly #clock: Clock
  readonly #onOver: (refusal: Refusal, code: ErrorCode) => void
  #looksLeft = limits.circuitLife / limits.circuitIdle
  #timer: Timer
  /** To be set with every cell that comes. */
  isUsed = false

  /** Begins now. `onOver` is called once at most, with what to tell the operator and what to tell the client. */
  constructor(clock: Clock, onOver: (refusal: Refusal, code: ErrorCode) => void) {
    this.#clock = clock
    this.#onOver = onOver
    this.#timer = this.#lookLater()
  }

  stop(): void {
    this.#timer.cancel()
  }

  #lookLater(): Timer {
    return this.#clock.after(limits.circuitIdle, () => {
      this.#looksLeft -= 1
      if (this.#looksLeft === 0) return this.#onOver('circuit-life', 'branch-retired')
      if (!this.isUsed) return this.#onOver('circuit-idle', 'idle')
      this.isUsed = false
      this.#timer = this.#lookLater()
    })
  }
}
