import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import { codeOfAsync, FakeClock, turn } from '@nightjar/shared/testing'
import { socketPair } from '@nightjar/shared-node/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Connect, connectBySystem, connectToFirst, familiesInTurn } from './connect.ts'

interface Attempt {
  readonly address: string
  readonly signal: AbortSignal
  succeed(): Promise<Socket>
  fail(): void
}

let clock: FakeClock
let attempts: Attempt[]
let caller: AbortController
let sockets: Socket[]

beforeEach(() => {
  clock = new FakeClock()
  attempts = []
  caller = new AbortController()
  sockets = []
})
afterEach(() => {
  for (const socket of sockets) socket.destroy()
  expect(clock.pending).toBe(0)
})

const connect: Connect = (address, port, signal) =>
  new Promise((resolve, reject) => {
    expect(port).toBe(443)
    attempts.push({
      address,
      signal,
      async succeed() {
        const { inner, outer } = await socketPair()
        sockets.push(inner, outer)
        resolve({ socket: inner, remoteAddress: address })
        return inner
      },
      fail: () => reject(new Error('ECONNREFUSED')),
    })
  })

const first = (...addresses: string[]) => connectToFirst(addresses, 443, { connect, clock, signal: caller.signal })
const tried = () => attempts.map(({ address }) => address)

test('families take turns, IPv6 first', () => {
  expect(familiesInTurn(['1.1.1.1', '1.0.0.1', '2606::1', '1.1.1.2', '2606::2'])).toEqual([
    '2606::1',
    '1.1.1.1',
    '2606::2',
    '1.0.0.1',
    '1.1.1.2',
  ])
})

describe('connectToFirst', () => {
  test('the next attempt begins 250 ms after the last; the first that stands wins, the others are given up', async () => {
    const connection = first('1.1.1.1', '2606::1')
    expect(tried()).toEqual(['2606::1'])
    clock.advance(249)
    expect(attempts).toHaveLength(1)
    clock.advance(1)
    expect(tried()).toEqual(['2606::1', '1.1.1.1'])
    const socket = await attempts[1]?.succeed()
    expect(await connection).toEqual({ socket, remoteAddress: '1.1.1.1' })
    expect(attempts[0]?.signal.aborted).toBe(true)
  })

  test('a failure begins the next at once', async () => {
    const connection = first('1.1.1.1', '2606::1')
    attempts[0]?.fail()
    await turn()
    expect(tried()).toEqual(['2606::1', '1.1.1.1'])
    await attempts[1]?.succeed()
    expect((await connection).remoteAddress).toBe('1.1.1.1')
  })

  test('a slow one may still win while a later one fails', async () => {
    const connection = first('1.1.1.1', '1.1.1.2')
    clock.advance(250)
    attempts[1]?.fail()
    await turn()
    await attempts[0]?.succeed()
    expect((await connection).remoteAddress).toBe('1.1.1.1')
  })

  test('of two in the same turn the second is closed', async () => {
    const connection = first('1.1.1.1', '1.1.1.2')
    clock.advance(250)
    const [one, two] = await Promise.all(attempts.map((attempt) => attempt.succeed()))
    expect((await connection).socket).toBe(one)
    expect([one?.destroyed, two?.destroyed]).toEqual([false, true])
  })

  test('of many addresses eight are tried, and a whole family of dead ones leaves room for the other', async () => {
    const dead = Array.from({ length: 10 }, (_, index) => `2606::${index + 1}`)
    const connection = codeOfAsync(() => first(...dead, '1.1.1.1'))
    attempts[0]?.fail()
    await turn()
    expect(tried()).toEqual(['2606::1', '1.1.1.1'])
    for (let n = 1; n < limits.addressesPerName; n++) {
      attempts[n]?.fail()
      await turn()
    }
    expect(await connection).toBe('host-unreachable')
    expect(attempts).toHaveLength(limits.addressesPerName)
  })

  test('where none takes one it is unreachable', async () => {
    const connection = codeOfAsync(() => first('1.1.1.1', '1.1.1.2'))
    attempts[0]?.fail()
    await turn()
    attempts[1]?.fail()
    expect(await connection).toBe('host-unreachable')
  })

  test('the caller can give up, before and meanwhile', async () => {
    const connection = codeOfAsync(() => first('1.1.1.1', '1.1.1.2'))
    caller.abort()
    expect(await connection).toBe('cancelled')
    expect(attempts[0]?.signal.aborted).toBe(true)
    expect(await codeOfAsync(() => first('1.1.1.1'))).toBe('cancelled')
    expect(attempts).toHaveLength(1)
  })
})

describe('connectBySystem', () => {
  test('says where the socket is connected to, and leaves it alone afterwards', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const { socket, remoteAddress } = await connectBySystem('127.0.0.1')('127.0.0.1', port, caller.signal)
    caller.abort()
    expect([remoteAddress, socket.localAddress, socket.destroyed, socket.allowHalfOpen]).toEqual([
      '127.0.0.1',
      '127.0.0.1',
      false,
      true,
    ])
    socket.destroy()
    server.close()
    await once(server, 'close')
    await expect(connectBySystem(undefined)('127.0.0.1', port, new AbortController().signal)).rejects.toThrow()
  })

  test('gives up when told so', async () => {
    const connection = connectBySystem(undefined)('127.0.0.1', 9, caller.signal)
    caller.abort()
    await expect(connection).rejects.toThrow(new NightjarError('cancelled'))
  })
})
