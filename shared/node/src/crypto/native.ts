/**
 * The crypto interface on native code: sodium-native for the AEAD, node:crypto (OpenSSL) for the rest; all synchronous.
 *
 * It leaves out wiping: secrets live in KeyObjects, which OpenSSL cleanses when the garbage collector frees them, so
 * `destroy` only drops the reference. ML-KEM-768 needs Node 24.7 with OpenSSL 3.5; on older ones noble's stands in.
 */
// As a namespace, because Node 22 has no `encapsulate`, and a named import of it would not even link there.
import * as nodeCrypto from 'node:crypto'
import { type Crypto, type DhKeyPair, type Kem, type KemKeyPair, size } from '@nightjar/shared/crypto'
import { nobleCrypto } from '@nightjar/shared/crypto/noble'
import { NightjarError } from '@nightjar/shared/errors'
import {
  crypto_aead_chacha20poly1305_ietf_decrypt_detached as openDetached,
  crypto_aead_chacha20poly1305_ietf_encrypt_detached as sealDetached,
} from 'sodium-native'

// @types/sodium-native 2.3.9 knows the XChaCha20 variants only.
declare module 'sodium-native' {
  export function crypto_aead_chacha20poly1305_ietf_encrypt_detached(
    ciphertext: Uint8Array,
    tag: Uint8Array,
    message: Uint8Array,
    associated: Uint8Array,
    nsec: null,
    nonce: Uint8Array,
    key: Uint8Array,
  ): number
  export function crypto_aead_chacha20poly1305_ietf_decrypt_detached(
    message: Uint8Array,
    nsec: null,
    ciphertext: Uint8Array,
    tag: Uint8Array,
    associated: Uint8Array,
    nonce: Uint8Array,
    key: Uint8Array,
  ): void
}

function handshakeFailed(detail: string, cause?: unknown): NightjarError {
  return new NightjarError('handshake-failed', { detail, cause })
}

/** Without the Buffer prototype, whose `slice` shares memory where that of a Uint8Array copies. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)
}

// DER that precedes a raw key: PKCS #8 (RFC 5958) for secrets, SubjectPublicKeyInfo (RFC 5280) for ML-KEM keys.
// Object identifiers: X25519 and Ed25519 from RFC 8410, ML-KEM-768 from RFC 9935, whose private keys may be seeds.
const x25519Secret = Buffer.from('302e020100300506032b656e04220420', 'hex')
const ed25519Secret = Buffer.from('302e020100300506032b657004220420', 'hex')
const mlKemSecret = Buffer.from('3054020100300b060960864801650304040204428040', 'hex')
const mlKemPublic = Buffer.from('308204b2300b0609608648016503040402038204a100', 'hex')

function importSecret(prefix: Buffer, secret: Uint8Array, length: number): nodeCrypto.KeyObject {
  // OpenSSL would read a longer secret up to the length in the prefix and ignore the rest.
  if (secret.length !== length) throw new RangeError(`a secret of ${length} bytes is needed`)
  const key = Buffer.concat([prefix, secret])
  try {
    return nodeCrypto.createPrivateKey({ key, format: 'der', type: 'pkcs8' })
  } finally {
    key.fill(0)
  }
}

// Curve points go in and out as JWK (RFC 8037): on Node 22 that is ten times faster than DER, and on Node 24 no slower.
function importPoint(curve: 'X25519' | 'Ed25519', point: Uint8Array): nodeCrypto.KeyObject {
  const x = Buffer.from(point.buffer, point.byteOffset, point.length).toString('base64url')
  return nodeCrypto.createPublicKey({ key: { kty: 'OKP', crv: curve, x }, format: 'jwk' })
}

function exportPoint(key: nodeCrypto.KeyObject): Uint8Array {
  return Uint8Array.from(Buffer.from(key.export({ format: 'jwk' }).x as string, 'base64url'))
}

/** Holds a secret key until it is destroyed. */
class Secret {
  #key: nodeCrypto.KeyObject | undefined

  constructor(key: nodeCrypto.KeyObject) {
    this.#key = key
  }

