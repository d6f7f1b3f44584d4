/**
 * How the endpoint proves that it is the daemon's, and not some other program's that was first on the port: over HTTP it
 * answers a challenge with a key that only the daemon and the extension know, from native messaging.
 *
 *     POST /<token>/proof    challenge, 32 bytes in hexadecimal
 *     200                    HMAC-SHA256(key, "nightjar-1 endpoint\0" ‖ port u16 ‖ challenge) in hexadecimal
 *
 * The port is in it so that a program on another port cannot hand the challenge on and pass off the answer as its own.
 */
import { concat, u16, utf8 } from '../bytes/index.ts'

export const challengeBytes = 32

const label = utf8('nightjar-1 endpoint\0')

export function endpointProof(
  hmac: (key: Uint8Array, data: Uint8Array) => Uint8Array,
  key: Uint8Array,
  port: number,
  challenge: Uint8Array,
): Uint8Array {
  return hmac(key, concat(label, u16(port), challenge))
}
