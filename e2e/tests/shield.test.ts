/** The shield's port, asked by real programs: listed hosts through an exit with TLS end to end, and nothing else at all. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as connectTls } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { connectSocks, pattern, patternHash, readAll, replyFor, type SocksTarget, until } from '../src/network/index.ts'
import { type Fetched, startCurl, type Through, through } from './support/curl.ts'
import { sendRaw } from './support/hostile.ts'
import { trafficDuring } from './support/paths.ts'
import { hosts, impostorHost, plainHosts, useShield } from './support/shield.ts'

const doors: readonly Through[] = ['socks', 'connect']
/** RFC 1928, section 6. */
const reply = { notAllowed: 2, hostUnreachable: 4, unsupportedCommand: 7 } as const
const shared = useShield({
  tapped: true,
  morePlaces: {
    'loopback.infura.io': { addresses: ['127.0.0.1'] },
    'private.infura.io': { addresses: ['10.0.0.1'] },
    'dead.infura.io': { addresses: ['8.8.9.9'] },
  },
})

async function fetchThrough(door: Through, url: string, ...args: readonly string[]): Promise<Fetched> {
  const { certificates } = shared.network
  return startCurl([...through(await shared.port(), door), '--cacert', certificates.caFile, ...args, url]).done
}

let quiet: WebSocket

/** A WebSocket to a listed host, over TLS that is checked here, over the shield. */
async function openWebSocket(host: string): Promise<WebSocket> {
  const socket = await connectSocks(await shared.port(), { host })
  const ca = readFileSync(shared.network.certificates.caFile)
  const createConnection = () => connectTls({ socket, servername: host, ca })
  const opened = new WebSocket(`wss://${host}/ws`, { createConnection, perMessageDeflate: false })
  await once(opened, 'open')
  return opened
}

async function echo(socket: WebSocket, text: string): Promise<string> {
  socket.send(text)
  const [answer] = (await once(socket, 'message')) as [Buffer]
  return answer.toString('utf8')
}

beforeAll(async () => {
  quiet = await openWebSocket(hosts.accounts)
})

afterAll(() => quiet?.terminate())

describe.each(doors)('curl through %s', (door) => {
  test.each(Object.values(hosts))('reaches %s from an exit, with its own TLS', async (host) => {
    const { backends, exitHosts } = shared.network
    const before = backends.seen.length
    const body = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'eth_chainId', params: [] })
    const answer = await fetchThrough(door, `https://${host}/v3/key`, '--data', body)
    expect(answer).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(answer.text)).toEqual({ jsonrpc: '2.0', id: 7, result: { method: 'eth_chainId', params: [] } })
    const [visit, ...more] = backends.seen.slice(before)
    expect(more).toEqual([])
    expect(visit).toMatchObject({ sni: host, host, method: 'POST', path: '/v3/key' })
    expect(exitHosts).toContain(visit?.from)
  })

  test('downloads and uploads what is there, byte by byte', async () => {
    const size = 5_000_001
    const down = await fetchThrough(door, `https://${hosts.infura}/bytes/${size}`)
    expect(down).toMatchObject({ code: 0, bytes: size, sha256: patternHash(size) })
    const { certificates } = shared.network
    const args = ['--cacert', certificates.caFile, '--upload-file', '-', `https://${hosts.infura}/up`]
    const up = await startCurl([...through(await shared.port(), door), ...args], size).done
    expect(JSON.parse(up.text)).toEqual({ bytes: size, sha256: patternHash(size) })
  })

  test('refuses a certificate that is for other hosts, or by an authority it does not know', async () => {
    const before = shared.network.backends.seen.length
    expect(await fetchThrough(door, `https://${impostorHost}/`)).toMatchObject({ code: 60, bytes: 0 })
    const unknown = startCurl([...through(await shared.port(), door), `https://${hosts.infura}/`])
    expect(await unknown.done).toMatchObject({ code: 60, bytes: 0 })
    expect(shared.network.backends.seen).toHaveLength(before)
  })

  test('is refused for a host that is not on the list, and for another port', async () => {
    // 97: refused by the SOCKS proxy; 56: by the HTTP proxy.
    const code = door === 'socks' ? 97 : 56
    expect(await fetchThrough(door, 'https://evil.example/')).toMatchObject({ code, bytes: 0 })
    expect(await fetchThrough(door, `https://${hosts.infura}:8443/`)).toMatchObject({ code, bytes: 0 })
    expect(await fetchThrough(door, 'https://127.0.0.1/')).toMatchObject({ code, bytes: 0 })
  })
})

