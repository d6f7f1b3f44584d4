/**
 * One branch of a relay's circuit: the circuit on the link to the next relay. Knows its id there and what waits for
 * that link; gives what comes back to its owner.
 */
import {
  bodyOf,
  command,
  decodeDestroy,
  decodePuzzle,
  destroyCell,
  HandshakeAssembler,
  handshakeCells,
  writeHeader,
} from '@nightjar/shared/cell'
import type { CircuitEnd, CircuitTable, Waiter } from '@nightjar/shared/circuit'
import type { Crypto } from '@nightjar/shared/crypto'
import { asNightjarError, type ErrorCode, fromWire, violation } from '@nightjar/shared/errors'
import { replySize } from '@nightjar/shared/handshake'
import { limits } from '@nightjar/shared/limits'
import { type Clock, millisecond, type Timer } from '@nightjar/shared/runtime'
import { type RelayMeter, untimed } from './meter.ts'
import type { Place } from './pool.ts'

/** Cells one branch may send before another has its turn on a link that was behind. */
const turn = 8
/** The unit of a cell's delay byte. */
const delayUnit = 5 * millisecond

export interface OnwardEvents {
  /** The handshake's reply of the next relay. */
  onReply(reply: Uint8Array): void
  /** A RELAY cell from the next relay, to be overwritten. */
  onBackward(cell: Uint8Array): void
  /** The branch is gone, not by `close`. */
  onLost(code: ErrorCode): void
  /** The next relay drains: it works for so many seconds yet. */
  onGoaway(seconds: number): void
}

interface Held {
  readonly cell: Uint8Array
  /** When it may leave, as `Clock.elapsed` counts. */
  readonly releaseAt: number
  /** As the meter gave it. */
  readonly startedAt: number
}

export interface OnwardOptions {
  readonly meter: RelayMeter
  /** Cells that may wait. */
  readonly mostHeld: number
  readonly events: OnwardEvents
}

export class Onward implements CircuitEnd, Waiter {
  readonly #place: Place
  readonly #table: CircuitTable
  readonly #clock: Clock
  #events: OnwardEvents
  readonly #meter: RelayMeter
  readonly #mostHeld: number
  readonly #id: number
  #assembler: HandshakeAssembler | undefined = new HandshakeAssembler()
  #expiry: Timer | undefined
  /** Cells in order that wait for their delay to pass or for the link. */
  readonly #held: Held[] = []
  #release: Timer | undefined
  /** What ends it in time, and when, in the clock's elapsed milliseconds. */
  #ending: { readonly at: number; readonly timer: Timer } | undefined
  #over = false

  /** Leaves `place` when it is over. @throws NightjarError `link-lost` */
  constructor(place: Place, crypto: Crypto, clock: Clock, options: OnwardOptions) {
    this.#place = place
    this.#table = place.table
    this.#clock = clock
    this.#events = options.events
    this.#meter = options.meter
    this.#mostHeld = options.mostHeld
    try {
      this.#id = place.table.addFresh(crypto, this)
    } catch (error) {
      place.leave()
      throw error
    }
  }

  /** Cells that wait. */
  get held(): number {
    return this.#held.length
  }

  /** Whether it ends at a time that was said. */
  get isKept(): boolean {
    return this.#ending !== undefined
  }

