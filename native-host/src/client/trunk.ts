/**
 * One trunk slot: keeps a circuit entry–middle up, and rebuilds it when it is lost. Failures are counted against the
 * relay that failed, so that the next attempt takes the spare. Where one of the two drains, the next trunk is built first;
 * the branches of the old one then leave it at random moments, each for itself, but for those that stay at the middle; it
 * ends with the last of them.
 */
import { type CircuitContext, type CircuitTable, type Hop, openCircuit } from '@nightjar/shared/circuit'
import { type Relay, responderOf } from '@nightjar/shared/directory'
import { asNightjarError, type NightjarError } from '@nightjar/shared/errors'
import { type Clock, millisecond, minute, second, type Timer } from '@nightjar/shared/runtime'
import { timeToLeave } from './branch.ts'
import type { GuardLinks } from './guards.ts'
import type { RelayHealth } from './health.ts'
import { watchHop } from './watch.ts'

/** A trunk that is up. */
export interface Trunk {
  readonly entry: Relay
  readonly middle: Relay
  /** The middle's hop, to which branches are attached. */
  readonly hop: Hop
}

interface OpenTrunk extends Trunk {
  readonly entryHop: Hop
  /** When a relay of it that drains will end it, in the clock's elapsed milliseconds. */
  endsAt: number | undefined
  /** That is the middle, and with it goes what it keeps. */
  isMiddleLeaving: boolean
}

export interface TrunkOptions {
  readonly clock: Clock
  readonly context: CircuitContext
  readonly links: GuardLinks
  readonly health: RelayHealth
  /** The relays to use now, best guesses first. @throws NightjarError where there are none */
  choose(): { entry: Relay; middle: Relay }
  onChange(): void
  random(): number
}

const firstPause = 100 * millisecond
const longestPause = 15 * second
const hurryPause = 1 * second
/** How often to look whether a trunk that was replaced has branches yet. */
const letGoEvery = 250 * millisecond
/** However long a relay drains: by then each branch has been renewed, as branches are, on the next trunk. */
const longestLeave = 12 * minute

export class TrunkSlot {
  readonly #options: TrunkOptions
  #trunk: OpenTrunk | undefined
  #building = false
  #stopped = false
  #failures = 0
  /** In the clock's elapsed milliseconds. */
  #lastFailure = 0
  #retry: Timer | undefined
  /** Requests under way on the trunk's branches: silence is then noticed sooner. */
  busy = 0
  /** When a tcp stream on one of them last sent something, in the clock's elapsed milliseconds: that is to be answered too. */
  lastSent = Number.NEGATIVE_INFINITY
  lastError: NightjarError | undefined

  constructor(options: TrunkOptions) {
    this.#options = options
  }

  get trunk(): Trunk | undefined {
    return this.#trunk
  }

  /** Builds the trunk and keeps it up until `stop`. */
  start(): void {
    void this.#build()
  }

  stop(): void {
    this.#stopped = true
    this.#retry?.cancel()
    this.#trunk?.hop.close('done')
  }

