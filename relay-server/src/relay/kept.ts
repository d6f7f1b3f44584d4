/**
 * Branches that stand though their circuit has ended, as its client asked for with KEEP (docs/protocol.md, Kept branches):
 * the relays behind them see neither when it left nor that all its branches did. What comes on them is dropped unread.
 * Nothing is kept of the circuit itself.
 */
import { readU32 } from '@nightjar/shared/bytes'
import type { Crypto } from '@nightjar/shared/crypto'
import type { ErrorCode } from '@nightjar/shared/errors'
import { type Clock, minute, second } from '@nightjar/shared/runtime'
import { type Rate, TokenBucket } from '@nightjar/shared-node/link'
import { limits } from '../limits/limits.ts'
import type { Queue } from '../limits/queues.ts'
import type { OnRefused } from '../limits/refusal.ts'
import { isFair } from '../limits/share.ts'
import { Counts, type Origin, type Source } from '../limits/sources.ts'
import { countCode, type RelayMeter } from './meter.ts'
import type { Onward } from './onward.ts'

export interface KeptOptions {
  readonly crypto: Pick<Crypto, 'randomBytes'>
  readonly clock: Clock
  readonly meter: RelayMeter
  readonly onRefused: OnRefused
}

const rate: Rate = { perSecond: limits.keptCells, atOnce: limits.keptCellsAtOnce }
const rateOfAll: Rate = { perSecond: limits.keptCellsOfAll, atOnce: 8 * limits.keptCellsOfAll }
/** The longest that one takes to leave a gateway or exit that drains: what clients take that are there. */
const leavingWithin = 1 * minute

export class KeptBranches {
  readonly #options: KeptOptions
  readonly #branches = new Map<Onward, Origin>()
  readonly #held = new Counts()
  /** Of what comes on all of them: those on which most comes end first. */
  readonly #all: TokenBucket
  /** Where the relay drains: when all are to have ended, in the clock's elapsed milliseconds. */
  #emptyAt: number | undefined

  constructor(options: KeptOptions) {
    this.#options = options
    this.#all = new TokenBucket(options.clock, rateOfAll)
  }

  /**
   * Takes over a branch of a circuit that ends. False where nobody asked for it to be kept. Where there are too many, another
   * one ends for it.
   */
  take(onward: Onward, origin: Origin): boolean {
    const { source } = origin
    if (!onward.isKept) return false
    const { clock, meter, onRefused } = this.#options
    if (!isFair(this.#held.of(source), limits.keptBranches - this.#held.total)) {
      onRefused('kept-branches')
      this.#endOne(source)
    }
    this.#branches.set(onward, origin)
    this.#held.add(source)
    meter.keptBranches += 1
    const bucket = new TokenBucket(clock, rate)
    onward.leave({
      onBackward: () => {
        if (bucket.take(1) && this.#all.take(1)) return
        onRefused('kept-cells')
        onward.fail('overflow')
      },
      onLost: (code) => this.#forget(onward, code),
      onGoaway: (seconds) => this.#endWithin(onward, Math.min((seconds * second) / 2, leavingWithin)),
    })
    if (this.#emptyAt !== undefined) this.#endWithin(onward, Math.max(this.#emptyAt - clock.elapsed(), 0))
    return true
  }

  /** Cells on their way out: what the client sent before it left. */
  *queues(): Generator<Queue> {
    for (const onward of this.#branches.keys()) {
      yield { cells: onward.held, giveUp: () => onward.fail('overflow') }
    }
  }

  /** Ends each at a random moment of its own within `duration`, those to come as well. */
  drain(duration: number): void {
    this.#emptyAt = this.#options.clock.elapsed() + duration
    for (const onward of this.#branches.keys()) this.#endWithin(onward, duration)
  }

  /**
   * To make room, one by chance: of the same source, or of all where that has none; and of the circuits that have most there, or
   * a client with few would lose them to one with many. The newcomer in its place would show when its client left, and a few who
   * fill the room once would take it from all others for hours.
   */
  #endOne(source: Source): void {
    const own = this.#held.of(source) > 0
    const all = [...this.#branches].filter(([, origin]) => !own || origin.source === source)
    const byCircuit = [...Map.groupBy(all, ([, { circuit }]) => circuit).values()]
    const most = Math.max(...byCircuit.map(({ length }) => length))
    const candidates = byCircuit.filter(({ length }) => length === most).flat()
    const [victim] = candidates[Math.floor(this.#chance() * candidates.length)] ?? []
    victim?.fail('limit-reached')
  }

  #endWithin(onward: Onward, duration: number): void {
    onward.endIn(this.#chance() * duration, 'draining')
  }

  /** In [0, 1). */
  #chance(): number {
    return readU32(this.#options.crypto.randomBytes(4), 0) / 2 ** 32
  }

  #forget(onward: Onward, code: ErrorCode): void {
    const { meter } = this.#options
    this.#held.remove((this.#branches.get(onward) as Origin).source)
    this.#branches.delete(onward)
    meter.keptBranches -= 1
    meter.branches -= 1
    countCode(meter.branchesClosed, code)
  }
}
