/**
 * The exit branches of all isolation groups: one per group and exit, opened when first needed. A fresh one takes the
 * streams that come after its time is up; the old one ends with its last stream.
 *
 * There are only so many at once, old ones and those on their way included. Where all are taken, one on which nothing runs
 * gives way to the next, or the one that was quiet for longest, with its streams.
 */
import type { Relay } from '@nightjar/shared/directory'
import { NightjarError } from '@nightjar/shared/errors'
import { type Clock, second } from '@nightjar/shared/runtime'
import type { ExitBranch } from './exitBranch.ts'

/** Streams that moved something more recently are not taken from anybody: a slow answer may take as long. */
const quietAfter = 10 * second

export interface ExitBranchesOptions {
  readonly clock: Clock
  /** How many there may be now. */
  most(): number
  /** Whether the trunks have a place that takes nothing away from anybody who uses it. */
  hasRoom(group: string): Promise<boolean>
  /** @throws NightjarError why the exit cannot be reached */
  open(group: string, exit: Relay): Promise<ExitBranch>
}

interface Entry {
  readonly current: Promise<ExitBranch>
  /** That of `current` once it stands. */
  open: ExitBranch | undefined
  isRenewing: boolean
}

export class ExitBranches {
  readonly #options: ExitBranchesOptions
  readonly #entries = new Map<string, Entry>()
  readonly #standing = new Set<ExitBranch>()
  /** Branches on their way. */
  #opening = 0

  constructor(options: ExitBranchesOptions) {
    this.#options = options
  }

  /** The branch of `group` to `exit`. @throws NightjarError `too-many-sites`, or why there is none */
  get(group: string, exit: Relay): Promise<ExitBranch> {
    const key = `${exit.id} ${group}`
    const known = this.#entries.get(key)
    if (known === undefined) return this.#use(key, this.#open(group, exit))
    // A successor is not worth another group's branch.
    if (known.open?.isDue && !known.isRenewing && this.#hasPlace)
      void this.#renew(key, known, known.open, () => this.#open(group, exit))
    return known.current
  }

  #use(key: string, current: Promise<ExitBranch>): Promise<ExitBranch> {
    const entry: Entry = { current, open: undefined, isRenewing: false }
    const forget = () => {
      if (this.#entries.get(key) === entry) this.#entries.delete(key)
    }
    this.#entries.set(key, entry)
    current.then((branch) => {
      entry.open = branch
      branch.onClosed(forget)
    }, forget)
    return current
  }

  /** Opens the successor while the old branch goes on. */
  async #renew(key: string, entry: Entry, old: ExitBranch, open: () => Promise<ExitBranch>): Promise<void> {
    entry.isRenewing = true
    try {
      const fresh = await open()
      void this.#use(key, Promise.resolve(fresh))
      old.retire()
    } catch {
      // The old branch still works; its next use tries again.
      entry.isRenewing = false
    }
  }

  async #open(group: string, exit: Relay): Promise<ExitBranch> {
    const { hasRoom, open } = this.#options
    if (!this.#hasPlace) this.#makePlace()
    this.#opening += 1
    try {
      if (!(await hasRoom(group))) this.#makePlace()
      const branch = await open(group, exit)
      if (branch.error === undefined) {
        this.#standing.add(branch)
        branch.onClosed(() => this.#standing.delete(branch))
      }
      return branch
    } finally {
      this.#opening -= 1
    }
  }

  get #hasPlace(): boolean {
    return this.#standing.size + this.#opening < this.#options.most()
  }

  /** @throws NightjarError `too-many-sites` where something moves on all of them */
  #makePlace(): void {
    const isQuiet = (since: number) => since <= this.#options.clock.elapsed() - quietAfter
    const [first] = [...this.#standing]
      .filter(({ running, quietSince }) => running === 0 || isQuiet(quietSince))
      .sort((a, b) => Number(a.running > 0) - Number(b.running > 0) || a.quietSince - b.quietSince)
    if (first === undefined) throw new NightjarError('too-many-sites')
    first.giveWay()
  }
}