  create(hello: Uint8Array): void {
    this.#expiry = this.#clock.after(limits.handshakeTimeout, () => this.fail('timed-out'))
    for (const cell of handshakeCells(this.#id, command.create, hello)) this.#table.link.send(cell)
  }

  /**
   * Sends an opened RELAY cell onward, `delay` units from now. False where more wait than is allowed.
   * @param startedAt as the meter gave it
   */
  passOn(cell: Uint8Array, delay: number, startedAt: number): boolean {
    if (delay === 0 && this.#held.length === 0 && this.#table.link.writable) {
      this.#send(cell, startedAt)
      return true
    }
    if (this.#held.length >= this.#mostHeld) return false
    const now = this.#clock.elapsed()
    const before = this.#held.at(-1)?.releaseAt ?? now
    const releaseAt = Math.max(now + delay * delayUnit, before)
    // Time that a sender asked for is not this relay's.
    this.#held.push({ cell: cell.slice(), releaseAt, startedAt: releaseAt > now ? untimed : startedAt })
    this.#meter.queued.forward += 1
    if (this.#held.length === 1) this.#awaitFirst()
    return true
  }

  /** Ends it in `duration` with `code`, unless something ends it before. */
  endIn(duration: number, code: ErrorCode): void {
    const at = this.#clock.elapsed() + duration
    if (this.#ending !== undefined && this.#ending.at <= at) return
    this.#ending?.timer.cancel()
    this.#ending = { at, timer: this.#clock.after(duration, () => this.fail(code)) }
  }

  /** Its circuit is over, and it stands: what waits goes out, and `events` hears what comes. */
  leave(events: Omit<OnwardEvents, 'onReply'>): void {
    this.#events = { ...events, onReply() {} }
  }

  /** Ends the branch from this side. */
  close(): void {
    if (this.#over) return
    // First: a link that is given up as it is sent this ends all that is still on it.
    this.#end()
    this.#table.link.send(destroyCell(this.#id, 0))
  }

  /** The same, not by its owner, who is told. */
  fail(code: ErrorCode): void {
    if (this.#over) return
    this.close()
    this.#events.onLost(code)
  }

  onCell(cellCommand: number, cell: Uint8Array): void {
    try {
      this.#handle(cellCommand, cell)
    } catch (error) {
      this.fail(asNightjarError(error).code)
    }
  }

  onGoaway(seconds: number): void {
    if (!this.#over) this.#events.onGoaway(seconds)
  }

  onLinkWritable(): void {
    for (let sent = 0; sent < turn && this.#isDue(); sent++) this.#sendFirst()
    this.#awaitFirst()
  }

  onLinkClosed(): void {
    if (this.#over) return
    this.#end()
    this.#events.onLost('link-lost')
  }

  #handle(cellCommand: number, cell: Uint8Array): void {
    if (cellCommand === command.relay && this.#assembler === undefined) return this.#events.onBackward(cell)
    if (cellCommand === command.created && this.#assembler !== undefined) {
      const reply = this.#assembler.push(bodyOf(cell))
      if (reply === undefined) return
      // A longer one would make an EXTENDED that the client blames on this relay.
      if (reply.length !== replySize) throw violation('reply of another length')
      this.#assembler = undefined
      this.#expiry?.cancel()
      return this.#events.onReply(reply)
    }
    if (cellCommand === command.puzzle && this.#assembler !== undefined) {
      // No work is done for clients that a relay cannot tell apart: the one that asked goes elsewhere.
      decodePuzzle(cell)
      this.#end()
      return this.#events.onLost('busy')
    }
    if (cellCommand === command.destroy) {
      const reason = decodeDestroy(cell)
      const isRefused = this.#assembler !== undefined && fromWire(reason) === 'limit-reached'
      this.#end()
      if (isRefused) {
        this.#place.refused()
        // What it gives this relay is used up: that says nothing of it to the client, who has other ways there.
        return this.#events.onLost('busy')
      }
      return this.#events.onLost(reason === 0 ? 'link-lost' : fromWire(reason))
    }
    throw violation('command out of place')
  }

  /** Waits for what the first held cell waits for: its time, or its turn on the link. */
  #awaitFirst(): void {
    const first = this.#held[0]
    if (first === undefined || this.#over) return
    if (this.#isDue()) return this.#table.wait(this)
    this.#release = this.#clock.after(first.releaseAt - this.#clock.elapsed(), () => this.#sendDue())
  }

  #sendDue(): void {
    while (this.#isDue() && this.#table.link.writable) this.#sendFirst()
    this.#awaitFirst()
  }

  #sendFirst(): void {
    const { cell, startedAt } = this.#held.shift() as Held
    this.#meter.queued.forward -= 1
    this.#send(cell, startedAt)
  }

  #isDue(): boolean {
    const first = this.#held[0]
    return first !== undefined && first.releaseAt <= this.#clock.elapsed()
  }

  #send(cell: Uint8Array, startedAt: number): void {
    writeHeader(cell, this.#id, command.relay)
    this.#table.link.send(cell)
    this.#meter.stop('forward', startedAt)
  }

  #end(): void {
    this.#over = true
    this.#expiry?.cancel()
    this.#release?.cancel()
    this.#ending?.timer.cancel()
    this.#meter.queued.forward -= this.#held.length
    this.#held.length = 0
    this.#table.remove(this.#id)
    this.#place.leave()
  }
}
