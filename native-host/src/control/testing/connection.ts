/** A caller of the local socket that stays connected and takes whatever comes. */
import { connect, type Socket } from 'node:net'
import { encodeFrames, FrameDecoder } from '@nightjar/shared/bridge'

export class Connection {
  readonly socket: Socket
  readonly messages: unknown[] = []
  readonly closed: Promise<void>
  #wake = () => {}

  constructor(path: string) {
    this.socket = connect(path)
    const decoder = new FrameDecoder((message) => this.messages.push(message))
    this.socket.on('data', (bytes: Buffer) => {
      decoder.push(bytes)
      this.#wake()
    })
    this.closed = new Promise((resolve) => this.socket.on('close', () => resolve()))
  }

  say(...values: object[]): void {
    for (const value of values) for (const frame of encodeFrames(value)) this.socket.write(frame)
  }

  /** All messages, once there are `count` of them. */
  async received(count: number): Promise<unknown[]> {
    while (this.messages.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.messages
  }
}
