/**
 * The handshake of every hop, and again end to end for envelopes: hybrid ntor. Confidential against an attacker who
 * breaks either X25519 or ML-KEM-768; the responder is authenticated by its X25519 onion key, the client not at all.
 *
 *     transcript = SHA-256(hello ‖ identity ‖ B ‖ Y ‖ ct ‖ documentVersion ‖ documentHash)
 *     seed       = HKDF-Extract("nightjar-1 hybrid-ntor", DH(y,X) ‖ DH(b,X) ‖ k ‖ transcript)
 *     key        = HKDF-Expand(seed, "nightjar-1 " ‖ purpose ‖ {"forward", "backward", "auth"}, 32)
 *     auth       = HMAC-SHA256(K_auth, transcript)
 *
 * After ntor (Goldberg, Stebila, Ustaoglu 2013; Tor proposal 216) with ML-KEM (FIPS 203) mixed in.
 */
import { concat, equalBytes, u32, utf8 } from '../bytes/index.ts'
import { type Crypto, type DhKeyPair, hkdfExpand, hkdfExtract, size } from '../crypto/index.ts'
import { NightjarError } from '../errors/index.ts'
import {
  type DocumentStamp,
  decodeHello,
  decodeReply,
  encodeHello,
  encodeReply,
  type Hello,
  type Purpose,
} from './messages.ts'

/** The keys both sides hold afterwards: 32 bytes each, forward = from the client. */
export interface SessionKeys {
  readonly forward: Uint8Array
  readonly backward: Uint8Array
}

/** The responder, as the client knows it from the network document. */
export interface Responder {
  /** Ed25519 identity key. */
  readonly identity: Uint8Array
  /** X25519 onion or envelope key B, and its id. */
  readonly key: Uint8Array
  readonly keyId: Uint8Array
}

export interface ClientHandshake {
  readonly hello: Uint8Array
  /**
   * Checks the responder's reply; wipes the ephemerals in any case, so it can be called once.
   * @throws NightjarError `handshake-failed` where the responder did not prove that it holds the key.
   */
  finish(reply: Uint8Array): Promise<{ keys: SessionKeys; document: DocumentStamp }>
}

export async function startHandshake(
  crypto: Crypto,
  options: { purpose: Purpose; depth: number; responder: Responder },
): Promise<ClientHandshake> {
  const { responder } = options
  const dh = await crypto.dh.generate()
  const kem = await crypto.kem.generate()
  const hello = encodeHello({
    purpose: options.purpose,
    depth: options.depth,
    keyId: responder.keyId,
    dhPublic: dh.publicKey,
    kemPublic: kem.publicKey,
  })

  async function finish(bytes: Uint8Array) {
    try {
      const reply = decodeReply(bytes)
      const secrets = [
        await dh.agree(reply.dhPublic),
        await dh.agree(responder.key),
        await kem.decapsulate(reply.kemCiphertext),
      ]
      const transcript = transcribe(crypto, hello, responder.identity, responder.key, reply)
      const { keys, auth } = derive(crypto, options.purpose, secrets, transcript)
      if (!equalBytes(auth, reply.auth)) throw new NightjarError('handshake-failed', { detail: 'wrong authenticator' })
      return { keys, document: reply.document }
    } finally {
      dh.destroy()
      kem.destroy()
    }
  }

  return { hello, finish }
}

export interface ResponderSecrets {
  readonly identity: Uint8Array
  /** The key pair of `keyId`, if it is honoured for this purpose. */
  findKey(keyId: Uint8Array, purpose: Purpose): DhKeyPair | undefined
  readonly document: DocumentStamp
}

/**
 * The responder's half.
 * @throws NightjarError `protocol-violation` for a malformed hello, `unknown-key` for a key it does not hold,
 * `handshake-failed` for a bad public key.
 */
export async function answerHandshake(
  crypto: Crypto,
  bytes: Uint8Array,
  secrets: ResponderSecrets,
): Promise<{ reply: Uint8Array; keys: SessionKeys; hello: Hello }> {
  const hello = decodeHello(bytes)
  const onion = secrets.findKey(hello.keyId, hello.purpose)
  if (onion === undefined) throw new NightjarError('unknown-key')
  const dh = await crypto.dh.generate()
  try {
    const kem = await crypto.kem.encapsulate(hello.kemPublic)
    const shared = [await dh.agree(hello.dhPublic), await onion.agree(hello.dhPublic), kem.secret]
    const part = { dhPublic: dh.publicKey, kemCiphertext: kem.ciphertext, document: secrets.document }
    const transcript = transcribe(crypto, bytes, secrets.identity, onion.publicKey, part)
    const { keys, auth } = derive(crypto, hello.purpose, shared, transcript)
    return { reply: encodeReply({ ...part, auth }), keys, hello }
  } finally {
    dh.destroy()
  }
}

function transcribe(
  crypto: Crypto,
  hello: Uint8Array,
  identity: Uint8Array,
  onionKey: Uint8Array,
  reply: { dhPublic: Uint8Array; kemCiphertext: Uint8Array; document: DocumentStamp },
): Uint8Array {
  return crypto.hash.sha256(
    concat(
      hello,
      identity,
      onionKey,
      reply.dhPublic,
      reply.kemCiphertext,
      u32(reply.document.version),
      reply.document.hash,
    ),
  )
}

const salt = utf8('nightjar-1 hybrid-ntor')

/** Derives all keys and wipes the secrets that they came from. */
function derive(
  crypto: Crypto,
  kind: Purpose,
  secrets: readonly Uint8Array[],
  transcript: Uint8Array,
): { keys: SessionKeys; auth: Uint8Array } {
  const { hash } = crypto
  const input = concat(...secrets, transcript)
  const seed = hkdfExtract(hash, salt, input)
  const key = (label: string) =>
    hkdfExpand(hash, seed, concat(utf8('nightjar-1 '), Uint8Array.of(kind), utf8(label)), size.key)
  const keys = { forward: key('forward'), backward: key('backward') }
  const auth = hash.hmac(key('auth'), transcript)
  for (const secret of [...secrets, input, seed]) secret.fill(0)
  return { keys, auth }
}
