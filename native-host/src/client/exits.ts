/**
 * TCP connections through exits: the group's exit by its own ranking, another one where the first fails, and nothing sent
 * before one has the connection. Once it stands, its loss is its user's to see: nothing is resumed elsewhere.
 *
 * Whoever may use the shield, a web page among them, decides how many groups there are. What they take of the trunks is
 * therefore bounded, and most places stay for the branches to gateways.
 */
import type { Crypto } from '@nightjar/shared/crypto'
import type { Network, Relay } from '@nightjar/shared/directory'
import { asNightjarError, type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { type Clock, second, within } from '@nightjar/shared/runtime'
import { listDigest } from '@nightjar/shared/shield'
import type { State } from '../state/store.ts'
import { ExitBranch, type ExitOrder, type Join } from './exitBranch.ts'
import { ExitBranches } from './exitBranches.ts'
import type { RelayHealth } from './health.ts'
import type { OpenBranches } from './openBranches.ts'
import { rankExits } from './selection.ts'
import type { Trunks } from './trunks.ts'

const exitsTried = 3
/** Of the 32 branches of a trunk, those to exits. */
const branchesPerTrunk = 10
const connectTimeout = 20 * second
/** Of the time for all attempts, what one may take: more than the exit itself allows a connection. */
const attemptTimeout = limits.tcpConnectTimeout + 2 * second
/** While all exits fail, how often a connection tries one. */
const probeEvery = 1 * second

/** An exit that has its reasons to carry one host has them for the next attempt too; two of them are enough. */
const refusals: ReadonlySet<ErrorCode> = new Set(['host-not-listed', 'address-forbidden'])
/** The branch went, and not by the exit's word: a new one to the same exit may do. */
const lost: ReadonlySet<ErrorCode> = new Set(['link-lost', 'branch-retired'])
/** What says that the exit, not the host, is in trouble: it is passed over for a while. */
const exitsFault: ReadonlySet<ErrorCode> = new Set([
  'draining',
  'unknown-service',
  'refused',
  'protocol-violation',
  'internal',
])

/** What this side decided says nothing about an exit, and another one would not change it. */
const ownDoing: ReadonlySet<ErrorCode> = new Set(['network-unreachable', 'too-many-sites', 'cancelled'])

export interface TcpOrder extends ExitOrder {
  /** Isolation group: its streams share branches, and never one with another group's. */
  readonly group: string
}

export interface ExitsOptions {
  readonly crypto: Crypto
  readonly clock: Clock
  readonly health: RelayHealth
  readonly openBranches: OpenBranches
  readonly trunks: Trunks
  readonly state: State
  network(): Network
}

export class Exits {
  readonly #options: ExitsOptions
  readonly #branches: ExitBranches
  /** Digest of our host list. */
  readonly #list: Uint8Array
  /** What the last connection failed with while every exit was failing, and when. */
  #outage: { readonly at: number; readonly error: NightjarError } | undefined
  #isProbing = false

  constructor(options: ExitsOptions) {
    const { crypto, clock, openBranches, trunks } = options
    this.#options = options
    this.#list = listDigest(crypto.hash.sha256)
    this.#branches = new ExitBranches({
      clock,
      most: () => branchesPerTrunk * Math.max(trunks.standing.length, 1),
      hasRoom: (group) => openBranches.hasRoom(group),
      async open(group, exit) {
        const destination = { group, relay: exit, hidesMiddle: false }
        const opened = openBranches.open(destination, (each, hop) => ({ branch: new ExitBranch(each, hop) }))
        return (await opened).branch
      },
    })
  }

  /**
   * Has an exit connect to the order's host; `join` takes the connection over once it stands. While all exits fail it is
   * refused at once, but for one connection a second, which tries again.
   * @throws NightjarError `no-exit`, `too-many-sites` where other groups have all branches there may be, `cancelled` by the
   * order's signal, or why the last exit that was tried has no connection
   */
  async connect(order: TcpOrder, join: Join): Promise<void> {
    const { clock, health } = this.#options
    const ranked = this.#rank(order)
    const areAllFailing = () => ranked.every((exit) => health.isAvoided(exit))
    const isProbe = areAllFailing()
    if (isProbe && this.#outage !== undefined && (this.#isProbing || clock.elapsed() < this.#outage.at + probeEvery)) {
      throw this.#outage.error
    }
    if (isProbe) this.#isProbing = true
    try {
      await this.#tryExits(ranked, order, join)
    } catch (cause) {
      const error = asNightjarError(cause)
      if (areAllFailing() && !ownDoing.has(error.code)) this.#outage = { at: clock.elapsed(), error }
      throw error
    } finally {
      if (isProbe) this.#isProbing = false
    }
  }

  #rank({ group, host }: TcpOrder): readonly Relay[] {
    const { crypto, state, trunks, network } = this.#options
    const choice = { group, host, list: this.#list }
    const { ranked } = trunks.rank((path) => rankExits(crypto, network(), state, { ...choice, path }))
    if (ranked.length === 0) throw new NightjarError('no-exit')
    return ranked
  }

  async #tryExits(ranked: readonly Relay[], order: TcpOrder, join: Join): Promise<void> {
    const { clock, health } = this.#options
    const deadline = clock.elapsed() + connectTimeout
    const left = new Set(ranked)
    let refused = 0
    for (let attempt = 1; ; attempt++) {
      const exit = health.sort([...left])[0] as Relay
      const until = Math.min(clock.elapsed() + attemptTimeout, deadline)
      try {
        return await this.#connectThrough(exit, order, until, join)
      } catch (cause) {
        const error = asNightjarError(cause)
        if (!lost.has(error.code)) left.delete(exit)
        if (refusals.has(error.code)) refused += 1
        const isLast = attempt === exitsTried || refused === 2 || left.size === 0 || clock.elapsed() >= deadline
        if (isLast || ownDoing.has(error.code)) throw error
      }
    }
  }

  async #connectThrough(exit: Relay, order: TcpOrder, until: number, join: Join): Promise<void> {
    const { clock, health } = this.#options
    const late = () => new NightjarError('timed-out', { detail: 'branch to an exit' })
    // A branch that comes too late for this connection is there for the next one.
    const branch = await within(clock, until - clock.elapsed(), this.#branches.get(order.group, exit), late)
    if (order.signal?.aborted) throw new NightjarError('cancelled')
    if (branch.isFull) throw new NightjarError('limit-reached', { detail: 'streams of a branch' })
    try {
      await branch.connect(order, until - clock.elapsed(), join)
      health.worked(exit)
    } catch (cause) {
      const error = asNightjarError(cause)
      // What is lost with its branch is counted with that.
      if (branch.error === undefined && !ownDoing.has(error.code)) {
        if (exitsFault.has(error.code)) health.failed(exit)
        else health.worked(exit)
      }
      throw error
    }
  }
}