  /** Replaces a trunk that has given all its branch numbers. */
  maintain(): void {
    if (this.#trunk?.hop.isUsedUp) this.#trunk.hop.close('branch-retired')
  }

  /** Builds another trunk in its place, to which its branches then go one by one. */
  move(): void {
    const trunk = this.#trunk
    if (trunk === undefined || trunk.endsAt !== undefined) return
    trunk.endsAt = this.#options.clock.elapsed() + longestLeave
    void this.#build()
  }

  /** A request waits: tries at once instead of at the end of the pause, though not more often than once a second. */
  hurry(): void {
    const isEarly = this.#failures > 3 && this.#options.clock.elapsed() - this.#lastFailure < hurryPause
    if (this.#retry === undefined || isEarly) return
    this.#retry.cancel()
    this.#retry = undefined
    void this.#build()
  }

  async #build(): Promise<void> {
    if (this.#building || this.#stopped || (this.#trunk !== undefined && this.#trunk.endsAt === undefined)) return
    this.#building = true
    try {
      await this.#open(this.#options.choose())
      this.#failures = 0
      this.lastError = undefined
    } catch (error) {
      this.lastError = asNightjarError(error)
      this.#failures += 1
      this.#scheduleRetry()
    } finally {
      this.#building = false
      this.#options.onChange()
      // Told to leave while it was still being opened.
      if (this.#trunk?.endsAt !== undefined && this.#retry === undefined) this.#scheduleRetry()
    }
  }

  async #open({ entry, middle }: { entry: Relay; middle: Relay }): Promise<void> {
    const { health } = this.#options
    const { table, entryHop } = await this.#openEntry(entry).catch((error: unknown) => {
      health.failed(entry)
      throw error
    })
    health.worked(entry)
    const hop = await this.#extend(entryHop, middle).catch((error: unknown) => {
      health.failed(entryHop.error === undefined ? middle : entry)
      entryHop.close()
      throw error
    })
    health.worked(middle)
    for (const relay of [entry, middle]) health.tookNew(relay)
    if (this.#stopped) return entryHop.close()
    this.#watch(table, entryHop, hop)
    const trunk: OpenTrunk = { entry, middle, hop, entryHop, endsAt: undefined, isMiddleLeaving: false }
    const before = this.#trunk
    this.#trunk = trunk
    if (before !== undefined) this.#letGo(before, new Set())
    hop.onClosed((error) => this.#lost(trunk, error))
    entryHop.onGoaway((seconds) => this.#leave(trunk, entry, seconds))
    hop.onGoaway((seconds) => this.#leave(trunk, middle, seconds))
  }

  async #extend(entryHop: Hop, middle: Relay): Promise<Hop> {
    return entryHop.extend(responderOf(middle, 'onion', this.#options.clock.now()))
  }

  async #openEntry(entry: Relay): Promise<{ table: CircuitTable; entryHop: Hop }> {
    const { clock, context, links } = this.#options
    const table = await links.linkTo(entry)
    return { table, entryHop: await openCircuit(table, responderOf(entry, 'onion', clock.now()), context) }
  }

  #watch(table: CircuitTable, entryHop: Hop, hop: Hop): void {
    // Branches are lost with a silent trunk, and no gateway is to blame: `timed-out` would say that one is.
    const watch = (watched: Hop) =>
      ({
        clock: this.#options.clock,
        code: 'link-lost',
        isBusy: () => this.busy > 0 || this.lastSent >= watched.lastHeard,
      }) as const
    let receivedBefore = 0
    watchHop(entryHop, {
      ...watch(entryHop),
      onAsk: () => {
        receivedBefore = table.received
      },
      onSilent: () => {
        // Not one cell on the whole link: then it is the link that is dead, with everything on it.
        if (table.received === receivedBefore) table.link.close('link-lost')
      },
    })
    watchHop(hop, { ...watch(hop), before: entryHop })
  }

  /** Builds another trunk while this one goes on. */
  #leave(trunk: OpenTrunk, relay: Relay, seconds: number): void {
    const { clock, health } = this.#options
    health.drains(relay, seconds)
    if (relay === trunk.middle) trunk.isMiddleLeaving = true
    trunk.endsAt = Math.min(trunk.endsAt ?? Number.POSITIVE_INFINITY, clock.elapsed() + seconds * second)
    void this.#build()
  }

  /**
   * Has the branches of a trunk that was replaced move, those too that were on their way, and closes it after them. Those
   * that their middle keeps stay there, but for its own end: all accounts that moved within seconds, as the entry of both
   * trunks drains, would show their gateways that they belong together. What is watched on them is lost here, and begins anew
   * like after any loss.
   * @param told those that know when to
   */
  #letGo(trunk: OpenTrunk, told: Set<Hop>): void {
    const { clock, random } = this.#options
    const left = ((trunk.endsAt ?? clock.elapsed()) - clock.elapsed()) / second
    const stays = (branch: Hop) => branch.isKept && !trunk.isMiddleLeaving
    for (const branch of trunk.hop.branches) {
      if (told.has(branch) || stays(branch)) continue
      told.add(branch)
      clock.after(random() * timeToLeave(left, longestLeave), () => branch.goaway(0))
    }
    clock.after(letGoEvery, () => {
      const { branches } = trunk.hop
      const isQuiet = branches.length === 0 || this.busy === 0
      if (isQuiet && branches.every(stays)) trunk.entryHop.close('link-lost')
      else if (!this.#stopped) this.#letGo(trunk, told)
    })
  }

  #lost(trunk: OpenTrunk, error: NightjarError): void {
    const { entryHop, entry, middle } = trunk
    if (this.#trunk !== trunk) return entryHop.close()
    this.#trunk = undefined
    // The entry still stands: then it was the middle that went, and the rest of the circuit is of no use.
    const lost = entryHop.error === undefined ? middle : entry
    entryHop.close()
    if (this.#stopped) return
    this.lastError = error
    if (error.code !== 'branch-retired') this.#options.health.failed(lost)
    this.#options.onChange()
    void this.#build()
  }

  #scheduleRetry(): void {
    if (this.#stopped) return
    this.#retry?.cancel()
    this.#lastFailure = this.#options.clock.elapsed()
    const pause = Math.min(firstPause * 2 ** Math.min(this.#failures, 10), longestPause)
    this.#retry = this.#options.clock.after(pause * (0.5 + this.#options.random() / 2), () => {
      this.#retry = undefined
      void this.#build()
    })
  }
}
