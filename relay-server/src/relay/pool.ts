/**
 * Links to other relays: dialled once, shared by all circuits that go there, closed when none does any more. A further
 * one is dialled when all are full, and none for a while after a failure (dialPauses.ts). One whose relay drains is left: what is
 * on it goes on, and what is new takes another. Whoever is to put a circuit on one takes a place first; each source
 * (limits/sources.ts) has at most its share of them, and each circuit its share of that (limits/share.ts).
 */
import { CircuitTable } from '@nightjar/shared/circuit'
import type { Relay } from '@nightjar/shared/directory'
import { asNightjarError, type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { type Clock, minute } from '@nightjar/shared/runtime'
import type { Dial, LinkRates } from '@nightjar/shared-node/link'
import { limits } from '../limits/limits.ts'
import type { OnRefused } from '../limits/refusal.ts'
import { isFairWithin, type Places } from '../limits/share.ts'
import { Counts, type Origin } from '../limits/sources.ts'
import { DialPauses } from './dialPauses.ts'

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
  readonly table: CircuitTable
  readonly opened: Promise<void>
  /** In the clock's elapsed milliseconds. */
  readonly dialledAt: number
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
  /** Those that were left with circuits on them. */
  readonly left: Set<OnwardLink>
  /** Places by source and by circuit, those on links that were left included. */
  readonly ofSources: Counts
  readonly ofCircuits: Counts<object>
}

export class LinkPool {
  readonly #options: PoolOptions
  readonly #peers = new Map<string, Peer>()
  readonly #pauses: DialPauses
  #closed = false

  constructor(options: PoolOptions) {
    this.#options = options
    this.#pauses = new DialPauses(options.clock)
  }

  get size(): number {
    return [...this.#peers.values()].reduce((sum, peer) => sum + openLinksOf(peer), 0)
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
      await link.opened
      return { table: link.table, leave, refused }
    } catch (error) {
      leave()
      throw error
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    const all = [...this.#peers.values()].flatMap(({ links, left }) => [...links, ...left])
    this.#peers.clear()
    await Promise.allSettled(all.map(({ table, opened }) => opened.then(() => table.link.close('draining'))))
  }

  /**
   * The first that has room; a further one where none has; where there are enough, the one that was refused first.
   * @throws NightjarError `draining`, or why none is dialled just now
   */
  #linkFor(relay: Relay, peer: Peer): OnwardLink {
    const now = this.#options.clock.elapsed()
    const [best] = [...peer.links]
      .filter(({ taken }) => taken < limits.circuitsPerLink)
      .sort((one, other) => Math.max(one.fullUntil - now, 0) - Math.max(other.fullUntil - now, 0))
    const mayOpen = peer.links.size < limits.linksPerRelay && openLinksOf(peer) < limits.openLinksPerRelay
    if (best !== undefined && (best.fullUntil <= now || !mayOpen)) return best
    const failure = this.#pauses.codeOf(relay.id)
    if (failure !== undefined) throw new NightjarError(failure)
    if (!mayOpen) {
      this.#options.onRefused('onward-links')
      throw new NightjarError('draining')
    }
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
      closeLeft(peer, link)
      this.#forgetUnused(relay, peer)
    }
  }

  #open(relay: Relay, peer: Peer): OnwardLink {
    const forget = () => {
      peer.links.delete(link)
      peer.left.delete(link)
      this.#forgetUnused(relay, peer)
    }
    const table = new CircuitTable({
      onClosed: () => {
        if (peer.links.has(link)) this.#countShort(relay, link, 'link-lost')
        forget()
      },
      onGoaway: () => {
        this.#countShort(relay, link, 'draining')
        peer.links.delete(link)
        peer.left.add(link)
        closeLeft(peer, link)
      },
    })
    const link: OnwardLink = {
      table,
      opened: this.#dial(relay, table, forget),
      dialledAt: this.#options.clock.elapsed(),
      taken: 0,
      fullUntil: 0,
    }
    peer.links.add(link)
    return link
  }

  /** New circuits cannot take it any more, which says something of its relay where they could for moments only. */
  #countShort(relay: Relay, { dialledAt }: OnwardLink, code: ErrorCode): void {
    const { clock, idleAfter, onRefused } = this.#options
    // By then this side may have closed it for want of cells.
    const steadyAfter = Math.min(limits.linkSteadyAfter, idleAfter)
    if (this.#closed || clock.elapsed() - dialledAt >= steadyAfter) return
    onRefused('short-link')
    this.#pauses.addShortLink(relay.id, code)
  }

  #forgetUnused(relay: Relay, peer: Peer): void {
    if (peer.links.size === 0 && peer.ofSources.total === 0) this.#peers.delete(relay.id)
  }

  async #dial(relay: Relay, table: CircuitTable, forget: () => void): Promise<void> {
    try {
      await this.#dialAny(relay, table)
    } catch (error) {
      this.#pauses.addFailure(relay.id, asNightjarError(error).code)
      forget()
      throw error
    }
    if (this.#closed) table.link.close('draining')
    else this.#closeWhenUnused(table)
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
  return { links: new Set(), left: new Set(), ofSources: new Counts(), ofCircuits: new Counts() }
}

function openLinksOf({ links, left }: Peer): number {
  return links.size + left.size
}

/** Closes a link that was left, if its last circuit is gone. */
function closeLeft({ left }: Peer, link: OnwardLink): void {
  if (link.taken === 0 && left.has(link)) link.table.link.close('idle')
}

/** Those on links that are not open yet included. */
function placesOf({ links }: Peer): Places {
  const taken = [...links].reduce((sum, link) => sum + link.taken, 0)
  return { taken, free: limits.linksPerRelay * limits.circuitsPerLink - taken }
}
