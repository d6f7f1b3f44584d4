/**
 * The branches of all isolation groups: one per group and gateway, opened when first needed, replaced by a fresh one
 * when due, closed when idle. A group prefers one trunk and ranks the gateways in an order of its own.
 */
import type { Relay } from '@nightjar/shared/directory'
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import { type Clock, minute } from '@nightjar/shared/runtime'
import { type Branch, type BranchOptions, openBranch } from './branch.ts'
import type { RelayHealth } from './health.ts'
import { isApartFromAll } from './selection.ts'
import type { TrunkSlot } from './trunk.ts'

const idleAfter = 10 * minute

export interface BranchesOptions extends Pick<BranchOptions, 'crypto' | 'clock' | 'random'> {
  readonly health: RelayHealth
  /** The slot a group uses now: its preferred one if that is up. Waits for one. @throws NightjarError `network-unreachable` */
  slotFor(group: string): Promise<TrunkSlot>
}

interface Entry {
  current: Promise<Branch>
  /** The branch of `current` once it is open. */
  open: Branch | undefined
  renewing: boolean
}

export class Branches {
  readonly #options: BranchesOptions
  readonly #clock: Clock
  readonly #entries = new Map<string, Entry>()

  constructor(options: BranchesOptions) {
    this.#options = options
    this.#clock = options.clock
  }

  /** Those that are open now. */
  get open(): readonly Branch[] {
    return [...this.#entries.values()].flatMap(({ open }) => (open === undefined || open.error ? [] : [open]))
  }

  /**
   * The branch of `group` to `gateway`.
   * @throws NightjarError `network-unreachable`, or why the gateway cannot be reached (which counts against it)
   */
  async get(group: string, gateway: Relay): Promise<Branch> {
    const key = `${group}\0${gateway.id}`
    const known = this.#entries.get(key)
    if (known !== undefined && known.open?.error === undefined) {
      if (known.open?.isDue && !known.renewing) void this.#renew(key, known, group, gateway)
      return known.current
    }
    const entry: Entry = { current: this.#open(group, gateway), open: undefined, renewing: false }
    this.#entries.set(key, entry)
    return this.#settle(key, entry)
  }

  /** Closes branches that nobody has used for a while. */
  closeIdle(): void {
    for (const branch of this.open) {
      if (branch.running === 0 && this.#clock.now() - branch.lastUsed > idleAfter) branch.retire()
    }
  }

  closeAll(): void {
    for (const branch of this.open) branch.retire()
    this.#entries.clear()
  }

  async #settle(key: string, entry: Entry): Promise<Branch> {
    try {
      const branch = await entry.current
      entry.open = branch
      this.#forgetWhenClosed(key, entry, branch)
      return branch
    } catch (error) {
      if (this.#entries.get(key) === entry) this.#entries.delete(key)
      throw error
    }
  }

  /** Opens the successor while the old branch goes on, then lets the old one run out. */
  async #renew(key: string, entry: Entry, group: string, gateway: Relay): Promise<void> {
    entry.renewing = true
    const old = entry.open
    const next: Entry = { current: this.#open(group, gateway), open: undefined, renewing: false }
    try {
      next.open = await next.current
      this.#forgetWhenClosed(key, next, next.open)
      const isWanted = this.#entries.get(key) === entry || !this.#entries.has(key)
      if (isWanted) this.#entries.set(key, next)
      else next.open.retire()
      old?.retire()
    } catch {
      // The old branch still works; its next use tries again.
      entry.renewing = false
    }
  }

  #forgetWhenClosed(key: string, entry: Entry, branch: Branch): void {
    branch.onClosed(({ code }) => {
      if (this.#entries.get(key) === entry) this.#entries.delete(key)
      // The trunk stands and the branch does not: it was the gateway, unless the branch was replaced. Once for the
      // branch, however many requests were lost with it.
      const { trunk } = branch.slot
      if (trunk !== undefined && trunk.hop.error === undefined && code !== 'branch-retired') {
        this.#options.health.failed(branch.gateway)
      }
    })
  }

  async #open(group: string, gateway: Relay): Promise<Branch> {
    const { health } = this.#options
    const slot = await this.#options.slotFor(group)
    const { trunk } = slot
    // Chosen while another trunk stood, or none: it must not stand twice in one path. The next choice knows this trunk.
    if (trunk !== undefined && !isApartFromAll(gateway, [trunk.entry, trunk.middle])) {
      throw new NightjarError('branch-retired')
    }
    this.#makeRoom(slot)
    try {
      const branch = await openBranch({ ...this.#options, slot, gateway })
      health.worked(gateway)
      return branch
    } catch (cause) {
      const error = asNightjarError(cause)
      // A trunk that died meanwhile says nothing about the gateway, nor does a circuit that others have filled.
      const isFull = error.code === 'limit-reached' && slot.trunk?.hop.canExtend === false
      if (slot.trunk !== undefined && !isFull) health.failed(gateway)
      throw error
    }
  }

  /** A circuit has 32 branches at most: the one that was idle for longest makes room. */
  #makeRoom(slot: TrunkSlot): void {
    if (slot.trunk === undefined || slot.trunk.hop.canExtend) return
    const idle = this.open
      .filter((branch) => branch.slot === slot && branch.running === 0)
      .sort((a, b) => a.lastUsed - b.lastUsed)[0]
    if (idle === undefined) throw new NightjarError('limit-reached', { detail: 'isolation groups at once' })
    idle.retire()
  }
}
