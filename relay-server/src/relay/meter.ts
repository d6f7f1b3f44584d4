/**
 * What the relay proper does and holds, as plain numbers: each cell costs an addition. Sums over all clients only; who
 * reads them, and how coarsely, is admin/'s concern.
 */
import type { ErrorCode } from '@nightjar/shared/errors'

/** Away from the client, and towards it. */
export type Direction = 'forward' | 'backward'

type PerDirection = Record<Direction, number>
type PerCode = Map<ErrorCode, number>

/** Told the milliseconds that a cell took from one link to the next, without a delay that its sender asked for. */
export type OnForwarded = (direction: Direction, milliseconds: number) => void

/** One cell in so many is timed: a prime, or it would always be the same one of a full message. */
const timedEvery = 61

/** Means "not timed". */
export const untimed = 0

export class RelayMeter {
  circuits = 0
  branches = 0
  /** Those of them whose circuit has ended. */
  keptBranches = 0
  /** Cells of circuits: taken from links that came in, and sent back on them. */
  readonly cells: PerDirection = { forward: 0, backward: 0 }
  /** Cells that wait for a link, or for their delay to pass. */
  readonly queued: PerDirection = { forward: 0, backward: 0 }
  /** How links that came in were closed. */
  readonly linksClosed: PerCode = new Map()
  readonly circuitsClosed: PerCode = new Map()
  /** How branches ended, those included that could not be opened. */
  readonly branchesClosed: PerCode = new Map()
  /** Answers to CREATE; `done` where there was a reply. */
  readonly handshakes: PerCode = new Map()
  readonly #onForwarded: OnForwarded | undefined
  #untilTimed = timedEvery

  /** Nothing is timed where nobody wants to be told. */
  constructor(onForwarded?: OnForwarded) {
    this.#onForwarded = onForwarded
  }

  /** A cell has come: what to give to `stop` when it leaves. */
  start(): number {
    if (this.#onForwarded === undefined) return untimed
    this.#untilTimed -= 1
    if (this.#untilTimed > 0) return untimed
    this.#untilTimed = timedEvery
    return performance.now()
  }

  stop(direction: Direction, startedAt: number): void {
    if (startedAt !== untimed) this.#onForwarded?.(direction, performance.now() - startedAt)
  }
}

export function countCode(counts: PerCode, code: ErrorCode): void {
  counts.set(code, (counts.get(code) ?? 0) + 1)
}
