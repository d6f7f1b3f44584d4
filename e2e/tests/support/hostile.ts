/** Clients that mean harm: raw bytes, raw WebSocket messages, and how much memory they make a process take. */
import { execFileSync } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { WebSocket } from 'ws'
import { cellSize } from '../../src/network/index.ts'

export const subprotocol = 'nightjar.link.1'

export interface Place {
  readonly host: string
  readonly port: number
}

/** Sends raw bytes; resolves with all that came back once the other side has closed. */
export function sendRaw(place: Place, ...pieces: readonly (string | Buffer)[]): Promise<string> {
  return new Promise((resolve) => {
    const socket = openRaw(place)
    let text = ''
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1')
    })
    socket.on('close', () => resolve(text))
    for (const piece of pieces) socket.write(piece)
  })
}

/** A connection that just stays; errors are the other side's way of saying no. */
export function openRaw({ host, port }: Place): Socket {
  const socket = connect({ host, port })
  socket.on('error', () => socket.destroy())
  return socket
}

/** The HTTP request of a WebSocket upgrade. */
export function upgradeRequest(path: string, protocol: string | undefined): string {
  const lines = [
    `GET ${path} HTTP/1.1`,
    'Host: relay',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    ...(protocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]),
  ]
  return `${lines.join('\r\n')}\r\n\r\n`
}

export interface HostileLink {
  readonly socket: WebSocket
  /** Cells that came back. */
  readonly cells: Buffer[]
  /** The WebSocket close code, once it is closed. */
  readonly closed: Promise<number>
}

/** @param localAddress where it comes from, which is what a relay shares its places out by */
export async function openLink({ host, port }: Place, localAddress?: string): Promise<HostileLink> {
  const options = { perMessageDeflate: false, ...(localAddress === undefined ? {} : { localAddress }) }
  const socket = new WebSocket(`ws://${host}:${port}/relay`, [subprotocol], options)
  const cells: Buffer[] = []
  socket.on('message', (data: Buffer) => {
    for (let offset = 0; offset < data.length; offset += cellSize) cells.push(data.subarray(offset, offset + cellSize))
  })
  const closed = new Promise<number>((resolve) => socket.once('close', resolve))
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', reject)
  })
  socket.on('error', () => socket.terminate())
  return { socket, cells, closed }
}

/** The close code that a link answers `message` with. */
export async function codeFor(place: Place, message: string | Buffer): Promise<number> {
  const { socket, closed } = await openLink(place)
  socket.send(message, { binary: typeof message !== 'string' })
  return closed
}

export function cell(circuitId: number, command: number, body: Buffer = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(cellSize)
  bytes.writeUInt32BE(circuitId)
  bytes[4] = command
  body.copy(bytes, 5)
  return bytes
}

/** The first of the two cells of a CREATE; the second never comes. */
export function halfCreate(circuitId: number): Buffer {
  const body = Buffer.alloc(1019, 1)
  body.writeUInt16BE(1227)
  return cell(circuitId, 1, body)
}

/** Resident memory of a process, in bytes. */
export function memoryOf(pid: number): number {
  return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' }).trim()) * 1024
}
