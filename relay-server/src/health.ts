/** The internal health port: `GET /health` says 200 `ok`, or 503 with the reason. Bind it to an internal address. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { NightjarError } from '@nightjar/shared/errors'

export interface Health {
  readonly status: 'ok' | 'draining' | 'no network document'
}

export interface HealthServer {
  readonly port: number
  close(): Promise<void>
}

/** @throws NightjarError `connect-failed` where the address cannot be listened on. */
export async function serveHealth(options: { host: string; port: number; health(): Health }): Promise<HealthServer> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/health') return void response.writeHead(404).end()
    const health = options.health()
    const status = health.status === 'ok' ? 200 : 503
    response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(health)}\n`)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new NightjarError('connect-failed', { detail: 'health port', cause })))
    server.listen({ host: options.host, port: options.port }, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}
