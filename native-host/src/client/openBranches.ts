/**
 * All branches that stand, wherever they end and whoever uses them: opened on the trunk that a group prefers, counted
 * against relays that fail, closed when idle or when another group needs the place. Each is idle for a time of its own:
 * those that were last used together must not be seen to end together.
 */
import type { Hop } from '@nightjar/shared/circuit'
import type { Awaitable } from '@nightjar/shared/crypto'
import type { Relay } from '@nightjar/shared/directory'
import { asNightjarError, type ErrorCode, type NightjarError } from '@nightjar/shared/errors'
import { type Clock, minute, second, type Timer } from '@nightjar/shared/runtime'
import { LRUCache } from 'lru-cache'
import { type Branch, type BranchOptions, extendTo, type Way } from './branch.ts'
import { eitherWay } from './eitherWay.ts'
import { type GreetedBranch, openGatewayBranch } from './gatewayBranch.ts'
import type { RelayHealth } from './health.ts'
import { Places } from './places.ts'
import { isApartFromAll } from './selection.ts'
import type { Trunk, TrunkSlot } from './trunk.ts'
import { trunkCount } from './trunks.ts'

const idleAfter = 10 * minute
const idleJitter = 4 * minute
/** How long a branch over one trunk is waited for before another way is tried, too. */
const lateAfter = 2 * second
/** Ways that are tried for one branch, at most. */
const mostWays = 4
/** How soon after a look at a busy branch the next one is. */
const lookAgainAfter = 1 * minute

/** Who wants a branch, and where it is to end. */
export interface Destination {
  readonly group: string
  readonly relay: Relay
  /** The relay is not to see which middle it comes through: another one is between. */
  readonly hidesMiddle: boolean
}

/** Makes a branch of its hop; where it has to be greeted first, it is one when it was. */
type Make<T> = (options: BranchOptions, hop: Hop) => Awaitable<T>

/** One branch on its way. */
interface Opening {
  readonly destination: Destination
  readonly standing: readonly TrunkSlot[]
  readonly tried: Way[]
  /** What was said of the relay at the end, once for each way. */
  readonly says: { readonly error: NightjarError; readonly middle: string }[]
}

