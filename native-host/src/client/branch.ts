/**
 * What every branch of an isolation group is, wherever it ends: a hop below a trunk's middle, or below the inner middle that
 * hides that one from it. It is watched while it stands, knows when it was last used and, once retired, closes with the last
 * of what runs on it; one that is kept is closed by the relay before its end when its time is over. What runs on it is told
 * by gatewayBranch.ts (sealed records) and exitBranch.ts (tcp streams).
 *
 * Where a relay on its way drains, it is left at a random moment within the time that there is: branches that left in the
 * same instant would show the relays at their ends, working together, whose they are.
 */
import type { Hop } from '@nightjar/shared/circuit'
import { type Relay, responderOf } from '@nightjar/shared/directory'
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import { type Clock, minute, second } from '@nightjar/shared/runtime'
import type { TrunkSlot } from './trunk.ts'
import { watchHop } from './watch.ts'

/** What comes on a branch just before it is left has that much time yet: longer than an answer takes. */
const underWay = 30 * second
/** No longer than a relay that drains is passed over (health.ts), or what leaves it would come back to it. */
const longestAtEnd = 1 * minute

/**
 * For how many milliseconds of the `seconds` that a relay has left branches leave it. The rest is for what is under way on
 * the last of them.
 */
export function timeToLeave(seconds: number, longest: number): number {
  const left = Math.max(seconds * second, 0)
  return Math.min(left - Math.min(left / 2, underWay), longest)
}

export interface BranchOptions {
  readonly clock: Clock
  readonly slot: TrunkSlot
  /** Where the branch ends. */
  readonly relay: Relay
  /** What is between that and the trunk. */
  readonly inner: Relay | undefined
  /** The trunk's. */
  readonly middle: Relay
  /** A number in [0, 1). */
  random(): number
}

export abstract class Branch {
  readonly relay: Relay
  readonly inner: Relay | undefined
  readonly middle: Relay
  readonly slot: TrunkSlot
  protected readonly hop: Hop
  protected readonly clock: Clock
  #retired = false
  #leaving = false
  /** Its relay has not proved who it is. */
  hasFailedProof = false
  #hasAnswered = false
  readonly #answeredListeners: (() => void)[] = []
  readonly #leavingListeners: (() => void)[] = []
  /** In the clock's elapsed milliseconds. */
  lastUsed: number

