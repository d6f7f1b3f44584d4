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
  /** A handshake that would have had to wait behind too many. */
  | 'handshake-queue'
  /** A link that brought what should prove which relay dials, and does not. */
  | 'link-proof'
  /** A circuit beyond what one link, or that of a client, may have, or beyond the share of its source in those of the process. */
  | 'link-circuits'
  | 'client-circuits'
  | 'circuit-share'
  /** An EXTEND beyond what its source may have of those to that relay. */
  | 'extend-rate'
  /** One beyond the share of its source, or of its circuit in that, in the links to that relay. */
  | 'onward-share'
  /** A link to a relay that already has too many, as it says of one after the other that it drains. */
  | 'onward-links'
  /** A link to another relay ended, or was to be left, seconds after it was dialled. */
  | 'short-link'
  /** A branch that was kept without its circuit ended for another, as there were too many, of all or of one source. */
  | 'kept-branches'
  /** More came on one of these than may. */
  | 'kept-cells'
  /** A stream beyond those that a branch may have at once, and a BEGIN beyond its rate. */
  | 'streams'
  | 'begin-rate'
  /** The longest queue was given up, as all together were too long. */
  | 'queue-memory'
  /** An answer beyond those of its branch that are not taken, or a question or answer beyond those of the process. */
  | 'untaken-answers'
  | 'answer-memory'
  /** An answer of which nothing was taken, or a question of which nothing came, for long was given up. */
  | 'stalled-answer'
  | 'stalled-question'
  | 'circuit-idle'
  | 'circuit-life'

export type OnRefused = (refusal: Refusal) => void
