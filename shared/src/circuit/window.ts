/** Credit flow control, counted in cells: what may be sent before the other side says it has consumed some. */
import { NightjarError, violation } from '../errors/index.ts'
import { limits } from '../limits.ts'

export class SendWindow {
  readonly #size: number
  #available: number

  constructor(windowSize: number) {
    this.#size = windowSize
    this.#available = windowSize
  }

  get open(): boolean {
    return this.#available > 0
  }

  take(): void {
    this.#available -= 1
  }

  /** @throws NightjarError `protocol-violation` where more comes back than was ever sent. */
  grant(cells: number): void {
    if (cells === 0 || this.#available + cells > this.#size) {
      throw violation('credit beyond the window')
    }
    this.#available += cells
  }
}

export class ReceiveWindow {
  readonly #size: number
  #unconsumed = 0
  /** Consumed, but not yet told to the sender. */
  #owed = 0

  constructor(windowSize: number) {
    this.#size = windowSize
  }

  /** @throws NightjarError `overflow` where the sender ignores the window. */
  receive(): void {
    this.#unconsumed += 1
    if (this.#unconsumed + this.#owed > this.#size) throw new NightjarError('overflow')
  }

  /** Marks one cell as consumed; returns the credit to send now, mostly 0. */
  consume(): number {
    this.#unconsumed -= 1
    this.#owed += 1
    if (this.#owed < limits.creditStep) return 0
    const credit = this.#owed
    this.#owed = 0
    return credit
  }
}
