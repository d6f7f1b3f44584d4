/**
 * The client's end of a circuit, from CREATE to DESTROY: a tree of hops on one link. The root is the entry; a trunk is
 * the path entry–middle, a branch of it the hops below the middle.
 */
import {
  bodyOf,
  cellSize,
  command,
  decodeDestroy,
  decodePuzzle,
  destroyCell,
  HandshakeAssembler,
  handshakeCells,
  writeHeader,
} from '../cell/index.ts'
import { asNightjarError, type ErrorCode, fromWire, NightjarError, violation } from '../errors/index.ts'
import {
  type Challenge,
  encodeCreate,
  purpose,
  type Responder,
  solvePuzzle,
  startHandshake,
} from '../handshake/index.ts'
import { limits } from '../limits.ts'
import { within } from '../runtime.ts'
import { type CircuitContext, Hop, type HopCircuit } from './hop.ts'
import type { CircuitEnd, CircuitTable, Waiter } from './table.ts'

/** What CREATE waits for: a reply, or a puzzle to solve first. */
interface Creation {
  readonly assembler: HandshakeAssembler
  settle(result: Uint8Array | Challenge | NightjarError): void
}

class ClientCircuit implements CircuitEnd, HopCircuit, Waiter {
  readonly context: CircuitContext
  readonly scratch = new Uint8Array(cellSize)
  readonly #table: CircuitTable
  readonly #id: number
  #root: Hop | undefined
  #creation: Creation | undefined
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
      const reply = await within(
        clock,
        limits.handshakeTimeout,
        this.#create(handshake.hello),
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

  /** The entry's reply to `hello`, with as many puzzles solved as it may set. */
  async #create(hello: Uint8Array): Promise<Uint8Array> {
    const { crypto, clock } = this.context
    let answer = await this.#ask(hello)
    for (let solved = 0; !(answer instanceof Uint8Array); solved++) {
      if (solved === limits.puzzlesPerHandshake) throw new NightjarError('busy')
      const isWanted = () => this.#ended === undefined
      const solution = await solvePuzzle(crypto.hash, clock, answer, hello, isWanted).catch((error: unknown) => {
        throw this.#ended ?? error
      })
      answer = await this.#ask(encodeCreate(hello, solution))
    }
    return answer
  }

  #ask(message: Uint8Array): Promise<Uint8Array | Challenge> {
    if (this.#ended !== undefined) throw this.#ended
    const answered = new Promise<Uint8Array | Challenge>((resolve, reject) => {
      this.#creation = {
        assembler: new HandshakeAssembler(),
        settle: (result) => (result instanceof NightjarError ? reject(result) : resolve(result)),
      }
    })
    for (const cell of handshakeCells(this.#id, command.create, message)) this.#table.link.send(cell)
    return answered
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
      if (cellCommand === command.puzzle && this.#creation !== undefined) {
        const challenge = decodePuzzle(cell)
        const { settle } = this.#creation
        this.#creation = undefined
        return settle(challenge)
      }
      throw violation('command out of place')
    } catch (error) {
      this.close(asNightjarError(error).code)
    }
  }

  onLinkWritable(): void {
    this.#root?.pump()
  }

  onGoaway(seconds: number): void {
    this.#root?.goaway(seconds)
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
