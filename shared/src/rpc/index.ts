export { catalogue, type Method, methodOf, unknownMethod } from './catalogue.ts'
export { codeHash } from './code.ts'
export {
  type Call,
  type Id,
  idOf,
  type Json,
  nightjarCodeOf,
  type Outcome,
  type Params,
  parseOutcome,
  parseRequest,
  type Request,
  type Response,
  type RpcError,
  toRpcError,
} from './jsonRpc.ts'
export { packNodes, unpackNodes } from './proofNodes.ts'
export {
  decodeAnswer,
  decodeQuestion,
  encodeAnswer,
  encodeQuestion,
  type Question,
  service,
  watchMethod,
} from './question.ts'
export { transactionHash } from './transaction.ts'