  get key(): nodeCrypto.KeyObject {
    if (this.#key === undefined) throw new NightjarError('internal', { detail: 'a key was used after its destruction' })
    return this.#key
  }

  destroy(): void {
    this.#key = undefined
  }
}

function dhKeyPair(privateKey: nodeCrypto.KeyObject, publicKey: nodeCrypto.KeyObject): DhKeyPair {
  const secret = new Secret(privateKey)
  return {
    publicKey: exportPoint(publicKey),
    agree(peer) {
      const { key } = secret
      try {
        // The import refuses another length than 32, and OpenSSL an all-zero output (RFC 7748, section 6.1).
        return plain(nodeCrypto.diffieHellman({ privateKey: key, publicKey: importPoint('X25519', peer) }))
      } catch (cause) {
        throw handshakeFailed('bad X25519 public key', cause)
      }
    },
    destroy: () => secret.destroy(),
  }
}

function kemKeyPair(privateKey: nodeCrypto.KeyObject, publicKey: nodeCrypto.KeyObject): KemKeyPair {
  const secret = new Secret(privateKey)
  return {
    publicKey: plain(publicKey.export({ format: 'der', type: 'spki' }).subarray(mlKemPublic.length)),
    decapsulate(ciphertext) {
      if (ciphertext.length !== size.kemCiphertext) throw handshakeFailed('bad ML-KEM ciphertext')
      return plain(nodeCrypto.decapsulate(secret.key, ciphertext))
    },
    destroy: () => secret.destroy(),
  }
}

const mlKem: Kem = {
  generate() {
    const { privateKey, publicKey } = nodeCrypto.generateKeyPairSync('ml-kem-768')
    return kemKeyPair(privateKey, publicKey)
  },
  fromSeed(seed) {
    const privateKey = importSecret(mlKemSecret, seed, size.kemSeed)
    return kemKeyPair(privateKey, nodeCrypto.createPublicKey(privateKey))
  },
  encapsulate(publicKey) {
    if (publicKey.length !== size.kemPublic) throw handshakeFailed('bad ML-KEM public key')
    try {
      const key = Buffer.concat([mlKemPublic, publicKey])
      const { ciphertext, sharedKey } = nodeCrypto.encapsulate(
        // The import is what checks the modulus (FIPS 203, section 7.2).
        nodeCrypto.createPublicKey({ key, format: 'der', type: 'spki' }),
      )
      return { ciphertext: plain(ciphertext), secret: plain(sharedKey) }
    } catch (cause) {
      throw handshakeFailed('bad ML-KEM public key', cause)
    }
  },
}

/** Whether node:crypto has ML-KEM-768; tried out, as that depends on Node and on the OpenSSL it was built with. */
function hasMlKem(): boolean {
  try {
    nodeCrypto.encapsulate(nodeCrypto.generateKeyPairSync('ml-kem-768').publicKey)
    return true
  } catch {
    return false
  }
}

/** The y coordinates, in hexadecimal, of the points whose order divides 8; libsodium refuses the same ones. */
const smallOrder = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
])

/**
 * Whether an Ed25519 public key is encoded canonically (y < 2^255 - 19; RFC 8032, section 5.1.3) and not of small
 * order. Under a key of small order almost anything verifies; noble and Node 24 refuse those, Node 22 does not.
 */
function isSoundPoint(point: Uint8Array): boolean {
  const y = Buffer.from(point)
  y[31] = (y[31] as number) & 0x7f
  const text = y.toString('hex')
  return !smallOrder.has(text) && !/^(?:e[d-f]|f.)(?:ff){30}7f$/.test(text)
}

export const nativeCrypto: Crypto = {
  name: 'native',
  aead: {
    seal(key, nonce, associated, data, tag) {
      sealDetached(data, tag, data, associated, null, nonce, key)
    },
    open(key, nonce, associated, data, tag) {
      try {
        openDetached(data, null, data, tag, associated, nonce, key)
        return true
      } catch (error) {
        // sodium-native's only sign of a wrong tag; a wrong size is a mistake of ours and must not pass for one.
        if (error instanceof Error && error.message === 'could not verify data') return false
        throw error
      }
    },
  },
  hash: {
    sha256: (data) => plain(nodeCrypto.hash('sha256', data, 'buffer')),
    // A raw key would be three times slower on Node 24 than a KeyObject made for one call.
    hmac: (key, data) => plain(nodeCrypto.createHmac('sha256', nodeCrypto.createSecretKey(key)).update(data).digest()),
  },
  dh: {
    generate() {
      const { privateKey, publicKey } = nodeCrypto.generateKeyPairSync('x25519')
      return dhKeyPair(privateKey, publicKey)
    },
    fromSecret(secret) {
      const privateKey = importSecret(x25519Secret, secret, size.key)
      return dhKeyPair(privateKey, nodeCrypto.createPublicKey(privateKey))
    },
  },
  kem: hasMlKem() ? mlKem : nobleCrypto.kem,
  sign: {
    fromSeed(seed) {
      const privateKey = importSecret(ed25519Secret, seed, size.key)
      return {
        publicKey: exportPoint(nodeCrypto.createPublicKey(privateKey)),
        sign: (message) => plain(nodeCrypto.sign(null, message, privateKey)),
      }
    },
    verify(publicKey, message, signature) {
      if (publicKey.length !== size.key || signature.length !== size.signature || !isSoundPoint(publicKey)) return false
      return nodeCrypto.verify(null, message, importPoint('Ed25519', publicKey), signature)
    },
  },
  randomBytes: (length) => nodeCrypto.randomFillSync(new Uint8Array(length)),
}
