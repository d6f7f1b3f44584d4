/**
 * The links of a listener, by whom they are counted for: who may have one more, and which one gives way where there is no room
 * for it. What of the room is whose share is the relay's to say.
 */
import type { CircuitTable } from '@nightjar/shared/circuit'
import type { WebSocket } from 'ws'
import type { LinkRefusal, WebSocketLink } from './link.ts'

/** Whom a link is counted for. */
export interface LinkOwner {
  /** Whatever has the same counts together. */
  readonly source: string
  /** Of the network. */
  readonly isRelay: boolean
}

export interface LinkCounts {
  /** Of the source that asks for another one. */
  readonly held: number
  /** Of all that are no relays. */
  readonly ofClients: number
  readonly all: number
}

export interface LinkShares {
  /** Of a link from `address`, where that is known, and of whom it proved to be of. */
  ownerOf(address: string | undefined, identity: Uint8Array | undefined): LinkOwner
  /** Why `owner` may not have another of `most` links; undefined where it may. */
  refusalOf(owner: LinkOwner, counts: LinkCounts, most: number): LinkRefusal | undefined
}

/** All is for whoever comes first. */
export const firstCome: LinkShares = {
  ownerOf: () => ({ source: '', isRelay: false }),
  refusalOf: (_, { all }, most) => (all < most ? undefined : 'connections'),
}

export interface OpenLink {
  readonly link: WebSocketLink
  readonly webSocket: WebSocket
  readonly table: CircuitTable
  readonly owner: LinkOwner
  /** When it was opened, in milliseconds of `Clock.elapsed`. */
  readonly since: number
}

export class OpenLinks {
  readonly #shares: LinkShares
  /** The oldest first. */
  readonly #links = new Set<OpenLink>()
  readonly #held = new Map<string, number>()
  #ofClients = 0

  constructor(shares: LinkShares) {
    this.#shares = shares
  }

  get size(): number {
    return this.#links.size
  }

  [Symbol.iterator](): IterableIterator<OpenLink> {
    return this.#links.values()
  }

  refusalOf(owner: LinkOwner, most: number): LinkRefusal | undefined {
    const counts = { held: this.#heldBy(owner), ofClients: this.#ofClients, all: this.#links.size }
    return this.#shares.refusalOf(owner, counts, most)
  }

  add(link: OpenLink): void {
    this.#links.add(link)
    this.#count(link.owner, 1)
  }

  remove(link: OpenLink): void {
    if (this.#links.delete(link)) this.#count(link.owner, -1)
  }

  /**
   * Which one gives way to a new one of `owner`: of those that nobody uses and that are older than `before` the oldest of the
   * source that has most. Nobody's who has less than `owner`, and for a client no relay's.
   */
  unusedFor(owner: LinkOwner, before: number): OpenLink | undefined {
    let found: OpenLink | undefined
    let most = this.#heldBy(owner) - 1
    for (const link of this.#links) {
      const isUnused = link.table.size === 0 && link.since <= before && (owner.isRelay || !link.owner.isRelay)
      const held = this.#heldBy(link.owner)
      if (isUnused && held > most) [found, most] = [link, held]
    }
    return found
  }

  #heldBy({ source }: LinkOwner): number {
    return this.#held.get(source) ?? 0
  }

  #count(owner: LinkOwner, change: 1 | -1): void {
    const held = this.#heldBy(owner) + change
    if (held === 0) this.#held.delete(owner.source)
    else this.#held.set(owner.source, held)
    if (!owner.isRelay) this.#ofClients += change
  }
}
