/**
 * One trunk slot: keeps a circuit entry–middle up, and rebuilds it when it is lost. Failures are counted against the
 * relay that failed, so that the next attempt takes the spare.
 */
import { type CircuitContext, type CircuitTable, type Hop, openCircuit } from '@nightjar/shared/circuit'
import { type Relay, responderOf } from '@nightjar/shared/directory'
import { asNightjarError, type NightjarError } from '@nightjar/shared/errors'
import { type Clock, millisecond, second, type Timer } from '@nightjar/shared/runtime'
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

export class TrunkSlot {
  readonly #options: TrunkOptions
  #trunk: Trunk | undefined
  #building = false
  #stopped = false
  #failures = 0
  /** In the clock's milliseconds. */
  #lastFailure = 0
  #retry: Timer | undefined
  /** Requests under way on the trunk's branches: silence is then noticed sooner. */
  busy = 0
  /** When a tcp stream on one of them last sent something, in the clock's milliseconds: that is to be answered too. */
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

  /** A request waits: tries at once instead of at the end of the pause, though not more often than once a second. */
  hurry(): void {
    const isEarly = this.#failures > 3 && this.#options.clock.now() - this.#lastFailure < hurryPause
    if (this.#retry === undefined || isEarly) return
    this.#retry.cancel()
    this.#retry = undefined
    void this.#build()
  }

  async #build(): Promise<void> {
    if (this.#building || this.#stopped || this.#trunk !== undefined) return
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
    }
  }

  async #open({ entry, middle }: { entry: Relay; middle: Relay }): Promise<void> {
    const { clock, health } = this.#options
    const { table, entryHop } = await this.#openEntry(entry).catch((error: unknown) => {
      health.failed(entry)
      throw error
    })
    health.worked(entry)
    const hop = await entryHop.extend(responderOf(middle, 'onion', clock.now())).catch((error: unknown) => {
      health.failed(entryHop.error === undefined ? middle : entry)
      entryHop.close()
      throw error
    })
    health.worked(middle)
    if (this.#stopped) return entryHop.close()
    this.#watch(table, entryHop, hop)
    this.#trunk = { entry, middle, hop }
    hop.onClosed((error) => this.#lost(entryHop, entry, middle, error))
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

  #lost(entryHop: Hop, entry: Relay, middle: Relay, error: NightjarError): void {
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
    this.#lastFailure = this.#options.clock.now()
    const pause = Math.min(firstPause * 2 ** Math.min(this.#failures, 10), longestPause)
    this.#retry = this.#options.clock.after(pause * (0.5 + this.#options.random() / 2), () => {
      this.#retry = undefined
      void this.#build()
    })
  }
}
