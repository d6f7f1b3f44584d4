export {
  type DocumentMark,
  documentMessage,
  encodePayload,
  type Network,
  parseSignedDocument,
  type Relay,
  signDescriptor,
  signPayload,
  type Trust,
  verifyDescriptor,
  verifyDocument,
} from './document.ts'
export { type KnownKey, responderOf } from './responder.ts'
export {
  type Descriptor,
  type DescriptorInput,
  type OnionKey,
  type PayloadInput,
  type Role,
  roles,
  type SignedDescriptor,
  type SignedDocument,
} from './schema.ts'