/** On which way a branch was lost: identities. */
interface LostOn {
  readonly middle: string
  readonly inner: string
  /** Nothing had come of it, and its inner middle stands. */
  readonly mayBeEnds: boolean
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
  readonly #places = new Places(this.#open)
  /** By group and relay at the end: how a branch was lost, since when none has come to anything. */
  readonly #lostOn = new LRUCache<string, LostOn>({ max: 1000 })
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
   * A new branch, made of its hop by `make`. What fails or hangs over one trunk is tried over the other, and through another
   * inner middle: what one relay says of the next, or lets through of what that says, it alone says, and it could move the
   * group to another gateway by that, or to an inner middle that it works with. So the relay at the end is blamed where two
   * ways say so that have no relay in common but the entry, or there is no other.
   * @throws NightjarError `network-unreachable`, or why the relay cannot be reached
   */
  async open<T extends { readonly branch: Branch }>(destination: Destination, make: Make<T>): Promise<T> {
    const { clock, slotsFor } = this.#options
    const standing = await slotsFor(destination.group)
    const opening: Opening = { destination, standing, tried: [], says: [] }
    const slot = this.#places.on(this.#orderFor(destination, fittingOf(destination.relay, standing)))
    const [inner] = this.#innersFor(destination, slot)
    const next = () => {
      const way = this.#nextWay(opening)
      return way && this.#attempt(opening, way, make)
    }
    const opened = await eitherWay<T>(clock, lateAfter, {
      first: () => this.#attempt(opening, { slot, relay: destination.relay, inner }, make),
      second: next,
      onNotNeeded: ({ branch }) => branch.close(),
    }).catch((error: unknown) => this.#goOn(opening, next, asNightjarError(error)))
    this.#keep(opened.branch, opening)
    return opened
  }

  /** The same to a gateway, and its reply to `hello`. */
  async greet(destination: Destination, hello: Uint8Array): Promise<GreetedBranch> {
    const greeted = await this.open(destination, (options, hop) => openGatewayBranch(options, hop, hello))
    this.#options.onGreeted?.(destination.group, destination.relay)
    return greeted
  }

  /** Whether a branch can be opened without taking the place of one on which something is followed, or that is kept. */
  async hasRoom(group: string): Promise<boolean> {
    return this.#places.hasRoom(await this.#options.slotsFor(group))
  }

  /** Closes retired branches whose last stream ended unseen. */
  closeOver(): void {
    for (const branch of this.#open) branch.closeIfOver()
  }

  closeAll(): void {
    for (const branch of this.#open) branch.retire()
  }

  /** An account's begins where the last one was not lost: a middle could else choose which inner middle it comes to. */
  #orderFor(destination: Destination, slots: readonly TrunkSlot[]): readonly TrunkSlot[] {
    const lost = this.#lostOn.get(keyOf(destination))
    const isThere = ({ trunk }: TrunkSlot) => trunk?.middle.id === lost?.middle
    return [...slots.filter((slot) => !isThere(slot)), ...slots.filter(isThere)]
  }

  /** Where the first two ways failed: others, as long as not two of them were the word of the relay at the end. */
  async #goOn<T>(opening: Opening, next: () => Promise<T> | undefined, failure: NightjarError): Promise<T> {
    let last = failure
    while (opening.destination.hidesMiddle && (opening.says.length < 2 || this.#couldTellOther(opening))) {
      const attempt = next()
      if (attempt === undefined) break
      try {
        return await attempt
      } catch (error) {
        last = asNightjarError(error)
      }
    }
    this.#judge(opening)
    throw opening.says.at(-1)?.error ?? last
  }

  /** Whether a trunk stands, and has room, over which no word of the relay at the end has come yet, nor two ways have failed. */
  #couldTellOther({ destination: { relay }, standing, tried, says }: Opening): boolean {
    return fittingOf(relay, standing).some((slot) => {
      const { trunk } = slot
      const isNew = trunk !== undefined && says.every(({ middle }) => middle !== trunk.middle.id)
      const isUntold = isNew && tried.filter((way) => way.slot === slot).length < 2
      return isUntold && this.#places.spareOn([slot]) !== undefined
    })
  }

  /** Blames the relay at the end. What is `busy` over the only way that there is now may well be that way. */
  #judge(opening: Opening): void {
    const { destination, standing, tried, says } = opening
    const { relay } = destination
    const said = says.at(-1)?.error
    if (destination.hidesMiddle && this.#couldTellOther(opening)) return
    const couldBeOther = fittingOf(relay, standing).length > 1 || standing.length < trunkCount
    const isOneWay = new Set(tried.map(({ slot }) => slot)).size === 1 && couldBeOther
    if (said === undefined || (said.code === 'busy' && says.length === 1 && isOneWay)) return
    this.#blame(relay, said)
  }

  /** Over another trunk and through another inner middle than before, as far as there are some that may be asked. */
  #nextWay({ destination, standing, tried }: Opening): Way | undefined {
    if (tried.length >= mostWays) return undefined
    const { relay } = destination
    const last = tried.at(-1)?.slot
    const isNew = ({ id }: Relay) => tried.every(({ inner }) => inner?.id !== id)
    const isTried = ({ slot, inner }: Way) => tried.some((way) => way.slot === slot && way.inner?.id === inner?.id)
    const standingNow = fittingOf(relay, standing).filter(({ trunk }) => trunk !== undefined)
    return [...standingNow.filter((slot) => slot !== last), ...standingNow.filter((slot) => slot === last)]
      .map((slot): Way => {
        const inners = this.#innersFor(destination, slot)
        return { slot, relay, inner: inners.find(isNew) ?? inners[0] }
      })
      .find((way) => !isTried(way) && this.#places.spareOn([way.slot]) !== undefined)
  }

  #innersFor(destination: Destination, { trunk }: TrunkSlot): readonly Relay[] {
    if (!destination.hidesMiddle || trunk === undefined) return []
    return this.#options.health.sort(this.#options.innersFor(destination, trunk))
  }

