/**
 * The reference for `relay`: a plain WebSocket echo that does one AEAD per 1024-byte cell and sends each batch back, as
 * short as it can be written with the same libraries.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { crypto_aead_chacha20poly1305_ietf_encrypt_detached as seal } from 'sodium-native'
import { type RawData, WebSocketServer } from 'ws'

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
}

const nothing = new Uint8Array(0)
const cellSize = 1024
const headerSize = 5
const tagSize = 16

/** Serves until the process ends; prints a ready line with the port. */
export function serveEcho(tls: { certFile: string; keyFile: string } | undefined): void {
  const server =
    tls === undefined
      ? createHttpServer()
      : createHttpsServer({ cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile), minVersion: 'TLSv1.3' })
  const key = randomBytes(32)
  const nonce = randomBytes(12)
  new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (socket) => {
    socket.on('message', (data: RawData) => {
      const batch = Buffer.from(data as Buffer)
      for (let start = 0; start < batch.length; start += cellSize) {
        const body = start + headerSize
        const tag = batch.subarray(body, body + tagSize)
        const text = batch.subarray(body + tagSize, start + cellSize)
        seal(text, tag, text, nothing, null, nonce, key)
      }
      socket.send(batch)
    })
  })
  server.listen(0, '127.0.0.1', () => {
    process.stdout.write(`${JSON.stringify({ ready: true, port: (server.address() as AddressInfo).port })}\n`)
  })
}
