/**
 * Requests over the private path: sealed here for a gateway that the verified network document describes, carried by
 * the daemon, retried as docs/protocol.md says ("Retries and broadcasts").
 */
import { hidesMiddle } from '@nightjar/shared/accounts'
import type { Crypto } from '@nightjar/shared/crypto'
import type { Relay } from '@nightjar/shared/directory'
import { NightjarError } from '@nightjar/shared/errors'
import {
  Branches,
  type FollowContext,
  type Follower,
  type Following,
  type FollowOrder,
  follow,
  fulfil,
  type Order,
  openSealedBranch,
  type RequestContext,
  type SealedBranch,
} from '@nightjar/shared/requests'
import type { Outcome, Question } from '@nightjar/shared/rpc'
import { unforeseen } from '../random.ts'
import { hostPatience, Rankings, type RankingsOptions } from './rankings.ts'

export interface PrivateRequestsOptions extends RankingsOptions {
  readonly crypto: Crypto
}

export class PrivateRequests {
  readonly #options: PrivateRequestsOptions
  readonly #rankings: Rankings
  readonly #branches: Branches
  readonly #context: RequestContext & FollowContext

  constructor(options: PrivateRequestsOptions) {
    this.#options = options
    this.#rankings = new Rankings(options)
    this.#branches = new Branches((group, gateway) => this.#open(group, gateway))
    this.#context = {
      clock: options.clock,
      random: () => unforeseen(options.crypto),
      gateways: (group, chain) => this.#rankings.usable(group, chain),
      isAvoided: (gateway, order) => this.#rankings.isAvoidedNow(gateway, order),
      branch: (group, gateway) => this.#branch(group, gateway),
    }
  }

  /** Resolves once the group has gateways to ask about `chain`. @throws NightjarError why it has none */
  async ready(group: string, chain: number): Promise<void> {
    await this.#rankings.usable(group, chain)
  }

  /**
   * The answer, which may be a JSON-RPC error.
   * @param onAnswered told the identity of each gateway that answers, before its answer is there
   * @throws NightjarError where there is none, after all retries
   */
  request(order: Order, onAnswered?: (gateway: string) => void): Promise<Outcome> {
    const branch = async (group: string, gateway: Relay) => {
      const asked = await this.#branch(group, gateway)
      return {
        async ask(question: Question) {
          const outcome = await asked.ask(question)
          onAnswered?.(gateway.id)
          return outcome
        },
      }
    }
    return fulfil({ ...this.#context, branch }, order)
  }

  /** One question, many answers, over the lives of branches. @throws NightjarError where it cannot be followed now */
  follow(order: FollowOrder, follower: Follower): Promise<Following> {
    return follow(this.#context, order, follower)
  }

  /**
   * From now on the group does not ask that gateway.
   * @param gateway its identity
   * @returns its name; '' where nobody is known by that identity
   */
  distrust(group: string, gateway: string): string {
    const relay = this.#relayOf(gateway)
    if (relay === undefined) return ''
    this.#rankings.distrust(group, relay.id)
    return relay.name
  }

  /** Who runs the gateway of that identity; undefined where nobody is known by it. */
  operatorOf(gateway: string): string | undefined {
    return this.#relayOf(gateway)?.operator
  }

  /** The connection to the daemon was lost, or another network is trusted: nothing that was known of it holds. */
  reset(): void {
    this.#rankings.forget()
    this.#branches.closeAll()
  }

  #relayOf(identity: string): Relay | undefined {
    try {
      return this.#options.network().byIdentity.get(identity)
    } catch (error) {
      // Without a valid document nobody is known. Else it is a bug of ours.
      if (!(error instanceof NightjarError)) throw error
      return undefined
    }
  }

  async #branch(group: string, gateway: Relay): Promise<SealedBranch> {
    await this.#options.carriers.link.whenUp(hostPatience)
    return this.#branches.get(group, gateway)
  }

  async #open(group: string, gateway: Relay): Promise<SealedBranch> {
    const { carriers, label } = this.#options
    const way = { group: label(group), gateway: gateway.id, hidesMiddle: hidesMiddle(group) }
    try {
      return await openSealedBranch({ ...this.#options, random: this.#context.random }, gateway, (hello) =>
        carriers.open(way, hello),
      )
    } catch (error) {
      // The daemon may rank it lower now.
      this.#rankings.forget()
      throw error
    }
  }
}
