/**
 * The sealed branches of all isolation groups: one per group and gateway, opened when first needed, replaced by a fresh
 * one when due.
 */
import type { Relay } from '../directory/index.ts'
import type { SealedBranch } from './sealedBranch.ts'

interface Entry {
  current: Promise<SealedBranch>
  /** The branch of `current` once it is open. */
  open: SealedBranch | undefined
  renewing: boolean
}

/** @throws NightjarError why the gateway cannot be reached */
export type OpenBranch = (group: string, gateway: Relay) => Promise<SealedBranch>

export class Branches {
  readonly #openBranch: OpenBranch
  readonly #entries = new Map<string, Entry>()

  constructor(openBranch: OpenBranch) {
    this.#openBranch = openBranch
  }

  /** The branch of `group` to `gateway`. @throws NightjarError why there is none */
  async get(group: string, gateway: Relay): Promise<SealedBranch> {
    const key = keyOf(group, gateway)
    const known = this.#entries.get(key)
    if (known !== undefined && known.open?.error === undefined) {
      if (known.open?.isDue && !known.renewing) void this.#renew(key, known, group, gateway)
      return known.current
    }
    const entry: Entry = { current: this.#openBranch(group, gateway), open: undefined, renewing: false }
    this.#entries.set(key, entry)
    return this.#settle(key, entry)
  }

  /** Whether the branch of `group` to `gateway` stands, or is being opened. */
  has(group: string, gateway: Relay): boolean {
    const known = this.#entries.get(keyOf(group, gateway))
    return known !== undefined && known.open?.error === undefined
  }

  /** Retires all of them, those that are still being opened as soon as they stand. */
  closeAll(): void {
    for (const { current, open } of this.#entries.values()) {
      if (open !== undefined) open.retire()
      // Where it fails, whoever asked for it is told.
      else current.then((branch) => branch.retire()).catch(() => undefined)
    }
    this.#entries.clear()
  }

  async #settle(key: string, entry: Entry): Promise<SealedBranch> {
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
    const next: Entry = { current: this.#openBranch(group, gateway), open: undefined, renewing: false }
    try {
      next.open = await next.current
      this.#forgetWhenClosed(key, next, next.open)
      const isWanted = this.#entries.get(key) === entry
      if (isWanted) this.#entries.set(key, next)
      else next.open.retire()
      old?.retire()
    } catch {
      // The old branch still works; its next use tries again.
      entry.renewing = false
    }
  }

  #forgetWhenClosed(key: string, entry: Entry, branch: SealedBranch): void {
    branch.carrier.onClosed(() => {
      if (this.#entries.get(key) === entry) this.#entries.delete(key)
    })
  }
}

function keyOf(group: string, gateway: Relay): string {
  return `${group}\0${gateway.id}`
}
