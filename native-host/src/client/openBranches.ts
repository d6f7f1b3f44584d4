/**
 * All branches that stand, wherever they end and whoever uses them: opened on the trunk that a group prefers, counted
 * against relays that fail, closed when idle or when another group needs the place.
 */
import type { Relay } from '@nightjar/shared/directory'
import { asNightjarError, type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { type OpenBranch, openSealedBranch, type SealedBranchOptions } from '@nightjar/shared/requests'
import { type Clock, minute } from '@nightjar/shared/runtime'
import type { Branch, BranchOptions } from './branch.ts'
import { type GreetedBranch, openGatewayBranch } from './gatewayBranch.ts'
import type { RelayHealth } from './health.ts'
import { isApartFromAll } from './selection.ts'
import type { TrunkSlot } from './trunk.ts'

const idleAfter = 10 * minute

export interface OpenBranchesOptions {
  readonly clock: Clock
  readonly health: RelayHealth
  /** The slot a group uses now: its preferred one if that is up. Waits for one. @throws NightjarError `network-unreachable` */
  slotFor(group: string): Promise<TrunkSlot>
  onChange?(): void
}

export class OpenBranches {
  readonly #options: OpenBranchesOptions
  readonly #open = new Set<Branch>()

  constructor(options: OpenBranchesOptions) {
    this.#options = options
  }

  /** Those that are open now. */
  get all(): readonly Branch[] {
    return [...this.#open]
  }

  /**
   * A new branch of `group` to `relay`, made by `make`.
   * @throws NightjarError `network-unreachable`, or why the relay cannot be reached (which counts against it)
   */
  async open<T extends { readonly branch: Branch }>(
    group: string,
    relay: Relay,
    make: (options: BranchOptions) => Promise<T>,
  ): Promise<T> {
    const { health, clock } = this.#options
    const slot = await this.#options.slotFor(group)
    const { trunk } = slot
    // Chosen while another trunk stood, or none: it must not stand twice in one path. The next choice knows this trunk.
    if (trunk !== undefined && !isApartFromAll(relay, [trunk.entry, trunk.middle])) {
      throw new NightjarError('branch-retired')
    }
    this.#makeRoom(slot)
    try {
      const opened = await make({ clock, slot, relay })
      this.#keep(opened.branch)
      return opened
    } catch (cause) {
      const error = asNightjarError(cause)
      // A trunk that died meanwhile says nothing about the relay, nor does a circuit that others have filled.
      const isFull = error.code === 'limit-reached' && slot.trunk?.hop.canExtend === false
      if (slot.trunk !== undefined && !isFull) health.failed(relay)
      throw error
    }
  }

  /** The same to a gateway, and its reply to `hello`. */
  greet(group: string, gateway: Relay, hello: Uint8Array): Promise<GreetedBranch> {
    return this.open(group, gateway, (options) => openGatewayBranch(options, hello))
  }

  /** Closes branches that nobody has used for a while, and retired ones whose last stream ended unseen. */
  closeIdle(): void {
    const since = this.#options.clock.now() - idleAfter
    for (const branch of this.#open) {
      if (branch.running === 0 && branch.lastUsed < since) branch.retire()
      else branch.closeIfOver()
    }
  }

  closeAll(): void {
    for (const branch of this.#open) branch.retire()
  }

  #keep(branch: Branch): void {
    if (branch.error !== undefined) return
    this.#open.add(branch)
    this.#options.onChange?.()
    branch.onClosed(({ code }) => {
      this.#open.delete(branch)
      this.#options.onChange?.()
      if (isRelaysFault(branch, code)) this.#options.health.failed(branch.relay)
    })
  }

  /** A circuit has 32 branches at most: the one that was idle for longest makes room. */
  #makeRoom(slot: TrunkSlot): void {
    if (slot.trunk === undefined || slot.trunk.hop.canExtend) return
    const idle = this.all
      .filter((branch) => branch.slot === slot && branch.running === 0)
      .sort((a, b) => a.lastUsed - b.lastUsed)[0]
    if (idle === undefined) throw new NightjarError('limit-reached', { detail: 'isolation groups at once' })
    idle.retire()
  }
}

/**
 * The trunk stands and the branch does not: it was the relay at its end, unless the branch was given up on this side.
 * Once for the branch, however many requests were lost with it.
 */
function isRelaysFault(branch: Branch, code: ErrorCode): boolean {
  const { trunk } = branch.slot
  return trunk !== undefined && trunk.hop.error === undefined && code !== 'branch-retired'
}

/** Branches that this process itself seals on. */
export function sealingOn(
  openBranches: OpenBranches,
  options: SealedBranchOptions & { readonly health: RelayHealth },
): OpenBranch {
  return async (group, gateway) => {
    let isGreeted = false
    try {
      const sealed = await openSealedBranch(options, gateway, async (hello) => {
        isGreeted = true
        const { branch, reply } = await openBranches.greet(group, gateway, hello)
        return { carrier: branch, reply }
      })
      options.health.worked(gateway)
      return sealed
    } catch (error) {
      // Not a key of it is valid, so it cannot even be greeted; whatever fails later is counted with the branch.
      if (!isGreeted) options.health.failed(gateway)
      throw error
    }
  }
}
