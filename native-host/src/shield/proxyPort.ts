/**
 * A loopback port that speaks SOCKS5 (socks.ts) and HTTP CONNECT (RFC 9110, section 9.3.6; heads are parsed by node:http),
 * told apart by the first byte. It knows how a client asks and is answered; who is connected to what is its owner's.
 *
 * A client has ten seconds to say what it wants. After that a little is read from it until it is accepted, to notice when
 * it leaves: an end of its side before there is an answer counts as that.
 */
import { createServer as createHttpServer, type Server as HttpServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { concat } from '@nightjar/shared/bytes'
import { type ErrorCode, NightjarError } from '@nightjar/shared/errors'
import { type Clock, second } from '@nightjar/shared/runtime'
import { httpRefusal, response, socksRefusal } from './refusal.ts'
import { type Ask, reply, SocksHandshake, socksReply, socksVersion } from './socks.ts'

/** Bounds half a greeting: connections that are held open for nothing. */
const handshakeTimeout = 10 * second
/** Bounds what a client that was refused and does not go holds on to. */
const lingerTimeout = 2 * second
/** Bounds what one program can take of the daemon's memory and descriptors. */
const mostConnections = 1024
/** Bounds what is kept of a client that sends before it is accepted, in bytes; beyond it, that it leaves is seen later. */
const earlyBytes = 64 * 1024
/** Bounds the head of a CONNECT, in bytes. */
const headBytes = 8 * 1024

/** A client that has said what it wants, and is told once. */
export interface Call {
  readonly ask: Ask
  /** Aborted where the client leaves before it is told; then there is nobody to tell. */
  readonly gone: AbortSignal
  /** Tells the client that it is connected; from now on its socket is the connection, with what it may have sent early. */
  accept(): Socket
  refuse(code: ErrorCode): void
}

export interface ProxyPortOptions {
  /** 0 takes any free port. */
  readonly port: number
  readonly clock: Clock
  onCall(call: Call): void
  /** A client was refused that asked for what this port does not do at all. */
  onUnserved(): void
}

export interface ProxyPort {
  readonly port: number
  close(): Promise<void>
}

/** @throws NightjarError `connect-failed` where the port cannot be listened on */
export async function listenProxyPort(options: ProxyPortOptions): Promise<ProxyPort> {
  const sockets = new Set<Socket>()
  const reception = new Reception(options)
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    reception.receive(socket)
  })
  server.maxConnections = mostConnections
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const detail = cause.code === 'EADDRINUSE' ? `port ${options.port} is taken; set shield.port` : 'shield'
      reject(new NightjarError('connect-failed', { detail, cause }))
    })
    server.listen({ host: '127.0.0.1', port: options.port }, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      // Not with a FIN, which would pass for the whole of an answer.
      for (const socket of sockets) socket.resetAndDestroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

interface Answers {
  readonly accepted: Uint8Array | string
  refused(code: ErrorCode): Uint8Array | string
}

/** Hears out every client until it has said what it wants. */
class Reception {
  readonly #options: ProxyPortOptions
  /** Parses heads; it listens nowhere by itself. */
  readonly #http: HttpServer
  /** What ends the hearing of each client that has not said it yet. */
  readonly #hearings = new WeakMap<Duplex, () => void>()

  constructor(options: ProxyPortOptions) {
    this.#options = options
    this.#http = createHttpServer({ maxHeaderSize: headBytes })
    // `receive` has put a Socket in, and node:http gives it back.
    this.#http.on('connect', (request, socket, head) => this.#receiveConnect(socket as Socket, request, head))
    this.#http.on('request', ({ socket }) => this.#refuseHttp(socket, 405, 'Method Not Allowed', ['allow: CONNECT']))
    this.#http.on('clientError', (_, socket) => this.#refuseHttp(socket, 400, 'Bad Request'))
  }

  receive(socket: Socket): void {
    const gone = () => socket.destroy()
    const timer = this.#options.clock.after(handshakeTimeout, gone)
    this.#hearings.set(socket, () => {
      timer.cancel()
      socket.off('end', gone)
    })
    // A client that goes away is no concern of the daemon.
    socket.on('error', gone)
    socket.on('end', gone)
    socket.on('close', () => timer.cancel())
    socket.once('data', (first: Buffer) => {
      if (first[0] === socksVersion) return this.#receiveSocks(socket, first)
      socket.pause()
      socket.unshift(first)
      this.#http.emit('connection', socket)
      socket.resume()
    })
  }

  #receiveSocks(socket: Socket, first: Buffer): void {
    const handshake = new SocksHandshake()
    const push = (bytes: Buffer) => {
      const step = handshake.push(bytes)
      if (step.state === 'waiting') return void socket.write(step.reply)
      socket.off('data', push)
      if (step.state === 'refused') return this.#refuse(socket, step.reply)
      socket.write(step.reply)
      this.#call(socket, step.ask, step.rest, {
        accepted: socksReply(reply.succeeded),
        refused: (code) => socksReply(socksRefusal(code)),
      })
    }
    socket.on('data', push)
    push(first)
  }

  #receiveConnect(socket: Socket, request: IncomingMessage, head: Buffer): void {
    const ask = askOf(request)
    if (ask === undefined) return this.#refuseHttp(socket, 400, 'Bad Request')
    const accepted = 'HTTP/1.1 200 Connection established\r\n\r\n'
    this.#call(socket, ask, head, { accepted, refused: httpRefusal })
  }

  /** @param rest what came behind the handshake, and is for the host */
  #call(socket: Socket, ask: Ask, rest: Uint8Array, answers: Answers): void {
    this.#hearings.get(socket)?.()
    const gone = new AbortController()
    const early: Uint8Array[] = []
    let kept = 0
    const keep = (bytes: Uint8Array) => {
      early.push(bytes)
      kept += bytes.length
      if (kept >= earlyBytes) socket.pause()
    }
    const leave = () => {
      gone.abort()
      socket.destroy()
    }
    const stopWaiting = () => socket.off('data', keep).off('end', leave).off('close', leave).pause()
    socket.on('data', keep).on('end', leave).on('close', leave).resume()
    keep(rest)
    this.#options.onCall({
      ask,
      gone: gone.signal,
      accept() {
        stopWaiting()
        if (kept > 0) socket.unshift(concat(...early))
        socket.write(answers.accepted)
        return socket
      },
      refuse: (code) => {
        if (gone.signal.aborted) return
        stopWaiting()
        this.#dismiss(socket, answers.refused(code))
      },
    })
  }

  #refuseHttp(socket: Duplex, status: number, reason: string, headers: readonly string[] = []): void {
    this.#refuse(socket, response(status, reason, 'This is a proxy for HTTP CONNECT and SOCKS5.\n', headers))
  }

  #refuse(socket: Duplex, last: Uint8Array | string): void {
    // Gone, or refused already: node:http goes on parsing what follows.
    if (!socket.writable) return
    this.#hearings.get(socket)?.()
    this.#options.onUnserved()
    this.#dismiss(socket, last)
  }

  /** Says a last thing. What still comes is read and dropped, as closing on it would take the last thing away. */
  #dismiss(socket: Duplex, last: Uint8Array | string): void {
    const timer = this.#options.clock.after(lingerTimeout, () => socket.destroy())
    socket.on('close', () => timer.cancel())
    socket.on('end', () => socket.destroy())
    socket.end(last)
    socket.resume()
  }
}

/** `host:port`, or `[address]:port`. */
function askOf({ url, headers }: IncomingMessage): Ask | undefined {
  const [, host, port] = /^(\[[^\]]*\]|[^:@/]+):([0-9]{1,5})$/.exec(url ?? '') ?? []
  if (host === undefined || Number(port) > 65_535) return undefined
  return { host, port: Number(port), credentials: headers['proxy-authorization'] ?? '' }
}
