/**
 * What stands behind an exit for infura.io, accounts.api.cx.metamask.io and all the others: one HTTPS server whose
 * certificate is for all of them, and which notes who asked for what, from where.
 *
 *     POST …             JSON-RPC: the result is the method and the params themselves
 *     GET /bytes/N       N bytes of the pattern (pattern.ts)
 *     PUT /…             { bytes, sha256 } of what came
 *     WebSocket /…       each message comes back
 *     anything else      200 and the host's name
 *
 * Pages of any origin may read the answers.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { WebSocketServer } from 'ws'
import type { Certificates } from './certificates.ts'
import { writePattern } from './pattern.ts'

export interface Visit {
  /** The name in the TLS handshake. */
  readonly sni: string
  readonly host: string
  /** `WS` for a WebSocket. */
  readonly method: string
  readonly path: string
  /** The address it came from. */
  readonly from: string
}

export interface Backends {
  readonly port: number
  readonly seen: readonly Visit[]
  /** Addresses of all TCP connections, also of those whose TLS handshake came to nothing. */
  readonly peers: ReadonlySet<string>
  /** How many TCP connections there have been. */
  readonly connectionCount: number
  /** Resets all connections. */
  breakOff(): void
  forget(): void
  close(): Promise<void>
}

const listenHost = '127.0.0.1'
/** Of any origin, from anywhere. */
const corsHeaders = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': '*',
  'access-control-allow-headers': '*',
}

export async function startBackends(certificates: Certificates): Promise<Backends> {
  const seen: Visit[] = []
  const peers = new Set<string>()
  const sockets = new Set<Socket>()
  let connectionCount = 0
  const { certFile, keyFile } = certificates
  const server = createServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) })

  const note = (request: IncomingMessage, method: string) => {
    const socket = request.socket as TLSSocket & { servername?: string }
    seen.push({
      sni: socket.servername ?? '',
      host: request.headers.host ?? '',
      method,
      path: request.url ?? '',
      from: socket.remoteAddress ?? '',
    })
  }

  server.on('connection', (socket: Socket) => {
    connectionCount += 1
    peers.add(socket.remoteAddress ?? '')
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('request', (request, response) => {
    note(request, request.method ?? '')
    // Whoever breaks off in the middle breaks off both.
    serve(request, response).catch(() => response.destroy())
  })

  const echo = new WebSocketServer({ noServer: true, perMessageDeflate: false })
  server.on('upgrade', (request, socket, head) => {
    note(request, 'WS')
    echo.handleUpgrade(request, socket, head, (peer) => {
      peer.on('message', (data, isBinary) => peer.send(data, { binary: isBinary }))
      peer.on('error', () => peer.terminate())
    })
  })
  await new Promise<void>((resolve) => server.listen(0, listenHost, resolve))

  return {
    port: (server.address() as AddressInfo).port,
    seen,
    peers,
    get connectionCount() {
      return connectionCount
    },
    breakOff() {
      for (const socket of sockets) socket.resetAndDestroy()
    },
    forget() {
      seen.length = 0
      peers.clear()
    },
    close() {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  for (const [name, value] of Object.entries(corsHeaders)) response.setHeader(name, value)
  const [, length] = /^\/bytes\/(\d+)$/.exec(request.url ?? '') ?? []
  if (request.method === 'PUT') return answer(response, await digest(request))
  if (request.method === 'POST') return answer(response, echoCall(await textOf(request)))
  if (length === undefined) return void response.end(request.headers.host)
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': length })
  await writePattern(response, Number(length))
  response.end()
}

async function digest(request: IncomingMessage): Promise<unknown> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length
    hash.update(part)
  }
  return { bytes, sha256: hash.digest('hex') }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part)
  return Buffer.concat(parts).toString('utf8')
}

/** Beacons and the like post what is no call; they get nothing back. */
function echoCall(body: string): unknown {
  let call: { id?: unknown; method?: unknown; params?: unknown }
  try {
    call = JSON.parse(body) as typeof call
  } catch {
    return null
  }
  return { jsonrpc: '2.0', id: call.id ?? null, result: { method: call.method, params: call.params } }
}

function answer(response: ServerResponse, body: unknown): void {
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(body))
}
