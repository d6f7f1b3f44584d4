/**
 * Both halves of the handshake, written a second time from docs/protocol.md: a client's hello, and the reply of somebody
 * who says that he is the gateway.
 */
import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'

const protocolVersion = 1
const forEnvelopes = 2
const kemPublicSize = 1184
/** Where they stand in a hello. */
const keyIdAt = 3
const dhPublicAt = keyIdAt + 8
const kemPublicAt = dhPublicAt + 32

/** What stands before a raw X25519 key in SubjectPublicKeyInfo and PKCS #8 (RFC 8410). */
const publicHead = Buffer.from('302a300506032b656e032100', 'hex')
const privateHead = Buffer.from('302e020100300506032b656e04220420', 'hex')

/** A hello for the envelope key with `keyId`, as an extension greets a gateway. */
export function helloFor(keyId: Buffer): Buffer {
  const head = Buffer.from([protocolVersion, forEnvelopes, 0])
  const dh = rawOf(generateKeyPairSync('x25519').publicKey)
  return Buffer.concat([head, keyId, dh, ml_kem768.keygen().publicKey])
}

/** Which of the gateway's keys a hello is for. */
export function keyIdIn(hello: Buffer): Buffer {
  return hello.subarray(keyIdAt, dhPublicAt)
}

/** @param secret of the impostor's key pair, 32 bytes; only with the gateway's own would he be believed */
export function impostorsReply(hello: Buffer, identity: Buffer, secret: Buffer): Buffer {
  const theirs = createPublicKey({
    key: Buffer.concat([publicHead, hello.subarray(dhPublicAt, kemPublicAt)]),
    format: 'der',
    type: 'spki',
  })
  const kem = ml_kem768.encapsulate(hello.subarray(kemPublicAt, kemPublicAt + kemPublicSize))
  const own = createPrivateKey({ key: Buffer.concat([privateHead, secret]), format: 'der', type: 'pkcs8' })
  const ephemeral = generateKeyPairSync('x25519')
  const y = rawOf(ephemeral.publicKey)
  const document = Buffer.concat([Buffer.from([0, 0, 0, 1]), randomBytes(32)])
  const transcript = createHash('sha256')
    .update(Buffer.concat([hello, identity, rawOf(createPublicKey(own)), y, kem.cipherText, document]))
    .digest()
  const agree = (privateKey: KeyObject) => diffieHellman({ privateKey, publicKey: theirs })
  const secrets = Buffer.concat([agree(ephemeral.privateKey), agree(own), kem.sharedSecret, transcript])
  const label = Buffer.concat([Buffer.from('nightjar-1 '), Buffer.from([forEnvelopes]), Buffer.from('auth')])
  const authKey = Buffer.from(hkdfSync('sha256', secrets, 'nightjar-1 hybrid-ntor', label, 32))
  return Buffer.concat([y, kem.cipherText, document, createHmac('sha256', authKey).update(transcript).digest()])
}

function rawOf(publicKey: KeyObject): Buffer {
  return publicKey.export({ type: 'spki', format: 'der' }).subarray(publicHead.length)
}
