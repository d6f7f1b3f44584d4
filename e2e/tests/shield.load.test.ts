/** Much at once through the shield: large files, many streams, clients that stop reading, and ten thousand connections. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { connectSocks, patternHash, readAll, replyFor, until, writePattern } from '../src/network/index.ts'
import { startCurl, through } from './support/curl.ts'
import { memoryOf } from './support/hostile.ts'
import { hosts, plainHosts, useShield } from './support/shield.ts'

const megabyte = 1024 * 1024
const shared = useShield()
const connectPlain = async (host: string = plainHosts.infura) => connectSocks(await shared.port(), { host })

/** The host sends the pattern's first `size` bytes to whoever connects. */
function servePattern(size: number): void {
  shared.network.plain.serve = (socket) => {
    socket.resume()
    void writePattern(socket, size).then(() => socket.end())
  }
}

async function hashOf(socket: Socket): Promise<string> {
  const hash = createHash('sha256')
  socket.on('data', (part: Buffer) => hash.update(part))
  socket.resume()
  await once(socket, 'end')
  socket.end()
  return hash.digest('hex')
}

describe('a gigabyte', () => {
  const size = 1024 * megabyte
  const timeout = 180_000

  test('comes down whole', { timeout }, async () => {
    const { certificates, daemon, relays } = shared.network
    const processes = [daemon.process, ...relays.all.map(({ process }) => process)]
    const before = processes.map(({ pid }) => memoryOf(pid))
    const args = ['--cacert', certificates.caFile, `https://${hosts.infura}/bytes/${size}`]
    const download = startCurl([...through(await shared.port(), 'socks'), ...args])
    await until('it is half-way', () => download.bytes > size / 2, timeout)
    // Whoever is faster waits for whoever is slower: nothing heaps up in between.
    for (const [index, { pid }] of processes.entries())
      expect(memoryOf(pid) - (before[index] as number)).toBeLessThan(150 * megabyte)
    expect(await download.done).toMatchObject({ code: 0, bytes: size, sha256: patternHash(size) })
  })

  test('goes up whole', { timeout }, async () => {
    const { certificates } = shared.network
    const args = ['--cacert', certificates.caFile, '--upload-file', '-', `https://${hosts.infura}/up`]
    const upload = startCurl([...through(await shared.port(), 'connect'), ...args], size)
    const { code, text } = await upload.done
    expect(code).toBe(0)
    expect(JSON.parse(text)).toEqual({ bytes: size, sha256: patternHash(size) })
  })
})

test('200 streams at once, each whole', async () => {
  const size = 300_001
  servePattern(size)
  const sockets = await Promise.all(Array.from({ length: 200 }, () => connectPlain()))
  await until('all stand', () => shared.network.plain.sockets.size === 200)
  const hashes = await Promise.all(sockets.map(hashOf))
  expect(new Set(hashes)).toEqual(new Set([patternHash(size)]))
})

describe('clients that stop reading', () => {
  let stalled: readonly Socket[] = []

  // Also where the test failed: nobody after it has to do with them.
  afterEach(() => {
    for (const socket of stalled) socket.destroy()
  })

  test.each([1, 2, 8])('%s of them stop no other, and cost no memory; they can go on later', async (count) => {
    const size = 64 * megabyte
    const { daemon, plain } = shared.network
    servePattern(size)
    const before = memoryOf(daemon.process.pid)
    stalled = await Promise.all(Array.from({ length: count }, () => connectPlain()))
    const written = () => [...plain.sockets].reduce((sum, socket) => sum + socket.bytesWritten, 0)
    let last = -1
    await until('nothing moves any more', () => {
      const [previous, now] = [last, written()]
      last = now
      return now > 0 && now === previous
    })
    servePattern(8 * megabyte)
    for (const host of [plainHosts.infura, plainHosts.linea, plainHosts.accounts])
      expect(await hashOf(await connectPlain(host))).toBe(patternHash(8 * megabyte))
    expect(memoryOf(daemon.process.pid) - before).toBeLessThan(100 * megabyte)
    expect(new Set(await Promise.all(stalled.map(hashOf)))).toEqual(new Set([patternHash(size)]))
  })
})

test('ten thousand connections, a hundred at a time, and more at once than there may be', async () => {
  const { daemon, plain } = shared.network
  plain.serve = (socket) => socket.resume().end('served')
  const port = await shared.port()
  const connectMany = async (count: number) => {
    let left = count
    const worker = async () => {
      while (left-- > 0) {
        const socket = await connectPlain()
        expect((await readAll(socket)).toString()).toBe('served')
        socket.end()
      }
    }
    await Promise.all(Array.from({ length: 100 }, worker))
  }
  // First until the heap has found its size for this.
  await connectMany(15_000)
  const settled = memoryOf(daemon.process.pid)
  await connectMany(10_000)
  expect(memoryOf(daemon.process.pid) - settled).toBeLessThan(50 * megabyte)

  plain.serve = (socket) => socket.resume().once('end', () => socket.end())
  const many = await Promise.allSettled(Array.from({ length: 2000 }, () => connectPlain()))
  const standing = many.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  expect(standing.length).toBeGreaterThanOrEqual(240)
  expect(standing.length).toBeLessThan(2000)
  for (const socket of standing) socket.destroy()
  await until('they are gone', () => plain.sockets.size === 0)
  expect(await replyFor(port, { host: hosts.accounts })).toBe(0)
  expect(await replyFor(port, { host: hosts.infura })).toBe(0)
})