describe('what is not carried', () => {
  const unlisted: readonly (readonly [string, SocksTarget])[] = [
    ['another host', { host: 'evil.example' }],
    ['a host below another domain', { host: 'infura.io.evil.example' }],
    ['a host that only ends like one', { host: 'notinfura.io' }],
    ['a name of one label', { host: 'localhost' }],
    ['the port of SSH', { host: hosts.infura, port: 22 }],
    ['the port of plain HTTP', { host: hosts.infura, port: 80 }],
    ['port 0', { host: hosts.infura, port: 0 }],
    ['loopback', { host: '127.0.0.1' }],
    ['a private network', { host: '10.0.0.1' }],
    ['the metadata service', { host: '169.254.169.254' }],
    ['loopback of IPv6', { host: '::1' }],
    ['link-local of IPv6', { host: 'fe80::1' }],
    ['a mapped address', { host: '::ffff:127.0.0.1' }],
  ]

  const authorityOf = ({ host, port = 443 }: SocksTarget) => `${host.includes(':') ? `[${host}]` : host}:${port}`

  async function answerToConnect(authority: string): Promise<string> {
    const place = { host: '127.0.0.1', port: await shared.port() }
    return sendRaw(place, `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
  }

  test.each(unlisted)('is refused over SOCKS: %s', async (_, target) => {
    expect(await replyFor(await shared.port(), target)).toBe(reply.notAllowed)
  })

  test.each(unlisted)('is refused over CONNECT: %s', async (_, target) => {
    const answer = await answerToConnect(authorityOf(target))
    expect(answer).toMatch(/^HTTP\/1\.1 403 /)
    expect(answer).toContain('nightjar-error: host-not-listed')
  })

  test('is counted', async () => {
    const counted = async () => (await shared.network.daemon.status()).shield.refused
    const before = await counted()
    const port = await shared.port()
    for (const [, target] of unlisted) {
      await replyFor(port, target)
      await answerToConnect(authorityOf(target))
    }
    expect(await counted()).toBe(before + 2 * unlisted.length)
  })

  test('addresses written as names are no names', async () => {
    const port = await shared.port()
    for (const name of ['127.0.0.1', '[::1]', '::1', '2130706433', '0x7f.0.0.1', '127.0.0.1.', 'localhost.'])
      expect(await replyFor(port, { host: name, isName: true })).toBe(reply.notAllowed)
  })

  test('names that lead to forbidden addresses, to nobody, or nowhere, each with its reason', async () => {
    const port = await shared.port()
    const lastError = async () => (await shared.network.daemon.status()).shield.lastError
    for (const host of ['loopback.infura.io', 'private.infura.io']) {
      expect(await replyFor(port, { host })).toBe(reply.notAllowed)
      expect(await lastError()).toBe('address-forbidden')
    }
    expect(await replyFor(port, { host: 'nowhere.infura.io' })).toBe(reply.hostUnreachable)
    expect(await lastError()).toBe('name-not-found')
    expect(await replyFor(port, { host: 'dead.infura.io' })).toBe(reply.hostUnreachable)
    expect(await lastError()).toBe('host-unreachable')
    expect(await replyFor(port, { host: hosts.infura })).toBe(0)
    expect(await lastError()).toBe(null)
  })

  test('is plain HTTP, and anything else that a proxy might do', async () => {
    const place = { host: '127.0.0.1', port: await shared.port() }
    const get = `GET http://${hosts.infura}/ HTTP/1.1\r\nHost: ${hosts.infura}\r\n\r\n`
    expect(await sendRaw(place, get)).toMatch(/^HTTP\/1\.1 405 /)
    expect(await sendRaw(place, 'garbage\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
    for (const command of [2, 3]) {
      const request = Buffer.from([5, command, 0, 1, 0, 0, 0, 0, 0, 0])
      const answer = Buffer.from(await sendRaw(place, Buffer.of(5, 1, 0), request), 'latin1')
      expect(answer[3]).toBe(reply.unsupportedCommand)
    }
    // SOCKS 4 has no names that could be left unresolved in all its forms.
    expect(await sendRaw(place, Buffer.from([4, 1, 1, 187, 127, 0, 0, 1, 0]))).not.toContain('\x5a')
  })

  test('is whatever comes to the other port, listed or not; it is counted as blocked', async () => {
    const { sinkPort, today } = (await shared.network.daemon.status()).shield
    const arrived = shared.network.backends.seen.length
    expect(await replyFor(sinkPort, { host: hosts.infura })).toBe(reply.notAllowed)
    expect(await replyFor(sinkPort, { host: 'evil.example' })).toBe(reply.notAllowed)
    const after = (await shared.network.daemon.status()).shield.today
    expect(after.rpc).toEqual({ shielded: today.rpc?.shielded, blocked: (today.rpc?.blocked ?? 0) + 1 })
    expect(shared.network.backends.seen).toHaveLength(arrived)
  })
})

test('the port is for programs of this machine only', async () => {
  // Listened on at 127.0.0.1 alone: even another address of loopback finds nobody.
  expect(await sendRaw({ host: '127.9.0.1', port: await shared.port() }, Buffer.of(5, 1, 0))).toBe('')
  expect(await sendRaw({ host: '127.0.0.1', port: await shared.port() }, Buffer.of(5, 1, 1))).not.toBe('')
})

test('counts what went through, by entry of the list: whole host names are kept nowhere', async () => {
  const { shield } = await shared.network.daemon.status()
  expect(shield.running).toBe(true)
  expect(shield.today.rpc?.shielded).toBeGreaterThan(5)
  expect(shield.hosts.find(({ suffix }) => suffix === 'infura.io')).toMatchObject({ category: 'rpc' })
  for (const host of Object.values(hosts)) expect(JSON.stringify(shield)).not.toContain(host)
})

describe('isolation', () => {
  /** The branch that carries what comes from `host`: an exit, and a circuit on the link to it. */
  async function branchFor(target: SocksTarget): Promise<string> {
    const size = 100_000
    const { network } = shared
    const traffic = await trafficDuring(network, async () => {
      network.plain.serve = (socket) => socket.end(Buffer.concat([...pattern(size)]))
      const socket = await connectSocks(await shared.port(), target)
      socket.end()
      expect((await readAll(socket)).length).toBe(size)
    })
    const cells = Math.floor(size / 928)
    const busy = [...traffic]
      .filter(([relay]) => relay.roles.includes('exit'))
      .flatMap(([relay, circuits]) =>
        [...circuits].filter(([, { backward }]) => backward >= cells).map(([circuit]) => `${relay.name} ${circuit}`),
      )
    expect(busy).toHaveLength(1)
    return busy[0] as string
  }

  test('sites have branches of their own, hosts of one site share one, and credentials part them', async () => {
    const infura = await branchFor({ host: plainHosts.infura })
    expect(await branchFor({ host: plainHosts.infura })).toBe(infura)
    expect(await branchFor({ host: plainHosts.linea })).toBe(infura)
    const others = [
      await branchFor({ host: plainHosts.accounts }),
      await branchFor({ host: plainHosts.infura, credentials: ['one', ''] }),
      await branchFor({ host: plainHosts.infura, credentials: ['other', ''] }),
    ]
    expect(new Set([infura, ...others]).size).toBe(4)
    expect(await branchFor({ host: plainHosts.infura, credentials: ['one', ''] })).toBe(others[1])
  })
})

describe('the ends of a connection', () => {
  const question = Buffer.concat([...pattern(300_000)])

  test('a client that has said all still hears all', async () => {
    shared.network.plain.serve = async (socket) => {
      const heard = await readAll(socket)
      socket.end(Buffer.concat([Buffer.from(`${heard.length} `), ...pattern(300_000)]))
    }
    const socket = await connectSocks(await shared.port(), { host: plainHosts.infura })
    socket.end(question)
    const answer = await readAll(socket)
    expect(answer.equals(Buffer.concat([Buffer.from('300000 '), question]))).toBe(true)
  })

  test('a host that has said all still hears all', async () => {
    const heard = new Promise<Buffer>((resolve) => {
      shared.network.plain.serve = (socket) => {
        socket.end('that is all')
        void readAll(socket).then(resolve)
      }
    })
    const socket = await connectSocks(await shared.port(), { host: plainHosts.infura })
    expect((await readAll(socket)).toString()).toBe('that is all')
    expect(socket.destroyed).toBe(false)
    socket.end(question)
    expect((await heard).equals(question)).toBe(true)
  })

  test('a host that breaks off is a broken connection for the client, and no end', async () => {
    // When the client has asked: a reset that comes with the proxy's own answer would take that along.
    shared.network.plain.serve = (socket) => {
      socket.once('data', () => socket.write('half of', () => socket.resetAndDestroy()))
    }
    const socket = await connectSocks(await shared.port(), { host: plainHosts.infura })
    socket.write('all of it')
    await expect(readAll(socket)).rejects.toMatchObject({ code: 'ECONNRESET' })
  })

  test('a client that breaks off is a broken connection for the host', async () => {
    const broken = new Promise<unknown>((resolve) => {
      shared.network.plain.serve = (socket) => void readAll(socket).catch(resolve)
    })
    const socket = await connectSocks(await shared.port(), { host: plainHosts.infura })
    socket.write('half of', () => socket.resetAndDestroy())
    expect(await broken).toMatchObject({ code: 'ECONNRESET' })
  })

  test('nothing is left when all have gone', async () => {
    const left = async () => (await shared.network.daemon.status()).shield.streams
    await until('only the quiet WebSocket is left', async () => (await left()) === 1)
    expect(shared.network.plain.sockets.size).toBe(0)
  })
})

test('a WebSocket echoes, also one that was quiet while all this went on', async () => {
  const fresh = await openWebSocket(hosts.infura)
  expect(await echo(fresh, 'fresh')).toBe('fresh')
  fresh.terminate()
  expect(await echo(quiet, 'still there')).toBe('still there')
})
