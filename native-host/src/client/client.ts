/**
 * The client of the network: two trunks through a pinned guard, branches per isolation group, requests with retries.
 * The daemon has one; `nightjar-load` has many.
 */
import type { Party, Status } from '@nightjar/shared/bridge'
import { equalBytes } from '@nightjar/shared/bytes'
import type { CircuitContext } from '@nightjar/shared/circuit'
import type { Crypto } from '@nightjar/shared/crypto'
import type { Network, Relay } from '@nightjar/shared/directory'
import { type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import type { DocumentStamp } from '@nightjar/shared/handshake'
import { Branches, fulfil, type Order } from '@nightjar/shared/requests'
import type { Outcome } from '@nightjar/shared/rpc'
import { type Clock, hour, minute, second, type Timer } from '@nightjar/shared/runtime'
import type { Dial } from '@nightjar/shared-node/link'
import { LRUCache } from 'lru-cache'
import type { State } from '../state/store.ts'
import type { Branch } from './branch.ts'
import { GuardLinks } from './guards.ts'
import { RelayHealth } from './health.ts'
import { OpenBranches, sealingOn } from './openBranches.ts'
import {
  assignGateway,
  choosePins,
  isGateway,
  type Pins,
  preferredTrunk,
  rankGateways,
  servesChain,
} from './selection.ts'
import { TrunkSlot } from './trunk.ts'

const trunkCount = 2
/** How long a request waits for a trunk before it fails. */
const pathTimeout = 8 * second
/** How often a waiting request asks the trunks to try again. */
const nudgeEvery = 1 * second
const maintainEvery = 1 * minute
/** Gateways that are considered for a group, at most. */
const gatewaysTried = 8

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
export interface ClientStatus extends Omit<Status, 'profile' | 'endpoint' | 'chains' | 'callers' | 'version'> {
  readonly lastError: ErrorCode | null
}

export interface Client {
  start(): void
  stop(): Promise<void>
  /** Seals and asks. The answer may be a JSON-RPC error. @throws NightjarError where there is none */
  request(order: Order): Promise<Outcome>
  /** For those who seal themselves: the group's gateways, best first. @throws NightjarError `chain-not-served`, `no-path` */
  gateways(group: string, chain: number): readonly { readonly relay: Relay; readonly avoided: boolean }[]
  /**
   * For those who seal themselves: a branch to one of these gateways, and its reply to the hello of an envelope handshake.
   * @throws NightjarError `unknown-relay` where the network document has no such gateway, and what keeps the branch from opening
   */
  openBranch(group: string, gatewayId: string, hello: Uint8Array): Promise<{ branch: Branch; reply: Uint8Array }>
  /** One sealed question, one sealed answer. @throws NightjarError where no answer came */
  exchange(branch: Branch, record: Uint8Array): Promise<Uint8Array>
  status(): ClientStatus
}

export function createClient(options: ClientOptions): Client {
  const { crypto, clock, state } = options
  const random = () => (crypto.randomBytes(4).reduce((sum, byte) => sum * 256 + byte, 0) + 0.5) / 2 ** 32
  const health = new RelayHealth(clock)
  const links = new GuardLinks({ dial: options.dial, clock, health, extraCa: options.extraCa })
  const requests = { ok: 0, failed: 0 }
  const waiting = new Set<() => void>()
  const rankings = new LRUCache<string, readonly Relay[]>({ max: 1000 })
  let diverging = 0
  let everUp = false
  let maintenance: Timer | undefined
  let pinned: { version: number; pins: Pins } | undefined

  function pins(): Pins {
    const network = options.network()
    if (pinned?.version !== network.version) {
      const before = JSON.stringify([state.guards, state.middles])
      pinned = { version: network.version, pins: choosePins(network, state, clock.now(), random) }
      if (JSON.stringify([state.guards, state.middles]) !== before) options.onStateChange?.()
    }
    return pinned.pins
  }

  function onDocument(stamp: DocumentStamp): void {
    const { version, hash } = options.network()
    if (stamp.version !== version || !equalBytes(stamp.hash, hash)) diverging += 1
  }

  const circuits: CircuitContext = { crypto, clock, onDocument }
  const slots = Array.from({ length: trunkCount }, (_, index): TrunkSlot => {
    const choose = () => {
      const { guards, middles } = pins()
      return { entry: health.sort(guards)[0] as Relay, middle: chooseMiddle(middles, index) }
    }
    return new TrunkSlot({ clock, context: circuits, links, health, choose, onChange, random })
  })

  /** The slot's own middle, or one that no other slot uses, as far as they are not failing. */
  function chooseMiddle(middles: readonly Relay[], index: number): Relay {
    const own = middles[index % middles.length] as Relay
    if (!health.isAvoided(own)) return own
    const inUse = slots.map(({ trunk }) => trunk?.middle)
    const ranked = health.sort(middles)
    return ranked.find((relay) => !health.isAvoided(relay) && !inUse.includes(relay)) ?? (ranked[0] as Relay)
  }

  function onChange(): void {
    options.onChange?.()
    everUp ||= slots.some(({ trunk }) => trunk !== undefined)
    warmSpareGuards()
    for (const wake of [...waiting]) wake()
  }

  function standingSlot(group: string): TrunkSlot | undefined {
    const preferred = preferredTrunk(crypto, state, group, slots.length)
    const order = [...slots.slice(preferred), ...slots.slice(0, preferred)]
    return order.find(({ trunk }) => trunk !== undefined)
  }

  function slotFor(group: string): Promise<TrunkSlot> {
    const slot = standingSlot(group)
    if (slot !== undefined) return Promise.resolve(slot)
    return new Promise((resolve, reject) => {
      const finish = (found: TrunkSlot | undefined) => {
        waiting.delete(look)
        expiry.cancel()
        nudge.cancel()
        if (found !== undefined) resolve(found)
        else reject(new NightjarError('network-unreachable', { cause: slots[0]?.lastError }))
      }
      const look = () => {
        const found = standingSlot(group)
        if (found !== undefined) finish(found)
      }
      const expiry = clock.after(pathTimeout, () => finish(undefined))
      const hurry = () => {
        for (const each of slots) each.hurry()
        return clock.after(nudgeEvery, () => {
          nudge = hurry()
        })
      }
      let nudge = hurry()
      waiting.add(look)
    })
  }

  const openBranches = new OpenBranches({ clock, health, slotFor, onChange: () => options.onChange?.() })
  const branches = new Branches(sealingOn(openBranches, { crypto, clock, health, random }))

  function gateways(group: string, chain: number): readonly Relay[] {
    const network = options.network()
    if (!servesChain(network, chain)) throw new NightjarError('chain-not-served', { facts: { chain } })
    const { guards, middles } = pins()
    // Apart from every pinned relay, so that the choice does not depend on which trunk is up; in a network too small
    // for that, at least from what stands now, or from what most likely will.
    const standing = slots.flatMap(({ trunk }) => (trunk === undefined ? [] : [trunk.entry, trunk.middle]))
    const path = standing.length > 0 ? standing : [...health.sort(guards).slice(0, 1), ...middles.slice(0, trunkCount)]
    const now = clock.now()
    const key = `${network.version} ${Math.floor(now / hour)} ${chain} ${group}`
    const known = rankings.get(key)
    if (known !== undefined) return known
    const rank = (apartFrom: readonly Relay[]) =>
      rankGateways(crypto, network, state, { group, chain, path: apartFrom, now })
    const best = rank([...guards, ...middles])
    const ranked = best.length > 0 ? best : rank(path)
    const [first] = ranked
    if (first === undefined) throw new NightjarError('no-path')
    if (assignGateway(crypto, state, group, first, now)) options.onStateChange?.()
    const shortlist = ranked.slice(0, gatewaysTried)
    // A ranking that depends on the trunks that stand now holds for this request only.
    if (best.length > 0) rankings.set(key, shortlist)
    return shortlist
  }

  const context = {
    clock,
    gateways: (group: string, chain: number) => health.sort(gateways(group, chain)),
    isAvoided: (gateway: Relay) => health.isAvoided(gateway),
    branch: (group: string, gateway: Relay) => branches.get(group, gateway),
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
    openBranches.closeIdle()
    for (const slot of slots) slot.maintain()
    warmSpareGuards()
  }

  function warmSpareGuards(): void {
    const entries = slots.map(({ trunk }) => trunk?.entry)
    for (const guard of pinned?.pins.guards ?? []) {
      if (!entries.includes(guard) && !health.isAvoided(guard)) links.warm(guard)
    }
  }

  return {
    start() {
      for (const slot of slots) slot.start()
      maintenance = clock.after(maintainEvery, maintain)
    },

    async stop() {
      maintenance?.cancel()
      branches.closeAll()
      openBranches.closeAll()
      for (const slot of slots) slot.stop()
      await links.stop()
    },

    request: (order) => counted(fulfil(context, order)),

    async exchange(branch, record) {
      const answer = await counted(branch.exchange(record))
      // Nobody asks on a branch whose gateway has not proved who it is.
      health.worked(branch.gateway)
      return answer
    },

    gateways(group, chain) {
      const sorted = health.sort(gateways(group, chain))
      return sorted.map((relay) => ({ relay, avoided: health.isAvoided(relay) }))
    },

    async openBranch(group, gatewayId, hello) {
      const gateway = options.network().byIdentity.get(gatewayId)
      if (gateway === undefined || !isGateway(gateway)) throw new NightjarError('unknown-relay')
      return openBranches.open(group, gateway, hello)
    },

    status() {
      const trunks = slots.flatMap(({ trunk }) => (trunk === undefined ? [] : [trunk]))
      const open = openBranches.all
      const used = new Map(open.map(({ gateway }) => [gateway.id, partyOf(gateway)]))
      const down = everUp || slots.every(({ lastError }) => lastError !== undefined) ? 'blocked' : 'connecting'
      return {
        state: trunks.length === trunkCount ? 'private' : trunks.length > 0 ? 'degraded' : down,
        trunks: trunks.map(({ entry, middle }) => ({ entry: partyOf(entry), middle: partyOf(middle) })),
        branches: open.length,
        gateways: [...used.values()],
        requests: { ...requests },
        divergingRelays: diverging,
        failingGuards: (pinned?.pins.guards ?? []).filter((guard) => health.failuresOf(guard) >= 3).map(partyOf),
        lastError: slots.find(({ lastError }) => lastError !== undefined)?.lastError?.code ?? null,
      }
    },
  }
}

function partyOf({ name, operator, region }: Relay): Party {
  return { name, operator, region }
}
