/** A TCP server on loopback that does with each connection what a test says; it and the client end each for itself. */
import { type AddressInfo, createServer, type Socket } from 'node:net'

export interface PlainServer {
  readonly port: number
  /** Those that are open now. */
  readonly sockets: ReadonlySet<Socket>
  /** The addresses that connected, in order. */
  readonly peers: readonly string[]
  /** What becomes of new connections; nothing at first. */
  serve: (socket: Socket) => void
  close(): Promise<void>
}

/** As many as any test opens at once: the kernel lets clients believe in connections that it has no room for. */
const backlog = 4096

export async function startPlainServer(): Promise<PlainServer> {
  const sockets = new Set<Socket>()
  const peers: string[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    peers.push(socket.remoteAddress ?? '')
    socket.on('close', () => sockets.delete(socket))
    // The other side may be killed: that is what many tests are about.
    socket.on('error', () => socket.destroy())
    plain.serve(socket)
  })
  await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1', backlog }, resolve))
  const plain: PlainServer = {
    port: (server.address() as AddressInfo).port,
    sockets,
    peers,
    serve: () => {},
    close() {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
  return plain
}
