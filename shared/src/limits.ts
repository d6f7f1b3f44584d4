/**
 * Every bound of the protocol, each with the attack (or the accident) that it stops.
 * Sizes are bytes or cells as named, durations milliseconds.
 */
import { hour, minute, second } from './runtime.ts'

export const limits = {
  /** Cells in one WebSocket message: bounds what one message can make a relay allocate (64 KiB). */
  cellsPerMessage: 64,
  /** Bytes a link may have handed to its socket unsent before it says "not writable": bounds memory of a slow reader. */
  linkBufferedBytes: 1024 * 1024,
  /** The same while all links of a process together have too much unsent: bounds memory of many slow readers. */
  scarceLinkBufferedBytes: 64 * 1024,
  /**
   * Beyond this a link is closed, whatever is sent on it: bounds the memory that answers nobody waits with (DESTROY,
   * CREATED, PONG) take for a peer that asks and never reads.
   */
  linkUnsentBytes: 2 * 1024 * 1024,
  /**
   * Connections per second, and at once, that a relay looks at: bounds what a storm of them costs before TLS. What is
   * beyond is reset.
   */
  acceptsPerSecond: 500,
  acceptsAtOnce: 1000,
  /** Connections that have not become links yet: bounds sockets and TLS states of those who never finish. */
  halfOpen: 512,
  /** A connection must have become a link, or asked its one plain question, within this: bounds the same in time. */
  upgradeTimeout: 10 * second,
  /** The answer to that must have been taken within this: bounds sockets of those who read it byte by byte. */
  answerTimeout: 60 * second,
  /** Addresses whose connections of the last minute are remembered: bounds memory. The oldest is forgotten first. */
  addressesKept: 65_536,
  /** Addresses read from a forwarded-for header: bounds the parsing of what anybody may have written in front of it. */
  forwardedAddresses: 32,
  /** WebSocket pings and pongs that a link takes at once, and one more per second: bounds answers to a flood of them. */
  controlFrames: 32,
  /** The longest that a link is not read to keep to a rate: bounds what a burst may have taken in advance. */
  longestPause: 1 * second,
  /** A socket that takes nothing at all for this long is closed: bounds memory held for a dead reader. */
  linkStall: 30 * second,
  /** Links that no circuit uses are closed after this. */
  linkIdle: 5 * minute,
  /** A link on which there is no circuit gives way to a new one from this age on: bounds links that only take the room. */
  linkUnused: 2 * minute,
  /** A dialled link must be up within this: bounds half-open sockets. */
  dialTimeout: 4 * second,

  /** Circuits on one link: bounds the state one peer can make a relay hold. */
  circuitsPerLink: 4096,
  /** A handshake must finish within this: bounds half-built circuits. */
  handshakeTimeout: 5 * second,
  /** Handshake message, in bytes: bounds reassembly. (A hello has 1227, with EXTEND's prefix 1261.) */
  handshakeBytes: 2048,
  /** Zero bits that a relay may ask for: bounds what a hostile relay can make a client compute (2^18 hashes, a second). */
  puzzleBits: 18,
  /** What a relay asks for at least (2^12 hashes, some milliseconds): a handshake costs the client more than the relay. */
  leastPuzzleBits: 12,
  /** Challenges that a client takes for one circuit: bounds the same where a relay never has enough. */
  puzzlesPerHandshake: 3,
  /** A challenge holds until the end of the next such window: bounds how long ahead solutions can be made. */
  puzzleWindow: 10 * second,
  /** Solutions of one link in one window: bounds the memory that tells a replayed solution from a fresh one. */
  solutionsPerLink: 4096,
  /**
   * Handshakes per second, and at once, that a link gets without a puzzle while the relay has time: bounds what one
   * link takes of it. A link from another relay brings the handshakes of all clients of that one.
   */
  handshakesPerLink: 100,
  handshakesPerLinkAtOnce: 400,

  /**
   * A circuit on which nothing came for this long ends at the next look, as long again at most: bounds forgotten state.
   * More than `keepLongest`, as nothing comes on a branch that is kept.
   */
  circuitIdle: 3 * hour,
  /** The longest that a circuit lives: bounds the same where somebody keeps touching it. A multiple of the above. */
  circuitLife: 24 * hour,
  /** A branch is kept for at most this long, with or without its circuit: bounds what clients that are gone leave behind. */
  keepLongest: 2 * hour,
  /** Branches of one circuit at one hop: bounds fan-out per circuit. */
  branchesPerCircuit: 32,
  /** The branch window W, in cells: what may be in flight per branch and direction without a CREDIT. */
  branchWindow: 512,
  /** The stream window, in cells: keeps one stream from filling its branch's window for long. */
  streamWindow: 256,
  /**
   * Cells of a branch that its end holds for streams whose users are behind (3.6 MiB) before it keeps the branch's credit
   * back: bounds memory. Sixteen stalled streams fill it and stop nobody; the eighteenth stops the branch.
   */
  heldPerBranch: 4096,
  /** CREDIT is sent each time this many cells were consumed; a quarter of the smaller window. */
  creditStep: 64,
  /** Control messages a relay queues per branch beyond W: bounds floods of messages that need no credit. */
  controlAllowance: 64,
  /** Streams open at once on a branch: bounds requests one client can have running at a gateway. */
  streamsPerBranch: 256,
  /**
   * BEGINs per second of a branch, and at once: bounds what opening and closing streams costs. Far above what a branch
   * to a gateway has (1000 requests), for those to exits carry every connection that a wallet opens.
   */
  beginsPerBranch: 2000,
  beginsPerBranchAtOnce: 8192,
  /** Bytes of service name and argument in BEGIN. */
  serviceBytes: 32,
  argumentBytes: 512,

  /** Cells of a sealed question and answer (the largest size classes): bounds memory per request. */
  questionCells: 1024,
  answerCells: 32 * 1024,
  /** The largest class a question may ask its answer to be padded to: bounds traffic made by small questions. */
  paddedAnswerCells: 256,
  /** Bytes of questions a gateway holds per branch, until they are answered: bounds memory taken by large ones. */
  questionBytesPerBranch: 4 * 1024 * 1024,
  /** Questions of one branch that a gateway asks at once; more wait their turn: bounds what one client makes it do. */
  questionsAtOnce: 32,
  /**
   * Bytes of answers that a client has not taken, per branch: beyond half of them none of its questions is asked, and an
   * answer that goes beyond all is dropped. Bounds memory of a slow reader; two of the largest find room.
   */
  answerBytesPerBranch: 64 * 1024 * 1024,
  /** An answer of which nothing is taken within this, twice at most, is given up: bounds the same in time. */
  answerStall: 30 * second,
  /**
   * Streams of the service `follow` on one circuit, heads and watches together: bounds what a gateway reads, seals and
   * sends for one client without being asked again.
   */
  followedPerCircuit: 16,
  /** Watches that clients of one gateway process have: bounds its memory, and what all of them make it ask upstream. */
  watchesPerProcess: 20_000,
  /** Blocks between two slots of a watch: with more, a watch would hold its place and never come due. */
  watchStride: 1000,
  /** From a grid block to the slot of a watch: as above. */
  watchDelay: 2 * minute,
  /** A watch for a transaction's receipt: bounds how long one that is never included is asked for. */
  transactionWatch: 1 * hour,
  /** Grid blocks for which a receipt is told again once it is there: enough for the chain to change its mind. */
  receiptSlots: 64,
  /** Watches of lost branches that go on: bounds what those who drop their branches on purpose leave behind. */
  lingeringWatches: 5000,
  /** The longest that one does so: bounds the same in time. */
  lingering: 8 * hour,
  /** Records accepted out of order in an envelope session, and the memory of its replay check. */
  replayWindow: 2048,

  /**
   * Streams of the service `tcp` on one branch: bounds the sockets that one client holds at an exit. Below what a branch
   * can carry, so that the exit itself refuses, and counts, what is too much.
   */
  tcpStreamsPerBranch: 240,
  /** Bytes that the `tcp` streams of one branch may move, both ways together: bounds what one client takes of an exit. */
  tcpBytesPerBranch: 64 * 1024 ** 3,
  /** A connection to a listed host must stand within this, resolution included: bounds half-open sockets. */
  tcpConnectTimeout: 10 * second,
  /** A TCP connection that moves no byte for this long is closed: bounds sockets held by silent or stalled peers. */
  tcpIdle: 30 * minute,
  /** The same once one direction has ended: what is left of such a connection is an answer on its way, or nothing. */
  tcpHalfClosedIdle: 60 * second,
  /** Addresses of one name that an exit tries: bounds the connections that one answer of a name server causes. */
  addressesPerName: 8,
  /** Names whose addresses an exit remembers: bounds memory. */
  cachedNames: 10_000,
  /** The longest that it does so, whatever the name server says: bounds how long a stale or poisoned answer lasts. */
  nameLifetime: 5 * minute,

  /** Nesting of JSON from a peer: bounds the stack of whoever walks it or writes it again. */
  jsonDepth: 256,

  /** A network document, in bytes, before and after decoding: bounds parsing of an untrusted file. */
  documentBytes: 4 * 1024 * 1024,
  descriptorBytes: 16 * 1024,
  /** Relays and signatures in a document. */
  documentRelays: 10_000,
  documentSignatures: 64,

  /** A message on the daemon's local socket (native messaging frames), in bytes. */
  localFrameBytes: 1024 * 1024,
  /** A message on that socket put together from parts, in bytes. */
  localMessageBytes: 64 * 1024 * 1024,
  /** Bytes the daemon may hold for a browser that does not read: bounds memory. Beyond it the connection is closed. */
  localUnsentBytes: 256 * 1024 * 1024,
  /** Branches that one browser may hold open at the daemon: bounds what a broken extension takes from all others. */
  branchesPerBridge: 256,
  /** The body of an HTTP request to the loopback endpoint, in bytes. */
  endpointBodyBytes: 1024 * 1024,
  /** Calls in one JSON-RPC batch at the endpoint. */
  batchCalls: 1000,
} as const
