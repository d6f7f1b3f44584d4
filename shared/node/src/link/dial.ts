/**
 * Dials a relay: TLS 1.3 first, its certificate checked against the pinned key or WebPKI, only then the WebSocket.
 * Plain `ws://` is refused for anything but loopback.
 */
import { createHash, type X509Certificate } from 'node:crypto'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls, rootCertificates, type TLSSocket } from 'node:tls'
import { equalBytes } from '@nightjar/shared/bytes'
import type { Link } from '@nightjar/shared/cell'
import type { CircuitTable } from '@nightjar/shared/circuit'
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import type { Clock } from '@nightjar/shared/runtime'
import { WebSocket } from 'ws'
import { clocksDifferStatus, proofHeader, socketOptions, subprotocol, WebSocketLink } from './link.ts'
import type { LinkRates } from './rates.ts'

export interface DialOptions {
  /** `wss://host:port/path`, or `ws://` on loopback. */
  readonly url: string
  /** SHA-256 of the certificate's SubjectPublicKeyInfo; given, it replaces WebPKI. */
  readonly pin?: Uint8Array | undefined
  /** PEM certificates that are trusted besides the public ones. */
  readonly extraCa?: string | undefined
  /** The local address to connect from. */
  readonly localAddress?: string | undefined
  readonly table: CircuitTable
  readonly clock: Clock
  readonly idleAfter: number
  readonly rates?: LinkRates | undefined
  /** What tells the relay which other one dials; a client says nothing. */
  prove?(): Promise<string>
  /** It is refused, as by the clock of that relay the proof is not of now. */
  onClocksDiffer?(): void
}

/** Opens a link for `table`, which is attached to it. */
export type Dial = (options: DialOptions) => Promise<Link>

/** @throws NightjarError `connect-failed`, with the cause */
export const dialLink: Dial = async (options) => {
  try {
    const proof = await options.prove?.()
    return await upgrade(options, await connectSocket(options), proof)
  } catch (cause) {
    throw asNightjarError(cause, 'connect-failed')
  }
}

/** Whether `host` can only be this machine. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || (isIP(host) === 4 && host.startsWith('127.'))
}

function connectSocket(options: DialOptions): Promise<Socket> {
  const url = new URL(options.url)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const target = {
    host,
    port: Number(url.port || (url.protocol === 'wss:' ? 443 : 80)),
    ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
  }
  if (url.protocol === 'wss:') return connectSecure(target, options)
  if (url.protocol !== 'ws:' || !isLoopback(host)) {
    throw new NightjarError('connect-failed', { detail: 'plain links are for loopback only' })
  }
  const socket = connectTcp(target)
  return untilEvent(socket, 'connect', () => socket)
}

function connectSecure(target: { host: string; port: number }, options: DialOptions): Promise<TLSSocket> {
  const { pin } = options
  const tls: ConnectionOptions = {
    ...target,
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['http/1.1'],
    // With a pin the key is checked below, before a single byte is sent; without one WebPKI decides.
    rejectUnauthorized: pin === undefined,
    ...(isIP(target.host) === 0 ? { servername: target.host } : {}),
    ...(options.extraCa === undefined ? {} : { ca: [...rootCertificates, options.extraCa] }),
  }
  const socket = connectTls(tls)
  return untilEvent(socket, 'secureConnect', () => {
    if (pin !== undefined) requirePin(socket, pin)
    return socket
  })
}

function requirePin(socket: TLSSocket, pin: Uint8Array): void {
  const certificate = socket.getPeerX509Certificate()
  if (certificate !== undefined && equalBytes(spkiHash(certificate), pin)) return
  socket.destroy()
  throw new NightjarError('connect-failed', { detail: 'the relay has another TLS key than the document says' })
}

/** SHA-256 of a certificate's SubjectPublicKeyInfo (as in RFC 7469, section 2.4). */
export function spkiHash(certificate: X509Certificate): Uint8Array {
  return createHash('sha256')
    .update(certificate.publicKey.export({ type: 'spki', format: 'der' }))
    .digest()
}

function untilEvent<T extends Socket>(socket: T, event: 'connect' | 'secureConnect', check: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error) => {
      socket.destroy()
      reject(cause)
    }
    socket.setNoDelay(true)
    socket.setTimeout(limits.dialTimeout, () => fail(new NightjarError('connect-failed', { detail: 'time-out' })))
    socket.once('error', fail)
    socket.once(event, () => {
      socket.setTimeout(0)
      socket.off('error', fail)
      try {
        resolve(check())
      } catch (error) {
        reject(error)
      }
    })
  })
}

function upgrade(options: DialOptions, socket: Socket, proof: string | undefined): Promise<WebSocketLink> {
  return new Promise((resolve, reject) => {
    // Not the socket's own time-out, which each byte puts off.
    const late = options.clock.after(limits.dialTimeout, () => fail(new Error('no answer to the request')))
    const fail = (cause: unknown) => {
      late.cancel()
      socket.destroy()
      reject(new NightjarError('connect-failed', { cause }))
    }
    let webSocket: WebSocket
    try {
      webSocket = new WebSocket(options.url, [subprotocol], {
        ...socketOptions,
        ...(proof === undefined ? {} : { headers: { [proofHeader]: proof } }),
        createConnection: () => socket,
        // Masks exist to keep scripts in browsers from choosing the bytes on the wire (RFC 6455, section 10.3). All our
        // bytes are ciphertext, so a mask of zeros loses nothing and saves a pass over each message.
        generateMask: (mask) => void mask.fill(0),
      })
    } catch (cause) {
      // A URL that `ws` does not take, such as one with a fragment.
      return fail(cause)
    }
    webSocket.once('error', fail)
    webSocket.once('unexpected-response', (_, { statusCode }) => {
      if (statusCode === clocksDifferStatus) options.onClocksDiffer?.()
      fail(new Error(`the relay answers with HTTP status ${statusCode}`))
    })
    webSocket.once('open', () => {
      late.cancel()
      webSocket.off('error', fail)
      // At once, not after an `await`: the relay's first cells may have come with its answer and are given out next.
      const { clock, table, idleAfter, rates } = options
      const link = new WebSocketLink(webSocket, { clock, events: table, idleAfter, rates })
      table.attach(link)
      resolve(link)
    })
  })
}
