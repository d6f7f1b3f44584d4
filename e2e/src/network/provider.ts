/**
 * The RPC provider's side of the wire: an HTTP server in front of a node that records who asked what, and can be told to
 * misbehave. Gateways use it as their upstream.
 */
import { createServer, type IncomingMessage, type ServerResponse, request as sendRequest } from 'node:http'
import { request as sendSecureRequest } from 'node:https'
import type { AddressInfo } from 'node:net'

export interface SeenRequest {
  readonly from: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

export type Misbehaviour = 'none' | 'hang' | 'error' | 'garbage' | 'close'

export interface Provider {
  readonly url: string
  readonly seen: readonly SeenRequest[]
  misbehaviour: Misbehaviour
  /** Milliseconds that each answer is held back. */
  delay: number
  forget(): void
  close(): Promise<void>
}

const host = '127.0.0.1'

export async function startProvider(node: string): Promise<Provider> {
  const seen: SeenRequest[] = []
  const server = createServer((request, response) => void serve(request, response))
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  const provider: Provider = {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    seen,
    misbehaviour: 'none',
    delay: 0,
    forget: () => void seen.splice(0),
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
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
        forward(body, response)
    }
  }

  function forward(body: string, response: ServerResponse): void {
    const send = node.startsWith('https:') ? sendSecureRequest : sendRequest
    const onward = send(node, { method: 'POST', headers: { 'content-type': 'application/json' } }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, { 'content-type': 'application/json' })
      answer.pipe(response)
    })
    onward.on('error', () => response.destroy())
    onward.end(body)
  }

  return provider
}
