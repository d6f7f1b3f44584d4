import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { utf8 } from '@nightjar/shared/bytes'
import type { Stream } from '@nightjar/shared/circuit'
import type { ErrorCode } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { minute, second } from '@nightjar/shared/runtime'
import { categories } from '@nightjar/shared/shield'
import { FakeClock, type JoinedMuxes, joinMuxes, turn } from '@nightjar/shared/testing'
import { readAll } from '@nightjar/shared-node/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { connectBySystem } from './connect.ts'
import { createExit, type Exit, type ExitOptions } from './exit.ts'
import type { Resolved } from './resolve.ts'

const nothing = new Uint8Array(0)
const host = 'mainnet.infura.io'
const address = '8.8.8.8'

/** What a client sees of one of its streams. */
interface Asked {
  readonly stream: Stream
  readonly received: Buffer[]
  /** `connected`, or the code that it ended with before that. */
  readonly outcome: Promise<ErrorCode | 'connected'>
  readonly end: Promise<ErrorCode>
}

let clock: FakeClock
let server: Server
let exit: Exit
let muxes: JoinedMuxes
/** The Internet: names, and the addresses that take connections; all lead to `server`. */
let names: Record<string, readonly string[]>
let dialled: string[]
let reported: (address: string) => string
let resolved: Partial<Resolved>

async function listen(onConnection: (socket: Socket) => void): Promise<void> {
  server = createServer({ allowHalfOpen: true }, onConnection).listen(0, '127.0.0.1')
  await once(server, 'listening')
}

function open(options: Partial<ExitOptions> = {}): Exit {
  const connect = connectBySystem(undefined)
  return createExit({
    policy: { categories: [...categories], without: [] },
    maxStreams: 1000,
    clock,
    resolve: async (name) => {
      const addresses = names[name]
      if (addresses === undefined) throw new Error('ENOTFOUND')
      return { addresses, lifetime: 60 * second, ...resolved }
    },
    connect: async (target, _port, signal) => {
      dialled.push(target)
      const { port } = server.address() as AddressInfo
      const { socket } = await connect('127.0.0.1', port, signal)
      return { socket, remoteAddress: reported(target) }
    },
    own: () => ['9.9.9.9', 'relay.example.org'],
    ...options,
  })
}

beforeEach(async () => {
  clock = new FakeClock()
  names = { [host]: [address], 'relay.example.org': ['9.9.9.8'] }
  dialled = []
  reported = (target) => target
  resolved = {}
  await listen((socket) => socket.on('error', () => {}).pipe(socket))
  exit = open()
  muxes = joinMuxes(exit.serve())
})

afterEach(async () => {
  exit.close()
  muxes.end()
  await noneOpen(exit)
  expect(clock.pending).toBe(0)
  server.close()
  await once(server, 'close')
})

function ask(argument: string, options: { mux?: JoinedMuxes; service?: string; isFree?: boolean } = {}): Asked {
  const outcome = Promise.withResolvers<ErrorCode | 'connected'>()
  const end = Promise.withResolvers<ErrorCode>()
  const received: Buffer[] = []
  const stream = (options.mux ?? muxes).client.open(
    options.service ?? 'tcp',
    utf8(argument),
    {
      onConnected: () => outcome.resolve('connected'),
      onData(data) {
        received.push(Buffer.from(data))
        stream.consumed()
      },
      onEnd(code) {
        outcome.resolve(code)
        end.resolve(code)
      },
    },
    { data: nothing, end: false },
    { isFree: options.isFree ?? false },
  )
  return { stream, received, outcome: outcome.promise, end: end.promise }
}

async function noneOpen({ counts }: Exit): Promise<void> {
  while (counts.open > 0) await turn()
}

const counted = () => Object.fromEntries(exit.counts.ended)

describe('a listed host', () => {
  test('is connected to, and what is sent comes through both ways, with both ends', async () => {
    const { stream, received, outcome, end } = ask(`${host}:443`)
    expect(await outcome).toBe('connected')
    const data = randomBytes(300_000)
    stream.send(data, true)
    expect(await end).toBe('done')
    expect(Buffer.concat(received).equals(data)).toBe(true)
    await noneOpen(exit)
    expect(counted()).toEqual({ done: 1 })
    expect([exit.counts.toHosts, exit.counts.fromHosts]).toEqual([data.length, data.length])
  })

  test('is known in any letter case and with the dot of the root', async () => {
    expect(await ask('MAINNET.infura.io.:443').outcome).toBe('connected')
  })

  test('resets come through', async () => {
    server.removeAllListeners('connection')
    server.on('connection', (socket) => socket.on('error', () => {}).once('data', () => socket.resetAndDestroy()))
    const { stream, end } = ask(`${host}:443`)
    stream.send(utf8('hello'), false)
    expect(await end).toBe('connection-reset')
  })
})

