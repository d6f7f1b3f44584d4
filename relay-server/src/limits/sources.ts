/**
 * Whom a link is counted for where there is only so much of something: the address that it came from, so that more links
 * are no more shares. Of IPv6 that is a /48, which a customer of a hoster easily has; there are 65,536 of the /64 in it
 * that connections are counted by (ipGate.ts). A relay that proves which one it is (relay/linkProof.ts) is a source of its own,
 * wherever it comes from. In what circuits take of other relays it is one for each depth: what it carries on for other entries
 * may be made by anybody in as many circuits as these have, and takes nothing from its own clients.
 *
 * Nothing of this is ever written anywhere, and nothing is kept of a source that has nothing.
 */
import { addressKey } from './ipGate.ts'

export type Source = string

export class Sources {
  #links = 0

  /** That of a new link from `address`, or of the relay of that id; where neither is known, the link is one of its own. */
  of(address: string | undefined, relay?: string): Source {
    if (relay !== undefined) return `relay ${relay}`
    if (address !== undefined) return addressKey(address).split(':', 3).join(':')
    this.#links += 1
    return `link ${this.#links}`
  }
}

/** Whom the branches of a circuit are counted for, `depth` being the circuit's, which nobody knows when its link comes. */
export function sourceAt(source: Source, depth: number): Source {
  return `${source} at ${depth}`
}

/** Whose a branch is: a circuit's, of a source. */
export interface Origin {
  readonly source: Source
  /** Unlike any other circuit's. */
  readonly circuit: object
}

/** How many of something each source, or whoever else, has. */
export class Counts<Holder = Source> {
  readonly #counts = new Map<Holder, number>()
  /** Of all together. */
  total = 0

  of(holder: Holder): number {
    return this.#counts.get(holder) ?? 0
  }

  /** Those that have some. */
  get size(): number {
    return this.#counts.size
  }

  add(holder: Holder): void {
    this.#counts.set(holder, this.of(holder) + 1)
    this.total += 1
  }

  remove(holder: Holder): void {
    const left = this.of(holder) - 1
    if (left > 0) this.#counts.set(holder, left)
    else this.#counts.delete(holder)
    this.total -= 1
  }
}
