/** Accepts links: an HTTP(S) server that upgrades one path to WebSocket and answers a few plain GETs. */
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { CircuitTable } from '@nightjar/shared/circuit'
import { NightjarError } from '@nightjar/shared/errors'
import { type Clock, second } from '@nightjar/shared/runtime'
import { type WebSocket, WebSocketServer } from 'ws'
import { socketOptions, subprotocol, WebSocketLink } from './link.ts'

export interface ListenOptions {
  readonly host: string
  readonly port: number
  readonly path: string
  /** PEM texts. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined
  readonly maxConnections: number
  readonly idleAfter: number
  readonly clock: Clock
  /** A table for each new link. */
  accept(): CircuitTable
  /** The text for a GET of `path`, as JSON; undefined = 404. */
  document?(path: string): string | undefined
}

export interface Listener {
  readonly port: number
  /** Links open now. */
  readonly connections: number
  /** Stops listening and closes every link with `draining`. */
  close(): Promise<void>
}

/** @throws NightjarError `connect-failed` where the address cannot be listened on. */
export async function listenForLinks(options: ListenOptions): Promise<Listener> {
  const respond = (request: IncomingMessage, response: ServerResponse) => answerPlain(options, request, response)
  const server =
    options.tls === undefined
      ? createHttpServer(respond)
      : createHttpsServer({ ...options.tls, minVersion: 'TLSv1.3' }, respond)
  server.headersTimeout = 10 * second
  server.requestTimeout = 10 * second
  const sockets = new WebSocketServer({
    ...socketOptions,
    noServer: true,
    handleProtocols: (offered) => (offered.has(subprotocol) ? subprotocol : false),
  })
  const links = new Map<WebSocketLink, WebSocket>()
  const connections = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
  })

  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy())
    if (pathOf(request) !== options.path) return refuse(socket, 404)
    if (!offersSubprotocol(request)) return refuse(socket, 400)
    if (links.size >= options.maxConnections) return refuse(socket, 503)
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const table = options.accept()
      const link = new WebSocketLink(webSocket, { clock: options.clock, events: table, idleAfter: options.idleAfter })
      table.attach(link)
      links.set(link, webSocket)
      webSocket.once('close', () => links.delete(link))
    })
  })

  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new NightjarError('connect-failed', { detail: 'cannot listen', cause })))
    server.listen({ host: options.host, port: options.port }, resolve)
  })

  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return links.size
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      await Promise.all([...links].map(([link, webSocket]) => closeLink(link, webSocket)))
      // What is left is no link: someone who says nothing, or has not finished saying it, would keep us here for ever.
      for (const socket of connections) socket.destroy()
      await closed
    },
  }
}

/** Resolves once the socket is gone: `ws` gives the other side `closeTimeout` to answer. */
function closeLink(link: WebSocketLink, webSocket: WebSocket): Promise<void> {
  const gone = new Promise<void>((resolve) => webSocket.once('close', () => resolve()))
  link.close('draining')
  return gone
}

function answerPlain(options: ListenOptions, request: IncomingMessage, response: ServerResponse): void {
  const text = request.method === 'GET' ? options.document?.(pathOf(request)) : undefined
  if (text === undefined) response.writeHead(404).end()
  else response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'max-age=60' }).end(text)
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?', 1)[0] as string
}

function offersSubprotocol(request: IncomingMessage): boolean {
  const offered = request.headers['sec-websocket-protocol'] ?? ''
  return offered.split(',').some((name) => name.trim() === subprotocol)
}

function refuse(socket: Duplex, status: 400 | 404 | 503): void {
  // HTTP sockets may be half-open: without this one the other side could hold it for as long as it likes.
  socket.once('finish', () => socket.destroy())
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}
