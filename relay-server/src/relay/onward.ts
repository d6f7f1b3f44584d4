/**
 * One branch of a relay's circuit: the circuit on the link to the next relay. Knows its id there and what waits for
 * that link; gives what comes back to its owner.
 */
import {
  bodyOf,
  command,
  decodeDestroy,
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
}

interface Held {
  readonly cell: Uint8Array
  /** When it may leave, in the clock's milliseconds. */
  readonly releaseAt: number
}

export class Onward implements CircuitEnd, Waiter {
  readonly #table: CircuitTable
  readonly #clock: Clock
  readonly #events: OnwardEvents
  readonly #mostHeld: number
  readonly #id: number
  #assembler: HandshakeAssembler | undefined = new HandshakeAssembler()
  #expiry: Timer | undefined
  /** Cells in order that wait for their delay to pass or for the link. */
  readonly #held: Held[] = []
  #release: Timer | undefined
  #over = false

  /** @throws NightjarError `limit-reached` or `link-lost` */
  constructor(table: CircuitTable, crypto: Crypto, clock: Clock, options: { mostHeld: number; events: OnwardEvents }) {
    this.#table = table
    this.#clock = clock
    this.#events = options.events
    this.#mostHeld = options.mostHeld
    this.#id = table.addFresh(crypto, this)
  }

  create(hello: Uint8Array): void {
    this.#expiry = this.#clock.after(limits.handshakeTimeout, () => this.#fail('timed-out'))
    for (const cell of handshakeCells(this.#id, command.create, hello)) this.#table.link.send(cell)
  }

  /** Sends an opened RELAY cell onward, `delay` units from now. False where more wait than is allowed. */
  passOn(cell: Uint8Array, delay: number): boolean {
    if (delay === 0 && this.#held.length === 0 && this.#table.link.writable) {
      this.#send(cell)
      return true
    }
    if (this.#held.length >= this.#mostHeld) return false
    const now = this.#clock.now()
    const before = this.#held.at(-1)?.releaseAt ?? now
    this.#held.push({ cell: Uint8Array.from(cell), releaseAt: Math.max(now + delay * delayUnit, before) })
    if (this.#held.length === 1) this.#awaitFirst()
    return true
  }

  /** Ends the branch from this side. */
  close(): void {
    if (this.#over) return
    this.#table.link.send(destroyCell(this.#id, 0))
    this.#end()
  }

  onCell(cellCommand: number, cell: Uint8Array): void {
    try {
      this.#handle(cellCommand, cell)
    } catch (error) {
      this.#fail(asNightjarError(error).code)
    }
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
    if (cellCommand === command.destroy) {
      const reason = decodeDestroy(cell)
      this.#end()
      return this.#events.onLost(reason === 0 ? 'link-lost' : fromWire(reason))
    }
    throw violation('command out of place')
  }

  /** Waits for what the first held cell waits for: its time, or its turn on the link. */
  #awaitFirst(): void {
    const first = this.#held[0]
    if (first === undefined || this.#over) return
    if (this.#isDue()) return this.#table.wait(this)
    this.#release = this.#clock.after(first.releaseAt - this.#clock.now(), () => this.#sendDue())
  }

  #sendDue(): void {
    while (this.#isDue() && this.#table.link.writable) this.#sendFirst()
    this.#awaitFirst()
  }

  #sendFirst(): void {
    this.#send((this.#held.shift() as Held).cell)
  }

  #isDue(): boolean {
    const first = this.#held[0]
    return first !== undefined && first.releaseAt <= this.#clock.now()
  }

  #send(cell: Uint8Array): void {
    writeHeader(cell, this.#id, command.relay)
    this.#table.link.send(cell)
  }

  #fail(code: ErrorCode): void {
    this.close()
    this.#events.onLost(code)
  }

  #end(): void {
    this.#over = true
    this.#expiry?.cancel()
    this.#release?.cancel()
    this.#held.length = 0
    this.#table.remove(this.#id)
  }
}
