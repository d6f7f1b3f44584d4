/**
 * One user's branches: a model in time of requests/branches.ts and client/openBranches.ts, over the product's own choice of
 * gateways. A branch is renewed after 10 minutes ± 2, the next one opened first (docs/protocol.md, "Circuits are trees"), and
 * likewise at a random moment when a relay on its way drains; it is lost with its trunk or its gateway.
 *
 * One on which something is watched is kept (docs/protocol.md, "Kept branches"): it stands for its time whether or not the
 * client is there, beside the next one, until its middle ends it. Left out: how many a relay keeps at most.
 */
import type { Relay } from '@nightjar/shared/directory'
import { type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { keptFor } from '@nightjar/shared/requests'
import { hour, minute, pause, second, type Timer } from '@nightjar/shared/runtime'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { type Asking, assignGateways, keepGateway } from '../client/assignments.ts'
import { timeToLeave } from '../client/branch.ts'
import { groupHash } from '../client/rendezvous.ts'
import { rankGateways } from '../client/selection.ts'
import type { State } from '../state/store.ts'
import type { Chance } from './chance.ts'
import type { LabClock } from './clock.ts'
import { drainSeconds, type Trunk, Trunks } from './trunks.ts'
import type { MiddleRecord, Views } from './views.ts'
import { chainId, type World } from './world.ts'

const lifetime = 10 * minute
const lifetimeJitter = 2 * minute
/** How long a request waits for a trunk. */
const pathTimeout = 8 * second
/** Cells of the handshakes that open a branch, each way. */
const greetingCells = 4

export interface Branch {
  readonly id: number
  readonly number: number
  readonly group: string
  readonly trunk: Trunk
  readonly gateway: Relay
  /** Milliseconds from here to the gateway. */
  readonly latency: number
  /** The client's: told when nothing more comes, or to look for the next one. */
  readonly followers: Set<(code: ErrorCode) => void>
  /** The gateway's: what ends what it serves, which is not before the branch ends. */
  readonly served: Set<() => void>
  lastUsed: number
  isKept: boolean
  /** The next one is there, or on its way. */
  hasNext: boolean
  /** Nothing of it reaches the client any more. */
  isLost: boolean
}

export interface BranchesOptions {
  readonly world: World
  readonly clock: LabClock
  readonly chance: Chance
  readonly state: State
  readonly views: Views
  readonly user: number
  readonly sleepsPerDay: number
  /** Branches on which something is watched are kept. */
  readonly isKeeping: boolean
  /** Unlike any that another user has. */
  nextId(): number
}

export class Branches {
  readonly trunks: Trunks
  readonly #options: BranchesOptions
  /** By group and gateway, the newest. */
  readonly #branches = new Map<string, Branch>()
  /** All that stand at their gateways, and what makes each be renewed. */
  readonly #standing = new Map<Branch, Timer>()
  readonly #opening = new Map<string, Promise<Branch>>()
  readonly #rankings = new Map<string, readonly Relay[]>()

  /** @param onGatewayLost told when one restarts */
  constructor(options: BranchesOptions, onGatewayLost: (id: string) => void) {
    this.#options = options
    const { world, clock } = options
    this.trunks = new Trunks({
      ...options,
      onLost: (trunk) => this.#loseTrunk(trunk),
      onReplaced: (trunk, kept) =>
        this.#leaveOneByOne((branch) => branch.trunk === trunk && !(branch.isKept && kept === 'stay')),
    })
    for (const { id } of world.network.relays) {
      for (const { from } of world.outagesOf(id)) {
        if (from < clock.now()) continue
        const drainsAt = Math.max(from - drainSeconds * second, clock.now())
        clock.after(drainsAt - clock.now(), () => {
          this.#leaveOneByOne((branch) => branch.gateway.id === id || isKeptBy(id)(branch))
        })
        clock.after(from - clock.now(), () => {
          onGatewayLost(id)
          for (const branch of [...this.#standing.keys()]) {
            if (branch.gateway.id === id || isKeptBy(id)(branch)) this.#end(branch, 'link-lost')
          }
        })
      }
    }
  }

  /** The group's own. @throws NightjarError `network-unreachable` */
  of(group: string): Promise<Branch> {
    const gateway = this.#gatewayOf(group)
    const key = keyOf(group, gateway)
    const known = this.#branches.get(key)
    if (known !== undefined && !known.isLost) return Promise.resolve(known)
    const opening = this.#opening.get(key) ?? this.#open(group, gateway)
    this.#opening.set(key, opening)
    return opening.finally(() => this.#opening.delete(key))
  }

  /** As something is watched on it. */
  keep(branch: Branch): void {
    const { clock, chance, isKeeping } = this.#options
    if (!isKeeping || branch.isKept || branch.isLost) return
    branch.isKept = true
    const { shortest, longest, overlap } = keptFor
    const left = chance.between(shortest, longest)
    this.#renewAfter(branch, left - chance.next() * overlap)
    clock.after(left, () => this.#end(branch, 'branch-retired'))
  }

  /** The middle sees that; `earlier` milliseconds off. */
  seen(branch: Branch, record: Pick<MiddleRecord, 'event' | 'up' | 'down'>, earlier = 0): void {
    const { world, views, chance } = this.#options
    const { trunk, number, gateway } = branch
    const time = round(this.#now + trunk.latency + chance.waiting(2) + earlier - world.start)
    views.write('middle', {
      ...{ middle: trunk.middle.name, trunk: trunk.id, branch: number, gateway: gateway.name },
      ...{ ...record, time },
    })
  }

  get #now(): number {
    return this.#options.clock.now()
  }

  async #open(group: string, gateway: Relay): Promise<Branch> {
    const { clock, chance, nextId, user, views } = this.#options
    const trunk = await this.#trunkOf(group)
    const id = nextId()
    const latency = trunk.latency + chance.between(5, 40)
    const number = ++trunk.branches
    const branch: Branch = {
      ...{ id, number, group, trunk, gateway, latency },
      followers: new Set(),
      served: new Set(),
      lastUsed: this.#now,
      isKept: false,
      hasNext: false,
      isLost: false,
    }
    const [, account] = /^account (.+)$/.exec(group) ?? []
    views.write('truth', { user, branch: id, trunk: trunk.id, number, ...(account === undefined ? {} : { account }) })
    this.seen(branch, { event: 'open', up: greetingCells, down: greetingCells })
    this.#atGateway(branch, 'open', 2 * latency)
    await pause(clock, 4 * latency)
    if (trunk.isLost) throw new NightjarError('link-lost')
    this.#branches.set(keyOf(group, gateway), branch)
    this.#renewAfter(branch, lifetime + chance.between(-1, 1) * lifetimeJitter)
    return branch
  }

  async #trunkOf(group: string): Promise<Trunk> {
    const { clock } = this.#options
    for (const until = clock.now() + pathTimeout; clock.now() <= until; await pause(clock, second / 4)) {
      const trunk = this.trunks.of(group)
      if (trunk !== undefined) return trunk
    }
    throw new NightjarError('network-unreachable')
  }

  #renewAfter(branch: Branch, delay: number): void {
    this.#standing.get(branch)?.cancel()
    this.#standing.set(
      branch,
      this.#options.clock.after(delay, () => void this.#renew(branch)),
    )
  }

  /** A kept one goes on beside the next: its middle ends it. */
  async #renew(old: Branch): Promise<void> {
    await this.#openNext(old)
    if (!old.isKept) this.#end(old, 'branch-retired')
  }

  /** As a relay on its way drains: its client has it end, or, where that is gone, its middle. */
  async #leave(old: Branch): Promise<void> {
    await this.#openNext(old)
    this.#end(old, 'branch-retired')
  }

  /** Opens the next one, where that is wanted, and has what is followed go over. */
  async #openNext(old: Branch): Promise<void> {
    const isWanted = old.followers.size > 0 || old.lastUsed > this.#now - 1 * minute
    if (old.isLost || old.hasNext || !isWanted) return
    old.hasNext = true
    try {
      await this.#open(old.group, this.#isThere(old.gateway) ? old.gateway : this.#gatewayOf(old.group))
    } catch (error) {
      // The trunk has gone, and the old branch is lost with it.
      if (error instanceof NightjarError) return
      throw error
    }
    for (const end of [...old.followers]) end('branch-retired')
  }

  /** Its own while that serves, else the next by its own ranking. */
  #gatewayOf(group: string): Relay {
    const { state, world } = this.#options
    // As long as the client keeps one (client.ts): by then the gateways of the other groups are known.
    const key = `${Math.floor(this.#now / hour)} ${group}`
    const ranked = this.#rankings.get(key) ?? this.#rank(group)
    this.#rankings.set(key, ranked)
    // Nothing lapses within hours: chance has no part in it.
    const asking: Asking = { group: groupHash(nativeCrypto, state, group), now: this.#now, random: () => 0 }
    assignGateways(state, asking, ranked)
    const gateway = ranked.find((relay) => this.#isThere(relay)) ?? ranked[0]
    if (gateway === undefined) throw new NightjarError('no-path')
    if (keepGateway(state, asking, gateway, (id) => world.network.byIdentity.get(id))) this.#rankings.clear()
    return gateway
  }

  /** And does not drain. */
  #isThere({ id }: Relay): boolean {
    const outages = this.#options.world.outagesOf(id)
    return outages.every(({ from, to }) => this.#now < from - drainSeconds * second || this.#now > to)
  }

  #rank(group: string): readonly Relay[] {
    const { world, state } = this.#options
    const choice = { group, chain: chainId, path: this.trunks.pinned, now: this.#now }
    return rankGateways(nativeCrypto, world.network, state, choice)
  }

  /** Each at a moment of its own, within the time that there is for it. */
  #leaveOneByOne(isConcerned: (branch: Branch) => boolean): void {
    const { clock, chance } = this.#options
    for (const branch of [...this.#standing.keys()].filter(isConcerned)) {
      clock.after(chance.next() * timeToLeave(drainSeconds, minute), () => void this.#leave(branch))
    }
  }

  /** What is kept goes on at its gateway; the middle drops what comes from there. */
  #loseTrunk(trunk: Trunk): void {
    for (const branch of [...this.#standing.keys()]) {
      if (branch.trunk !== trunk) continue
      if (!branch.isKept) this.#end(branch, 'link-lost')
      else {
        this.seen(branch, { event: 'left', up: 0, down: 0 })
        this.#lose(branch, 'link-lost')
      }
    }
  }

  /** For its gateway too. */
  #end(branch: Branch, code: ErrorCode): void {
    const renewal = this.#standing.get(branch)
    if (renewal === undefined) return
    renewal.cancel()
    this.#standing.delete(branch)
    this.seen(branch, { event: 'close', up: 0, down: 0 })
    this.#atGateway(branch, 'close', branch.latency)
    for (const end of [...branch.served]) end()
    this.#lose(branch, code)
  }

  #lose(branch: Branch, code: ErrorCode): void {
    branch.isLost = true
    for (const end of [...branch.followers]) end(code)
  }

  #atGateway({ id, gateway }: Branch, event: 'open' | 'close', delay: number): void {
    const { world, views } = this.#options
    const time = round(this.#now + delay - world.start)
    views.write('gateway', { gateway: gateway.name, branch: id, event, time })
  }
}

/** And by nobody else: its client is gone. */
function isKeptBy(middle: string): (branch: Branch) => boolean {
  return ({ trunk, isLost }) => isLost && trunk.middle.id === middle
}

function keyOf(group: string, gateway: Relay): string {
  return `${group}\0${gateway.id}`
}

/** To a tenth of a millisecond. */
export function round(time: number): number {
  return Math.round(time * 10) / 10
}
