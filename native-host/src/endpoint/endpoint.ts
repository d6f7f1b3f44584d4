/**
 * The loopback RPC endpoint: plain JSON-RPC in, private out. `http://127.0.0.1:PORT/<token>/<chainId>`
 *
 * Web pages are kept out by the token, the Host header (DNS rebinding) and the Origin; that is HTTP 403. Whatever is
 * broken behind the endpoint is HTTP 200 with a JSON-RPC error on a socket that stays open, because MetaMask stops
 * asking for half an hour after a few HTTP errors.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { challengeBytes } from '@nightjar/shared/bridge'
import { equalBytes, fromHex, fromJson, hex, utf8 } from '@nightjar/shared/bytes'
import { asNightjarError, NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import type { Order } from '@nightjar/shared/requests'
import {
  type Id,
  idOf,
  type Outcome,
  parseRequest,
  type Response as RpcResponse,
  toRpcError,
} from '@nightjar/shared/rpc'
import { minute } from '@nightjar/shared/runtime'

export interface EndpointOptions {
  readonly port: number
  readonly token: string
  /** Ids of the browser extensions that may call. */
  readonly wallets: readonly string[]
  request(order: Order): Promise<Outcome>
  /** A call came from `origin` (`local` for programs) for `chain`. */
  onCall?(origin: string, chain: number): void
  /** The answer that proves whose port this is to whoever knows the key (proof.ts). */
  prove(challenge: Uint8Array, port: number): Uint8Array
}

export interface Endpoint {
  readonly port: number
  close(): Promise<void>
}

const host = '127.0.0.1'
/** A body that is too large is read to its end up to this factor, so that the answer can be sent. */
const drainFactor = 8

/** @throws NightjarError `connect-failed` where the port cannot be listened on. */
export async function listenEndpoint(options: EndpointOptions): Promise<Endpoint> {
  const server = createServer((request, response) => {
    const { port } = server.address() as AddressInfo
    const refusal = refuse(request, options, port)
    if (refusal !== undefined) {
      request.resume()
      return void response.writeHead(refusal, { 'content-length': 0 }).end()
    }
    const respond = isProof(request) ? prove(request, response, options, port) : answer(request, response, options)
    respond.catch(() => response.destroy())
  })
  server.keepAliveTimeout = 5 * minute
  server.requestTimeout = 1 * minute
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const detail = cause.code === 'EADDRINUSE' ? `port ${options.port} is taken; set endpoint.port` : 'endpoint'
      reject(new NightjarError('connect-failed', { detail, cause }))
    })
    server.listen({ host, port: options.port }, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

/** The HTTP status to refuse with, if the caller has no business here. */
function refuse(request: IncomingMessage, options: EndpointOptions, port: number): 403 | 405 | undefined {
  const { headers } = request
  if (headers.host !== `${host}:${port}` && headers.host !== `localhost:${port}`) return 403
  if (headers.origin !== undefined && !mayCall(headers.origin, request, options)) return 403
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'none') return 403
  if (!equalBytes(utf8(pathParts(request)[0] ?? ''), utf8(options.token))) return 403
  if (request.method !== 'POST') return 405
  return undefined
}

/** Calls are for the wallets of the configuration; the proof, which tells nothing else, for any extension. */
function mayCall(origin: string, request: IncomingMessage, { wallets }: EndpointOptions): boolean {
  if (isProof(request)) return /^(chrome|moz)-extension:\/\//.test(origin)
  return wallets.some((id) => origin === `chrome-extension://${id}` || origin === `moz-extension://${id}`)
}

function isProof(request: IncomingMessage): boolean {
  return pathParts(request)[1] === 'proof'
}

/** Proves whose port this is (shared/bridge, proof.ts). */
async function prove(
  request: IncomingMessage,
  response: ServerResponse,
  options: EndpointOptions,
  port: number,
): Promise<void> {
  const challenge = new TextDecoder().decode(await readBody(request))
  const isChallenge = challenge.length === 2 * challengeBytes && /^[0-9a-f]*$/.test(challenge)
  if (!isChallenge) return void response.writeHead(400, { 'content-length': 0 }).end()
  response.writeHead(200, { 'content-type': 'text/plain' }).end(hex(options.prove(fromHex(challenge), port)))
}

