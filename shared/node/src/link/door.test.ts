/** Connections that are refused or ended before they are links, on real sockets. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { limits } from '@nightjar/shared/limits'
import { minute, second } from '@nightjar/shared/runtime'
import { FakeClock, turn } from '@nightjar/shared/testing'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import {
  type AddressRefusal,
  type IpGate,
  type LinkRefusal,
  type Listener,
  type ListenOptions,
  type LocalIpGate,
  listenForLinks,
  listProxies,
  subprotocol,
} from './index.ts'
import { type Certificates, connectBare, makeCertificates, RecordingTable, refusal, Watched } from './testing/peers.ts'

let certificates: Certificates
const cleanUp: (() => Promise<void> | void)[] = []

beforeAll(() => {
  certificates = makeCertificates()
})
afterEach(async () => {
  for (const run of cleanUp.splice(0).reverse()) await run()
})

/** What the listener refused, and whom its gate was asked about. */
class Stage extends Watched {
  readonly clock = new FakeClock()
  readonly refused: LinkRefusal[] = []
  readonly asked: string[] = []
  readonly released: string[] = []
  /** Whose each link is. */
  readonly accepted: (string | undefined)[] = []
  links = 0
  listener: Listener | undefined
  verdict: AddressRefusal | undefined

  async listen(changes: Partial<ListenOptions> = {}): Promise<string> {
    const options = { host: '127.0.0.1', port: 0, path: '/relay', maxConnections: 1000, idleAfter: minute }
    const ipGate: LocalIpGate = {
      admit: (address) => {
        this.asked.push(address)
        this.changed()
        return this.verdict
      },
      release: (address) => {
        this.released.push(address)
        this.changed()
      },
    }
    this.listener = await listenForLinks({
      ...options,
      clock: this.clock,
      accept: (address) => {
        this.accepted.push(address)
        return new RecordingTable().table
      },
      ipGate,
      onRefused: (reason) => {
        this.refused.push(reason)
        this.changed()
      },
      onLink: () => {
        this.links += 1
      },
      ...changes,
    })
    const { listener } = this
    cleanUp.push(() => listener.close())
    return `ws${changes.tls === undefined ? '' : 's'}://127.0.0.1:${listener.port}/relay`
  }

  get port(): number {
    return this.listener?.port ?? 0
  }
}

/** A TCP connection, and how it ended: by FIN, or by a reset. */
async function tcp(port: number): Promise<{ socket: Socket; ended: Promise<'closed' | 'reset'> }> {
  const socket = connect({ host: '127.0.0.1', port })
  cleanUp.push(() => void socket.destroy())
  const ended = new Promise<'closed' | 'reset'>((resolve) => {
    socket.once('error', () => resolve('reset'))
    socket.once('close', () => resolve('closed'))
  })
  socket.resume()
  await Promise.race([ended, new Promise((resolve) => socket.once('connect', resolve))])
  return { socket, ended }
}

const upgradeHead = `GET /relay HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`

describe('an address', () => {
  test.each(['plain', 'TLS'])(
    'is counted before a byte is read, and released when the connection is over: %s',
    async (kind) => {
      const stage = new Stage()
      const url = await stage.listen(kind === 'TLS' ? { tls: certificates.signed } : {})
      const silent = await tcp(stage.port)
      await stage.until(() => stage.asked.length === 1)
      expect(stage.released).toEqual([])
      silent.socket.destroy()
      await stage.until(() => stage.released.length === 1)
      const socket = new WebSocket(url, [subprotocol], { rejectUnauthorized: false })
      await new Promise((resolve) => socket.once('open', resolve))
      expect([stage.asked, stage.links]).toEqual([['127.0.0.1', '127.0.0.1'], 1])
      expect(stage.accepted).toEqual(['127.0.0.1'])
      socket.terminate()
      await stage.until(() => stage.released.length === 2)
      expect(stage.released).toEqual(['127.0.0.1', '127.0.0.1'])
    },
  )

  test('that has too many is reset, and counted no further', async () => {
    const stage = new Stage()
    await stage.listen()
    stage.verdict = 'address-connections'
    expect(await (await tcp(stage.port)).ended).toBe('reset')
    expect([stage.refused, stage.released]).toEqual([['address-connections'], []])
  })

  test('that is refused takes nothing of what there is for all', async () => {
    const stage = new Stage()
    await stage.listen()
    stage.verdict = 'address-rate'
    for (let count = 0; count < limits.acceptsAtOnce + 1; count++) await (await tcp(stage.port)).ended
    expect(new Set(stage.refused)).toEqual(new Set(['address-rate']))
    stage.verdict = undefined
    await tcp(stage.port)
    await stage.until(() => stage.asked.length === limits.acceptsAtOnce + 2)
    expect(stage.refused).toHaveLength(limits.acceptsAtOnce + 1)
  })
})

