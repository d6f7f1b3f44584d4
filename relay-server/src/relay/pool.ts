/**
 * Links to other relays: dialled once, shared by all circuits that go there, closed when none does any more. A further
 * one is dialled when all are full, and none for a while after a failure. Whoever is to put a circuit on one takes a place
 * first; each source (limits/sources.ts) has at most its share of them, and each circuit its share of that (limits/share.ts).
 */
import { CircuitTable } from '@nightjar/shared/circuit'
import type { Relay } from '@nightjar/shared/directory'
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import { type Clock, minute } from '@nightjar/shared/runtime'
import type { Dial, LinkRates } from '@nightjar/shared-node/link'
import { limits } from '../limits/limits.ts'
import type { OnRefused } from '../limits/refusal.ts'
import { isFairWithin, type Places } from '../limits/share.ts'
import { Counts, type Origin } from '../limits/sources.ts'
import { FailedDials } from './failedDials.ts'

export interface PoolOptions {
  readonly dial: Dial
  readonly clock: Clock
  readonly idleAfter: number
  readonly onRefused: OnRefused
  readonly localAddress?: string | undefined
  readonly extraCa?: string | undefined
  readonly rates?: LinkRates | undefined
  /** What tells that relay who dials (linkProof.ts). */
  prove(relay: Relay): Promise<string>
}

/** Room for one circuit on a link to another relay. */
export interface Place {
  readonly table: CircuitTable
  /** To be called once, when it is not needed any more. */
  leave(): void
  /** The other relay gives this link no more circuits for now. */
  refused(): void
}

interface OnwardLink {
  readonly table: Promise<CircuitTable>
  taken: number
  /** Until then the other relay gives it no more circuits, in the clock's elapsed milliseconds. */
  fullUntil: number
}

/** How long a link that was refused a circuit counts as full: there are others by then, or circuits have ended. */
const fullFor = 1 * minute

/** One other relay. */
interface Peer {
  /** Those that new circuits may take. */
  readonly links: Set<OnwardLink>
  /** Places by source and by circuit, those on links that drain included. */
  readonly ofSources: Counts
  readonly ofCircuits: Counts<object>
}

export class LinkPool {
  readonly #options: PoolOptions
  readonly #peers = new Map<string, Peer>()
  readonly #failed: FailedDials
  /** Links to relays that drain: what is on them goes on, and what is new takes another. */
  readonly #left = new Set<CircuitTable>()
  #closed = false

  constructor(options: PoolOptions) {
    this.#options = options
    this.#failed = new FailedDials(options.clock)
  }

  get size(): number {
    return [...this.#peers.values()].reduce((sum, { links }) => sum + links.size, 0)
  }

  /**
   * A place on a link to `relay`, dialled if there is none, for a branch of that origin.
   * @throws NightjarError `busy`, `draining`, or how dialling failed
   */
  async placeTo(relay: Relay, origin: Origin): Promise<Place> {
    if (this.#closed) throw new NightjarError('draining')
    const peer = this.#peers.get(relay.id) ?? newPeer()
    const { ofSources, ofCircuits } = peer
    if (!isFairWithin(ofCircuits.of(origin.circuit), ofSources.of(origin.source), placesOf(peer))) {
      this.#options.onRefused('onward-share')
      throw new NightjarError('busy')
    }
    const link = this.#linkFor(relay, peer)
    const leave = this.#take(relay, peer, link, origin)
    const refused = () => {
      link.fullUntil = this.#options.clock.elapsed() + fullFor
    }
    try {
      return { table: await link.table, leave, refused }
    } catch (error) {
      leave()
      throw error
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    const pending = [...this.#peers.values()].flatMap(({ links }) => [...links])
    for (const { links } of this.#peers.values()) links.clear()
    for (const { link } of [...this.#left]) link.close('draining')
    for (const result of await Promise.allSettled(pending.map(({ table }) => table))) {
      if (result.status === 'fulfilled') result.value.link.close('draining')
    }
  }

  /**
   * The first that has room; a further one where none has; where there are enough, the one that was refused first.
   * @throws NightjarError how dialling one failed just now
   */
  #linkFor(relay: Relay, peer: Peer): OnwardLink {
    const now = this.#options.clock.elapsed()
    const [best] = [...peer.links]
      .filter(({ taken }) => taken < limits.circuitsPerLink)
      .sort((one, other) => Math.max(one.fullUntil - now, 0) - Math.max(other.fullUntil - now, 0))
    const isThere = best !== undefined && (best.fullUntil <= now || peer.links.size >= limits.linksPerRelay)
    if (isThere) return best
    const failure = this.#failed.codeOf(relay.id)
    if (failure !== undefined) throw new NightjarError(failure)
    return this.#open(relay, peer)
  }

  #take(relay: Relay, peer: Peer, link: OnwardLink, { source, circuit }: Origin): () => void {
    this.#peers.set(relay.id, peer)
    link.taken += 1
    peer.ofSources.add(source)
    peer.ofCircuits.add(circuit)
    return () => {
      link.taken -= 1
      peer.ofSources.remove(source)
      peer.ofCircuits.remove(circuit)
      this.#forgetUnused(relay, peer)
    }
  }

  #open(relay: Relay, peer: Peer): OnwardLink {
    const link: OnwardLink = {
      table: this.#dial(relay, () => {
        peer.links.delete(link)
        this.#forgetUnused(relay, peer)
      }),
      taken: 0,
      fullUntil: 0,
    }
    peer.links.add(link)
    return link
  }

  #forgetUnused(relay: Relay, peer: Peer): void {
    // A link that drains may end long after the relay was forgotten and dialled anew.
    const isKnown = this.#peers.get(relay.id) === peer
    if (isKnown && peer.links.size === 0 && peer.ofSources.total === 0) this.#peers.delete(relay.id)
  }

  async #dial(relay: Relay, forget: () => void): Promise<CircuitTable> {
    const table: CircuitTable = new CircuitTable({
      onClosed: () => {
        forget()
        this.#left.delete(table)
      },
      onGoaway: () => {
        forget()
        this.#left.add(table)
      },
    })
    try {
      await this.#dialAny(relay, table)
    } catch (error) {
      this.#failed.add(relay.id, asNightjarError(error).code)
      forget()
      throw error
    }
    if (this.#closed) table.link.close('draining')
    else this.#closeWhenUnused(table)
    return table
  }

  async #dialAny(relay: Relay, table: CircuitTable): Promise<void> {
    const { dial, clock, idleAfter, localAddress, extraCa, rates } = this.#options
    const prove = () => this.#options.prove(relay)
    let failure: unknown
    for (const { url, pin } of relay.addresses) {
      try {
        await dial({ url, pin, table, clock, idleAfter, localAddress, extraCa, rates, prove })
        return
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  #closeWhenUnused(table: CircuitTable, wasUnused = false): void {
    this.#options.clock.after(limits.linkIdle, () => {
      if (table.link.closed) return
      if (table.size === 0 && wasUnused) return table.link.close('idle')
      this.#closeWhenUnused(table, table.size === 0)
    })
  }
}

function newPeer(): Peer {
  return { links: new Set(), ofSources: new Counts(), ofCircuits: new Counts() }
}

/** Those on links that are not open yet included. */
function placesOf({ links }: Peer): Places {
  const taken = [...links].reduce((sum, link) => sum + link.taken, 0)
  return { taken, free: limits.linksPerRelay * limits.circuitsPerLink - taken }
}