  async #attempt<T>({ tried, says }: Opening, way: Way, make: Make<T>): Promise<T> {
    const { clock, health, random } = this.#options
    const { slot, inner, relay } = way
    const { trunk } = slot
    const arrive = this.#places.take(slot)
    tried.push(way)
    let isInners = false
    try {
      const { hop, middle } = await extendTo(clock, way, () => {
        isInners = true
      })
      hop.onClosed(() => {
        isInners ||= inner !== undefined && hop.parent?.error !== undefined
      })
      const opened = await make({ clock, random, middle, ...way }, hop)
      health.tookNew(relay)
      return opened
    } catch (cause) {
      const error = asNightjarError(cause)
      // One of a trunk that died meanwhile says nothing, nor does a circuit that others have filled.
      const isFull = error.code === 'limit-reached' && slot.trunk?.hop.canExtend === false
      const isLost = trunk === undefined || slot.trunk === undefined || trunk.hop.error !== undefined
      if (isLost || isFull) throw error
      if (!isInners) says.push({ error, middle: trunk.middle.id })
      else if (inner !== undefined && error.code !== 'busy') this.#blame(inner, error)
      throw error
    } finally {
      arrive()
    }
  }

  /** Once for each failure. */
  #blame(relay: Relay, error: NightjarError): void {
    if (this.#counted.has(error)) return
    this.#counted.add(error)
    this.#options.health.failed(relay)
  }

  #keep(branch: Branch, opening: Opening): void {
    if (branch.error !== undefined) return
    this.#open.add(branch)
    this.#options.onChange?.()
    const idle = this.#closeWhenIdle(branch)
    const { health } = this.#options
    const { relay, inner } = branch
    if (inner === undefined) branch.onGoaway((seconds) => health.drains(relay, seconds))
    // That the relay at the end drains only this one says: the next way will tell.
    else branch.innerHop?.onGoaway((seconds) => health.drains(inner, seconds))
    branch.onAnswered(() => {
      this.#lostOn.delete(keyOf(opening.destination))
      if (inner !== undefined) health.worked(inner)
    })
    branch.onClosed((error) => {
      idle.cancel()
      this.#open.delete(branch)
      // In a moment: whoever ends a branch ends the hop before it next.
      queueMicrotask(() => this.#places.leave(branch))
      this.#options.onChange?.()
      // What came of it nobody has found fault with.
      if (branch.hasAnswered && !branch.hasFailedProof) health.worked(relay)
      this.#blameForLoss(branch, error.code, opening)
    })
  }

  /**
   * Once for the branch, however many requests were lost with it, and not where its trunk is lost or it was given up on this
   * side. The relays before the end may lie about that. The inner middle is passed over, and the next way tells; the relay at
   * the end is, too, where one was lost before over another trunk and another inner middle.
   */
  #blameForLoss(branch: Branch, code: ErrorCode, { destination, standing }: Opening): void {
    const { relay, inner, middle, trunkHop, innerHop, hasAnswered, hasFailedProof } = branch
    const { health } = this.#options
    if (trunkHop === undefined || trunkHop.error !== undefined || code === 'branch-retired') return
    // That it has not proved who it is nobody before it can bring about.
    if (inner === undefined || hasFailedProof) return health.failed(relay)
    health.failed(inner)
    const mayBeEnds = !hasAnswered && innerHop?.error === undefined
    const key = keyOf(destination)
    const before = this.#lostOn.get(key)
    this.#lostOn.set(key, { middle: middle.id, inner: inner.id, mayBeEnds })
    if (!mayBeEnds || before?.mayBeEnds !== true || before.inner === inner.id) return
    const isOther = ({ trunk }: TrunkSlot) => trunk !== undefined && trunk.middle.id !== middle.id
    if (before.middle !== middle.id || !fittingOf(relay, standing).some(isOther)) health.failed(relay)
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
}

function keyOf({ group, relay }: Destination): string {
  return `${group} ${relay.id}`
}

/**
 * Those on whose trunk the relay can be the end of a path. It was chosen while another trunk stood, or none: it must not
 * stand twice in one path. The next choice knows this trunk.
 */
function fittingOf(relay: Relay, slots: readonly TrunkSlot[]): readonly TrunkSlot[] {
  return slots.filter(({ trunk }) => trunk === undefined || isApartFromAll(relay, [trunk.entry, trunk.middle]))
}