describe('behind a proxy', () => {
  const proxies = listProxies(['127.0.0.0/8'])
  const upgrade = (url: string, headers: Record<string, string>) =>
    new Promise<number>((resolve) => {
      const socket = new WebSocket(url, [subprotocol], { headers })
      cleanUp.push(() => socket.terminate())
      socket.once('open', () => resolve(101))
      socket.once('unexpected-response', (_, response) => resolve(response.statusCode ?? 0))
      socket.on('error', () => {})
    })

  test('the client is counted that it speaks for, once its headers are there', async () => {
    const stage = new Stage()
    const url = await stage.listen({ proxies })
    expect(await upgrade(url, { 'x-forwarded-for': '198.51.100.1' })).toBe(101)
    expect([stage.asked, stage.accepted]).toEqual([['198.51.100.1'], ['198.51.100.1']])
    stage.verdict = 'address-rate'
    expect(await upgrade(url, { 'x-forwarded-for': '198.51.100.1' })).toBe(429)
    expect(stage.refused).toEqual(['address-rate'])
  })

  describe('clients that another process counts', () => {
    /** A relay whose port is another process's, which has it asked about the clients of proxies. */
    async function handed(stage: Stage, ipGate: IpGate): Promise<string> {
      await stage.listen({ proxies, handed: { ipGate } })
      const front = createServer({ pauseOnConnect: true }, (socket) => stage.listener?.take(socket, undefined))
      await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve))
      cleanUp.push(() => void front.close())
      return `ws://127.0.0.1:${(front.address() as AddressInfo).port}/relay`
    }
    const headers = { 'x-forwarded-for': '198.51.100.1' }

    test('wait for what it says', async () => {
      const stage = new Stage()
      const url = await handed(stage, { admit: async () => 'address-rate' as const, release() {} })
      expect(await upgrade(url, headers)).toBe(429)
      expect(stage.refused).toEqual(['address-rate'])
    })

    test('are told apart, and a client without a proxy is itself', async () => {
      const stage = new Stage()
      const url = await handed(stage, { admit: async () => undefined, release() {} })
      expect(await upgrade(url, headers)).toBe(101)
      expect(await upgrade(url, { 'x-forwarded-for': '198.51.100.2' })).toBe(101)
      expect(await upgrade(url, {})).toBe(101)
      expect(stage.accepted).toEqual(['198.51.100.1', '198.51.100.2', '127.0.0.1'])
    })

    test('get nothing where it is gone', async () => {
      const stage = new Stage()
      const url = await handed(stage, { admit: () => Promise.reject(new Error('the parent is gone')), release() {} })
      expect(await upgrade(url, headers)).toBe(429)
      expect(stage.refused).toEqual(['address-unknown'])
    })

    test('are given back where they have gone before the answer came', async () => {
      const stage = new Stage()
      let answer: (verdict: undefined) => void = () => {}
      const released: string[] = []
      const url = await handed(stage, {
        admit(address) {
          stage.asked.push(address)
          stage.changed()
          return new Promise((resolve) => {
            answer = resolve
          })
        },
        release(address) {
          released.push(address)
          stage.changed()
        },
      })
      const { socket, ended } = await tcp(Number(new URL(url).port))
      socket.write(`${upgradeHead}Sec-WebSocket-Protocol: ${subprotocol}\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n`)
      await stage.until(() => stage.asked.length === 1)
      stage.clock.advance(limits.upgradeTimeout)
      await ended
      await turn()
      answer(undefined)
      await stage.until(() => released.length === 1)
      expect(released).toEqual(['198.51.100.1'])
    })
  })

  test('that is not listed, the header is nothing', async () => {
    const stage = new Stage()
    const url = await stage.listen({ proxies: listProxies(['10.0.0.0/8']) })
    expect(await upgrade(url, { 'x-forwarded-for': '198.51.100.1', 'x-real-ip': '198.51.100.1' })).toBe(101)
    expect([stage.asked, stage.accepted]).toEqual([['127.0.0.1'], ['127.0.0.1']])
  })
})

