/**
 * What every branch of an isolation group is, wherever it ends: a hop below a trunk's middle that is watched while it
 * stands, knows when it was last used, and, once retired, closes with the last of what runs on it. What runs on it is
 * told by gatewayBranch.ts (sealed records) and exitBranch.ts (tcp streams).
 */
import type { Hop } from '@nightjar/shared/circuit'
import { type Relay, responderOf } from '@nightjar/shared/directory'
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import type { Clock } from '@nightjar/shared/runtime'
import type { TrunkSlot } from './trunk.ts'
import { watchHop } from './watch.ts'

export interface BranchOptions {
  readonly clock: Clock
  readonly slot: TrunkSlot
  /** Where the branch ends. */
  readonly relay: Relay
}

export abstract class Branch {
  readonly relay: Relay
  readonly slot: TrunkSlot
  protected readonly hop: Hop
  protected readonly clock: Clock
  #retired = false
  #leaving = false
  /** In the clock's milliseconds. */
  lastUsed: number

  constructor({ clock, slot, relay }: BranchOptions, hop: Hop) {
    this.relay = relay
    this.slot = slot
    this.hop = hop
    this.clock = clock
    this.lastUsed = clock.now()
    hop.onGoaway(() => this.#leave())
    watchHop(hop, { clock, code: 'timed-out', isBusy: () => this.isExpecting, before: slot.trunk?.hop })
  }

  /** Whether a relay on its way drains, so that what is new belongs on another branch. */
  get isLeaving(): boolean {
    return this.#leaving
  }

  /** The middle's hop that it grows from. That may be an older trunk's than the slot has now. */
  get trunkHop(): Hop | undefined {
    return this.hop.parent
  }

  /** What is under way, and would be lost with the branch. */
  abstract get running(): number

  /** Whether something on it is pushed for as long as it stands. */
  get isFollowed(): boolean {
    return false
  }

  /** Whether the relay owes an answer: its silence is then noticed sooner. */
  protected abstract get isExpecting(): boolean

  get error(): NightjarError | undefined {
    return this.hop.error
  }

  /** Told once, with the seconds that its relay has left; 0 where its trunk is replaced. */
  onGoaway(listener: (seconds: number) => void): void {
    this.hop.onGoaway(listener)
  }

  onClosed(listener: (error: NightjarError) => void): void {
    this.hop.onClosed(listener)
  }

  /** Takes nothing new; closes once nothing runs on it, or at once where its relay `failed` to prove who it is. */
  retire(failed = false): void {
    this.#retired = true
    if (failed) this.hop.close('handshake-failed')
    else this.closeIfOver()
  }

  /** Ends it whatever is under way. */
  close(): void {
    this.hop.close()
  }

  /** Closes it where it is retired or to be left, and the last of what ran on it has ended. */
  closeIfOver(): void {
    if ((this.#retired || this.#leaving) && this.running === 0) this.hop.close('branch-retired')
  }

  /** Unlike a retired one it takes what comes until it was quiet once: its user may not know of a successor yet. */
  #leave(): void {
    this.#leaving = true
    this.closeIfOver()
  }

  /** @throws NightjarError what it was closed with, or `branch-retired` */
  protected refuseIfRetired(): void {
    if (this.error !== undefined) throw this.error
    if (this.#retired) throw new NightjarError('branch-retired')
  }
}

/** A hop to `relay` on the slot's trunk. @throws NightjarError where the trunk is not up, or the relay cannot be reached */
export async function extendTo({ clock, slot, relay }: BranchOptions): Promise<Hop> {
  if (slot.trunk === undefined) throw slot.lastError ?? new NightjarError('network-unreachable')
  slot.busy += 1
  try {
    return await slot.trunk.hop.extend(responderOf(relay, 'onion', clock.now()))
  } catch (error) {
    throw asNightjarError(error)
  } finally {
    slot.busy -= 1
  }
}