describe('what is not listed is refused before anything is asked or dialled', () => {
  test.each([
    'localhost:443',
    '127.0.0.1:443',
    '10.0.0.1:443',
    '169.254.169.254:443',
    '8.8.8.8:443',
    '::1:443',
    '[::1]:443',
    'fe80::1:443',
    '2606:4700::1:443',
    'example.org:443',
    'infura.io.example.org:443',
    'evilinfura.io:443',
    `${host}:22`,
    `${host}:80`,
    `${host}:4430`,
    `${host}..:443`,
    `${host}\0:443`,
    `*.infura.io:443`,
  ])('%j', async (target) => {
    names = new Proxy({}, { get: () => [address] })
    expect(await ask(target).outcome).toBe('host-not-listed')
    expect(dialled).toEqual([])
    expect(counted()).toEqual({ 'host-not-listed': 1 })
  })

  test.each(['', 'infura.io', 'infura.io:', ':443', 'infura.io:0', 'infura.io:65536', 'infura.io:https'])(
    '%j is no target',
    async (target) => {
      expect(await ask(target).outcome).toBe('protocol-violation')
      expect(counted()).toEqual({ 'protocol-violation': 1 })
    },
  )

  test('what the operator took away', async () => {
    const narrowed = open({ policy: { categories: ['rpc', 'wallet'], without: ['mainnet.infura.io'] } })
    const mux = joinMuxes(narrowed.serve())
    names = { 'sepolia.infura.io': [address], 'cx.metamask.io': [address] }
    expect(await ask(`${host}:443`, { mux }).outcome).toBe('host-not-listed')
    expect(await ask('api.etherscan.io:443', { mux }).outcome).toBe('host-not-listed')
    expect(await ask('sepolia.infura.io:443', { mux }).outcome).toBe('connected')
    expect(await ask('cx.metamask.io:443', { mux }).outcome).toBe('connected')
    narrowed.close()
  })

  test('a stream on which what comes back takes no credit', async () => {
    expect(await ask(`${host}:443`, { isFree: true }).outcome).toBe('protocol-violation')
    expect(dialled).toEqual([])
    expect(counted()).toEqual({ 'protocol-violation': 1 })
  })

  test('another service is not its own, and not counted', async () => {
    expect(await ask(`${host}:443`, { service: 'rpc' }).outcome).toBe('unknown-service')
    expect(counted()).toEqual({})
  })
})

describe('addresses', () => {
  test.each([
    ['127.0.0.1'],
    ['10.1.2.3'],
    ['169.254.169.254'],
    ['::1'],
    ['fe80::1'],
    ['::ffff:127.0.0.1'],
    ['64:ff9b::7f00:1'],
    ['2002:7f00:1::1'],
    ['9.9.9.9'],
    ['9.9.9.8'],
  ])('a name that leads to %s alone is refused, and nothing is dialled', async (inner) => {
    names[host] = [inner]
    expect(await ask(`${host}:443`).outcome).toBe('address-forbidden')
    expect(dialled).toEqual([])
    expect(counted()).toEqual({ 'address-forbidden': 1 })
  })

  test('of several only those that are allowed are used', async () => {
    names[host] = ['127.0.0.1', '::1', address, '9.9.9.9']
    expect(await ask(`${host}:443`).outcome).toBe('connected')
    expect(dialled).toEqual([address])
  })

  test('a name that is asked again, and leads inside then, is refused then', async () => {
    resolved = { lifetime: 0 }
    expect(await ask(`${host}:443`).outcome).toBe('connected')
    names[host] = ['127.0.0.1']
    clock.advance(1 * second + 1)
    expect(await ask(`${host}:443`).outcome).toBe('address-forbidden')
    expect(dialled).toEqual([address])
  })

  test('an address that is remembered is checked anew: it may have become our own', async () => {
    const own = ['9.9.9.9']
    const changing = open({ own: () => own })
    const mux = joinMuxes(changing.serve())
    expect(await ask(`${host}:443`, { mux }).outcome).toBe('connected')
    own.push(address)
    expect(await ask(`${host}:443`, { mux }).outcome).toBe('address-forbidden')
    changing.close()
  })

  test('a socket that turns out to be connected inside is closed', async () => {
    const closed = new Promise<void>((resolve) => {
      server.on('connection', (socket) => socket.on('close', () => resolve()))
    })
    reported = () => '127.0.0.1'
    expect(await ask(`${host}:443`).outcome).toBe('address-forbidden')
    expect(dialled).toEqual([address])
    await closed
    expect(counted()).toEqual({ 'address-forbidden': 1 })
  })

  test('a name without addresses, and one that cannot be found out', async () => {
    names[host] = []
    expect(await ask(`${host}:443`).outcome).toBe('name-not-found')
    expect(await ask('nowhere.infura.io:443').outcome).toBe('name-not-found')
    expect(counted()).toEqual({ 'name-not-found': 2 })
  })

  test('at most eight addresses of a name are tried', async () => {
    const refusing = open({
      connect: async (target) => {
        dialled.push(target)
        throw new Error('ECONNREFUSED')
      },
    })
    names[host] = Array.from({ length: 100 }, (_, index) => `8.8.4.${index}`)
    expect(await ask(`${host}:443`, { mux: joinMuxes(refusing.serve()) }).outcome).toBe('host-unreachable')
    expect(dialled).toHaveLength(limits.addressesPerName)
  })
})