describe('a connection', () => {
  test.each<[string, string]>([
    ['says nothing', ''],
    ['stops in the middle of its request', upgradeHead],
  ])('that %s is ended in time, over TLS too', async (_, text) => {
    for (const tls of [undefined, certificates.signed]) {
      const stage = new Stage()
      await stage.listen({ tls })
      const { socket, ended } = await tcp(stage.port)
      socket.write(text)
      await stage.until(() => stage.asked.length === 1)
      stage.clock.advance(limits.upgradeTimeout)
      await ended
      expect(stage.refused.at(-1)).toMatch(/^(slow-upgrade|malformed-request)$/)
    }
  })

  test('has longer for the answer to a plain question, and not for ever', async () => {
    const stage = new Stage()
    await stage.listen({ document: () => 'x'.repeat(8 * 1024 * 1024) })
    const { socket, ended } = await tcp(stage.port)
    socket.pause()
    socket.write('GET /network.json HTTP/1.1\r\nHost: x\r\n\r\n')
    await new Promise((resolve) => socket.once('readable', resolve))
    stage.clock.advance(limits.answerTimeout - second)
    await turn()
    expect(stage.refused).toEqual([])
    stage.clock.advance(second)
    expect(stage.refused).toEqual(['slow-upgrade'])
    socket.resume()
    await ended
  })

  test('that became a link has no deadline', async () => {
    const stage = new Stage()
    const peer = await connectBare(await stage.listen({ idleAfter: 10 * minute }))
    stage.clock.advance(2 * limits.answerTimeout)
    await turn()
    expect([stage.refused, peer.closeCode]).toEqual([[], undefined])
  })

  test('that asks for something else than a link is counted', async () => {
    const stage = new Stage()
    const url = await stage.listen({ maxConnections: 0 })
    expect(await refusal(url)).toBe(503)
    expect(await refusal(`${url}/other`)).toBe(404)
    const { socket, ended } = await tcp(stage.port)
    socket.write('no HTTP at all\r\n\r\n')
    await ended
    expect(stage.refused).toEqual(['connections', 'no-link', 'malformed-request'])
  })
})

test('where the system gives no connections, it is told once a minute and counted, and those that come are taken', async () => {
  const servers: Server[] = []
  const note = (message: unknown) => void servers.push((message as { server: Server }).server)
  subscribe('tracing:net.server.listen:asyncStart', note)
  const stage = new Stage()
  const told: (string | undefined)[] = []
  await stage.listen({ onProblem: ({ code, detail }) => told.push(`${code}: ${detail}`) })
  unsubscribe('tracing:net.server.listen:asyncStart', note)
  const [server] = servers as [Server]
  const fail = () => server.emit('error', Object.assign(new Error('accept'), { code: 'ENFILE' }))
  fail()
  fail()
  expect(told).toEqual(['limit-reached: the system gives no connection: ENFILE'])
  stage.clock.advance(minute)
  fail()
  expect([told.length, stage.refused]).toEqual([2, ['accept-failed', 'accept-failed', 'accept-failed']])
  await tcp(stage.port)
  await stage.until(() => stage.asked.length === 1)
})

test('a storm of connections is looked at no faster than it may, and so many are half-open at once', async () => {
  const stage = new Stage()
  await stage.listen()
  const held: Socket[] = []
  for (let index = 0; index < limits.halfOpen; index++) held.push((await tcp(stage.port)).socket)
  await stage.until(() => stage.asked.length === limits.halfOpen)
  expect(await (await tcp(stage.port)).ended).toBe('reset')
  expect(stage.refused).toEqual(['half-open'])
  for (const socket of held) socket.destroy()
  await stage.until(() => stage.released.length === limits.halfOpen + 1)
  for (let count = limits.halfOpen + 1; count < limits.acceptsAtOnce; count++) {
    const { socket } = await tcp(stage.port)
    socket.destroy()
  }
  await stage.until(() => stage.released.length === limits.acceptsAtOnce)
  expect(await (await tcp(stage.port)).ended).toBe('reset')
  expect(stage.refused).toEqual(['half-open', 'accept-rate'])
  // Which has cost the address nothing.
  expect(stage.asked).toHaveLength(limits.acceptsAtOnce)
  stage.clock.advance(second)
  await tcp(stage.port)
  await stage.until(() => stage.asked.length === limits.acceptsAtOnce + 1)
})
