/**
 * The next relay, as far as the relay under test can tell: takes its link, answers every CREATE and counts the cells of
 * each circuit. The answers are random bytes: only the client could notice, and the client is this driver.
 */
import { readFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { hex } from '@nightjar/shared/bytes'
import {
  bodyOf,
  cellSize,
  circuitIdOf,
  command,
  commandOf,
  HandshakeAssembler,
  handshakeCells,
} from '@nightjar/shared/cell'
import type { Crypto } from '@nightjar/shared/crypto'
import type { Relay } from '@nightjar/shared/directory'
import { helloSize, replySize } from '@nightjar/shared/handshake'
import { type RawData, type WebSocket, WebSocketServer } from 'ws'
import type { Counter } from './rawLink.ts'

export interface SinkOptions {
  readonly crypto: Crypto
  /** The relay in the network document whose part this plays, at its address. */
  readonly sink: Relay
  readonly sinkTls: { readonly certFile: string; readonly keyFile: string } | undefined
}

export interface Sink {
  /** A hello to extend with; the cells of the circuit that it opens are added to `arrived`. */
  helloFor(arrived: Counter): Uint8Array
  close(): void
}

export async function listenAsSink({ crypto, sink, sinkTls }: SinkOptions): Promise<Sink> {
  const server =
    sinkTls === undefined
      ? createHttpServer()
      : createHttpsServer({ cert: readFileSync(sinkTls.certFile), key: readFileSync(sinkTls.keyFile) })
  const sockets = new WebSocketServer({ server, perMessageDeflate: false })
  const counters = new Map<string, Counter>()
  sockets.on('connection', (socket) => receive(socket, crypto, counters))
  const { hostname, port } = new URL(sink.addresses[0]?.url as string)
  await new Promise<void>((resolve) => server.listen(Number(port), hostname, resolve))
  return {
    helloFor(arrived) {
      const hello = crypto.randomBytes(helloSize)
      counters.set(hex(hello), arrived)
      return hello
    },
    close() {
      for (const socket of sockets.clients) socket.terminate()
      server.close()
    },
  }
}

function receive(socket: WebSocket, crypto: Crypto, counters: ReadonlyMap<string, Counter>): void {
  const hellos = new Map<number, HandshakeAssembler>()
  const circuits = new Map<number, Counter | undefined>()

  function onCreate(id: number, cell: Uint8Array): void {
    const assembler = hellos.get(id) ?? new HandshakeAssembler()
    hellos.set(id, assembler)
    const hello = assembler.push(bodyOf(cell))
    if (hello === undefined) return
    hellos.delete(id)
    circuits.set(id, counters.get(hex(hello)))
    for (const reply of handshakeCells(id, command.created, crypto.randomBytes(replySize))) socket.send(reply)
  }

  socket.on('message', (data: RawData) => {
    const message = data as Buffer
    for (let offset = 0; offset < message.length; offset += cellSize) {
      const cell = message.subarray(offset, offset + cellSize)
      const id = circuitIdOf(cell)
      if (commandOf(cell) === command.relay) circuits.get(id)?.add(1)
      else if (commandOf(cell) === command.create) onCreate(id, cell)
    }
  })
}
