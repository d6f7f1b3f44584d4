/**
 * `exit`: plain TCP from a host, through an exit, two relays, the daemon and its SOCKS port, all over ws on loopback;
 * one stream, and four at once on one branch. Beside it the same downloads and connections directly, in alternating blocks
 * of one run. The host is a process of its own.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connectSocks, programPath, startLocalNetwork, startProgram } from '@nightjar/e2e/network'
import { median, quantile } from './statistics.ts'

const host = 'mainnet.infura.io'
const megabyte = 1024 * 1024
const blocks = 6
const bytesThrough = 128 * megabyte
/** More than over the network, as it takes a fraction of the time. */
const bytesDirect = 1024 * megabyte
const connections = 200

type Open = () => Promise<Socket>

export async function benchExit(report: (step: string) => void): Promise<Record<string, number>> {
  const server = await startProgram(programPath('bench'), ['bulk-server'])
  const port = Number(server.ready.port)
  const options = { chains: [1], recorded: false, logLevel: 'warn', exitHosts: { [host]: port } } as const
  const network = await startLocalNetwork({ ...options, onStep: report })
  try {
    const { shield } = await network.daemon.status()
    const through: Open = () => connectSocks(shield.port, { host })
    const direct: Open = async () => {
      const socket = connect({ host: '127.0.0.1', port, noDelay: true })
      await once(socket, 'connect')
      return socket
    }
    const speed = { one: [] as number[], four: [] as number[], direct: [] as number[] }
    const opening = { through: [] as number[], direct: [] as number[] }
    for (let block = 0; block < blocks; block++) {
      report(`block ${block + 1} of ${blocks}`)
      const one = await download(through, 1, bytesThrough)
      const four = await download(through, 4, bytesThrough)
      const beside = await download(direct, 1, bytesDirect)
      const [a, b] = [await openMany(through), await openMany(direct)]
      // The first block warms up code, connections and branches.
      if (block === 0) continue
      speed.one.push(one)
      speed.four.push(four)
      speed.direct.push(beside)
      opening.through.push(...a)
      opening.direct.push(...b)
    }
    return {
      bulkMBPerS1: median(speed.one),
      bulkMBPerS4: median(speed.four),
      directMBPerS: median(speed.direct),
      connectP50Ms: quantile(opening.through, 0.5) - quantile(opening.direct, 0.5),
    }
  } finally {
    await network.stop()
    await server.stop()
  }
}

/** MB (10^6 bytes) per second of `streams` downloads that share `bytes`. */
async function download(open: Open, streams: number, bytes: number): Promise<number> {
  const sockets = await Promise.all(Array.from({ length: streams }, open))
  const begun = performance.now()
  await Promise.all(sockets.map((socket) => readBytes(socket, bytes / streams)))
  return bytes / 1000 / (performance.now() - begun)
}

/** @throws Error where other than `bytes` came: half of a download must not count as a fast one */
async function readBytes(socket: Socket, bytes: number): Promise<void> {
  let received = 0
  socket.on('data', (part: Buffer) => {
    received += part.length
  })
  socket.write(`${bytes}\n`)
  socket.resume()
  await once(socket, 'end')
  socket.end()
  if (received !== bytes) throw new Error(`${received} bytes came of ${bytes}`)
}

/** How long it takes until a connection stands, each time, in milliseconds. */
async function openMany(open: Open): Promise<number[]> {
  const durations: number[] = []
  for (let i = 0; i < connections; i++) {
    const begun = performance.now()
    const socket = await open()
    durations.push(performance.now() - begun)
    socket.destroy()
  }
  return durations
}
