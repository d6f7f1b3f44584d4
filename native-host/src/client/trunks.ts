/**
 * The trunks of one client: two slots through a pinned guard, each with a pinned middle of its own, the link to the spare
 * guard kept warm, and whoever needs a trunk waiting until one stands.
 */
import type { CircuitContext } from '@nightjar/shared/circuit'
import type { Crypto } from '@nightjar/shared/crypto'
import type { Network, Relay } from '@nightjar/shared/directory'
import { type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { type Clock, second } from '@nightjar/shared/runtime'
import type { Dial } from '@nightjar/shared-node/link'
import type { State } from '../state/store.ts'
import { GuardLinks } from './guards.ts'
import type { RelayHealth } from './health.ts'
import { preferredTrunk } from './rendezvous.ts'
import { choosePins, type Pins } from './selection.ts'
import { type Trunk, TrunkSlot } from './trunk.ts'

export const trunkCount = 2
/** How long a request waits for a trunk before it fails. */
const pathTimeout = 8 * second
/** How often a waiting request asks the trunks to try again. */
const nudgeEvery = 1 * second

export interface TrunksOptions {
  readonly crypto: Crypto
  readonly clock: Clock
  readonly dial: Dial
  readonly extraCa?: string | undefined
  readonly health: RelayHealth
  readonly circuits: CircuitContext
  /** The network document to use now. @throws NightjarError where there is none */
  network(): Network
  /** Changed in place when pins change; `onStateChange` then says so. */
  readonly state: State
  onStateChange(): void
  /** A trunk came or went. */
  onChange(): void
  /** A number in [0, 1). */
  random(): number
}

export class Trunks {
  readonly #options: TrunksOptions
  readonly #links: GuardLinks
  readonly #slots: readonly TrunkSlot[]
  readonly #waiting = new Set<() => void>()
  /** By slot: the identity of what its next trunk is being built with, or the last one was. Each network document has other objects. */
  readonly #chosen: string[] = []
  #everUp = false
  #pinned: { version: number; pins: Pins } | undefined

  constructor(options: TrunksOptions) {
    const { clock, health, circuits: context, random } = options
    this.#options = options
    this.#links = new GuardLinks({ dial: options.dial, clock, health, extraCa: options.extraCa })
    const links = this.#links
    this.#slots = Array.from({ length: trunkCount }, (_, index): TrunkSlot => {
      const choose = () => {
        const { guards, middles } = this.#pins()
        const middle = this.#chooseMiddle(middles, index)
        this.#chosen[index] = middle.id
        return { entry: health.sort(guards)[0] as Relay, middle }
      }
      return new TrunkSlot({ clock, context, links, health, choose, onChange: () => this.#onChange(), random })
    })
  }

  start(): void {
    for (const slot of this.#slots) slot.start()
  }

  async stop(): Promise<void> {
    for (const slot of this.#slots) slot.stop()
    await this.#links.stop()
  }

  /** To be called now and then. */
  maintain(): void {
    for (const slot of this.#slots) slot.maintain()
    this.#part()
    this.#warmSpareGuards()
  }

  /**
   * Trunks that came to go over one middle, as all others were passed over: once one is not, one of them leaves for it. By what
   * is pinned already: without a valid network document nothing new is chosen, and nothing is moved.
   */
  #part(): void {
    const middles = this.#pinned?.pins.middles ?? []
    const shared = this.#slots.find((slot, index) => {
      const middle = slot.trunk?.middle
      const isShared = this.#slots.some((other) => other !== slot && other.trunk?.middle.id === middle?.id)
      return middle !== undefined && isShared && this.#chooseMiddle(middles, index).id !== middle.id
    })
    shared?.move()
  }

  /** Those that stand now. */
  get standing(): readonly Trunk[] {
    return this.#slots.flatMap(({ trunk }) => (trunk === undefined ? [] : [trunk]))
  }

  get state(): 'connecting' | 'private' | 'degraded' | 'blocked' {
    const standing = this.standing.length
    if (standing > 0) return standing === trunkCount ? 'private' : 'degraded'
    const hasFailed = this.#slots.every(({ lastError }) => lastError !== undefined)
    return this.#everUp || hasFailed ? 'blocked' : 'connecting'
  }

  get lastError(): ErrorCode | null {
    return this.#slots.find(({ lastError }) => lastError !== undefined)?.lastError?.code ?? null
  }

  /** Pinned guards that failed several times in a row. */
  get failingGuards(): readonly Relay[] {
    return (this.#pinned?.pins.guards ?? []).filter((guard) => this.#options.health.failuresOf(guard) >= 3)
  }

  /** The slots that stand, the one that the group prefers first. Waits for one. @throws NightjarError `network-unreachable` */
  slotsFor(group: string): Promise<readonly TrunkSlot[]> {
    const slots = this.#standingSlots(group)
    if (slots.length > 0) return Promise.resolve(slots)
    const { clock } = this.#options
    return new Promise((resolve, reject) => {
      const finish = (found: readonly TrunkSlot[]) => {
        this.#waiting.delete(look)
        expiry.cancel()
        nudge.cancel()
        if (found.length > 0) resolve(found)
        else reject(new NightjarError('network-unreachable', { cause: this.#slots[0]?.lastError }))
      }
      const look = () => {
        const found = this.#standingSlots(group)
        if (found.length > 0) finish(found)
      }
      const expiry = clock.after(pathTimeout, () => finish([]))
      const hurry = () => {
        for (const each of this.#slots) each.hurry()
        return clock.after(nudgeEvery, () => {
          nudge = hurry()
        })
      }
      let nudge = hurry()
      this.#waiting.add(look)
    })
  }

  /**
   * What `rank` gives for the end of a path. Apart from every pinned relay, so that the choice does not depend on which
   * trunk is up; in a network too small for that, at least from what stands now, or from what most likely will: such a
   * choice is not `lasting`.
   * @throws NightjarError `no-path`
   */
  rank(rank: (path: readonly Relay[]) => Relay[]): { readonly ranked: readonly Relay[]; readonly isLasting: boolean } {
    const { guards, middles } = this.#pins()
    const best = rank([...guards, ...middles])
    if (best.length > 0) return { ranked: best, isLasting: true }
    const standing = this.standing.flatMap(({ entry, middle }) => [entry, middle])
    const likely = [...this.#options.health.sort(guards).slice(0, 1), ...middles.slice(0, trunkCount)]
    return { ranked: rank(standing.length > 0 ? standing : likely), isLasting: false }
  }

  /** What `rank` gives for between that trunk and the end of a branch, apart from all three; better apart from all pinned. */
  innersFor(
    end: Relay,
    { entry, middle }: Trunk,
    rank: (path: readonly Relay[], pinned: readonly Relay[]) => readonly Relay[],
  ): readonly Relay[] {
    const { guards, middles } = this.#pins()
    return rank([entry, middle, end], [...guards, ...middles])
  }

  #pins(): Pins {
    const { network: networkNow, state, clock, random } = this.#options
    const network = networkNow()
    if (this.#pinned?.version !== network.version) {
      const before = JSON.stringify([state.guards, state.middles])
      this.#pinned = { version: network.version, pins: choosePins(network, state, clock.now(), random) }
      if (JSON.stringify([state.guards, state.middles]) !== before) this.#options.onStateChange()
    }
    return this.#pinned.pins
  }

  /**
   * The slot's own middle. Where that is passed over, one that is not, and best none that another trunk has: two trunks over one
   * middle are no two ways.
   */
  #chooseMiddle(middles: readonly Relay[], index: number): Relay {
    const { health } = this.#options
    const own = middles[index % middles.length] as Relay
    if (!health.isAvoided(own)) return own
    const inUse = this.#chosen.filter((_, other) => other !== index)
    const ranked = health.sort(middles)
    const others = ranked.filter(({ id }) => !inUse.includes(id))
    const isGood = (relay: Relay) => !health.isAvoided(relay)
    return others.find(isGood) ?? ranked.find(isGood) ?? others[0] ?? (ranked[0] as Relay)
  }

  #onChange(): void {
    this.#options.onChange()
    this.#everUp ||= this.standing.length > 0
    this.#warmSpareGuards()
    for (const wake of [...this.#waiting]) wake()
  }

  #standingSlots(group: string): readonly TrunkSlot[] {
    const { crypto, state } = this.#options
    const preferred = preferredTrunk(crypto, state, group, this.#slots.length)
    const order = [...this.#slots.slice(preferred), ...this.#slots.slice(0, preferred)]
    return order.filter(({ trunk }) => trunk !== undefined)
  }

  #warmSpareGuards(): void {
    const entries = this.standing.map(({ entry }) => entry.id)
    for (const guard of this.#pinned?.pins.guards ?? []) {
      if (!entries.includes(guard.id) && !this.#options.health.isAvoided(guard)) this.#links.warm(guard)
    }
  }
}
