/**
 * The client's end of a circuit, from CREATE to DESTROY: a tree of hops on one link. The root is the entry; a trunk is
 * the path entry–middle, a branch of it the hops below the middle.
 */
import {
  bodyOf,
  cellSize,
  command,
  decodeDestroy,
  destroyCell,
  HandshakeAssembler,
  handshakeCells,
  writeHeader,
} from '../cell/index.ts'
import { asNightjarError, type ErrorCode, fromWire, NightjarError, violation } from '../errors/index.ts'
import { purpose, type Responder, startHandshake } from '../handshake/index.ts'
import { limits } from '../limits.ts'
import { within } from '../runtime.ts'
import { type CircuitContext, Hop, type HopCircuit } from './hop.ts'
import type { CircuitEnd, CircuitTable, Waiter } from './table.ts'

class ClientCircuit implements CircuitEnd, HopCircuit, Waiter {
  readonly context: CircuitContext
  readonly scratch = new Uint8Array(cellSize)
  readonly #table: CircuitTable
  readonly #id: number
  #root: Hop | undefined
  #creation: { assembler: HandshakeAssembler; settle(result: Uint8Array | NightjarError): void } | undefined
  #ended: NightjarError | undefined

  constructor(table: CircuitTable, context: CircuitContext) {
    this.#table = table
    this.context = context
    this.#id = table.addFresh(context.crypto, this)
  }

  get writable(): boolean {
    const { writable } = this.#table.link
    if (!writable) this.#table.wait(this)
    return writable
  }

  async open(entry: Responder): Promise<Hop> {
    const { crypto, clock } = this.context
    try {
      const handshake = await startHandshake(crypto, { purpose: purpose.hop, depth: 1, responder: entry })
      if (this.#ended !== undefined) throw this.#ended
      const created = new Promise<Uint8Array>((resolve, reject) => {
        this.#creation = {
          assembler: new HandshakeAssembler(),
          settle: (result) => (result instanceof NightjarError ? reject(result) : resolve(result)),
        }
      })
      for (const cell of handshakeCells(this.#id, command.create, handshake.hello)) this.#table.link.send(cell)
      const reply = await within(
        clock,
        limits.handshakeTimeout,
        created,
        () => new NightjarError('timed-out', { detail: 'CREATE' }),
      )
      const { keys, document } = await handshake.finish(reply)
      // What ended the circuit may have come right behind the answer.
      if (this.#ended !== undefined) throw this.#ended
      this.context.onDocument?.(document)
      this.#root = new Hop(this, keys)
      return this.#root
    } catch (error) {
      this.close('cancelled')
      throw error
    } finally {
      this.#creation = undefined
    }
  }

  sendScratch(): void {
    writeHeader(this.scratch, this.#id, command.relay)
    this.#table.link.send(this.scratch)
  }

  /** Ends the circuit from this side. */
  close(code: ErrorCode): void {
    if (this.#ended !== undefined) return
    this.#table.link.send(destroyCell(this.#id, 0))
    this.#end(new NightjarError(code))
  }

  onCell(cellCommand: number, cell: Uint8Array): void {
    try {
      if (cellCommand === command.relay && this.#root !== undefined) return this.#root.receive(cell)
      if (cellCommand === command.destroy) {
        const reason = decodeDestroy(cell)
        return this.#end(new NightjarError(reason === 0 ? 'link-lost' : fromWire(reason)))
      }
      if (cellCommand === command.created && this.#creation !== undefined) {
        const reply = this.#creation.assembler.push(bodyOf(cell))
        if (reply !== undefined) this.#creation.settle(reply)
        return
      }
      throw violation('command out of place')
    } catch (error) {
      this.close(asNightjarError(error).code)
    }
  }

  onLinkWritable(): void {
    this.#root?.pump()
  }

  onLinkClosed(error: NightjarError): void {
    this.#end(error)
  }

  #end(error: NightjarError): void {
    if (this.#ended !== undefined) return
    this.#ended = error
    this.#table.remove(this.#id)
    this.#creation?.settle(error)
    this.#root?.fail(error)
  }
}

/**
 * Opens a circuit on the link of `table` to its relay, the entry.
 * @throws NightjarError `handshake-failed`, `timed-out`, `link-lost`, `limit-reached`, or what the entry answered
 */
export async function openCircuit(table: CircuitTable, entry: Responder, context: CircuitContext): Promise<Hop> {
  return new ClientCircuit(table, context).open(entry)
}
