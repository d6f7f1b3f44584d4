/**
 * Every bound of the protocol, each with the attack (or the accident) that it stops.
 * Sizes are bytes or cells as named, durations milliseconds.
 */
import { minute, second } from './runtime.ts'

export const limits = {
  /** Cells in one WebSocket message: bounds what one message can make a relay allocate (64 KiB). */
  cellsPerMessage: 64,
  /** Bytes a link may have handed to its socket unsent before it says "not writable": bounds memory of a slow reader. */
  linkBufferedBytes: 1024 * 1024,
  /**
   * Beyond this a link is closed, whatever is sent on it: bounds the memory that answers nobody waits with (DESTROY,
   * CREATED, PONG) take for a peer that asks and never reads.
   */
  linkUnsentBytes: 2 * 1024 * 1024,
  /** A socket that takes nothing at all for this long is closed: bounds memory held for a dead reader. */
  linkStall: 30 * second,
  /** Links that no circuit uses are closed after this. */
  linkIdle: 5 * minute,
  /** A dialled link must be up within this: bounds half-open sockets. */
  dialTimeout: 4 * second,

  /** Circuits on one link: bounds the state one peer can make a relay hold. */
  circuitsPerLink: 4096,
  /** A handshake must finish within this: bounds half-built circuits. */
  handshakeTimeout: 5 * second,
  /** Handshake message, in bytes: bounds reassembly. (A hello has 1227, with EXTEND's prefix 1261.) */
  handshakeBytes: 2048,

  /** Branches of one circuit at one hop: bounds fan-out per circuit. */
  branchesPerCircuit: 32,
  /** The branch window W, in cells: what may be in flight per branch and direction without a CREDIT. */
  branchWindow: 512,
  /** The stream window, in cells: keeps one stream from filling its branch's window for long. */
  streamWindow: 256,
  /** CREDIT is sent each time this many cells were consumed; a quarter of the smaller window. */
  creditStep: 64,
  /** Control messages a relay queues per branch beyond W: bounds floods of messages that need no credit. */
  controlAllowance: 64,
  /** Streams open at once on a branch: bounds requests one client can have running at a gateway. */
  streamsPerBranch: 256,
  /** Bytes of service name and argument in BEGIN. */
  serviceBytes: 32,
  argumentBytes: 512,

  /** Cells of a sealed question and answer (the largest size classes): bounds memory per request. */
  questionCells: 1024,
  answerCells: 32 * 1024,
  /** The largest class a question may ask its answer to be padded to: bounds traffic made by small questions. */
  paddedAnswerCells: 256,
  /** Bytes of unfinished questions a gateway holds per branch: bounds memory taken by questions that never end. */
  questionBytesPerBranch: 4 * 1024 * 1024,
  /** Streams of new heads on one circuit: bounds the answers that a client is sealed and sent without asking again. */
  headsPerCircuit: 4,
  /** Records accepted out of order in an envelope session, and the memory of its replay check. */
  replayWindow: 2048,

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
