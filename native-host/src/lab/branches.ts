/**
 * One user's branches: a model in time of requests/branches.ts and client/openBranches.ts, over the product's own choice of
 * gateways. A branch is renewed after 10 minutes ± 2, the next one opened first (docs/protocol.md, "Circuits are trees"), and
 * likewise at a random moment when a relay on its way drains; it is lost with its trunk or its gateway.
 */
import type { Relay } from '@nightjar/shared/directory'
import { type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { hour, minute, pause, second } from '@nightjar/shared/runtime'
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
  /** What ends what is followed on it. */
  readonly followers: Set<(code: ErrorCode) => void>
  /** When it is renewed. */
  readonly dueAt: number
  lastUsed: number
  isClosed: boolean
}

export interface BranchesOptions {
  readonly world: World
  readonly clock: LabClock
  readonly chance: Chance
  readonly state: State
  readonly views: Views
  readonly user: number
  readonly sleepsPerDay: number
  /** A middle ends the branches of a lost client when each would have been renewed, not all at once. */
  readonly isHeld: boolean
  /** Unlike any that another user has. */
  nextId(): number
}

export class Branches {
  readonly trunks: Trunks
  readonly #options: BranchesOptions
  readonly #branches = new Map<string, Branch>()
  readonly #opening = new Map<string, Promise<Branch>>()
  readonly #rankings = new Map<string, readonly Relay[]>()

  /** @param onGatewayLost told when one restarts */
  constructor(options: BranchesOptions, onGatewayLost: (id: string) => void) {
    this.#options = options
    const { world, clock } = options
    this.trunks = new Trunks({
      ...options,
      onLost: (trunk) => this.#lose(trunk),
      onReplaced: (trunk) => this.#leave((branch) => branch.trunk === trunk),
    })
    for (const { id } of world.network.relays) {
      for (const { from } of world.outagesOf(id)) {
        if (from < clock.now()) continue
        const drainsAt = Math.max(from - drainSeconds * second, clock.now())
        clock.after(drainsAt - clock.now(), () => this.#leave(({ gateway }) => gateway.id === id))
        clock.after(from - clock.now(), () => {
          onGatewayLost(id)
          this.#loseGateway(id)
        })
      }
    }
  }

  /** The group's own. @throws NightjarError `network-unreachable` */
  of(group: string): Promise<Branch> {
    const gateway = this.#gatewayOf(group)
    const key = keyOf(group, gateway)
    const known = this.#branches.get(key)
    if (known !== undefined && !known.isClosed) return Promise.resolve(known)
    const opening = this.#opening.get(key) ?? this.#open(group, gateway)
    this.#opening.set(key, opening)
    return opening.finally(() => this.#opening.delete(key))
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

  /** How long its gateway is not told that the client is gone. */
  heldFor({ trunk, dueAt }: Branch): number {
    return this.#options.isHeld && trunk.isLost ? Math.max(dueAt - this.#now, 0) : 0
  }

  get #now(): number {
    return this.#options.clock.now()
  }

  async #open(group: string, gateway: Relay): Promise<Branch> {
    const { clock, chance, nextId, user, views } = this.#options
    const trunk = await this.#trunkOf(group)
    const id = nextId()
    const latency = trunk.latency + chance.between(5, 40)
    const followers = new Set<(code: ErrorCode) => void>()
    const number = ++trunk.branches
    const dueAt = this.#now + 4 * latency + lifetime + chance.between(-1, 1) * lifetimeJitter
    const branch: Branch = {
      id,
      number,
      group,
      trunk,
      gateway,
      latency,
      followers,
      dueAt,
      lastUsed: this.#now,
      isClosed: false,
    }
    const [, account] = /^account (.+)$/.exec(group) ?? []
    views.write('truth', { user, branch: id, trunk: trunk.id, number, ...(account === undefined ? {} : { account }) })
    this.seen(branch, { event: 'open', up: greetingCells, down: greetingCells })
    this.#atGateway(branch, 'open', 2 * latency)
    await pause(clock, 4 * latency)
    if (trunk.isLost) throw new NightjarError('link-lost')
    this.#branches.set(keyOf(group, gateway), branch)
    clock.after(dueAt - this.#now, () => void this.#renew(branch))
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

  async #renew(old: Branch): Promise<void> {
    if (old.isClosed) return
    const isWanted = old.followers.size > 0 || old.lastUsed > this.#now - 1 * minute
    if (isWanted) {
      try {
        await this.#open(old.group, this.#isThere(old.gateway) ? old.gateway : this.#gatewayOf(old.group))
      } catch (error) {
        // The trunk has gone, and the old branch with it.
        if (!(error instanceof NightjarError)) throw error
      }
    }
    this.#close(old, 'branch-retired')
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

  /** Each at a moment of its own. */
  #leave(isConcerned: (branch: Branch) => boolean): void {
    const { clock, chance } = this.#options
    for (const branch of [...this.#branches.values()].filter(isConcerned)) {
      clock.after(chance.next() * timeToLeave(drainSeconds, minute), () => void this.#renew(branch))
    }
  }

  #lose(trunk: Trunk): void {
    for (const branch of this.#branches.values()) if (branch.trunk === trunk) this.#close(branch, 'link-lost')
  }

  #loseGateway(id: string): void {
    for (const branch of this.#branches.values()) if (branch.gateway.id === id) this.#close(branch, 'link-lost')
  }

  #close(branch: Branch, code: ErrorCode): void {
    if (branch.isClosed) return
    branch.isClosed = true
    this.seen(branch, { event: 'close', up: 0, down: 0 })
    this.#atGateway(branch, 'close', branch.latency + this.heldFor(branch))
    for (const end of [...branch.followers]) end(code)
  }

  #atGateway({ id, gateway }: Branch, event: 'open' | 'close', delay: number): void {
    const { world, views } = this.#options
    const time = round(this.#now + delay - world.start)
    views.write('gateway', { gateway: gateway.name, branch: id, event, time })
  }
}

function keyOf(group: string, gateway: Relay): string {
  return `${group}\0${gateway.id}`
}

/** To a tenth of a millisecond. */
export function round(time: number): number {
  return Math.round(time * 10) / 10
}
