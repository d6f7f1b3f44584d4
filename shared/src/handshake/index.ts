export {
  type DocumentStamp,
  decodeHello,
  decodeReply,
  encodeHello,
  encodeReply,
  type Hello,
  helloSize,
  maxDepth,
  type Purpose,
  purpose,
  type Reply,
  replySize,
} from './messages.ts'
export {
  answerHandshake,
  type ClientHandshake,
  type Responder,
  type ResponderSecrets,
  type SessionKeys,
  startHandshake,
} from './ntor.ts'
export {
  type Challenge,
  decodeCreate,
  encodeCreate,
  leadingZeroBits,
  puzzleProof,
  type Solution,
  solutionSize,
  solvePuzzle,
} from './puzzle.ts'