describe('time and the end', () => {
  test('ten seconds without a connection are too long, resolution included', async () => {
    const answer = Promise.withResolvers<Resolved>()
    const slow = open({ resolve: () => answer.promise })
    const { outcome } = ask(`${host}:443`, { mux: joinMuxes(slow.serve()) })
    while (slow.counts.open === 0) await turn()
    clock.advance(limits.tcpConnectTimeout)
    expect(await outcome).toBe('timed-out')
    answer.resolve({ addresses: [address], lifetime: 0 })
    await noneOpen(slow)
    expect(dialled).toEqual([])
  })

  test('who asks and leaves holds its place while the name is asked for', async () => {
    const answer = Promise.withResolvers<Resolved>()
    const slow = open({ resolve: () => answer.promise, maxStreams: 1 })
    const mux = joinMuxes(slow.serve())
    const first = ask(`${host}:443`, { mux })
    while (slow.counts.open === 0) await turn()
    first.stream.reset('cancelled')
    while (slow.counts.ended.size === 0) await turn()
    await turn()
    expect(await ask('sepolia.infura.io:443', { mux }).outcome).toBe('limit-reached')
    answer.reject(new Error('ENOTFOUND'))
    await noneOpen(slow)
    expect(await ask('sepolia.infura.io:443', { mux }).outcome).toBe('name-not-found')
    await noneOpen(slow)
  })

  test('a connection on which nothing moves is kept for half an hour, not longer', async () => {
    const { outcome, end } = ask(`${host}:443`)
    expect(await outcome).toBe('connected')
    clock.advance(30 * minute - 1)
    await turn()
    expect(exit.counts.open).toBe(1)
    clock.advance(1)
    expect(await end).toBe('idle')
    expect(counted()).toEqual({ idle: 1 })
  })

  test('a client that gives up ends the attempt', async () => {
    const given = Promise.withResolvers<AbortSignal>()
    const slow = open({
      connect: (_address, _port, signal) => {
        given.resolve(signal)
        return new Promise(() => {})
      },
    })
    const { stream } = ask(`${host}:443`, { mux: joinMuxes(slow.serve()) })
    const signal = await given.promise
    stream.reset('cancelled')
    await once(signal, 'abort')
    await noneOpen(slow)
    expect(Object.fromEntries(slow.counts.ended)).toEqual({ cancelled: 1 })
  })

  test('the end of the circuit ends its connections', async () => {
    const connected = once(server, 'connection') as Promise<[Socket]>
    expect(await ask(`${host}:443`).outcome).toBe('connected')
    const [socket] = await connected
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    muxes.end()
    await closed
    expect(counted()).toEqual({ 'link-lost': 1 })
  })

  test('a relay that stops ends them too', async () => {
    const { outcome, end } = ask(`${host}:443`)
    expect(await outcome).toBe('connected')
    exit.close()
    expect(await end).toBe('draining')
  })
})

