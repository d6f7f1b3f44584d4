export {
  type Aead,
  type Awaitable,
  type Crypto,
  type DhKeyPair,
  type Hash,
  type Kem,
  type KemKeyPair,
  type KeyAgreement,
  type Signing,
  type SigningKey,
  size,
} from './crypto.ts'
export { hkdfExpand, hkdfExtract } from './hkdf.ts'
