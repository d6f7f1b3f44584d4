/** Serves a folder on loopback: the demo dapp, MetaMask's test dapp, pages of tests. Reads only, nothing outside it. */
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize, sep } from 'node:path'

export interface StaticServer {
  readonly url: string
  readonly port: number
  close(): Promise<void>
}

export interface StaticServerOptions {
  /** 0, the default, for any. */
  readonly port?: number
  /** Sent with every answer, such as a content security policy. */
  readonly headers?: Readonly<Record<string, string>>
}

const host = '127.0.0.1'

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
}

export async function serveFolder(folder: string, options: StaticServerOptions = {}): Promise<StaticServer> {
  const { port: wantedPort = 0, headers = {} } = options
  const server = createServer((request, response) => void serve(request, response))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(wantedPort, host, resolve)
  })
  const { port } = server.address() as AddressInfo

  async function serve({ url = '/' }: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = fileOf(folder, url)
    try {
      if (path === undefined) throw new Error('outside')
      const bytes = await readFile(path)
      const type = types[extname(path)] ?? 'application/octet-stream'
      response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store', ...headers }).end(bytes)
    } catch {
      // Whatever the reason, there is nothing to serve.
      response.writeHead(404, { 'content-type': 'text/plain' }).end('not found')
    }
  }

  return {
    url: `http://${host}:${port}`,
    port,
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

function fileOf(folder: string, url: string): string | undefined {
  const { pathname } = new URL(url, 'http://folder')
  const path = normalize(join(folder, decodeURIComponent(pathname)))
  if (!path.startsWith(normalize(folder + sep))) return undefined
  return pathname.endsWith('/') ? join(path, 'index.html') : path
}
