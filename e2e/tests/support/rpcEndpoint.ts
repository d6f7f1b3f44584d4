/** An RPC endpoint on loopback that keeps what it was asked, can answer by script, and can fail as servers do. */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { post } from '../../src/network/index.ts'

export interface SeenCall {
  readonly at: number
  readonly httpMethod: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly method: string
  readonly params: readonly unknown[]
}

export type Failure = 'none' | 'close' | 'http-503'

export interface RpcEndpoint {
  readonly url: string
  readonly seen: readonly SeenCall[]
  failure: Failure
  /** What it answers instead of the node; undefined to ask the node. */
  script: (call: SeenCall) => { result: unknown } | { error: { code: number; message: string } } | undefined
  /** The calls of one method. */
  calls(method: string): readonly SeenCall[]
  forget(): void
  close(): Promise<void>
}

const host = '127.0.0.1'

/** @param node what answers unscripted calls; without one they get an error */
export async function startRpcEndpoint(node?: string): Promise<RpcEndpoint> {
  const seen: SeenCall[] = []
  const server = createServer((request, response) => void serve(request, response))
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  const endpoint: RpcEndpoint = {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    seen,
    failure: 'none',
    script: () => undefined,
    calls: (method) => seen.filter((call) => call.method === method),
    forget: () => void seen.splice(0),
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    for await (const part of request) text += String(part)
    const body = text === '' ? {} : (JSON.parse(text) as { id?: unknown; method?: string; params?: unknown[] })
    const call: SeenCall = {
      at: Date.now(),
      httpMethod: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      method: Array.isArray(body) ? 'a batch' : (body.method ?? ''),
      params: body.params ?? [],
    }
    seen.push(call)
    if (endpoint.failure === 'close') return void request.socket.destroy()
    if (endpoint.failure === 'http-503') return void response.writeHead(503).end('down')
    const answer = endpoint.script(call) ?? (await askNode(body))
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ jsonrpc: '2.0', id: body.id, ...answer }))
  }

  async function askNode(body: object): Promise<object> {
    if (node === undefined) return { error: { code: -32000, message: 'no node behind this endpoint' } }
    return (await post(node, body)) as object
  }

  return endpoint
}
