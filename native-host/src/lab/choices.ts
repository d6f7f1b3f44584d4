/**
 * Which relays one user's branches go over behind their trunk: the product's own rankings (client/selection.ts), of which the
 * first that is there is used.
 */
import { hidesMiddle } from '@nightjar/shared/accounts'
import type { Relay } from '@nightjar/shared/directory'
import { NightjarError } from '@nightjar/shared/errors'
import { hour, second } from '@nightjar/shared/runtime'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { type Asking, assignGateways, keepGateway } from '../client/assignments.ts'
import { groupHash } from '../client/rendezvous.ts'
import { rankGateways, rankInners } from '../client/selection.ts'
import type { State } from '../state/store.ts'
import type { LabClock } from './clock.ts'
import { drainSeconds, type Trunk } from './trunks.ts'
import { chainId, type World } from './world.ts'

export interface ChoicesOptions {
  readonly world: World
  readonly clock: LabClock
  readonly state: State
  /** Branches of accounts go over an inner middle. */
  readonly hasInner: boolean
}

export class Choices {
  readonly #options: ChoicesOptions
  /** Guards and middles. */
  readonly #pinned: readonly Relay[]
  readonly #rankings = new Map<string, readonly Relay[]>()

  constructor(options: ChoicesOptions, pinned: readonly Relay[]) {
    this.#options = options
    this.#pinned = pinned
  }

  /** Its own while that serves, else the next by its own ranking. */
  gatewayOf(group: string): Relay {
    const { state, world } = this.#options
    // As long as the client keeps one (client.ts): by then the gateways of the other groups are known.
    const key = `${Math.floor(this.#now / hour)} ${group}`
    const ranked = this.#rankings.get(key) ?? this.#rank(group)
    this.#rankings.set(key, ranked)
    // Nothing lapses within hours: chance has no part in it.
    const asking: Asking = { group: groupHash(nativeCrypto, state, group), now: this.#now, random: () => 0 }
    assignGateways(state, asking, ranked)
    const gateway = ranked.find((relay) => this.isThere(relay)) ?? ranked[0]
    if (gateway === undefined) throw new NightjarError('no-path')
    if (keepGateway(state, asking, gateway, (id) => world.network.byIdentity.get(id))) this.#rankings.clear()
    return gateway
  }

  /** The relays that may stand between the trunk and the gateway, best first. None where the group's branches have none. */
  innersOf(group: string, trunk: Trunk, gateway: Relay): readonly Relay[] {
    const { world, state, hasInner } = this.#options
    if (!hasInner || !hidesMiddle(group)) return []
    const choice = { group, path: [trunk.entry, trunk.middle, gateway], pinned: this.#pinned }
    return rankInners(nativeCrypto, world.network, state, choice).filter((relay) => this.isThere(relay))
  }

  /** And does not drain. */
  isThere({ id }: Relay): boolean {
    const outages = this.#options.world.outagesOf(id)
    return outages.every(({ from, to }) => this.#now < from - drainSeconds * second || this.#now > to)
  }

  get #now(): number {
    return this.#options.clock.now()
  }

  #rank(group: string): readonly Relay[] {
    const { world, state } = this.#options
    const choice = { group, chain: chainId, path: this.#pinned, now: this.#now }
    return rankGateways(nativeCrypto, world.network, state, choice)
  }
}
