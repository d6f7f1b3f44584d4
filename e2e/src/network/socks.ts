/** A client of a SOCKS5 port (RFC 1928, 1929), which gets the host's name unresolved. */
import { connect, isIP, type Socket } from 'node:net'

export interface SocksTarget {
  /** A name, or an address of either family. */
  readonly host: string
  readonly port?: number
  /** Sends the host as a name, whatever it looks like. */
  readonly isName?: boolean
  /** User and password, which keep connections apart from others. */
  readonly credentials?: readonly [user: string, password: string]
}

/** Why the port said no: the reply's number. */
export class SocksRefused extends Error {
  readonly reply: number

  constructor(reply: number) {
    super(`SOCKS reply ${reply}`)
    this.reply = reply
  }
}

/** A socket that stands for the connection to the target; it is paused. @throws SocksRefused */
export async function connectSocks(port: number, target: SocksTarget): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
  socket.setNoDelay(true)
  const read = reader(socket)
  try {
    const { credentials } = target
    socket.write(Buffer.of(5, 1, credentials === undefined ? 0 : 2))
    const [, method] = await read(2)
    if (method === 255) throw new Error('no common method')
    if (credentials !== undefined) {
      socket.write(Buffer.concat([Buffer.of(1), ...credentials.map(withLength)]))
      await read(2)
    }
    socket.write(Buffer.concat([Buffer.of(5, 1, 0), encodeAddress(target), encodePort(target.port ?? 443)]))
    const [, reply, , type] = await read(4)
    await read((type === 4 ? 16 : 4) + 2)
    if (reply !== 0) throw new SocksRefused(reply as number)
    read.release()
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  }
}

/** The reply's number; 0 where the connection stood, which is closed again. */
export async function replyFor(port: number, target: SocksTarget): Promise<number> {
  try {
    const socket = await connectSocks(port, target)
    socket.destroy()
    return 0
  } catch (error) {
    if (error instanceof SocksRefused) return error.reply
    throw error
  }
}

/** All that comes until the other side has said that it was all. @throws Error where the connection breaks before */
export function readAll(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    socket.on('data', (part: Buffer) => parts.push(part))
    socket.once('end', () => resolve(Buffer.concat(parts)))
    socket.once('error', reject)
    socket.resume()
  })
}

/** Reads exact numbers of bytes off the front of what comes; `release` leaves the rest to others. */
function reader(socket: Socket) {
  let buffered = Buffer.alloc(0)
  let wanted: { count: number; resolve(bytes: Buffer): void; reject(error: Error): void } | undefined
  const settle = () => {
    if (wanted === undefined || buffered.length < wanted.count) return
    const bytes = buffered.subarray(0, wanted.count)
    buffered = buffered.subarray(wanted.count)
    wanted.resolve(bytes)
    wanted = undefined
  }
  const onData = (bytes: Buffer) => {
    buffered = Buffer.concat([buffered, bytes])
    settle()
  }
  const onGone = (error?: Error) => wanted?.reject(error ?? new Error('closed in the middle of the handshake'))
  socket.on('data', onData)
  socket.on('end', onGone)
  socket.on('error', onGone)

  const read = (count: number) =>
    new Promise<Buffer>((resolve, reject) => {
      wanted = { count, resolve, reject }
      settle()
    })
  return Object.assign(read, {
    release() {
      socket.pause()
      socket.off('data', onData)
      socket.off('end', onGone)
      socket.off('error', onGone)
      if (buffered.length > 0) socket.unshift(buffered)
    },
  })
}

function encodeAddress({ host, isName = false }: SocksTarget): Buffer {
  switch (isName ? 0 : isIP(host)) {
    case 4:
      return Buffer.of(1, ...host.split('.').map(Number))
    case 6:
      return Buffer.concat([Buffer.of(4), bytesOfIPv6(host)])
    default:
      return Buffer.concat([Buffer.of(3), withLength(host)])
  }
}

function bytesOfIPv6(address: string): Buffer {
  // The URL parser writes a mapped IPv4 address in hexadecimal as well.
  const [head = '', tail = ''] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const [front, back] = [head, tail].map((part) => (part === '' ? [] : part.split(':')))
  const groups = [front, Array.from({ length: 8 - (front?.length ?? 0) - (back?.length ?? 0) }, () => '0'), back].flat()
  return Buffer.from(groups.map((group) => group?.padStart(4, '0')).join(''), 'hex')
}

function withLength(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([Buffer.of(bytes.length), bytes])
}

function encodePort(port: number): Buffer {
  return Buffer.of(port >> 8, port & 0xff)
}
