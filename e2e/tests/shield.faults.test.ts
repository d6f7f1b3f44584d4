/** What dies while the shield carries something: the client sees a broken connection, never a short file; then it works again. */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { connectSocks, type LocalRelay, SocksRefused, until } from '../src/network/index.ts'
import { type Fetching, startCurl, through } from './support/curl.ts'
import { isRunning } from './support/network.ts'
import { hosts, plainHosts, useShield } from './support/shield.ts'

const megabyte = 1024 * 1024
const size = 1024 * megabyte
/** RFC 1928, section 6. */
const networkUnreachable = 3
// Who is told to stop does not wait long for downloads that take longer.
const shared = useShield({ configure: (config) => ({ ...config, drain_timeout: 1 }) })
const exits = () => shared.network.relays.all.filter(({ roles }) => roles.includes('exit'))

async function curl(...args: readonly string[]): Promise<Fetching> {
  const { certificates } = shared.network
  return startCurl([...through(await shared.port(), 'socks'), '--cacert', certificates.caFile, ...args])
}

/** A download that is under way, and the exit that it comes through. */
async function startDownload(): Promise<{ download: Fetching; exit: LocalRelay }> {
  const seen = shared.network.backends.seen.length
  const download = await curl(`https://${hosts.infura}/bytes/${size}`)
  await until('it is under way', () => download.bytes > megabyte)
  const from = shared.network.backends.seen[seen]?.from
  return { download, exit: exits().find(({ host }) => host === from) as LocalRelay }
}

async function expectBroken(download: Fetching): Promise<void> {
  const { code, bytes } = await download.done
  expect(code).not.toBe(0)
  expect(bytes).toBeLessThan(size)
}

async function expectWorks(): Promise<void> {
  const answer = await (await curl(`https://${hosts.infura}/`)).done
  expect(answer).toMatchObject({ code: 0, text: hosts.infura })
}

/** Plain TCP, where nothing but the connection itself tells a whole answer from half of one. */
async function startPlain(): Promise<Socket> {
  shared.network.plain.serve = (socket) => void socket.write(Buffer.alloc(megabyte))
  const socket = await connectSocks(await shared.port(), { host: plainHosts.infura })
  // Whichever way it breaks off: the test asks for `end`.
  socket.on('error', () => socket.destroy())
  socket.resume()
  await once(socket, 'data')
  return socket
}

/** Whether the connection ended as if all had been said. */
async function endsWell(socket: Socket): Promise<boolean> {
  const ended = await new Promise<boolean>((resolve) => {
    socket.once('end', () => resolve(true))
    socket.once('close', () => resolve(false))
  })
  socket.destroy()
  return ended
}

/** It is over when the system says so: what seems to run still is not started again. */
async function kill({ process }: LocalRelay): Promise<void> {
  process.signal('SIGKILL')
  await process.ended
}

/** Starts again what a test has ended. */
async function restore(): Promise<void> {
  const { daemon, relays } = shared.network
  if (!isRunning(daemon.process.pid)) await daemon.restart()
  const gone = relays.all.filter(({ process }) => !isRunning(process.pid))
  await Promise.all(gone.map((relay) => relay.restart()))
  await until('both paths stand', async () => (await daemon.status()).state === 'private')
}

beforeEach(expectWorks)
afterEach(restore)

describe('the exit', () => {
  test('killed in the middle of a download: broken for the client, and the other exit serves', async () => {
    const { download, exit } = await startDownload()
    await kill(exit)
    await expectBroken(download)
    await expectWorks()
    expect(shared.network.backends.seen.at(-1)?.from).not.toBe(exit.host)
  })

  test('killed on a plain connection: a reset, not an end', async () => {
    const socket = await startPlain()
    const peer = [...shared.network.plain.peers].at(-1)
    const exit = exits().find(({ host }) => host === peer) as LocalRelay
    const ended = endsWell(socket)
    await kill(exit)
    expect(await ended).toBe(false)
  })

  test('stopped as operators stop it, in the middle of a download: the same', async () => {
    const { download, exit } = await startDownload()
    const plain = endsWell(await startPlain())
    await Promise.all([exit.process.stop(), expectBroken(download)])
    expect(await plain).toBe(false)
    await expectWorks()
  })
})

test.each(['entry', 'middle'] as const)(
  'the %s killed in the middle of a download: broken, then it works',
  async (role) => {
    const { download } = await startDownload()
    const { daemon, relays } = shared.network
    const { trunks } = await daemon.status()
    const names = trunks.map((trunk) => trunk[role].name)
    const victims = relays.all.filter(({ name }) => names.includes(name))
    await Promise.all(victims.map(kill))
    await expectBroken(download)
  },
)

test('the host breaks off in the middle of a download: broken for the client', async () => {
  const { download } = await startDownload()
  shared.network.backends.breakOff()
  await expectBroken(download)
})

describe('the daemon', () => {
  test.each(['SIGTERM', 'SIGKILL'] as const)(
    'ended by %s in the middle of a download: broken, no port; started again it works',
    async (signal) => {
      const { download } = await startDownload()
      const { daemon } = shared.network
      const port = await shared.port()
      daemon.process.signal(signal)
      await expectBroken(download)
      await daemon.process.ended
      await expect(connectSocks(port, { host: hosts.infura })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
      await restore()
      await expectWorks()
    },
  )

  // One that is killed cannot do that: the system then ends its connections as if all had been said, which TLS notices.
  test('stopped as users stop it on a plain connection: a reset, not an end', async () => {
    const plain = endsWell(await startPlain())
    await shared.network.daemon.process.stop()
    expect(await plain).toBe(false)
  })
})

test('all exits gone: refused with a code, soon, and nothing goes another way; it recovers alone', async () => {
  const { backends, daemon } = shared.network
  for (const { process } of exits()) process.signal('SIGKILL')
  await Promise.all(exits().map(({ process }) => process.ended))
  const connections = backends.connectionCount
  const begun = Date.now()
  const port = await shared.port()
  const attempts = Array.from({ length: 20 }, () => connectSocks(port, { host: hosts.infura }))
  for (const attempt of await Promise.allSettled(attempts)) {
    expect(attempt).toMatchObject({ status: 'rejected', reason: expect.any(SocksRefused) })
    expect(attempt).toHaveProperty('reason.reply', networkUnreachable)
  }
  expect(Date.now() - begun).toBeLessThan(25_000)
  const { shield } = await daemon.status()
  expect(shield.lastError).toEqual(expect.any(String))
  expect(shield.hosts.find(({ suffix }) => suffix === 'infura.io')?.lastError).toBe(shield.lastError)
  expect(backends.connectionCount).toBe(connections)

  await restore()
  await until('it works again', async () => (await (await curl(`https://${hosts.infura}/`)).done).code === 0)
})

test('all relays gone: the same', async () => {
  const { backends, relays } = shared.network
  for (const { process } of relays.all) process.signal('SIGKILL')
  await Promise.all(relays.all.map(({ process }) => process.ended))
  const connections = backends.connectionCount
  const begun = Date.now()
  const refused = await (await curl(`https://${hosts.infura}/`)).done
  expect(refused).toMatchObject({ code: 97, bytes: 0 })
  expect(Date.now() - begun).toBeLessThan(10_000)
  expect(backends.connectionCount).toBe(connections)
  await restore()
  await until('it works again', async () => (await (await curl(`https://${hosts.infura}/`)).done).code === 0)
})
