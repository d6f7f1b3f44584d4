/** Accepts links: an HTTP(S) server that upgrades one path to WebSocket and answers a few plain GETs. */
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import { createServer as createHttpsServer, Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { CircuitTable } from '@nightjar/shared/circuit'
import type { NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { type Clock, second } from '@nightjar/shared/runtime'
import { type WebSocket, WebSocketServer } from 'ws'
import { Door, type IpGate } from './door.ts'
import { type LocalIpGate, openFront } from './front.ts'
import { clocksDifferStatus, type LinkRefusal, proofHeader, socketOptions, subprotocol, WebSocketLink } from './link.ts'
import { firstCome, type LinkOwner, type LinkShares, OpenLinks } from './openLinks.ts'
import type { Proxies } from './proxies.ts'
import type { LinkRates } from './rates.ts'

export interface ListenOptions {
  readonly host: string
  readonly port: number
  /** Another process has the front, and hands its connections on: `take`. It counts the clients of proxies, too. */
  readonly handed?: { readonly ipGate: IpGate } | undefined
  readonly path: string
  readonly tls?: TlsIdentity | undefined
  readonly maxConnections: number
  /** Who may have how many of them; without it whoever comes first. */
  readonly shares?: LinkShares | undefined
  readonly idleAfter: number
  readonly clock: Clock
  readonly ipGate?: LocalIpGate | undefined
  readonly proxies?: Proxies | undefined
  readonly rates?: LinkRates | undefined
  onRefused?(refusal: LinkRefusal): void
  /** The system gives no connections. */
  onProblem?(error: NightjarError): void
  /** A link was accepted. */
  onLink?(): void
  /** Who made that proof, if it is one. A link that brings one of another time than now is refused. */
  identify?(proof: string): Promise<Uint8Array | 'clocks-differ' | undefined>
  /** A table for each new link, and whose it is: the peer's, or of whom a listed proxy speaks for; and who that proved to be. */
  accept(address: string | undefined, identity: Uint8Array | undefined): CircuitTable
  /** The text for a GET of `path`, as JSON; undefined = 404. */
  document?(path: string): string | undefined
}

/** PEM texts. */
export interface TlsIdentity {
  readonly cert: string
  readonly key: string
}

export interface Listener {
  /** 0 where it does not listen itself. */
  readonly port: number
  /** Links open now. */
  readonly connections: number
  /** A connection that another process accepted, and for which address it was counted. */
  take(socket: Socket, address: string | undefined): void
  /** Connections that come from now on are shown this certificate. @throws where key and certificate do not fit */
  renewTls(tls: TlsIdentity): void
  /** New links are refused from now on, with HTTP 503; those that stand go on. */
  refuseNew(): void
  /** Stops listening and closes every link with `draining`. */
  close(): Promise<void>
}

/** @throws NightjarError `connect-failed` where the address cannot be listened on. */
export async function listenForLinks(options: ListenOptions): Promise<Listener> {
  const { clock, proxies, shares = firstCome } = options
  const onRefused = (linkRefusal: LinkRefusal) => options.onRefused?.(linkRefusal)
  const door = new Door({ clock, proxies, onRefused, ipGate: options.handed?.ipGate ?? options.ipGate })
  const respond = (request: IncomingMessage, response: ServerResponse) => {
    door.asked(request.socket)
    answerPlain(options, request, response)
  }
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
  let isRefusing = false
  const links = new OpenLinks(shares)
  const connections = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
  })

  // TLS that fails, and requests that are none.
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    options.onRefused?.('malformed-request')
    const status = statusOf(error)
    if (status === undefined || !socket.writable) socket.destroy()
    else refuse(socket, status)
  })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy())
    void upgrade(request, socket, head)
  })

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const refusal = pathOf(request) !== options.path ? 404 : offersSubprotocol(request) ? undefined : 400
    if (refusal !== undefined) return turnAway(socket, refusal, 'no-link')
    const address = door.addressOf(request)
    if ((await door.enterForwarded(request)) !== undefined) return refuse(socket, 429)
    const proof = request.headers[proofHeader]
    const identity = typeof proof === 'string' ? await options.identify?.(proof) : undefined
    // Counted by whoever says so.
    if (identity === 'clocks-differ') return refuse(socket, clocksDifferStatus)
    const owner = shares.ownerOf(address, identity)
    if (isRefusing) return turnAway(socket, 503, 'connections')
    const crowded = links.refusalOf(owner, options.maxConnections)
    if (crowded !== undefined && !closeUnused(owner)) return turnAway(socket, 503, crowded)
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      door.linked(request.socket)
      const table = options.accept(address, identity)
      const { idleAfter, rates } = options
      const link = new WebSocketLink(webSocket, { clock, events: table, idleAfter, rates, onRefused })
      table.attach(link)
      const open = { link, webSocket, table, owner, since: clock.elapsed() }
      links.add(open)
      webSocket.once('close', () => links.remove(open))
      options.onLink?.()
    })
  }

  function turnAway(socket: Duplex, status: 400 | 404 | 503, linkRefusal: LinkRefusal): void {
    options.onRefused?.(linkRefusal)
    refuse(socket, status)
  }

  /**
   * Clients keep a spare link warm on which there is no circuit, and who does no more than that looks the same: such links
   * stand until there is no room, and then one gives way.
   */
  function closeUnused(owner: LinkOwner): boolean {
    const unused = links.unusedFor(owner, clock.elapsed() - limits.linkUnused)
    if (unused === undefined) return false
    links.remove(unused)
    onRefused('unused')
    unused.link.close('idle')
    return true
  }

  function take(socket: Socket, address: string | undefined): void {
    if (!door.enter(socket, address)) return
    server.emit('connection', socket)
    socket.resume()
  }

  // Node looks after slow requests from this event on.
  server.emit('listening')

  // In front of TLS and HTTP, so that both begin only for connections that may have them.
  const allowHalfOpen = options.tls === undefined
  const front = options.handed === undefined ? await openFront({ ...options, allowHalfOpen, take }) : undefined

  return {
    port: front?.port ?? 0,
    get connections() {
      return links.size
    },
    take,
    renewTls(tls) {
      if (server instanceof HttpsServer) server.setSecureContext({ ...tls, minVersion: 'TLSv1.3' })
    },
    refuseNew() {
      isRefusing = true
    },
    async close() {
      const closed = Promise.all([front?.close(), new Promise((resolve) => server.close(resolve))])
      await Promise.all([...links].map(({ link, webSocket }) => closeLink(link, webSocket)))
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
  // One question for each connection: the next would have no deadline.
  response.setHeader('connection', 'close')
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

/** Of what the parser refused; undefined for failures below HTTP. */
function statusOf({ code = '' }: NodeJS.ErrnoException): 400 | 408 | 431 | undefined {
  if (code === 'HPE_HEADER_OVERFLOW') return 431
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 408
  return code.startsWith('HPE_') ? 400 : undefined
}

function refuse(socket: Duplex, status: 400 | 404 | 408 | 412 | 429 | 431 | 503): void {
  // HTTP sockets may be half-open: without this one the other side could hold it for as long as it likes.
  socket.once('finish', () => socket.destroy())
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}
