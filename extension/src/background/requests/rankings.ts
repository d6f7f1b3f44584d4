/**
 * Which gateways a group may ask, best first. The daemon ranks them, as it knows the paths; what they are, whose, and
 * with which keys, the verified document says; and a group does not come back to one that lied to it.
 *
 * Where two have to confirm each other, no operator is asked twice (independenceOf). The daemon cannot see to that: to
 * it the groups are labels.
 */
import { independenceOf, shareOf } from '@nightjar/shared/accounts'
import type { Network, Relay } from '@nightjar/shared/directory'
import { NightjarError } from '@nightjar/shared/errors'
import { type Clock, minute, second } from '@nightjar/shared/runtime'
import { LRUCache } from 'lru-cache'
import type { Carriers } from '../host/bridgeCarrier.ts'

/** How long a request waits for the daemon to be there (again). */
export const hostPatience = 8 * second
/** How long the daemon's order of gateways is used before it is asked again. */
const rankingFor = 1 * minute
/** What those that ask once only are ranked as. */
const once = 'once'
/** Groups of which is remembered who lied to them: each costs some gateway its name. */
const mostLiedTo = 1000

export interface RankingsOptions {
  readonly clock: Clock
  readonly carriers: Carriers
  /** @throws NightjarError where there is no valid document */
  network(): Network
  /** Resolves once the network document was verified. @throws NightjarError why it cannot be */
  whenVerified(): Promise<void>
  /** What the daemon knows a group by. */
  label(group: string): string
}

interface Ranking {
  readonly gateways: readonly Relay[]
  readonly avoided: ReadonlySet<string>
  readonly until: number
}

export class Rankings {
  readonly #options: RankingsOptions
  readonly #rankings = new Map<string, Ranking>()
  /** By group: gateways that said what is false. In memory only: what was asked is not for the disk. */
  readonly #liars = new LRUCache<string, Set<string>>({ max: mostLiedTo })

  constructor(options: RankingsOptions) {
    this.#options = options
  }

  /**
   * Those that are passed over last.
   * @throws NightjarError `no-path`, `answer-refuted`, `gateway-untrusted`, and what is wrong with network or daemon
   */
  async usable(group: string, chain: number): Promise<readonly Relay[]> {
    const liars = this.#liars.get(group)
    const independent = await this.#independent(group, chain)
    if (independent.length === 0) throw new NightjarError('no-path')
    const usable = independent.filter(({ id }) => liars?.has(id) !== true)
    // That others lied does not make the last one right: whoever confirms must know the difference.
    if (usable.length === 0) throw new NightjarError('answer-refuted')
    return usable
  }

  /** What the daemon thinks of the gateway now, after a failure. */
  async isAvoidedNow(gateway: Relay, { group, chain }: { group: string; chain: number }): Promise<boolean> {
    this.forget()
    try {
      return (await this.#ranked(rankedAs(group), chain)).avoided.has(gateway.id)
    } catch {
      // Then the next attempt fails with the reason.
      return false
    }
  }

  /** From now on the group does not ask that gateway. */
  distrust(group: string, gateway: string): void {
    const liars = this.#liars.get(group) ?? new Set()
    this.#liars.set(group, liars.add(gateway))
  }

  /** What the daemon said holds no more. */
  forget(): void {
    this.#rankings.clear()
  }

  async #independent(group: string, chain: number): Promise<readonly Relay[]> {
    const { label } = this.#options
    const independence = independenceOf(group)
    const { gateways, avoided } = await this.#ranked(rankedAs(group), chain)
    switch (independence.kind) {
      case 'none':
        return gateways
      case 'share':
        return shareOf(gateways, independence, label)
      case 'once': {
        const keyed = gateways.map((gateway) => ({ gateway, key: label(`${group} ${gateway.id}`) }))
        const mixed = keyed.sort((one, other) => (one.key > other.key ? -1 : 1)).map(({ gateway }) => gateway)
        return mixed.sort((one, other) => Number(avoided.has(one.id)) - Number(avoided.has(other.id)))
      }
      case 'second': {
        const [first] = await this.usable(independence.group, chain)
        return gateways.filter(({ operator }) => operator !== first?.operator)
      }
    }
  }

  async #ranked(group: string, chain: number): Promise<Ranking> {
    const { carriers, clock, label, network, whenVerified } = this.#options
    await carriers.link.whenUp(hostPatience)
    await whenVerified()
    const key = `${network().version} ${chain} ${group}`
    const known = this.#rankings.get(key)
    if (known !== undefined && clock.now() < known.until) return known
    const named = await carriers.link.ask('gateways', { group: label(group), chain })
    if (named.length === 0) throw new NightjarError('no-path')
    const ranking: Ranking = {
      gateways: this.#known(named, chain),
      avoided: new Set(named.filter(({ avoided }) => avoided).map(({ relay }) => relay)),
      until: clock.now() + rankingFor,
    }
    for (const [old, { until }] of this.#rankings) if (until <= clock.now()) this.#rankings.delete(old)
    this.#rankings.set(key, ranking)
    return ranking
  }

  /**
   * The daemon says who; what it is and which key it has, the verified document says. Others are left out: for a moment
   * the daemon may know a newer document than we do.
   */
  #known(named: readonly { readonly relay: string }[], chain: number): readonly Relay[] {
    const { byIdentity } = this.#options.network()
    const known = named.flatMap(({ relay: id }) => {
      const relay = byIdentity.get(id)
      return relay?.roles.includes('gateway') === true && relay.chains.includes(chain) ? [relay] : []
    })
    if (known.length === 0) throw new NightjarError('gateway-untrusted')
    return known
  }
}

/**
 * The group in whose name the daemon is asked: it keeps gateways for whatever it ranks. Of groups that ask once only, each
 * by itself, there soon would be none left that no account has.
 */
function rankedAs(group: string): string {
  const independence = independenceOf(group)
  if (independence.kind === 'share') return independence.family
  return independence.kind === 'once' ? once : group
}
