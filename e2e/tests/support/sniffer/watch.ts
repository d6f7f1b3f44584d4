/**
 * What a false Internet sees: a name server that knows every name, and listeners to which all addresses that it gives
 * lead. Together they tell which names somebody looked up, and which hosts were connected to, on TCP or UDP.
 */
import { createSocket, type Socket as Datagrams } from 'node:dgram'
import { createServer, type Server } from 'node:net'
import { falseInternet } from './namespace.ts'

export interface Watch {
  /** Names that were looked up, each time. */
  readonly lookups: readonly string[]
  /** `name:port` of what was connected to, each time. */
  readonly connections: readonly string[]
  /** Datagrams that came to port 443, as of QUIC. */
  readonly datagrams: number
  close(): void
}

const ports = [80, 443, 8443]
const typeA = 1

export async function watchInternet(): Promise<Watch> {
  const lookups: string[] = []
  const connections: string[] = []
  const addresses = new Map<string, string>()
  let datagrams = 0

  function addressOf(name: string): string {
    const known = addresses.get(name)
    if (known !== undefined) return known
    // More names than there are addresses would share the last one, which no test comes near.
    const address = `${falseInternet}.${Math.min(addresses.size + 1, 254)}`
    addresses.set(name, address)
    return address
  }

  const nameServer = await bind(53, '127.0.0.1', (query, reply) => {
    const { name, type, end } = readQuestion(query)
    lookups.push(name)
    reply(writeAnswer(query.subarray(0, end), type === typeA ? addressOf(name) : undefined))
  })
  const quic = await bind(443, '0.0.0.0', () => {
    datagrams += 1
  })
  const servers = await Promise.all(
    ports.map((port) =>
      listen(port, (address) => {
        const name = [...addresses].find(([, each]) => each === address)?.[0] ?? address
        connections.push(`${name}:${port}`)
      }),
    ),
  )
  return {
    lookups,
    connections,
    get datagrams() {
      return datagrams
    },
    close() {
      nameServer.close()
      quic.close()
      for (const server of servers) server.close()
    },
  }
}

async function bind(port: number, host: string, onQuery: (query: Buffer, reply: (answer: Buffer) => void) => void) {
  const socket: Datagrams = createSocket('udp4')
  socket.on('message', (query, { port, address }) => onQuery(query, (answer) => socket.send(answer, port, address)))
  await new Promise<void>((resolve) => socket.bind(port, host, resolve))
  return socket
}

async function listen(port: number, onConnection: (address: string) => void): Promise<Server> {
  const server = createServer((socket) => {
    onConnection(socket.localAddress ?? '')
    socket.on('error', () => {})
    socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(port, '0.0.0.0', resolve))
  return server
}

/** The one question of a query (RFC 1035, section 4.1.2), and where it ends. */
function readQuestion(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 }
}

/** The answer to a query: one address, or none of that type (RFC 1035, section 4.1). */
function writeAnswer(query: Buffer, address: string | undefined): Buffer {
  const answer = Buffer.from(query)
  // A response, with recursion; no error.
  answer.writeUInt16BE(0x8180, 2)
  answer.writeUInt16BE(address === undefined ? 0 : 1, 6)
  answer.writeUInt32BE(0, 8)
  if (address === undefined) return answer
  const record = [0xc0, 12, 0, typeA, 0, 1, 0, 0, 0, 60, 0, 4, ...address.split('.').map(Number)]
  return Buffer.concat([answer, Buffer.from(record)])
}
