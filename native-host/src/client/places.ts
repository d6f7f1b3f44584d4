/**
 * The places for branches on trunks: a circuit has 32 at most. Where all are taken, one gives way that is worth least: whose
 * end nobody notices, then what was idle for longest, and what is followed only for who asks.
 */
import type { Hop } from '@nightjar/shared/circuit'
import { NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import type { Branch } from './branch.ts'
import type { TrunkSlot } from './trunk.ts'

export class Places {
  readonly #open: ReadonlySet<Branch>
  /** By trunk: branches on their way. */
  readonly #opening = new Map<TrunkSlot, number>()
  /**
   * Inner middles whose branch was given up unheard, as it is kept: they stand until their time is over. Nothing is said of
   * them before, as that would say that somebody is there, but where their places are needed.
   */
  readonly #unheard = new Set<Hop>()

  /** @param open the branches that stand */
  constructor(open: ReadonlySet<Branch>) {
    this.#open = open
  }

  /** It is on its way on that trunk until the function returned is called. */
  take(slot: TrunkSlot): () => void {
    const change = (by: 1 | -1) => this.#opening.set(slot, (this.#opening.get(slot) ?? 0) + by)
    change(1)
    return () => change(-1)
  }

  /** What has become of a branch that is over. */
  leave(branch: Branch): void {
    const { innerHop } = branch
    if (innerHop === undefined || !branch.isKept || innerHop.error !== undefined) return
    this.#unheard.add(innerHop)
    innerHop.onClosed(() => this.#unheard.delete(innerHop))
  }

  /** Whether there is one on `slots` that takes nothing away from anybody who uses it. */
  hasRoom(slots: readonly TrunkSlot[]): boolean {
    const isOver = (branch: Branch) => !branch.isFollowed && !branch.isKept
    return slots.some((slot) => this.#isFree(slot)) || this.#idleOn(slots).some(isOver)
  }

  /** On which of `slots` there is one. @throws NightjarError `limit-reached`, or `branch-retired` where there are none */
  on(slots: readonly TrunkSlot[]): TrunkSlot {
    if (slots.length === 0) throw new NightjarError('branch-retired')
    const place = this.#make(slots, () => true)
    if (place === undefined) throw new NightjarError('limit-reached', { detail: 'isolation groups at once' })
    return place
  }

  /** The same for another try. Nothing that is followed gives way to it: whoever makes relays busy could end that, too. */
  spareOn(slots: readonly TrunkSlot[]): TrunkSlot | undefined {
    return this.#make(slots, ({ isFollowed }) => !isFollowed)
  }

  #make(slots: readonly TrunkSlot[], mayClose: (idle: Branch) => boolean): TrunkSlot | undefined {
    const free = slots.find((slot) => this.#isFree(slot))
    if (free !== undefined) return free
    const slotOf = (hop: Hop) => slots.find(({ trunk }) => trunk !== undefined && trunk.hop === hop.parent)
    const unheard = [...this.#unheard].find((hop) => slotOf(hop) !== undefined)
    if (unheard !== undefined) {
      const slot = slotOf(unheard)
      unheard.close('branch-retired')
      return slot
    }
    const idle = this.#idleOn(slots).find(mayClose)
    idle?.giveWay()
    return idle?.slot
  }

  #isFree(slot: TrunkSlot): boolean {
    const hop = slot.trunk?.hop
    if (hop?.canExtend === false) return false
    const standing = [...this.#open].filter(({ trunkHop }) => trunkHop === hop).length
    const unheard = [...this.#unheard].filter(({ parent }) => parent === hop).length
    return standing + unheard + (this.#opening.get(slot) ?? 0) < limits.branchesPerCircuit
  }

  /** The best one to close first. */
  #idleOn(slots: readonly TrunkSlot[]): readonly Branch[] {
    return [...this.#open]
      .filter((branch) => slots.includes(branch.slot) && branch.running === 0)
      .sort((a, b) => worth(a) - worth(b) || a.lastUsed - b.lastUsed)
  }
}

/** What is lost with it: values that are followed; or that its gateway, and that of the next one, see a common moment. */
function worth({ isFollowed, isKept }: Branch): number {
  return isFollowed ? 2 : Number(isKept)
}
