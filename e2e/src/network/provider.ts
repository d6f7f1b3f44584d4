/**
 * The RPC provider's side of the wire: an HTTP server in front of a node that records who asked what, and can be told to
 * misbehave. Gateways use it as their upstream.
 */
import { createServer, type IncomingMessage, type ServerResponse, request as sendRequest } from 'node:http'
import { request as sendSecureRequest } from 'node:https'
import type { AddressInfo } from 'node:net'
import { call, post } from './chain.ts'

export interface SeenRequest {
  readonly from: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

export type Misbehaviour = 'none' | 'hang' | 'error' | 'garbage' | 'close'

/** One call of a gateway, and what the node answers it. */
export interface Exchange {
  /** The gateway's address. */
  readonly from: string
  readonly method: string
  readonly params: readonly unknown[]
  /** The whole response of the node. */
  readonly response: { readonly result?: unknown; readonly error?: unknown }
  /** Asks the node something else. */
  ask(method: string, params: readonly unknown[]): Promise<unknown>
}

export interface Provider {
  readonly url: string
  readonly seen: readonly SeenRequest[]
  misbehaviour: Misbehaviour
  /** What becomes of an answer: a provider that lies, to some gateways or to all. */
  forge: ((exchange: Exchange) => object | Promise<object>) | undefined
  /** Milliseconds that each answer is held back. */
  delay: number
  /** Another node that is asked instead: a provider of the wrong chain. */
  elsewhere: string | undefined
  forget(): void
  /** Takes no connections any more, until `listen`. */
  refuse(): Promise<void>
  /** Takes them again, if it does not. */
  listen(): Promise<void>
  close(): Promise<void>
}

const host = '127.0.0.1'

export async function startProvider(node: string): Promise<Provider> {
  const seen: SeenRequest[] = []
  const server = createServer((request, response) => void serve(request, response))
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  const { port } = server.address() as AddressInfo
  const stopListening = () => {
    server.closeAllConnections()
    return new Promise<void>((resolve) => server.close(() => resolve()))
  }
  const provider: Provider = {
    url: `http://${host}:${port}`,
    seen,
    misbehaviour: 'none',
    forge: undefined,
    delay: 0,
    elsewhere: undefined,
    forget: () => void seen.splice(0),
    refuse: stopListening,
    async listen() {
      if (!server.listening) await new Promise<void>((resolve) => server.listen(port, host, resolve))
    },
    close: stopListening,
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = ''
    for await (const part of request) body += String(part)
    seen.push({ from: request.socket.remoteAddress ?? '', headers: request.headers, body })
    if (provider.delay > 0) await new Promise((resolve) => setTimeout(resolve, provider.delay))
    switch (provider.misbehaviour) {
      case 'hang':
        return
      case 'close':
        return void request.socket.destroy()
      case 'error':
        return void response.writeHead(503).end('down')
      case 'garbage':
        return void response.end('<html>not JSON</html>')
      default:
        if (provider.forge === undefined) forward(body, response)
        else await forged(provider.forge, request, body, response)
    }
  }

  function forward(body: string, response: ServerResponse): void {
    const target = provider.elsewhere ?? node
    const send = target.startsWith('https:') ? sendSecureRequest : sendRequest
    const onward = send(target, { method: 'POST', headers: { 'content-type': 'application/json' } }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, { 'content-type': 'application/json' })
      answer.pipe(response)
    })
    onward.on('error', () => response.destroy())
    onward.end(body)
  }

  async function forged(
    forge: NonNullable<Provider['forge']>,
    request: IncomingMessage,
    body: string,
    response: ServerResponse,
  ): Promise<void> {
    const from = request.socket.remoteAddress ?? ''
    const { method, params } = JSON.parse(body) as { method: string; params: readonly unknown[] }
    const exchange = { from, method, params, response: (await post(node, JSON.parse(body))) as object }
    const answer = await forge({
      ...exchange,
      ask: async (...other) => ((await call(node, ...other)) as { result?: unknown }).result,
    })
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  }

  return provider
}
