/** The circuits of one link: gives each incoming cell to its circuit. Used by clients and relays alike. */

import { isZero } from '../bytes/index.ts'
import {
  cellHeaderSize,
  circuitIdOf,
  command,
  commandOf,
  decodeGoaway,
  freshCircuitId,
  type Link,
  type LinkEvents,
} from '../cell/index.ts'
import type { Crypto } from '../crypto/index.ts'
import { asNightjarError, NightjarError, violation } from '../errors/index.ts'
import { limits } from '../limits.ts'

/** One end of a circuit on a link. */
export interface CircuitEnd {
  /** `cell` is a view that is valid during the call and may be overwritten; its command is never PADDING or GOAWAY. */
  onCell(cellCommand: number, cell: Uint8Array): void
  onLinkClosed(error: NightjarError): void
  /** The relay at the other end of the link drains: so many seconds are left. */
  onGoaway?(seconds: number): void
}

/** Whoever has cells for a link that is behind. */
export interface Waiter {
  /** The link takes cells again: send a few, and `wait` again if there are more. */
  onLinkWritable(): void
}

export interface TableEvents {
  /** A CREATE for a circuit id that is not taken yet; without it, CREATE closes the link (we dialled it). */
  onCreate?(circuitId: number, cell: Uint8Array): void
  onGoaway?(seconds: number): void
  onClosed?(error: NightjarError): void
}

export class CircuitTable implements LinkEvents {
  readonly #ends = new Map<number, CircuitEnd>()
  /** In the order in which they are served: each gets its turn before any gets a second one. */
  readonly #waiters = new Set<Waiter>()
  readonly #events: TableEvents
  #link: Link | undefined
  #heardGoaway = false
  /** Cells that came so far: tells a link that is silent from a circuit that is. */
  received = 0

  constructor(events: TableEvents = {}) {
    this.#events = events
  }

  /** The link and its table are made for each other: the table first, then the link with the table as its events. */
  attach(link: Link): void {
    this.#link = link
  }

  get link(): Link {
    if (this.#link === undefined) throw new Error('a circuit table is used before its link')
    return this.#link
  }

  get size(): number {
    return this.#ends.size
  }

  /** Adds `end` under a fresh random id. @throws NightjarError `limit-reached` or `link-lost` */
  addFresh(crypto: Crypto, end: CircuitEnd): number {
    if (this.link.closed) throw new NightjarError('link-lost')
    if (this.#ends.size >= limits.circuitsPerLink)
      throw new NightjarError('limit-reached', { detail: 'circuits of a link' })
    const id = freshCircuitId(crypto.randomBytes, (taken) => this.#ends.has(taken))
    this.#ends.set(id, end)
    return id
  }

  add(circuitId: number, end: CircuitEnd): void {
    this.#ends.set(circuitId, end)
  }

  remove(circuitId: number): void {
    this.#ends.delete(circuitId)
  }

  onCell(cell: Uint8Array): void {
    this.received += 1
    try {
      this.#dispatch(cell)
    } catch (error) {
      // Only link-wide messages and CREATE get here; circuits deal with their own errors.
      this.link.close(asNightjarError(error).code)
    }
  }

  /** Calls `waiter` once when the link is writable and it is its turn. */
  wait(waiter: Waiter): void {
    this.#waiters.add(waiter)
  }

  onWritable(): void {
    for (const waiter of this.#waiters) {
      if (!this.link.writable) return
      // Deleted first: one that waits again goes to the end, and this loop comes to it once more.
      this.#waiters.delete(waiter)
      waiter.onLinkWritable()
    }
  }

  onClose(error: NightjarError): void {
    const ends = [...this.#ends.values()]
    this.#ends.clear()
    this.#waiters.clear()
    for (const end of ends) end.onLinkClosed(error)
    this.#events.onClosed?.(error)
  }

  #dispatch(cell: Uint8Array): void {
    const cellCommand = commandOf(cell)
    if (cellCommand === command.padding) {
      if (!isZero(cell.subarray(cellHeaderSize))) throw violation('padding is not zero')
      return
    }
    if (cellCommand === command.goaway) return this.#handleGoaway(decodeGoaway(cell))
    const id = circuitIdOf(cell)
    const end = this.#ends.get(id)
    if (end !== undefined) return end.onCell(cellCommand, cell)
    // Cells for a circuit that is already gone are on their way when it ends: nothing to do.
    if (cellCommand !== command.create) return
    if (this.#events.onCreate === undefined) throw violation('CREATE from a relay')
    if (id === 0) throw violation('circuit id 0')
    this.#events.onCreate(id, cell)
  }

  #handleGoaway(seconds: number): void {
    // All circuits are told, so who could say it again would make thousands of cells of each.
    if (this.#heardGoaway) throw violation('GOAWAY twice')
    if (this.#events.onCreate !== undefined) throw violation('GOAWAY from the side that dialled')
    this.#heardGoaway = true
    this.#events.onGoaway?.(seconds)
    for (const each of [...this.#ends.values()]) each.onGoaway?.(seconds)
  }
}
