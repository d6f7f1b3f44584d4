/**
 * A small HTTP server for an internal address: some paths, GET and HEAD. It has no TLS and asks nobody who they are;
 * what it gives out must be fit for anybody who can reach it.
 */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { second } from '@nightjar/shared/runtime'
import { portError } from '../life/ports.ts'

export interface Page {
  readonly status: 200 | 503
  readonly type: string
  readonly text: string
}

export interface InternalServerOptions {
  readonly host: string
  readonly port: number
  /** For errors: where relay.yaml has the port. */
  readonly key: string
  readonly pages: Readonly<Record<string, () => Page>>
}

export interface InternalServer {
  readonly port: number
  close(): Promise<void>
}

/** @throws NightjarError `config-invalid` where the address cannot be listened on. */
export async function serveInternal({ host, port, key, pages }: InternalServerOptions): Promise<InternalServer> {
  const server = createServer(answerFrom(new Map(Object.entries(pages))))
  server.headersTimeout = 10 * second
  server.requestTimeout = 10 * second
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(portError({ key, port }, cause.code ?? 'unknown error', cause)),
    )
    server.listen({ host, port }, resolve)
  })
  // A connection that the system does not give, such as for want of files: whoever wanted it asks again.
  server.on('error', () => {})
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      return closed
    },
  }
}

function answerFrom(pages: ReadonlyMap<string, () => Page>): RequestListener {
  return (request, response) => {
    const page = pages.get(request.url ?? '')
    if (page === undefined) return void response.writeHead(404).end()
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return void response.writeHead(405, { allow: 'GET, HEAD' }).end()
    }
    const { status, type, text } = page()
    response.writeHead(status, {
      'content-type': type,
      'content-length': Buffer.byteLength(text),
      'cache-control': 'no-store',
    })
    // To HEAD, Node sends the headers alone.
    response.end(text)
  }
}
