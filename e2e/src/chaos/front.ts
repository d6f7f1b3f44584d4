/** A TCP proxy in front of a relay that can cut what passes through it: at once, or in the middle of a message. */
import { connect, createServer, type Socket } from 'node:net'

export interface Front {
  /** Connections that pass through it now. */
  readonly connections: number
  /** Passes on half of the next bytes of each connection, then ends it. */
  cutHalfway(): void
  close(): Promise<void>
}

export async function startFront(options: { host: string; port: number; targetPort: number }): Promise<Front> {
  const sockets = new Set<Socket>()
  const condemned = new WeakSet<Socket>()

  function pass(from: Socket, to: Socket): void {
    from.on('data', (chunk: Buffer) => {
      if (condemned.has(from)) {
        from.pause()
        return void to.end(chunk.subarray(0, chunk.length / 2), () => from.destroy())
      }
      if (!to.write(chunk)) from.pause()
    })
    to.on('drain', () => from.resume())
    from.on('end', () => to.end())
    for (const event of ['close', 'error']) from.on(event, () => to.destroy())
  }

  const server = createServer((client) => {
    const relay = connect({ host: options.host, port: options.targetPort })
    for (const socket of [client, relay]) {
      socket.setNoDelay(true)
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
    }
    pass(client, relay)
    pass(relay, client)
  })
  await new Promise<void>((resolve) => server.listen(options.port, options.host, resolve))
  return {
    get connections() {
      return sockets.size / 2
    },
    cutHalfway() {
      for (const socket of sockets) condemned.add(socket)
    },
    close() {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}
