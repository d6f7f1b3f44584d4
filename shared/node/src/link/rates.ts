/**
 * How much of a link is read, and what all links of a process share: a rate for what they carry, memory for what they have
 * unsent. A link is not read while it is ahead; the other side is then slowed down by TCP, and nothing is lost.
 */
import { cellSize } from '@nightjar/shared/cell'
import { limits } from '@nightjar/shared/limits'
import type { Clock, Timer } from '@nightjar/shared/runtime'
import type { WebSocket } from 'ws'
import { type Rate, TokenBucket } from './bucket.ts'

/** Read of one link in one turn of the event loop: bounds how long a flood keeps the cells of others waiting. */
const bytesPerTurn = 4 * limits.cellsPerMessage * cellSize

/** What a link is held to, and counted in. */
export interface LinkRates {
  /** Of this link alone. */
  readonly cells?: Rate | undefined
  /** In bytes, both ways, of all links that are given the same. */
  readonly bandwidth?: TokenBucket | undefined
  /** Of all links that are given the same. */
  readonly memory?: SendMemory | undefined
  /** Counts what all links that are given the same carry. */
  readonly traffic?: LinkTraffic | undefined
  /** Counts how often one of them was not read for a while. */
  readonly heldBack?: HeldBack | undefined
}

/** By what the link was ahead of: its own rate, or that of all together. */
export interface HeldBack {
  cells: number
  bandwidth: number
}

/** Bytes of messages that links took and gave. */
export interface LinkTraffic {
  received: number
  sent: number
}

/** What links have handed to their sockets. Where that is too much together, each says sooner that it takes no more. */
export class SendMemory {
  readonly #most: number
  /** In bytes. */
  unsent = 0

  /** `most` in bytes. */
  constructor(most: number) {
    this.#most = most
  }

  get isScarce(): boolean {
    return this.unsent > this.#most
  }
}

export interface PacedOptions {
  readonly clock: Clock
  readonly rates: LinkRates
  /** The socket is read again, after a while in which it was not: its silence was ours. */
  onResumed(): void
}

/** Reads one socket no faster than its rates allow, and no more of it in one turn than others can wait for. */
export class PacedReading {
  readonly #socket: WebSocket
  readonly #clock: Clock
  readonly #onResumed: () => void
  readonly #cells: TokenBucket | undefined
  readonly #bandwidth: TokenBucket | undefined
  readonly #heldBack: HeldBack | undefined
  /** Bytes read in this turn of the event loop. */
  #readNow = 0
  /** Not read until then, as more came than may. */
  #pause: Timer | undefined
  #isOver = false

  constructor(socket: WebSocket, { clock, rates, onResumed }: PacedOptions) {
    this.#socket = socket
    this.#clock = clock
    this.#onResumed = onResumed
    this.#cells = rates.cells && new TokenBucket(clock, rates.cells)
    this.#bandwidth = rates.bandwidth
    this.#heldBack = rates.heldBack
  }

  /** So many bytes of cells came. */
  took(bytes: number): void {
    this.#cells?.owe(bytes / cellSize)
    this.#bandwidth?.owe(bytes)
    this.#takeTurn(bytes)
    this.#keepToRates()
  }

  /** The link is over: what is left is read, or the other side's close would never be. */
  end(): void {
    this.#isOver = true
    if (this.#pause === undefined) return
    this.#pause.cancel()
    this.#socket.resume()
  }

  /** The system would hand out two megabytes of one socket before it looks at another: others have their turn sooner. */
  #takeTurn(bytes: number): void {
    if (this.#readNow === 0) {
      setImmediate(() => {
        const wasLong = this.#readNow >= bytesPerTurn
        this.#readNow = 0
        if (wasLong && this.#pause === undefined) this.#socket.resume()
      })
    }
    this.#readNow += bytes
    if (this.#readNow >= bytesPerTurn) this.#socket.pause()
  }

  #keepToRates(): void {
    if (this.#pause !== undefined || this.#isOver) return
    const [own, shared] = [this.#cells?.debt ?? 0, this.#bandwidth?.debt ?? 0]
    const debt = Math.max(own, shared)
    if (debt === 0) return
    if (this.#heldBack !== undefined) this.#heldBack[own > shared ? 'cells' : 'bandwidth'] += 1
    this.#socket.pause()
    this.#pause = this.#clock.after(Math.min(debt, limits.longestPause), () => {
      this.#pause = undefined
      this.#onResumed()
      this.#socket.resume()
      // Others may have taken what all share.
      this.#keepToRates()
    })
  }
}
