/**
 * Every bound that a relay keeps, each with the attack (or the accident) that it stops: those of the protocol, and below
 * them its own. What relay.yaml says of one takes its place (config.ts, fromConfig.ts); docs/operator-guide.md lists what
 * operators can set, with the metric that tells when it was reached.
 *
 * Sizes are bytes, cells or places as named, durations milliseconds.
 */
import { limits as protocol } from '@nightjar/shared/limits'
import { minute, second } from '@nightjar/shared/runtime'

export const limits = {
  ...protocol,

  /** `max_connections`. Links at once: bounds sockets and TLS states, of which each has some forty kilobytes. */
  connections: 1000,
  /** Of those, this part is for relays of the network alone: bounds what clients take from those who come by other entries. */
  keptOfConnections: 1 / 16,
  /** `connections_per_minute`. New connections of one address: bounds what one machine costs in TLS handshakes. */
  connectionsPerMinute: 20,
  /** `connections_per_ip`. Of one address at once: bounds what one machine takes of the above, and of circuits (below). */
  connectionsPerAddress: 50,
  /** `connection_timeout`. A link that nothing comes over: bounds links whose peers are gone without a word. */
  connectionIdle: 5 * minute,
  /** `max_circuits`. Circuits of all links, half-made ones too: bounds memory, some ten kilobytes for each. */
  circuits: 65_536,
  /**
   * One address (IPv6: /48) has at most this part of the links that are free, and all its links have that of the places that are,
   * of circuits here and on links onward alike: bounds what a few can take from all. It does not bound what very many take
   * together: with some eighty addresses that all take what they may (fifty for links), nothing is left. The same of one
   * circuit and the bytes of questions and answers that a gateway holds.
   */
  shareOfFree: 1 / 8,
  /**
   * Of the share of its source in the places to one relay, a circuit has at most this many times the cube of the part of it that
   * is left: bounds what one client of an entry takes from the others, whom a middle cannot tell apart. Alone it has all that
   * it can use; where half is taken, eight; who has none yet gets one while there is one.
   */
  placesOfCircuit: 64,
  /**
   * Circuits of a link, unless it is a relay's: bounds, with `connectionsPerAddress`, what one address makes of the entry's share
   * at other relays. A client has two trunks over one link, and each twice while it is replaced.
   */
  circuitsPerClientLink: 4,
  /**
   * Branches of a circuit at an entry, or at an inner middle: there is one way on. Bounds, with `branchesPerCircuit` for the
   * middle between them, what one circuit becomes.
   */
  branchesBesideMiddle: 1,
  /**
   * EXTENDs per second, and at once, to one relay: a little below `handshakesPerLink`, as that relay would answer what is
   * beyond with puzzles, which nobody could solve. Bounds what all clients of this one make it ask there.
   */
  extendsPerRelay: 95,
  extendsPerRelayAtOnce: 380,
  /**
   * Of those at once, this part is kept from a source that had all of them within `extendWindow`, and less from each that
   * had less: bounds what floods take from those who ask for little. The same of circuits, for the clients of one entry.
   */
  keptOfExtends: 1 / 4,
  keptOfCircuits: 1 / 8,
  extendWindow: 10 * second,
  /** A relay that could not be reached is not dialled again for this long: bounds dials. */
  dialPause: 1 * second,
  /**
   * The same of one whose link ended, or was to be left, before it was so old, from the second in a row on, and twice as long with
   * each, up to the longest: bounds dials to a relay that takes links and drops them.
   */
  linkSteadyAfter: 30 * second,
  longestDialPause: 32 * second,
  /** Links to one other relay, the next opened when all are full: bounds sockets, and the circuits of one relay here. */
  linksPerRelay: 4,
  /** The same with those that it said GOAWAY on and that still carry circuits: bounds sockets where it says so of each. */
  openLinksPerRelay: 8,
  /**
   * Branches of one process whose circuit has ended: bounds the places on links that clients who are gone take, two hours
   * at most (`keepLongest`).
   */
  keptBranches: 4096,
  /**
   * Cells per second, and at once, that come on one of them: bounds what those who leave them behind make gateways send to
   * nobody. As quick as gateways tell of what is watched.
   */
  keptCells: 64,
  keptCellsAtOnce: 1024,
  /** The same of all of them: bounds it where very many are left behind. All at eight cells a second need no more. */
  keptCellsOfAll: 32_768,
  /** `handshakes_per_second`. Answered without work of whoever asks: bounds the time that floods take. */
  handshakesPerSecond: 1000,
  /** Handshakes that wait for their turn: bounds memory and waiting. Beyond, whoever has most waiting loses the last. */
  waitingHandshakes: 1024,
  /** Answered in one turn of the event loop: bounds how long cells wait for handshakes. */
  handshakesPerTurn: 4,
  /** Zero bits that a solution may lack of what is asked for by now: bounds what is gained by puzzles of quiet times. */
  puzzleLag: 2,
  /** `cells_per_second`. Read of one link: bounds what one client takes of a processor. */
  cellsPerSecond: 65_536,
  /** `bandwidth_mbit`. Of all links, both ways, in megabits per second, 0 = no bound: bounds what floods cost in traffic. */
  bandwidthMbit: 0,
  /** `queue_mb`. MiB of cells that wait, in sockets and circuits: bounds memory that readers who do not read take. */
  queueMb: 256,
  /**
   * Of the bytes that a gateway may hold of questions and answers, this part is kept for circuits that hold no more than
   * `littleAnswer` bytes, and for answers of providers up to that: bounds what large ones take from small ones.
   */
  keptOfAnswers: 1 / 8,
  littleAnswer: 64 * 1024,
  /** A question of which nothing comes within this, twice at most, is given up: bounds memory of those that never end. */
  questionStall: 30 * second,
} as const