  constructor({ clock, slot, relay, inner, middle, random }: BranchOptions, hop: Hop) {
    this.relay = relay
    this.inner = inner
    this.middle = middle
    this.slot = slot
    this.hop = hop
    this.clock = clock
    this.lastUsed = clock.elapsed()
    const leaveWithin = (seconds: number) =>
      clock.after(random() * timeToLeave(seconds, longestAtEnd), () => this.#leave())
    const watch = {
      clock,
      isBusy: () => this.isExpecting,
      // A PING would tell its gateway that somebody is there.
      mayAsk: () => !this.isKept || this.isExpecting,
    }
    hop.onGoaway(leaveWithin)
    // `timed-out` says that it was the relay at the end, and an inner middle could make it so.
    watchHop(hop, { ...watch, code: inner === undefined ? 'timed-out' : 'link-lost', before: hop.parent })
    if (this.innerHop === undefined) return
    this.innerHop.onGoaway(leaveWithin)
    watchHop(this.innerHop, { ...watch, code: 'link-lost', before: this.trunkHop })
  }

  /** Whether it is time to leave it, as a relay on its way drains: what is new belongs on another branch. */
  get isLeaving(): boolean {
    return this.#leaving
  }

  /** The middle's hop that it grows from. That may be an older trunk's than the slot has now. */
  get trunkHop(): Hop | undefined {
    return this.innerHop === undefined ? this.hop.parent : this.innerHop.parent
  }

  /** That of the inner middle, where there is one. */
  get innerHop(): Hop | undefined {
    return this.inner === undefined ? undefined : this.hop.parent
  }

  /** What is under way, and would be lost with the branch. */
  abstract get running(): number

  /** Whether something on it is pushed for as long as it stands. */
  get isFollowed(): boolean {
    return false
  }

  /** Whether it stands for its time, whatever becomes of us. */
  get isKept(): boolean {
    return false
  }

  /** Whether the relay owes an answer: its silence is then noticed sooner. */
  protected abstract get isExpecting(): boolean

  get error(): NightjarError | undefined {
    return this.hop.error
  }

  /** Whether something came of it that was asked on it. */
  get hasAnswered(): boolean {
    return this.#hasAnswered
  }

  protected answered(): void {
    if (this.#hasAnswered) return
    this.#hasAnswered = true
    for (const listener of this.#answeredListeners.splice(0)) listener()
  }

  /** Told once, when the first answer has come. */
  onAnswered(listener: () => void): void {
    if (this.#hasAnswered) listener()
    else this.#answeredListeners.push(listener)
  }

  /** Told once, when it is time to leave it. It stays while something runs on it, or is followed. */
  onLeaving(listener: () => void): void {
    if (this.#leaving) listener()
    else this.#leavingListeners.push(listener)
  }

  /** Told once, at once, with the seconds that its relay has left; 0 where its trunk is replaced. */
  onGoaway(listener: (seconds: number) => void): void {
    this.hop.onGoaway(listener)
  }

  onClosed(listener: (error: NightjarError) => void): void {
    this.hop.onClosed(listener)
  }

  /**
   * Takes nothing new; closes once nothing runs on it, or, where it is kept, when its time is over; or at once where its
   * relay `failed` to prove who it is.
   */
  retire(failed = false): void {
    this.#retired = true
    this.hasFailedProof ||= failed
    if (failed) this.hop.close('handshake-failed')
    else this.closeIfOver()
  }

  /** Ends it for another one's sake, kept or not, with all that runs on it; its relay is not to blame. */
  giveWay(): void {
    this.hop.close('branch-retired')
  }

  /** Ends it whatever is under way. */
  close(): void {
    this.hop.close()
  }

  /**
   * Closes it where it is retired and not kept, or to be left, and the last of what ran on it has ended. What is followed
   * moves first.
   */
  closeIfOver(): void {
    const isOver = (this.#retired && !this.isKept) || (this.#leaving && !this.isFollowed)
    if (isOver && this.running === 0) this.hop.close('branch-retired')
  }

  /** Unlike a retired one it takes what comes until it was quiet once: its user may not know of a successor yet. */
  #leave(): void {
    if (this.error !== undefined) return
    this.#leaving = true
    for (const listener of this.#leavingListeners.splice(0)) listener()
    this.closeIfOver()
  }

  /** @throws NightjarError what it was closed with, or `branch-retired` */
  protected refuseIfRetired(): void {
    if (this.error !== undefined) throw this.error
    if (this.#retired) throw new NightjarError('branch-retired')
  }
}

/** A branch that is to be opened. */
export interface Way {
  readonly slot: TrunkSlot
  /** What is between the trunk and `relay`. */
  readonly inner: Relay | undefined
  readonly relay: Relay
}

/**
 * A hop to the relay on the slot's trunk, and that one's middle.
 * @param onInnerFailed told before it throws because of the inner middle
 * @throws NightjarError where the trunk is not up, or a relay cannot be reached
 */
export async function extendTo(
  clock: Clock,
  { slot, inner, relay }: Way,
  onInnerFailed: () => void,
): Promise<{ readonly hop: Hop; readonly middle: Relay }> {
  if (slot.trunk === undefined) throw slot.lastError ?? new NightjarError('network-unreachable')
  const { hop, middle } = slot.trunk
  const keyOf = (each: Relay) => responderOf(each, 'onion', clock.now())
  const innerKeyOf = (each: Relay) => {
    try {
      return keyOf(each)
    } catch (error) {
      onInnerFailed()
      throw error
    }
  }
  slot.busy += 1
  try {
    if (inner === undefined) return { hop: await hop.extend(keyOf(relay)), middle }
    const end = keyOf(relay)
    return { hop: await hop.extendThrough(innerKeyOf(inner), end, onInnerFailed), middle }
  } catch (error) {
    throw asNightjarError(error)
  } finally {
    slot.busy -= 1
  }
}
