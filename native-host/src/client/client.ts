/**
 * The client of the network: two trunks through a pinned guard, branches per isolation group to gateways (requests with
 * retries) and to exits (TCP connections).
 * The daemon has one; `nightjar-load` has many.
 */
import { independenceOf, shareOf } from '@nightjar/shared/accounts'
import type { Party, Status } from '@nightjar/shared/bridge'
import { equalBytes } from '@nightjar/shared/bytes'
import type { CircuitContext } from '@nightjar/shared/circuit'
import type { Crypto } from '@nightjar/shared/crypto'
import type { Network, Relay } from '@nightjar/shared/directory'
import { type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import type { DocumentStamp } from '@nightjar/shared/handshake'
import {
  Branches,
  type FollowContext,
  type Follower,
  type Following,
  type FollowOrder,
  follow,
  fulfil,
  type Order,
} from '@nightjar/shared/requests'
import type { Outcome, Question } from '@nightjar/shared/rpc'
import { type Clock, hour, minute, type Timer } from '@nightjar/shared/runtime'
import type { Dial } from '@nightjar/shared-node/link'
import { LRUCache } from 'lru-cache'
import type { State } from '../state/store.ts'
import { type Asking, assignGateways, keepGateway } from './assignments.ts'
import type { Join } from './exitBranch.ts'
import { Exits, type TcpOrder } from './exits.ts'
import { GatewayBranch, type GreetedBranch } from './gatewayBranch.ts'
import { RelayHealth } from './health.ts'
import { type Destination, OpenBranches } from './openBranches.ts'
import { groupHash, shareKey } from './rendezvous.ts'
import { sealingOn } from './sealing.ts'
import { isGateway, rankGateways, rankInners, rankLastingly, servesChain, shortlist } from './selection.ts'
import { Trunks } from './trunks.ts'

const maintainEvery = 1 * minute
const allLied = 'no gateway is left that has not been proved wrong; a restart of the daemon gives them another chance'

/** A branch that somebody wants who seals himself. */
export interface BranchOrder extends Pick<Destination, 'group' | 'hidesMiddle'> {
  /** Identity of a gateway. */
  readonly gateway: string
}

export interface ClientOptions {
  readonly crypto: Crypto
  readonly clock: Clock
  readonly dial: Dial
  /** PEM of a private CA, beside the public ones. */
  readonly extraCa?: string | undefined
  /** The network document to use now. @throws NightjarError where there is none */
  network(): Network
  /** Changed in place when pins change; `onStateChange` then says so. */
  readonly state: State
  onStateChange?(): void
  /** A trunk or branch came or went. */
  onChange?(): void
}

/** The client's part of what `nightjar status` shows. */
export interface ClientStatus
  extends Omit<Status, 'profile' | 'endpoint' | 'chains' | 'callers' | 'shield' | 'accounts' | 'version'> {
  readonly lastError: ErrorCode | null
}

export interface Client {
  start(): void
  stop(): Promise<void>
  /**
   * Seals and asks. The answer may be a JSON-RPC error.
   * @param onAnswered told the identity of each gateway that answers, before its answer is there
   * @throws NightjarError where there is none
   */
  request(order: Order, onAnswered?: (gateway: string) => void): Promise<Outcome>
  /**
   * Asks the group's gateway once for many answers, over the lives of its branches.
   * @throws NightjarError where it cannot be followed now
   */
  follow(order: FollowOrder, follower: Follower): Promise<Following>
  /**
   * Resolves once the group could ask about `chain`.
   * @throws NightjarError `chain-not-served`, `network-unreachable` after a while, or what is wrong with the document
   */
  ready(group: string, chain: number): Promise<void>
  /**
   * From now on, until the client ends, the group does not use that gateway.
   * @param gateway its identity; '' for the one that the group uses now
   * @returns its name, as far as it is known
   */
  distrust(group: string, chain: number, gateway: string): string
  /** What the network document calls the relay of that identity; '' where it knows none. */
  nameOf(identity: string): string
  /** Who runs it, as that says; undefined where it knows none. */
  operatorOf(identity: string): string | undefined
  /** For those who seal themselves: the group's gateways, best first. @throws NightjarError `chain-not-served`, `no-path` */
  gateways(group: string, chain: number): readonly { readonly relay: Relay; readonly avoided: boolean }[]
  /**
   * For those who seal themselves: a branch to one of these gateways, and its reply to the hello of an envelope handshake.
   * @throws NightjarError `unknown-relay` where the network document has no such gateway, and what keeps the branch from opening
   */
  openBranch(order: BranchOrder, hello: Uint8Array): Promise<GreetedBranch>
  /** One sealed question, one sealed answer. @throws NightjarError where no answer came */
  exchange(branch: GatewayBranch, record: Uint8Array): Promise<Uint8Array>
  /**
   * Has an exit connect to a listed host; `join` takes the connection over once it stands, and it is a plain TCP stream
   * from then on. @throws NightjarError `no-exit`, `network-unreachable`, or why there is no connection
   */
  connectThrough(order: TcpOrder, join: Join): Promise<void>
  status(): ClientStatus
}

export function createClient(options: ClientOptions): Client {
  const { crypto, clock, state } = options
  const random = () => fractionOf(crypto)
  const health = new RelayHealth(clock)
  const requests = { ok: 0, failed: 0 }
  /** By group: gateways that said what is false, by their identities. In memory only: a restart gives another chance. */
  const distrusted = new LRUCache<string, Set<string>>({ max: 1000 })
  const rankings = new LRUCache<string, readonly Relay[]>({ max: 1000 })
  let diverging = 0
  let maintenance: Timer | undefined

  function onDocument(stamp: DocumentStamp): void {
    const { version, hash } = options.network()
    if (stamp.version !== version || !equalBytes(stamp.hash, hash)) diverging += 1
  }

  const onChange = () => options.onChange?.()
  const onStateChange = () => options.onStateChange?.()
  const network = () => options.network()
  const circuits: CircuitContext = { crypto, clock, onDocument }
  const { dial, extraCa } = options
  const trunks = new Trunks({
    crypto,
    clock,
    dial,
    extraCa,
    health,
    circuits,
    network,
    state,
    onStateChange,
    onChange,
    random,
  })
  const openBranches = new OpenBranches({
    clock,
    health,
    slotsFor: (group) => trunks.slotsFor(group),
    innersFor: ({ group, relay }, trunk) =>
      trunks.innersFor(relay, trunk, (path, pinned) => rankInners(crypto, network(), state, { group, path, pinned })),
    random,
    onChange,
    onGreeted: keepMet,
  })
  const branches = new Branches(
    sealingOn(openBranches, { crypto, clock, health, random }, (group, { id }) => distrust(group, id)),
  )
  const exits = new Exits({ crypto, clock, health, openBranches, trunks, state, network })

  function distrust(group: string, identity: string): void {
    distrusted.set(group, (distrusted.get(group) ?? new Set()).add(identity))
  }

  function relayOf(identity: string): Relay | undefined {
    try {
      return network().byIdentity.get(identity)
    } catch (error) {
      // Without a valid document nobody is known. Else it is a bug of ours.
      if (!(error instanceof NightjarError)) throw error
      return undefined
    }
  }

  function requireChain(chain: number): Network {
    const document = network()
    if (!servesChain(document, chain)) throw new NightjarError('chain-not-served', { facts: { chain } })
    return document
  }

  function askingOf(group: string): Asking {
    return { group: groupHash(crypto, state, group), now: clock.now(), random }
  }

  /** It knows the group from now on: before another one is asked, it is. */
  function keepMet(group: string, gateway: Relay): void {
    if (!keepGateway(state, askingOf(group), gateway, relayOf)) return
    rankings.clear()
    onStateChange()
  }

  /** Best first, but for how they are doing and what the group has learnt of them. @throws NightjarError `no-path` */
  function ranked(group: string, chain: number): readonly Relay[] {
    const document = requireChain(chain)
    const now = clock.now()
    const key = `${document.version} ${Math.floor(now / hour)} ${chain} ${group}`
    const known = rankings.get(key)
    if (known !== undefined) return known
    const role = independenceOf(group)
    const isOrdinary = role.kind === 'none'
    const rank = isOrdinary ? rankGateways : rankLastingly
    const choice = { group: role.kind === 'share' ? role.family : group, chain, now }
    const found = trunks.rank((path) => rank(crypto, document, state, { ...choice, path }))
    const fitting = role.kind === 'share' ? shareOf(found.ranked, role, shareKey(crypto, state)) : found.ranked
    if (fitting.length === 0) throw new NightjarError('no-path')
    if (isOrdinary && assignGateways(state, askingOf(group), fitting)) onStateChange()
    const considered = shortlist(fitting)
    // A ranking that depends on the trunks that stand now holds for this request only.
    if (found.isLasting) rankings.set(key, considered)
    return considered
  }

  /**
   * Those that the group may use, best first, those that are passed over last.
   * @throws NightjarError `no-path`, `answer-refuted` where all of them have lied to it
   */
  function gateways(group: string, chain: number): readonly Relay[] {
    const isTrusted = ({ id }: Relay) => distrusted.get(group)?.has(id) !== true
    const role = independenceOf(group)
    const other = role.kind === 'second' ? gateways(role.group, chain)[0]?.operator : undefined
    const apart = ranked(group, chain).filter((relay) => relay.operator !== other)
    const usable = apart.filter(isTrusted)
    if (usable.length > 0) return health.sort(usable)
    throw apart.length > 0 ? new NightjarError('answer-refuted', { detail: allLied }) : new NightjarError('no-path')
  }

  const isAvoided = (gateway: Relay) => health.isAvoided(gateway)
  const context = {
    clock,
    gateways,
    isAvoided,
    branch: (group: string, gateway: Relay) => branches.get(group, gateway),
  }
  const told = (onAnswered?: (gateway: string) => void) => ({
    ...context,
    async branch(group: string, gateway: Relay) {
      const branch = await context.branch(group, gateway)
      return {
        async ask(question: Question) {
          const outcome = await branch.ask(question)
          onAnswered?.(gateway.id)
          return outcome
        },
      }
    },
  })
  const following: FollowContext = {
    ...{ clock, random, gateways, isAvoided },
    async branch(group, gateway) {
      // What is only followed waits until there is room: it would push others out, and they it.
      if (!branches.has(group, gateway) && !(await openBranches.hasRoom(group))) {
        throw new NightjarError('limit-reached', { detail: 'isolation groups at once' })
      }
      return branches.get(group, gateway)
    },
  }

  async function counted<T>(answer: Promise<T>): Promise<T> {
    try {
      const outcome = await answer
      requests.ok += 1
      return outcome
    } catch (error) {
      requests.failed += 1
      throw error
    }
  }

  function maintain(): void {
    maintenance = clock.after(maintainEvery, maintain)
    openBranches.closeOver()
    trunks.maintain()
  }

  return {
    start() {
      trunks.start()
      maintenance = clock.after(maintainEvery, maintain)
    },

    async stop() {
      maintenance?.cancel()
      // First, with all that is followed: it is then lost to its gateways, and not followed anew on another branch.
      const stopped = trunks.stop()
      branches.closeAll()
      openBranches.closeAll()
      await stopped
    },

    request: (order, onAnswered) => counted(fulfil(told(onAnswered), order)),

    follow: (order, follower) => follow(following, order, follower),

    async ready(group, chain) {
      requireChain(chain)
      await trunks.slotsFor(group)
    },

    distrust(group, chain, gateway) {
      const identity = gateway === '' ? gateways(group, chain)[0]?.id : gateway
      if (identity === undefined) return ''
      distrust(group, identity)
      return relayOf(identity)?.name ?? ''
    },

    nameOf: (identity) => relayOf(identity)?.name ?? '',

    operatorOf: (identity) => relayOf(identity)?.operator,

    exchange: (branch, record) => counted(branch.exchange(record)),

    gateways(group, chain) {
      return gateways(group, chain).map((relay) => ({ relay, avoided: health.isAvoided(relay) }))
    },

    async openBranch({ gateway, ...rest }, hello) {
      const relay = network().byIdentity.get(gateway)
      if (relay === undefined || !isGateway(relay)) throw new NightjarError('unknown-relay')
      return openBranches.greet({ ...rest, relay }, hello)
    },

    connectThrough: (order, join) => exits.connect(order, join),

    status() {
      const open = openBranches.all
      const gateways = open.filter((branch) => branch instanceof GatewayBranch)
      const used = new Map(gateways.map(({ relay }) => [relay.id, partyOf(relay)]))
      return {
        state: trunks.state,
        trunks: trunks.standing.map(({ entry, middle }) => ({ entry: partyOf(entry), middle: partyOf(middle) })),
        branches: open.length,
        gateways: [...used.values()],
        requests: { ...requests },
        divergingRelays: diverging,
        failingGuards: trunks.failingGuards.map(partyOf),
        lastError: trunks.lastError,
      }
    },
  }
}

/** An unforeseeable number in [0, 1). */
export function fractionOf(crypto: Pick<Crypto, 'randomBytes'>): number {
  return (crypto.randomBytes(4).reduce((sum, byte) => sum * 256 + byte, 0) + 0.5) / 2 ** 32
}

function partyOf({ name, operator, region }: Relay): Party {
  return { name, operator, region }
}
