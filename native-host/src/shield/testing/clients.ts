/** Programs that use the shield's port: a raw one that decides every byte, a SOCKS5 one, and one that asks by CONNECT. */
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { concat, u16, utf8 } from '@nightjar/shared/bytes'

/** A socket with everything that came on it. */
export class Wire {
  readonly socket: Socket
  received = Buffer.alloc(0)
  hasEnded = false
  isClosed = false
  #wake = () => {}

  constructor(socket: Socket) {
    this.socket = socket
    // What became of it is asked of `isClosed`.
    socket.on('error', () => undefined)
    socket.on('data', (bytes: Buffer) => {
      this.received = Buffer.concat([this.received, bytes])
      this.#wake()
    })
    socket.on('end', () => {
      this.hasEnded = true
      this.#wake()
    })
    socket.on('close', () => {
      this.isClosed = true
      this.#wake()
    })
  }

  static async to(port: number): Promise<Wire> {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    await once(socket, 'connect')
    return new Wire(socket)
  }

  async until(condition: (wire: this) => boolean): Promise<void> {
    while (!condition(this)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** The next `length` bytes, taken away. */
  async take(length: number): Promise<Buffer> {
    await this.until(({ received, hasEnded, isClosed }) => received.length >= length || hasEnded || isClosed)
    const taken = this.received.subarray(0, length)
    this.received = this.received.subarray(length)
    return taken
  }
}

export interface SocksAsk {
  readonly host: string
  readonly port?: number
  readonly user?: string
  /** Sent right behind the request, before there is an answer. */
  readonly early?: string
}

/** Asks by SOCKS5; `reply` is the code of the answer, undefined where there was none. */
export async function askSocks(
  port: number,
  { host, port: hostPort = 443, user, early = '' }: SocksAsk,
): Promise<{ wire: Wire; reply: number | undefined }> {
  const wire = await Wire.to(port)
  const login = user === undefined ? [] : [Uint8Array.of(1, user.length), utf8(user), Uint8Array.of(1, 120)]
  const name = utf8(host)
  const asked = [Uint8Array.of(5, 1, 0, 3, name.length), name, u16(hostPort), utf8(early)]
  wire.socket.write(concat(Uint8Array.of(5, 1, user === undefined ? 0 : 2), ...login, ...asked))
  await wire.take(user === undefined ? 2 : 4)
  const answer = await wire.take(10)
  return { wire, reply: answer[1] }
}

/** Asks by CONNECT, as Node's own client does. */
export async function askConnect(
  port: number,
  authority: string,
  headers: Record<string, string> = {},
): Promise<{ response: IncomingMessage; wire: Wire }> {
  const asking = request({ host: '127.0.0.1', port, method: 'CONNECT', path: authority, headers })
  asking.end()
  const [response, socket, head] = (await once(asking, 'connect')) as [IncomingMessage, Socket, Buffer]
  const wire = new Wire(socket)
  wire.received = Buffer.concat([head, wire.received])
  return { response, wire }
}