describe('limits', () => {
  test('ten thousand streams: what is too much is refused and counted, and the branch serves on', async () => {
    const asked: Asked[] = []
    const outcomes = new Map<string, number>()
    let connected: Asked | undefined
    for (let n = 0; n < 10_000; n++) {
      // More than a branch may have open at once is not even begun by an honest client.
      while (!muxes.client.canOpen) await turn()
      const one = ask(`${host}:443`)
      asked.push(one)
      void one.outcome.then((outcome) => {
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
        if (outcome === 'connected') connected ??= one
      })
    }
    await Promise.all(asked.map(({ outcome }) => outcome))
    expect(Object.fromEntries(outcomes)).toEqual({
      connected: limits.tcpStreamsPerBranch,
      'limit-reached': 10_000 - limits.tcpStreamsPerBranch,
    })
    expect(counted()).toEqual({ 'limit-reached': 10_000 - limits.tcpStreamsPerBranch })
    expect(exit.counts.open).toBe(limits.tcpStreamsPerBranch)
    connected?.stream.send(utf8('still here'), true)
    expect(await connected?.end).toBe('done')
    expect(Buffer.concat(connected?.received ?? []).toString()).toBe('still here')
    while (exit.counts.open === limits.tcpStreamsPerBranch) await turn()
    expect(await ask(`${host}:443`).outcome).toBe('connected')
  })

  test('the streams of a process are bounded, whichever circuits they are on', async () => {
    const small = open({ maxStreams: 2 })
    const [one, two] = [joinMuxes(small.serve()), joinMuxes(small.serve())]
    const first = ask(`${host}:443`, { mux: one })
    expect(await first.outcome).toBe('connected')
    expect(await ask(`${host}:443`, { mux: two }).outcome).toBe('connected')
    expect(await ask(`${host}:443`, { mux: two }).outcome).toBe('limit-reached')
    first.stream.reset('cancelled')
    while (small.counts.open === 2) await turn()
    expect(await ask(`${host}:443`, { mux: two }).outcome).toBe('connected')
    small.close()
  })

  test('when all places are taken a circuit gets one of the circuit that has most, the quietest', async () => {
    const small = open({ maxStreams: 4 })
    const [greedy, modest] = [joinMuxes(small.serve()), joinMuxes(small.serve())]
    const taken: Asked[] = []
    for (let n = 0; n < 4; n++) {
      const asked = ask(`${host}:443`, { mux: greedy })
      expect(await asked.outcome).toBe('connected')
      taken.push(asked)
      clock.advance(1)
    }
    // It has most itself, so there is nothing to be had for it.
    expect(await ask(`${host}:443`, { mux: greedy }).outcome).toBe('limit-reached')
    taken[0]?.stream.send(utf8('still here'), false)
    while (taken[0]?.received.length === 0) await turn()
    for (const quietest of [1, 2]) {
      expect(await ask(`${host}:443`, { mux: modest }).outcome).toBe('connected')
      expect(await taken[quietest]?.end).toBe('limit-reached')
    }
    // Both have two now.
    expect(await ask(`${host}:443`, { mux: modest }).outcome).toBe('limit-reached')
    expect(small.counts.open).toBe(4)
    small.close()
    await noneOpen(small)
  })

  test('the bytes of a branch are bounded, over all its streams', async () => {
    const small = open({ bytesPerBranch: 5000 })
    const mux = joinMuxes(small.serve())
    const first = ask(`${host}:443`, { mux })
    first.stream.send(new Uint8Array(2000), true)
    expect(await first.end).toBe('done')
    const next = ask(`${host}:443`, { mux })
    next.stream.send(new Uint8Array(2000), true)
    expect(await next.end).toBe('limit-reached')
    // Another branch has its own.
    const other = ask(`${host}:443`, { mux: joinMuxes(small.serve()) })
    other.stream.send(new Uint8Array(2000), true)
    expect(await other.end).toBe('done')
    await noneOpen(small)
  })

  test('what a client sends before there is a connection is bounded by its window, and reaches the host', async () => {
    const gate = Promise.withResolvers<void>()
    const slow = open({
      own: () => [],
      resolve: async () => {
        await gate.promise
        return { addresses: [address], lifetime: 0 }
      },
    })
    const mux = joinMuxes(slow.serve())
    server.removeAllListeners('connection')
    const connected = once(server, 'connection') as Promise<[Socket]>
    const data = randomBytes(1_000_000)
    const { stream } = ask(`${host}:443`, { mux })
    stream.send(data, true)
    while (mux.underWay > 0) await turn()
    expect(mux.client.openCount).toBe(1)
    gate.resolve()
    const [socket] = await connected
    expect((await readAll(socket)).equals(data)).toBe(true)
    socket.end()
    await noneOpen(slow)
    expect(Object.fromEntries(slow.counts.ended)).toEqual({ done: 1 })
  })
})
