/**
 * Whom a link is counted for where there is only so much of something: the address that it came from, so that more links
 * are no more shares. Of IPv6 that is a /48, which a customer of a hoster easily has; there are 65,536 of the /64 in it
 * that connections are counted by (ipGate.ts). A relay is a source as any other, for nobody can tell it from a client.
 *
 * Nothing of this is ever written anywhere, and nothing is kept of a source that has nothing.
 */
import { addressKey } from './ipGate.ts'

export type Source = string

export class Sources {
  #links = 0

  /** That of a new link from `address`; where none is known, the link is one of its own. */
  of(address: string | undefined): Source {
    if (address !== undefined) return addressKey(address).split(':', 3).join(':')
    this.#links += 1
    return `link ${this.#links}`
  }
}

/** How many of something each source has. */
export class SourceCounts {
  readonly #counts = new Map<Source, number>()
  /** Of all sources together. */
  total = 0

  of(source: Source): number {
    return this.#counts.get(source) ?? 0
  }

  /** Sources that have some. */
  get size(): number {
    return this.#counts.size
  }

  add(source: Source): void {
    this.#counts.set(source, this.of(source) + 1)
    this.total += 1
  }

  remove(source: Source): void {
    const left = this.of(source) - 1
    if (left > 0) this.#counts.set(source, left)
    else this.#counts.delete(source)
    this.total -= 1
  }
}
