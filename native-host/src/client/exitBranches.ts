/**
 * The exit branches of all isolation groups: one per group and exit, opened when first needed. A fresh one takes the
 * streams that come after its time is up; the old one ends with its last stream.
 */
import type { Relay } from '@nightjar/shared/directory'
import type { ExitBranch } from './exitBranch.ts'

interface Entry {
  readonly current: Promise<ExitBranch>
  /** That of `current` once it stands. */
  open: ExitBranch | undefined
  isRenewing: boolean
}

export class ExitBranches {
  readonly #openBranch: (group: string, exit: Relay) => Promise<ExitBranch>
  readonly #entries = new Map<string, Entry>()

  /** @param openBranch throws why the exit cannot be reached */
  constructor(openBranch: (group: string, exit: Relay) => Promise<ExitBranch>) {
    this.#openBranch = openBranch
  }

  /** The branch of `group` to `exit`. @throws NightjarError why there is none */
  get(group: string, exit: Relay): Promise<ExitBranch> {
    const key = `${exit.id} ${group}`
    const known = this.#entries.get(key)
    if (known === undefined) return this.#use(key, this.#openBranch(group, exit))
    if (known.open?.isDue && !known.isRenewing)
      void this.#renew(key, known, known.open, () => this.#openBranch(group, exit))
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
}
