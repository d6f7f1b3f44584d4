/**
 * The cryptography that the protocol stands on, as one interface with two implementations:
 * noble (pure JavaScript; extension, and the readable reference) and native (sodium-native and node:crypto; daemons).
 * Both run the same suite of published vectors.
 *
 * `aead` and `hash` are synchronous, because cells are handled in order; the others may be asynchronous.
 */

export type Awaitable<T> = T | Promise<T>

export interface Crypto {
  readonly name: string
  readonly aead: Aead
  readonly hash: Hash
  readonly dh: KeyAgreement
  readonly kem: Kem
  readonly sign: Signing
  /** `length` bytes from the system's cryptographic random source. */
  randomBytes(length: number): Uint8Array
}

/** ChaCha20-Poly1305 (RFC 8439, section 2.8): 32-byte key, 12-byte nonce, 16-byte tag. */
export interface Aead {
  /** Encrypts `data` in place and writes the tag into `tag`. */
  seal(key: Uint8Array, nonce: Uint8Array, associated: Uint8Array, data: Uint8Array, tag: Uint8Array): void
  /** Decrypts `data` in place if `tag` is right; otherwise returns false, and `data` is worthless. */
  open(key: Uint8Array, nonce: Uint8Array, associated: Uint8Array, data: Uint8Array, tag: Uint8Array): boolean
}

/** SHA-256 (FIPS 180-4) and HMAC-SHA256 (RFC 2104): 32 bytes each. */
export interface Hash {
  sha256(data: Uint8Array): Uint8Array
  hmac(key: Uint8Array, data: Uint8Array): Uint8Array
}

/** X25519 (RFC 7748): 32-byte secrets, public keys and shared secrets. */
export interface KeyAgreement {
  generate(): Awaitable<DhKeyPair>
  fromSecret(secret: Uint8Array): Awaitable<DhKeyPair>
}

export interface DhKeyPair {
  readonly publicKey: Uint8Array
  /**
   * The shared secret with `peer`.
   * @throws NightjarError `handshake-failed` where `peer` is no point or the output is all zero (RFC 7748, section 6.1).
   */
  agree(peer: Uint8Array): Awaitable<Uint8Array>
  /** Overwrites the secret as far as the implementation can; `agree` must not be called afterwards. */
  destroy(): void
}

/** ML-KEM-768 (FIPS 203): 1184-byte encapsulation keys, 1088-byte ciphertexts, 32-byte shared secrets. */
export interface Kem {
  generate(): Awaitable<KemKeyPair>
  /** From the 64-byte seed `d ‖ z` (FIPS 203, algorithm 16). */
  fromSeed(seed: Uint8Array): Awaitable<KemKeyPair>
  /** @throws NightjarError `handshake-failed` where `publicKey` fails the checks of FIPS 203, section 7.2. */
  encapsulate(publicKey: Uint8Array): Awaitable<{ ciphertext: Uint8Array; secret: Uint8Array }>
}

export interface KemKeyPair {
  readonly publicKey: Uint8Array
  /**
   * A wrong ciphertext of the right length gives a wrong secret, not an error (implicit rejection).
   * @throws NightjarError `handshake-failed` where the length is wrong.
   */
  decapsulate(ciphertext: Uint8Array): Awaitable<Uint8Array>
  destroy(): void
}

/** Ed25519 (RFC 8032, section 5.1): 32-byte seeds and public keys, 64-byte signatures. */
export interface Signing {
  fromSeed(seed: Uint8Array): Awaitable<SigningKey>
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Awaitable<boolean>
}

export interface SigningKey {
  readonly publicKey: Uint8Array
  sign(message: Uint8Array): Awaitable<Uint8Array>
}

/** Sizes in bytes. */
export const size = {
  key: 32,
  nonce: 12,
  tag: 16,
  hash: 32,
  dhPublic: 32,
  kemSeed: 64,
  kemPublic: 1184,
  kemCiphertext: 1088,
  signature: 64,
  /** Ids of onion and envelope keys: the first bytes of the SHA-256 of the public key. */
  keyId: 8,
} as const
