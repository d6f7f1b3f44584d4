/** Links without sockets: one that a test plays the other end of, and a pair that is joined in memory. */
import { cellSize, type Link, type LinkEvents } from '../cell/index.ts'
import { type ErrorCode, NightjarError } from '../errors/index.ts'

/** Behaves to its owner as a link to a relay; the other end is the test. */
export class ScriptedLink implements Link {
  /** Cells sent so far and not taken yet, as copies. */
  readonly sent: Uint8Array[] = []
  /** The code that this side closed it with. */
  closedWith: ErrorCode | undefined
  readonly #events: LinkEvents
  #stalled = false
  #closed = false

  constructor(events: LinkEvents) {
    this.#events = events
  }

  get writable(): boolean {
    return !this.#stalled && !this.#closed
  }

  get closed(): boolean {
    return this.#closed
  }

  send(cell: Uint8Array): void {
    if (cell.length !== cellSize) throw new RangeError(`a cell has ${cellSize} bytes, not ${cell.length}`)
    if (this.#closed) return
    this.sent.push(Uint8Array.from(cell))
    this.onActivity()
  }

  close(code: ErrorCode): void {
    if (this.#closed) return
    this.closedWith = code
    this.#end(new NightjarError(code))
    this.onActivity()
  }

  /** Removes and returns what was sent. */
  take(): Uint8Array[] {
    return this.sent.splice(0)
  }

  /** A cell comes in, as a copy that is overwritten afterwards, because real ones do not outlive the call. */
  receive(cell: Uint8Array): void {
    if (this.#closed) return
    const view = Uint8Array.from(cell)
    this.#events.onCell(view)
    view.fill(0xdb)
  }

  /** The link is behind: `writable` is false until `resume`. */
  stall(): void {
    this.#stalled = true
  }

  resume(): void {
    this.#stalled = false
    if (!this.#closed) this.#events.onWritable()
  }

  /** The other side ends it, or it breaks. */
  lose(code: ErrorCode = 'link-lost'): void {
    this.#end(new NightjarError(code))
  }

  /** For the pair: told of each cell sent and of the close. */
  onActivity(): void {}

  #end(error: NightjarError): void {
    if (this.#closed) return
    this.#closed = true
    this.#events.onClose(error)
  }
}

/** What an attacker on the wire makes of a cell: it, another, several, or none. */
export type Tamper = (cell: Uint8Array) => Uint8Array | readonly Uint8Array[] | undefined

export interface PairedLink extends ScriptedLink {
  /** Applied to what this side sends, on its way. */
  tamper: Tamper
}

export interface LinkPair {
  readonly a: PairedLink
  readonly b: PairedLink
  /** Keeps everything on the wire from now on, until `release`. */
  hold(): void
  release(): void
}

class JoinedLink extends ScriptedLink implements PairedLink {
  tamper: Tamper = (cell) => cell
}

/**
 * Two ends of one link. What one side sends in a turn reaches the other in a later microtask; after `await turn()` all
 * of it has arrived, with whatever it caused. A close arrives after the cells that were sent before it.
 */
export function pairOfLinks(aEvents: LinkEvents, bEvents: LinkEvents): LinkPair {
  const a = new JoinedLink(aEvents)
  const b = new JoinedLink(bEvents)
  let held = false

  function join(from: JoinedLink, to: JoinedLink): () => void {
    let scheduled = false
    const deliver = () => {
      scheduled = false
      if (held) return
      for (const cell of from.take()) {
        const arriving = from.tamper(cell) ?? []
        for (const each of arriving instanceof Uint8Array ? [arriving] : arriving) to.receive(each)
      }
      // A close without an error is for the other side a link that was lost, as on a real one.
      if (from.closedWith !== undefined) to.lose(from.closedWith === 'done' ? 'link-lost' : from.closedWith)
    }
    const schedule = () => {
      if (scheduled || held) return
      scheduled = true
      queueMicrotask(deliver)
    }
    from.onActivity = schedule
    return schedule
  }

  const schedules = [join(a, b), join(b, a)]
  return {
    a,
    b,
    hold() {
      held = true
    },
    release() {
      held = false
      for (const schedule of schedules) schedule()
    },
  }
}
