/** A proxy for a browser's setting: what no shield takes comes here by name, is written down and refused. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface ProxyTrap {
  readonly port: number
  /** `host:port` of all that was asked for, in plain HTTP or by CONNECT. */
  readonly asked: string[]
  close(): void
}

export async function startProxyTrap(): Promise<ProxyTrap> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    const { hostname, port } = new URL(request.url ?? '')
    asked.push(`${hostname}:${port === '' ? '80' : port}`)
    response.writeHead(403).end()
  })
  server.on('connect', (request, socket) => {
    asked.push(request.url ?? '')
    socket.on('error', () => socket.destroy())
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}
