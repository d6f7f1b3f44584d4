export { openCircuit } from './client.ts'
export { type Budget, type CollectOptions, collect } from './collect.ts'
export { type CircuitContext, type Closed, Hop } from './hop.ts'
export {
  type Begin,
  decodeBegin,
  decodeBranchClosed,
  decodeBranchGoaway,
  decodeExtend,
  decodeExtended,
  decodeKeep,
  decodeMessage,
  decodeU16,
  type Extend,
  encodeBegin,
  encodeBranchClosed,
  encodeBranchGoaway,
  encodeExtend,
  encodeExtended,
  encodeKeep,
  type Keep,
  type Message,
  messageHeaderSize,
  messageType,
  noStream,
  pingSize,
  writeMessage,
} from './message.ts'
export { epochCells, LayerCipher, layerBodySize, layerCapacity, layerOffset, layerSize } from './onion.ts'
export { cutRecords, type RecordsOptions } from './records.ts'
export type { Accept, Channel, Opening, Stream, StreamHandler } from './stream.ts'
export { partSize, StreamMux } from './streams.ts'
export { type CircuitEnd, CircuitTable, type TableEvents, type Waiter } from './table.ts'
export { ReceiveWindow, SendWindow } from './window.ts'
