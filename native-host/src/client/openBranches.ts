/**
 * All branches that stand, wherever they end and whoever uses them: opened on the trunk that a group prefers, counted
 * against relays that fail, closed when idle or when another group needs the place. Each is idle for a time of its own:
 * those that were last used together must not be seen to end together.
 */
import type { Hop } from '@nightjar/shared/circuit'
import type { Awaitable } from '@nightjar/shared/crypto'
import type { Relay } from '@nightjar/shared/directory'
import { asNightjarError, type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { type Clock, minute, second, type Timer } from '@nightjar/shared/runtime'
import { type Branch, type BranchOptions, extendTo, type Way } from './branch.ts'
import { eitherWay } from './eitherWay.ts'
import { type GreetedBranch, openGatewayBranch } from './gatewayBranch.ts'
import type { RelayHealth } from './health.ts'
import { isApartFromAll } from './selection.ts'
import type { Trunk, TrunkSlot } from './trunk.ts'
import { trunkCount } from './trunks.ts'

const idleAfter = 10 * minute
const idleJitter = 4 * minute
/** How long an EXTEND over one trunk is waited for before the other is tried, too. */
const lateAfter = 2 * second
/** How soon after a look at a busy branch the next one is. */
const lookAgainAfter = 1 * minute

/** Who wants a branch, and where it is to end. */
export interface Destination {
  readonly group: string
  readonly relay: Relay
  /** The relay is not to see which middle it comes through: another one is between. */
  readonly hidesMiddle: boolean
}

/** Where a branch to a relay can begin. */
interface Reached {
  readonly way: Way
  readonly hop: Hop
}

export interface OpenBranchesOptions {
  readonly clock: Clock
  readonly health: RelayHealth
  /** The slots that stand, the one that the group prefers first. Waits for one. @throws NightjarError `network-unreachable` */
  slotsFor(group: string): Promise<readonly TrunkSlot[]>
  /** The inner middles that a branch of the group may have on that trunk, best first; none in a network too small for it. */
  innersFor(destination: Destination, trunk: Trunk): readonly Relay[]
  /** A number in [0, 1). */
  random(): number
  onChange?(): void
  /** A gateway has replied to the group. */
  onGreeted?(group: string, gateway: Relay): void
}

export class OpenBranches {
  readonly #options: OpenBranchesOptions
  readonly #open = new Set<Branch>()
  /** By trunk: branches on their way. */
  readonly #opening = new Map<TrunkSlot, number>()
  /** One failure is that of all who waited for the same relay on a trunk, and counts once. */
  readonly #counted = new WeakSet<NightjarError>()

  constructor(options: OpenBranchesOptions) {
    this.#options = options
  }

  /** Those that are open now. */
  get all(): readonly Branch[] {
    return [...this.#open]
  }

  /**
   * A new branch, made of its hop by `make`.
   * @throws NightjarError `network-unreachable`, or why the relay cannot be reached (which counts against it)
   */
  async open<T extends { readonly branch: Branch }>(
    destination: Destination,
    make: (options: BranchOptions, hop: Hop) => Awaitable<T>,
  ): Promise<T> {
    const { clock, health, random } = this.#options
    const { way, hop } = await this.#reach(destination)
    try {
      const opened = await make({ clock, random, ...way }, hop)
      health.tookNew(way.relay)
      this.#keep(opened.branch)
      return opened
    } catch (error) {
      this.#blame(way.relay, way.slot, asNightjarError(error))
      throw error
    } finally {
      this.#count(way.slot, -1)
    }
  }

  /** The same to a gateway, and its reply to `hello`. */
  async greet(destination: Destination, hello: Uint8Array): Promise<GreetedBranch> {
    const greeted = await this.open(destination, (options, hop) => openGatewayBranch(options, hop, hello))
    this.#options.onGreeted?.(destination.group, destination.relay)
    return greeted
  }

  /** Whether a branch can be opened without taking the place of one on which something is followed, or that is kept. */
  async hasRoom(group: string): Promise<boolean> {
    const slots = await this.#options.slotsFor(group)
    const isOver = (branch: Branch) => !branch.isFollowed && !branch.isKept
    return slots.some((slot) => this.#isFree(slot)) || this.#idleOn(slots).some(isOver)
  }

  /** Closes retired branches whose last stream ended unseen. */
  closeOver(): void {
    for (const branch of this.#open) branch.closeIfOver()
  }

  closeAll(): void {
    for (const branch of this.#open) branch.retire()
  }

  /**
   * A hop to the relay, and the way to it, on whose slot it counts as being opened until the caller says otherwise. What fails
   * or hangs over one trunk is tried over the other, and through another inner middle: what one relay says of the next it alone
   * says, and it could move the group to another gateway by that. Where it is `busy` and there is no other way now, nobody is
   * blamed.
   */
  async #reach(destination: Destination): Promise<Reached> {
    const { clock, slotsFor } = this.#options
    const { group, relay } = destination
    const standing = await slotsFor(group)
    const fitting = fittingOf(relay, standing)
    const slot = this.#place(fitting)
    const others = fitting.filter((each) => each !== slot)
    const way: Way = { slot, relay, inner: this.#innersFor(destination, slot)[0] }
    let last = way
    try {
      return await eitherWay<Reached>(clock, lateAfter, {
        first: () => this.#extend(way),
        second: () => {
          const next = this.#otherWay(destination, way, others)
          last = next ?? way
          return next && this.#extend(next)
        },
        onNotNeeded: (reached) => {
          this.#count(reached.way.slot, -1)
          reached.hop.close()
        },
      })
    } catch (cause) {
      const error = asNightjarError(cause)
      const isOneWay = last.slot === slot && (others.length > 0 || standing.length < trunkCount)
      if (error.code !== 'busy' || !isOneWay) this.#blame(relay, last.slot, error)
      throw error
    }
  }

  /** Over another trunk and through another inner middle, as far as there are some that may be asked. */
  #otherWay(destination: Destination, way: Way, slots: readonly TrunkSlot[]): Way | undefined {
    const { relay } = destination
    const spare = this.#spare(relay, slots)
    const inners = this.#innersFor(destination, spare ?? way.slot)
    const other = inners.find(({ id }) => id !== way.inner?.id)
    if (spare !== undefined) return { slot: spare, relay, inner: other ?? inners[0] }
    return other && { slot: way.slot, relay, inner: other }
  }

  #innersFor(destination: Destination, { trunk }: TrunkSlot): readonly Relay[] {
    if (!destination.hidesMiddle || trunk === undefined) return []
    return this.#options.health.sort(this.#options.innersFor(destination, trunk))
  }

  async #extend(way: Way): Promise<Reached> {
    const { slot, inner } = way
    this.#count(slot, 1)
    try {
      const hop = await extendTo(this.#options.clock, way, (error) => this.#blameInner(way, error))
      if (inner !== undefined) this.#options.health.worked(inner)
      return { way, hop }
    } catch (error) {
      this.#count(slot, -1)
      throw error
    }
  }

  /** It was not the relay at the end, which was never asked. */
  #blameInner({ slot, inner }: Way, error: NightjarError): void {
    if (inner !== undefined && error.code !== 'busy') this.#blame(inner, slot, error)
    this.#counted.add(error)
  }

  /** Once for each failure. One of a trunk that died meanwhile says nothing, nor does a circuit that others have filled. */
  #blame(relay: Relay, { trunk }: TrunkSlot, error: NightjarError): void {
    const isFull = error.code === 'limit-reached' && trunk?.hop.canExtend === false
    if (trunk === undefined || isFull || this.#counted.has(error)) return
    this.#counted.add(error)
    this.#options.health.failed(relay)
  }

  #keep(branch: Branch): void {
    if (branch.error !== undefined) return
    this.#open.add(branch)
    this.#options.onChange?.()
    const idle = this.#closeWhenIdle(branch)
    const { health } = this.#options
    const { relay, inner } = branch
    branch.onGoaway((seconds) => health.drains(relay, seconds))
    if (inner !== undefined) branch.innerHop?.onGoaway((seconds) => health.drains(inner, seconds))
    branch.onClosed(({ code }) => {
      idle.cancel()
      this.#open.delete(branch)
      this.#options.onChange?.()
      const failed = failedRelay(branch, code)
      if (failed !== undefined) health.failed(failed)
    })
  }

  #closeWhenIdle(branch: Branch): Timer {
    const { clock, random } = this.#options
    const patience = idleAfter + (random() - 0.5) * 2 * idleJitter
    const look = () => {
      const left = branch.lastUsed + patience - clock.elapsed()
      if (left <= 0 && branch.running === 0 && !branch.isKept) branch.retire()
      else timer = clock.after(left > 0 ? left : lookAgainAfter, look)
    }
    let timer = clock.after(patience, look)
    return { cancel: () => timer.cancel() }
  }

  /**
   * On which of `slots` there is a place. A circuit has 32 branches at most: where all are full, the branch makes room that
   * was idle for longest, and one on which something is followed only where there is no other.
   */
  #place(slots: readonly TrunkSlot[]): TrunkSlot {
    if (slots.length === 0) throw new NightjarError('branch-retired')
    const place = this.#makePlace(slots, () => true)
    if (place === undefined) throw new NightjarError('limit-reached', { detail: 'isolation groups at once' })
    return place
  }

  /** One more that may be asked. Nothing that is followed gives way to it: whoever makes relays busy could end that, too. */
  #spare(relay: Relay, slots: readonly TrunkSlot[]): TrunkSlot | undefined {
    const standing = fittingOf(relay, slots).filter(({ trunk }) => trunk !== undefined)
    return this.#makePlace(standing, ({ isFollowed }) => !isFollowed)
  }

  #makePlace(slots: readonly TrunkSlot[], mayClose: (idle: Branch) => boolean): TrunkSlot | undefined {
    const free = slots.find((slot) => this.#isFree(slot))
    if (free !== undefined) return free
    const idle = this.#idleOn(slots).find(mayClose)
    idle?.giveWay()
    return idle?.slot
  }

  #isFree(slot: TrunkSlot): boolean {
    if (slot.trunk?.hop.canExtend === false) return false
    const taken =
      this.all.filter(({ trunkHop }) => trunkHop === slot.trunk?.hop).length + (this.#opening.get(slot) ?? 0)
    return taken < limits.branchesPerCircuit
  }

  /** The best one to close first. */
  #idleOn(slots: readonly TrunkSlot[]): readonly Branch[] {
    return this.all
      .filter((branch) => slots.includes(branch.slot) && branch.running === 0)
      .sort((a, b) => worth(a) - worth(b) || a.lastUsed - b.lastUsed)
  }

  #count(slot: TrunkSlot, change: 1 | -1): void {
    this.#opening.set(slot, (this.#opening.get(slot) ?? 0) + change)
  }
}

/** What is lost with it: values that are followed; or that its gateway, and that of the next one, see a common moment. */
function worth({ isFollowed, isKept }: Branch): number {
  return isFollowed ? 2 : Number(isKept)
}

/**
 * Those on whose trunk the relay can be the end of a path. It was chosen while another trunk stood, or none: it must not
 * stand twice in one path. The next choice knows this trunk.
 */
function fittingOf(relay: Relay, slots: readonly TrunkSlot[]): readonly TrunkSlot[] {
  return slots.filter(({ trunk }) => trunk === undefined || isApartFromAll(relay, [trunk.entry, trunk.middle]))
}

/**
 * The trunk stands and the branch does not: it was the inner middle, where that has gone, or the relay at the end, unless the
 * branch was given up on this side. Once for the branch, however many requests were lost with it.
 */
function failedRelay(branch: Branch, code: ErrorCode): Relay | undefined {
  const { trunkHop, innerHop, inner, relay } = branch
  if (trunkHop === undefined || trunkHop.error !== undefined || code === 'branch-retired') return undefined
  return innerHop?.error === undefined ? relay : inner
}
