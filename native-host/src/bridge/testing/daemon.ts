/** A stand-in for the daemon: listens on a real socket and does what a test says. */
import { createServer, type Socket } from 'node:net'
import { encodeFrames, FrameDecoder } from '@nightjar/shared/bridge'

export class ScriptedDaemon {
  readonly #server = createServer((socket) => this.#accept(socket))
  readonly #sockets = new Set<Socket>()
  readonly #onConnection: (socket: Socket) => void

  constructor(onConnection: (socket: Socket) => void) {
    this.#onConnection = onConnection
  }

  /** One that answers each message. */
  static answering(answer: (message: unknown) => unknown): ScriptedDaemon {
    return new ScriptedDaemon((socket) => {
      const decoder = new FrameDecoder((message) => writeMessage(socket, answer(message)))
      socket.on('data', (bytes: Buffer) => decoder.push(bytes))
    })
  }

  async listen(path: string): Promise<this> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(path, resolve)
    })
    return this
  }

  get connections(): number {
    return this.#sockets.size
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    // The other end may die in the middle of a write.
    socket.on('error', () => socket.destroy())
    this.#onConnection(socket)
  }
}

export function writeMessage(stream: NodeJS.WritableStream, message: unknown): void {
  for (const frame of encodeFrames(message)) stream.write(frame)
}
