export { encodeFrames, FrameDecoder, PartsJoiner, toParts } from './frames.ts'
export {
  type AccountsStatus,
  type BridgeEvent,
  type BridgeEventMessage,
  type BridgeMessage,
  type BridgeRequest,
  type BridgeResponse,
  type BridgeResultMessages,
  type BridgeResults,
  bridgeVersion,
  type Caller,
  type Party,
  parseBridgeRequest,
  parseBridgeResponse,
  parseFromDaemon,
  parseResult,
  type ShieldStatus,
  type Status,
  type SystemProxy,
} from './messages.ts'
export { challengeBytes, endpointProof } from './proof.ts'
