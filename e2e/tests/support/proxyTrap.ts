/** A proxy for a browser's setting: what no shield takes comes here by name, is written down and refused. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface ProxyTrap {
  readonly port: number
  /** `host:port` of all that was asked for, in plain HTTP or by CONNECT, but for the browser's own. */
  readonly asked: string[]
  close(): void
}

/** What a browser asks of its maker by itself, whenever it likes. */
const browsersOwn = /(^|\.)(google|googleapis|gstatic|gvt1)\.com:/

export async function startProxyTrap(): Promise<ProxyTrap> {
  const asked: string[] = []
  const note = (host: string) => {
    if (!browsersOwn.test(host)) asked.push(host)
  }
  const server = createServer((request, response) => {
    const { hostname, port } = new URL(request.url ?? '')
    note(`${hostname}:${port === '' ? '80' : port}`)
    response.writeHead(403).end()
  })
  server.on('connect', (request, socket) => {
    note(request.url ?? '')
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
