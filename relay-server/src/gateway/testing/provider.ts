/** A provider for tests of the gateway: real HTTP on loopback, answers by script. */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

interface Seen {
  readonly method: string | undefined
  readonly path: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export type Answer = (response: ServerResponse, request: IncomingMessage) => void

/** An RPC provider on loopback, and what it was asked. Which chain it is on it tells apart from that. */
export class TestProvider {
  readonly seen: Seen[] = []
  answer: Answer = json({ jsonrpc: '2.0', id: 1, result: '0x10' })
  /** How it answers `eth_chainId`. */
  chain: Answer = json({ jsonrpc: '2.0', id: 1, result: '0x1' })
  /** How often it was asked for that. */
  chainAsked = 0
  /** Resolves with the next request that came in whole. */
  onRequest: (() => void) | undefined
  readonly #server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (part: string) => {
      body += part
    })
    request.on('end', () => {
      if (body.includes('eth_chainId')) {
        this.chainAsked += 1
        return this.chain(response, request)
      }
      this.seen.push({ method: request.method, path: request.url, headers: request.headers, body })
      this.answer(response, request)
      this.onRequest?.()
    })
  })

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  asked(): Promise<void> {
    return new Promise((resolve) => {
      this.onRequest = resolve
    })
  }

  start(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
  }

  stop(): Promise<void> {
    this.#server.closeAllConnections()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }
}

export function json(value: unknown, status = 200): Answer {
  return text(JSON.stringify(value), status)
}

export function text(body: string, status = 200): Answer {
  return (response) => response.writeHead(status, { 'content-type': 'application/json' }).end(body)
}
