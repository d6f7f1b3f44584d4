/**
 * The crypto interface on the audited noble libraries: pure JavaScript, runs anywhere. JavaScript cannot promise
 * constant time; the daemons therefore use the native implementation.
 */
import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import { ed25519, x25519 } from '@noble/curves/ed25519.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { randomBytes } from '@noble/hashes/utils.js'
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import { isZero } from '../bytes/index.ts'
import { NightjarError } from '../errors/index.ts'
import { type Crypto, type DhKeyPair, type KemKeyPair, size } from './crypto.ts'

function handshakeFailed(detail: string, cause?: unknown): NightjarError {
  return new NightjarError('handshake-failed', { detail, cause })
}

function dhKeyPair(secret: Uint8Array): DhKeyPair {
  return {
    publicKey: x25519.getPublicKey(secret),
    agree(peer) {
      let shared: Uint8Array
      try {
        shared = x25519.getSharedSecret(secret, peer)
      } catch (cause) {
        throw handshakeFailed('bad X25519 public key', cause)
      }
      if (isZero(shared)) throw handshakeFailed('all-zero X25519 output')
      return shared
    },
    destroy: () => void secret.fill(0),
  }
}

function kemKeyPair(seed: Uint8Array): KemKeyPair {
  const { publicKey, secretKey } = ml_kem768.keygen(seed)
  return {
    publicKey,
    decapsulate(ciphertext) {
      if (ciphertext.length !== size.kemCiphertext) throw handshakeFailed('bad ML-KEM ciphertext')
      return ml_kem768.decapsulate(ciphertext, secretKey)
    },
    destroy: () => void secretKey.fill(0),
  }
}

export const nobleCrypto: Crypto = {
  name: 'noble',
  aead: {
    seal(key, nonce, associated, data, tag) {
      const sealed = chacha20poly1305(key, nonce, associated).encrypt(data)
      data.set(sealed.subarray(0, data.length))
      tag.set(sealed.subarray(data.length))
    },
    open(key, nonce, associated, data, tag) {
      const sealed = new Uint8Array(data.length + size.tag)
      sealed.set(data)
      sealed.set(tag, data.length)
      try {
        data.set(chacha20poly1305(key, nonce, associated).decrypt(sealed))
        return true
      } catch {
        // noble signals a wrong tag by throwing; the caller acts on `false`.
        return false
      }
    },
  },
  hash: {
    sha256: (data) => sha256(data),
    hmac: (key, data) => hmac(sha256, key, data),
  },
  dh: {
    generate: () => dhKeyPair(randomBytes(size.key)),
    fromSecret: (secret) => dhKeyPair(Uint8Array.from(secret)),
  },
  kem: {
    generate() {
      const seed = randomBytes(size.kemSeed)
      const pair = kemKeyPair(seed)
      seed.fill(0)
      return pair
    },
    fromSeed: (seed) => kemKeyPair(seed),
    encapsulate(publicKey) {
      try {
        const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey)
        return { ciphertext: cipherText, secret: sharedSecret }
      } catch (cause) {
        throw handshakeFailed('bad ML-KEM public key', cause)
      }
    },
  },
  sign: {
    fromSeed(seed) {
      const own = Uint8Array.from(seed)
      return { publicKey: ed25519.getPublicKey(own), sign: (message) => ed25519.sign(message, own) }
    },
    verify(publicKey, message, signature) {
      try {
        // Strict on the encoding of points and scalars (RFC 8032), as node:crypto is. noble checks the equation times the
        // cofactor and OpenSSL does not, which only a signer can exploit, against itself.
        return ed25519.verify(signature, message, publicKey, { zip215: false })
      } catch {
        // A key or signature of the wrong form is thrown by noble; for us it is just not valid.
        return false
      }
    },
  },
  randomBytes: (length) => randomBytes(length),
}
