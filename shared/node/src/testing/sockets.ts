/** Real TCP sockets on loopback, in pairs, and what a test waits for on them. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { finished } from 'node:stream/promises'

export interface SocketPair {
  /** The end that the code under test gets. */
  readonly inner: Socket
  /** The end that the test plays. */
  readonly outer: Socket
}

/** Both with `allowHalfOpen`. They are to be destroyed by the test. */
export async function socketPair(): Promise<SocketPair> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const outer = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
  const [[inner]] = (await Promise.all([once(server, 'connection'), once(outer, 'connect')])) as [[Socket], unknown]
  server.close()
  // Ends by reset are expected here, and looked at by `endOf`.
  outer.on('error', () => {})
  return { inner, outer }
}

/** Everything that comes until the other side's FIN. Rejects where it does not come. */
export async function readAll(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = []
  socket.on('data', (part: Buffer) => void parts.push(part)).resume()
  // Not by iterating, which destroys a socket at the other side's FIN, with all that is still to be written.
  await finished(socket, { writable: false })
  return Buffer.concat(parts)
}

/** How the other side ended it: the code of the error, or `FIN`. */
export function endOf(socket: Socket): Promise<string> {
  socket.resume()
  return new Promise((resolve) => {
    socket.once('end', () => resolve('FIN'))
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  })
}