function pathParts(request: IncomingMessage): string[] {
  return ((request.url ?? '').split('?', 1)[0] as string).split('/').slice(1)
}

async function answer(request: IncomingMessage, response: ServerResponse, options: EndpointOptions): Promise<void> {
  const caller = { group: groupOf(request), chain: chainOf(request) }
  if (caller.chain !== undefined) options.onCall?.(originOf(request), caller.chain)
  let reply: unknown
  try {
    reply = await handle(parseBody(await readBody(request)), caller, options)
  } catch (error) {
    reply = failure(null, asNightjarError(error))
  }
  const text = reply === undefined ? '' : JSON.stringify(reply)
  // What was not read to its end stands in the way of the next request: that one needs another socket.
  if (!request.complete) response.setHeader('connection', 'close')
  response.writeHead(text === '' ? 204 : 200, { 'content-type': 'application/json' }).end(text)
}

/** One isolation group per caller: each allowed extension, and the programs of this machine together. */
function groupOf(request: IncomingMessage): string {
  return `endpoint ${originOf(request)}`
}

function originOf(request: IncomingMessage): string {
  return request.headers.origin ?? 'local'
}

/** The chain of the path; undefined where it is no decimal number. */
function chainOf(request: IncomingMessage): number | undefined {
  const text = pathParts(request)[1] ?? ''
  const chain = /^[1-9]\d{0,15}$/.test(text) ? Number(text) : undefined
  return chain !== undefined && Number.isSafeInteger(chain) ? chain : undefined
}

interface Caller {
  readonly group: string
  readonly chain: number | undefined
}

/** The response to a call or batch; undefined where nothing but notifications came. */
async function handle(value: unknown, caller: Caller, options: EndpointOptions): Promise<unknown> {
  if (!Array.isArray(value)) return handleOne(value, caller, options)
  if (value.length === 0) throw new NightjarError('bad-request', { detail: 'empty batch' })
  if (value.length > limits.batchCalls) throw new NightjarError('request-too-large', { detail: 'calls in a batch' })
  const responses = await Promise.all(value.map((each) => handleOne(each, caller, options)))
  const answers = responses.filter((response) => response !== undefined)
  return answers.length === 0 ? undefined : answers
}

async function handleOne(value: unknown, caller: Caller, options: EndpointOptions): Promise<RpcResponse | undefined> {
  let isNotification = false
  try {
    const { id, ...call } = parseRequest(value)
    isNotification = id === undefined
    if (caller.chain === undefined) throw new NightjarError('chain-not-served', { detail: 'no chain id in the path' })
    const outcome = await options.request({ group: caller.group, chain: caller.chain, call })
    return id === undefined ? undefined : { jsonrpc: '2.0', id, ...outcome }
  } catch (error) {
    // A notification gets no answer, be it an error (JSON-RPC 2.0, section 4.1); what is no request at all does.
    return isNotification ? undefined : failure(idOf(value), asNightjarError(error))
  }
}

function failure(id: Id, error: NightjarError): RpcResponse {
  return { jsonrpc: '2.0', id, error: toRpcError(error) }
}

/** @throws NightjarError `bad-json` */
function parseBody(body: Uint8Array): unknown {
  try {
    return fromJson(body)
  } catch (cause) {
    const { detail } = asNightjarError(cause)
    throw new NightjarError('bad-json', { ...(detail === undefined ? {} : { detail }), cause })
  }
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length
    if (length > limits.endpointBodyBytes * drainFactor) throw new NightjarError('request-too-large')
    if (length <= limits.endpointBodyBytes) parts.push(part)
  }
  if (length > limits.endpointBodyBytes) throw new NightjarError('request-too-large')
  return Buffer.concat(parts, length)
}
