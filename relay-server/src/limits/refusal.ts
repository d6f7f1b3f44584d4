/** What a relay refuses or ends because of a limit: names for counters and the log, of kinds and never of clients. */
import type { LinkRefusal } from '@nightjar/shared-node/link'

export type Refusal =
  | LinkRefusal
  /** CREATE was answered by PUZZLE. */
  | 'puzzle-set'
  /** A solution that is none, or too old: answered by another PUZZLE. */
  | 'puzzle-unsolved'
  /** A solution that was good once already. */
  | 'puzzle-replayed'
  /** More solutions on one link than are remembered. */
  | 'puzzle-solutions'
  /** A BEGIN beyond the rate of its branch. */
  | 'begin-rate'
  /** The longest queue was given up, as all together were too long. */
  | 'queue-memory'
  | 'circuit-idle'
  | 'circuit-life'

export type OnRefused = (refusal: Refusal) => void
