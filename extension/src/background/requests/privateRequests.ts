/**
 * Requests over the private path: sealed here for a gateway that the verified network document describes, carried by
 * the daemon, retried as docs/protocol.md says ("Retries and broadcasts").
 */
import type { Crypto } from '@nightjar/shared/crypto'
import type { Network, Relay } from '@nightjar/shared/directory'
import { NightjarError } from '@nightjar/shared/errors'
import {
  Branches,
  type Following,
  fulfil,
  type OutcomeHandler,
  openSealedBranch,
  type RequestContext,
  type SealedBranch,
} from '@nightjar/shared/requests'
import type { Call, Outcome } from '@nightjar/shared/rpc'
import { type Clock, minute, second } from '@nightjar/shared/runtime'
import type { Carriers } from '../host/bridgeCarrier.ts'

/** How long a request waits for the daemon to be there (again). */
const hostPatience = 8 * second
/** How long the daemon's order of gateways is used before it is asked again. */
const rankingFor = 1 * minute
/** Cells of each pushed header. */
const headCells = 4

export interface PrivateRequestsOptions {
  readonly crypto: Crypto
  readonly clock: Clock
  readonly carriers: Carriers
  /** @throws NightjarError where there is no valid document */
  network(): Network
  /** Resolves once the network document was verified. @throws NightjarError why it cannot be */
  whenVerified(): Promise<void>
}

/** One call of one isolation group, named by its label. */
export interface PrivateOrder {
  readonly group: string
  readonly chain: number
  readonly call: Call
}

interface Ranking {
  readonly gateways: readonly Relay[]
  readonly avoided: ReadonlySet<string>
  readonly until: number
}

export class PrivateRequests {
  readonly #options: PrivateRequestsOptions
  readonly #branches: Branches
  readonly #context: RequestContext
  readonly #rankings = new Map<string, Ranking>()

  constructor(options: PrivateRequestsOptions) {
    this.#options = options
    this.#branches = new Branches((group, gateway) => this.#open(group, gateway))
    this.#context = {
      clock: options.clock,
      gateways: async (group, chain) => (await this.#ranking(group, chain)).gateways,
      isAvoided: (gateway, order) => this.#isAvoidedNow(gateway, order),
      branch: (group, gateway) => this.#branch(group, gateway),
    }
  }

  /** The answer, which may be a JSON-RPC error. @throws NightjarError where there is none, after all retries */
  request(order: PrivateOrder): Promise<Outcome> {
    return fulfil(this.#context, order)
  }

  /** New heads of `chain`, pushed. @throws NightjarError where they cannot be followed now */
  async followHeads(group: string, chain: number, handler: OutcomeHandler): Promise<Following> {
    const { gateways } = await this.#ranking(group, chain)
    const branch = await this.#branch(group, gateways[0] as Relay)
    return branch.follow({ chain, cells: headCells, method: 'eth_subscribe', params: ['newHeads'] }, handler)
  }

  /** The connection to the daemon was lost, or another network is trusted: nothing that was known of it holds. */
  reset(): void {
    this.#rankings.clear()
    this.#branches.closeAll()
  }

  async #branch(group: string, gateway: Relay): Promise<SealedBranch> {
    await this.#options.carriers.link.whenUp(hostPatience)
    return this.#branches.get(group, gateway)
  }

  async #open(group: string, gateway: Relay): Promise<SealedBranch> {
    const options = { ...this.#options, random: () => this.#random() }
    try {
      return await openSealedBranch(options, gateway, (hello) => this.#options.carriers.open(group, gateway.id, hello))
    } catch (error) {
      // The daemon may rank it lower now.
      this.#rankings.clear()
      throw error
    }
  }

  async #ranking(group: string, chain: number): Promise<Ranking> {
    const { carriers, clock, network, whenVerified } = this.#options
    await carriers.link.whenUp(hostPatience)
    await whenVerified()
    const key = `${network().version} ${chain} ${group}`
    const known = this.#rankings.get(key)
    if (known !== undefined && clock.now() < known.until) return known
    const named = await carriers.link.ask('gateways', { group, chain })
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

  /** What the daemon thinks of it now, after a failure. */
  async #isAvoidedNow(gateway: Relay, { group, chain }: PrivateOrder): Promise<boolean> {
    this.#rankings.clear()
    try {
      return (await this.#ranking(group, chain)).avoided.has(gateway.id)
    } catch {
      // Then the next attempt fails with the reason.
      return false
    }
  }

  #random(): number {
    const [a = 0, b = 0] = this.#options.crypto.randomBytes(2)
    return (a * 256 + b) / 65536
  }
}
