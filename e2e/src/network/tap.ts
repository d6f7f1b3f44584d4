/**
 * A tap on a link: a TCP proxy in front of a relay that records the bytes of both directions, reads the sizes of the
 * WebSocket messages in them, and can damage or cut what passes.
 */
import { connect, createServer, type Socket } from 'node:net'
import { Receiver } from 'ws'
import { type CellHeader, type CellPart, CellWalker, cellHeaderSize, cellSize } from './cells.ts'

export type Direction = 'forward' | 'backward'

/** Told each stretch of a cell as it passes: may change its bytes in place, or say `cut` to end the connection in the middle. */
export type Damage = (part: CellPart, direction: Direction) => 'cut' | undefined

/** Told each cell as its header passes. */
export type Watch = (header: CellHeader, direction: Direction) => void

export interface Tap {
  /** Bytes of both directions so far, up to a limit; oldest first. */
  captured(): Buffer
  /** WebSocket messages of both directions, and those whose size is no multiple of the cell's. */
  readonly messages: { readonly count: number; readonly otherSizes: number }
  /** The addresses that connected. */
  readonly peers: ReadonlySet<string>
  damage: Damage | undefined
  watch: Watch | undefined
  /** Cuts all connections. */
  cut(): void
  close(): Promise<void>
}

const captureLimit = 64 * 1024 * 1024

export async function startTap(options: { host: string; port: number; targetPort: number }): Promise<Tap> {
  const chunks: Buffer[] = []
  let capturedBytes = 0
  const messages = { count: 0, otherSizes: 0 }
  const peers = new Set<string>()
  const sockets = new Set<Socket>()
  const tap: Tap = {
    captured: () => Buffer.concat(chunks),
    messages,
    peers,
    damage: undefined,
    watch: undefined,
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    close() {
      tap.cut()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }

  function pass(from: Socket, to: Socket, direction: Direction): void {
    const sizes = new MessageSizes(direction, (size) => {
      messages.count += 1
      if (size === 0 || size % cellSize !== 0) messages.otherSizes += 1
    })
    const walker = new CellWalker()
    from.on('data', (chunk: Buffer) => {
      let cutAt: number | undefined
      walker.walk(chunk, (part) => {
        const starts = part.offset < cellHeaderSize && part.header !== undefined
        if (starts && part.header !== undefined) tap.watch?.(part.header, direction)
        if (cutAt !== undefined || tap.damage?.(part, direction) !== 'cut') return
        cutAt = part.bytes.byteOffset - chunk.byteOffset + Math.floor(part.bytes.length / 2)
      })
      if (cutAt !== undefined) {
        from.pause()
        return void to.end(chunk.subarray(0, cutAt), () => from.destroy())
      }
      sizes.push(chunk)
      if (capturedBytes < captureLimit) {
        chunks.push(Buffer.from(chunk))
        capturedBytes += chunk.length
      }
      if (!to.write(chunk)) from.pause()
    })
    to.on('drain', () => from.resume())
    from.on('end', () => to.end())
    from.on('close', () => to.destroy())
    from.on('error', () => to.destroy())
  }

  const server = createServer((client) => {
    peers.add(client.remoteAddress ?? '')
    const relay = connect({ host: options.host, port: options.targetPort })
    for (const socket of [client, relay]) {
      socket.setNoDelay(true)
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
    }
    pass(client, relay, 'forward')
    pass(relay, client, 'backward')
  })
  await new Promise<void>((resolve) => server.listen(options.port, options.host, resolve))
  return tap
}

/** Reads message sizes out of one direction: the HTTP upgrade first, then frames, with the parser of `ws` itself. */
class MessageSizes {
  readonly #receiver: Receiver
  #head = Buffer.alloc(0)
  #upgraded = false

  constructor(direction: Direction, onSize: (size: number) => void) {
    this.#receiver = new Receiver({ isServer: direction === 'forward', binaryType: 'nodebuffer' })
    this.#receiver.on('message', (data: Buffer) => onSize(data.length))
    // A damaged or cut stream has no more messages to count.
    this.#receiver.on('error', () => this.#receiver.destroy())
  }

  push(chunk: Buffer): void {
    if (this.#receiver.destroyed) return
    // The parser unmasks in place, so it gets bytes of its own.
    if (this.#upgraded) return void this.#receiver.write(Buffer.from(chunk))
    this.#head = Buffer.concat([this.#head, chunk])
    const end = this.#head.indexOf('\r\n\r\n')
    if (end < 0) return
    this.#upgraded = true
    this.#receiver.write(Buffer.from(this.#head.subarray(end + 4)))
  }
}
