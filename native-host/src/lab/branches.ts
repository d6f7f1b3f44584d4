/**
 * One user's branches: a model in time of requests/branches.ts and client/openBranches.ts, over the product's own choice of
 * gateways. A branch is renewed after 10 minutes ± 2, the next one opened first (docs/protocol.md, "Circuits are trees"), and
 * likewise at a random moment when a relay on its way drains; it is lost with its trunk or its gateway.
 *
 * One on which something is watched is kept (docs/protocol.md, "Kept branches"): it stands for its time whether or not the
 * client is there, beside the next one, until its middle ends it. Left out: how many a relay keeps at most.
 *
 * Branches of accounts go from the trunk over an inner middle to the gateway, which so does not see the trunk's.
 */
import type { Relay } from '@nightjar/shared/directory'
import { type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { keptFor } from '@nightjar/shared/requests'
import { minute, pause, second, type Timer } from '@nightjar/shared/runtime'
import { timeToLeave } from '../client/branch.ts'
import type { Chance } from './chance.ts'
import { Choices, type ChoicesOptions } from './choices.ts'
import { drainSeconds, type Trunk, Trunks } from './trunks.ts'
import type { GatewayRecord, MiddleRecord, Views } from './views.ts'

const lifetime = 10 * minute
const lifetimeJitter = 2 * minute
/** How long a request waits for a trunk. */
const pathTimeout = 8 * second
/** Cells of a handshake that opens a branch, each way: one with each relay of it, and one with the gateway's envelope. */
const greetingCells = 2

export interface Branch {
  readonly id: number
  readonly number: number
  readonly group: string
  readonly trunk: Trunk
  readonly gateway: Relay
  /** Between the trunk and the gateway, where one is. */
  readonly inner: Relay | undefined
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

export interface BranchesOptions extends ChoicesOptions {
  readonly chance: Chance
  readonly views: Views
  readonly user: number
  readonly sleepsPerDay: number
  /** Branches on which something is watched are kept. */
  readonly isKeeping: boolean
  /** Each gateway has each client try over its other trunk as well, as it refuses what comes first or is silent. */
  readonly isProvoked: boolean
  /** Unlike any that another user has. */
  nextId(): number
}

export class Branches {
  readonly trunks: Trunks
  readonly #options: BranchesOptions
  readonly #choices: Choices
  /** By group and gateway, the newest. */
  readonly #branches = new Map<string, Branch>()
  /** All that stand at their gateways, and what makes each be renewed. */
  readonly #standing = new Map<Branch, Timer>()
  readonly #opening = new Map<string, Promise<Branch>>()

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
    this.#choices = new Choices(options, this.trunks.pinned)
    for (const { id } of world.network.relays) {
      const isConcerned = dependsOn(id)
      for (const { from } of world.outagesOf(id)) {
        if (from < clock.now()) continue
        const drainsAt = Math.max(from - drainSeconds * second, clock.now())
        clock.after(drainsAt - clock.now(), () => this.#leaveOneByOne(isConcerned))
        clock.after(from - clock.now(), () => {
          onGatewayLost(id)
          for (const branch of [...this.#standing.keys()].filter(isConcerned)) this.#end(branch, 'link-lost')
        })
      }
    }
  }

  /** The group's own. @throws NightjarError `network-unreachable` */
  of(group: string): Promise<Branch> {
    const gateway = this.#choices.gatewayOf(group)
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
    const inners = this.#choices.innersOf(group, trunk, gateway)
    const [inner] = inners
    const hop = () => chance.between(5, 40)
    const latency = trunk.latency + hop() + (inner === undefined ? 0 : hop())
    const number = ++trunk.branches
    const branch: Branch = {
      ...{ id, number, group, trunk, gateway, inner, latency },
      followers: new Set(),
      served: new Set(),
      lastUsed: this.#now,
      isKept: false,
      hasNext: false,
      isLost: false,
    }
    const [, account] = /^account (.+)$/.exec(group) ?? []
    views.write('truth', { user, branch: id, trunk: trunk.id, number, ...(account === undefined ? {} : { account }) })
    const cells = greetingCells * (inner === undefined ? 2 : 3)
    this.seen(branch, { event: 'open', up: cells, down: cells })
    this.#atGateway(branch, { event: 'open', from: this.#originsOf(trunk, inners) }, 2 * latency)
    await pause(clock, 4 * latency)
    if (trunk.isLost) throw new NightjarError('link-lost')
    this.#branches.set(keyOf(group, gateway), branch)
    this.#renewAfter(branch, lifetime + chance.between(-1, 1) * lifetimeJitter)
    return branch
  }

  /** The relays that its gateway sees the client come from. A second try goes over the other trunk and the next inner middle. */
  #originsOf(trunk: Trunk, inners: readonly Relay[]): readonly string[] {
    const middles = [trunk, ...this.trunks.besides(trunk)].map(({ middle }) => middle)
    const origins = inners.length > 0 ? inners : middles
    return origins.slice(0, this.#options.isProvoked ? 2 : 1).map(({ name }) => name)
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
      await this.#open(old.group, this.#choices.isThere(old.gateway) ? old.gateway : this.#choices.gatewayOf(old.group))
    } catch (error) {
      // The trunk has gone, and the old branch is lost with it.
      if (error instanceof NightjarError) return
      throw error
    }
    for (const end of [...old.followers]) end('branch-retired')
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
    this.#atGateway(branch, { event: 'close' }, branch.latency)
    for (const end of [...branch.served]) end()
    this.#lose(branch, code)
  }

  #lose(branch: Branch, code: ErrorCode): void {
    branch.isLost = true
    for (const end of [...branch.followers]) end(code)
  }

  #atGateway({ id, gateway }: Branch, record: Pick<GatewayRecord, 'event' | 'from'>, delay: number): void {
    const { world, views } = this.#options
    const time = round(this.#now + delay - world.start)
    views.write('gateway', { gateway: gateway.name, branch: id, ...record, time })
  }
}

/** Whether it ends where the relay does: it goes over that behind its trunk, or is kept by it and nobody else. */
function dependsOn(id: string): (branch: Branch) => boolean {
  return ({ gateway, inner, trunk, isLost }) =>
    gateway.id === id || (inner?.id ?? (isLost ? trunk.middle.id : undefined)) === id
}

function keyOf(group: string, gateway: Relay): string {
  return `${group}\0${gateway.id}`
}

/** To a tenth of a millisecond. */
export function round(time: number): number {
  return Math.round(time * 10) / 10
}
