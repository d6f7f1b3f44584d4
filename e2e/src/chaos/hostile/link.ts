/** A link of somebody who means harm: cells as they like, from an address of loopback of their own. */
import { WebSocket } from 'ws'
import { cellSize } from '../../network/index.ts'
import type { Party } from './wire.ts'

const cellsPerMessage = 64

export class HostileLink {
  readonly socket: WebSocket
  /** The WebSocket close code, once it is closed. */
  readonly closed: Promise<number>
  isClosed = false
  readonly #listeners = new Map<number, (cell: Buffer) => void>()
  /** Told cells of circuits that nobody listens to. */
  onOther: (cell: Buffer) => void = () => {}

  private constructor(socket: WebSocket) {
    this.socket = socket
    this.closed = new Promise((resolve) => socket.once('close', resolve))
    void this.closed.then(() => {
      this.isClosed = true
    })
    socket.on('error', () => socket.terminate())
    socket.on('message', (data: Buffer) => {
      for (let at = 0; at < data.length; at += cellSize) {
        const cell = data.subarray(at, at + cellSize)
        const listener = this.#listeners.get(cell.readUInt32BE()) ?? this.onOther
        listener(cell)
      }
    })
  }

  static async open({ host, port }: Party, from: string): Promise<HostileLink> {
    const socket = new WebSocket(`wss://${host}:${port}/relay`, ['nightjar.link.1'], {
      perMessageDeflate: false,
      rejectUnauthorized: false,
      localAddress: from,
    })
    const link = new HostileLink(socket)
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve)
      socket.once('error', reject)
    })
    return link
  }

  listen(circuit: number, listener: (cell: Buffer) => void): void {
    this.#listeners.set(circuit, listener)
  }

  /** Sends cells in full messages, as quickly as the other side takes them; stops where the link is closed. */
  async send(cells: readonly Buffer[]): Promise<void> {
    for (let at = 0; at < cells.length && !this.isClosed; at += cellsPerMessage) {
      const batch = Buffer.concat(cells.slice(at, at + cellsPerMessage))
      const sent = new Promise<void>((resolve) => this.socket.send(batch, () => resolve()))
      await Promise.race([sent, this.closed])
    }
  }

  end(): void {
    this.socket.terminate()
  }
}

export function cellOf(circuit: number, command: number, body: Buffer = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(cellSize)
  bytes.writeUInt32BE(circuit)
  bytes[4] = command
  body.copy(bytes, 5)
  return bytes
}
