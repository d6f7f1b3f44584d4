/**
 * The pace of a circuit's answers that take no credit. Their client may be gone, so nobody says that there is room: time
 * does. It bounds what those who leave branches behind make a gateway send to nobody, and keeps what comes at once within
 * what relays queue beside the windows: three records of the class that wallets watch with.
 */
import type { Clock, Timer } from '@nightjar/shared/runtime'
import { type Rate, TokenBucket } from '@nightjar/shared-node/link'

/** In cells. Eight streams that tell a record of 8 cells each in a slot of a second, the shortest, need no more. */
const rate: Rate = { perSecond: 64, atOnce: 16 }

interface Waiting {
  readonly cells: number
  readonly send: () => void
}

export class Pace {
  readonly #clock: Clock
  readonly #bucket: TokenBucket
  readonly #waiting: Waiting[] = []
  /** Whose cells are leaving: what is paid for must not gather where the link is behind. */
  #leaving: (() => void) | undefined
  #timer: Timer | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.#bucket = new TokenBucket(clock, rate)
  }

  /** Calls `send`, which sends `cells`, when all that was asked for before has left and is paid for. */
  enter(cells: number, send: () => void): void {
    this.#waiting.push({ cells, send })
    this.#goOn()
  }

  /** What `send` sent has left, or it is not to be called any more. */
  leave(send: () => void): void {
    if (this.#leaving === send) this.#leaving = undefined
    const index = this.#waiting.findIndex((each) => each.send === send)
    if (index !== -1) this.#waiting.splice(index, 1)
    this.#goOn()
  }

  #goOn(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    const [next] = this.#waiting
    if (next === undefined || this.#leaving !== undefined) return
    const { debt } = this.#bucket
    if (debt > 0) {
      this.#timer = this.#clock.after(debt, () => this.#goOn())
      return
    }
    this.#waiting.shift()
    this.#leaving = next.send
    this.#bucket.owe(next.cells)
    next.send()
  }
}
