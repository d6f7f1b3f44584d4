import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Outcome } from '@nightjar/shared/rpc'
import { minute, second } from '@nightjar/shared/runtime'
import { FakeClock, turn } from '@nightjar/shared/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type WebSocket, WebSocketServer } from 'ws'
import { HeadsSocket } from './headsSocket.ts'
import { block } from './testing/blocks.ts'

/** A provider that speaks WebSocket, and what it was asked. */
let server: WebSocketServer
let sockets: WebSocket[]
let asked: { method: string; params: unknown[] }[]
let authorizations: (string | undefined)[]
/** What it answers to a method; undefined for nothing at all. */
let answer: (method: string, params: unknown[]) => unknown
let head: number

let clock: FakeClock
let heads: HeadsSocket
let told: number[]
let losses: number

beforeEach(async () => {
  sockets = []
  asked = []
  authorizations = []
  told = []
  losses = 0
  head = 7
  answer = (method, params) => {
    if (method === 'eth_chainId') return '0x1'
    if (method === 'eth_subscribe') return '0xabc'
    return method === 'eth_getBlockByNumber' ? block(head) : (blockOf(params[0] as string) ?? null)
  }
  server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  server.on('connection', (socket, request) => {
    sockets.push(socket)
    authorizations.push(request.headers.authorization)
    socket.on('message', (text) => {
      const { id, method, params } = JSON.parse(String(text)) as { id: number; method: string; params: unknown[] }
      asked.push({ method, params })
      const result = answer(method, params)
      if (result !== undefined) socket.send(JSON.stringify({ jsonrpc: '2.0', id, result }))
    })
  })
  await once(server, 'listening')
  clock = new FakeClock()
  heads = make(url())
})
afterEach(async () => {
  heads.stop()
  expect(clock.pending).toBe(0)
  for (const socket of server.clients) socket.terminate()
  await new Promise((resolve) => server.close(resolve))
})

function url(): string {
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function make(address: string): HeadsSocket {
  return new HeadsSocket({ url: address, chain: 1, clock })
}

function start(): void {
  heads.start({
    onBlock: (outcome: Outcome) => told.push('result' in outcome ? numberIn(outcome.result) : -1),
    onLost: () => {
      losses += 1
    },
  })
}

function numberIn(result: unknown): number {
  return result === null ? 0 : Number((result as { number: string }).number)
}

function blockOf(hash: string): unknown {
  return [8, 9, 10].map((number) => block(number)).find((each) => each.hash === hash)
}

function push(number: number): void {
  const { transactions: _, ...result } = block(number)
  sockets
    .at(-1)
    ?.send(JSON.stringify({ jsonrpc: '2.0', method: 'eth_subscription', params: { subscription: '0xabc', result } }))
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn()
}

describe('a socket', () => {
  test('tells the newest block at once, then each that is pushed, whole', async () => {
    start()
    await until(() => told.length === 1)
    push(8)
    await until(() => told.length === 2)
    expect(told).toEqual([7, 8])
    expect(asked).toEqual([
      { method: 'eth_chainId', params: [] },
      { method: 'eth_subscribe', params: ['newHeads'] },
      { method: 'eth_getBlockByNumber', params: ['latest', false] },
      { method: 'eth_getBlockByHash', params: [block(8).hash, false] },
    ])
  })

  test('asks for one block at a time: of many headers the newest counts', async () => {
    start()
    await until(() => told.length === 1)
    for (const number of [8, 9, 10]) push(number)
    await until(() => told.at(-1) === 10)
    const hashes = asked.filter(({ method }) => method === 'eth_getBlockByHash').map(({ params }) => params[0])
    expect(hashes.at(-1)).toBe(block(10).hash)
    expect(hashes.length).toBeLessThanOrEqual(3)
  })

  test('sends credentials of its URL as a header, and keeps them out of the address', async () => {
    heads = make(url().replace('ws://', 'ws://us%40er:pa%3Ass@'))
    start()
    await until(() => told.length === 1)
    expect(authorizations).toEqual([`Basic ${Buffer.from('us@er:pa:ss').toString('base64')}`])
  })

  test('that is stopped is closed, and nothing comes any more', async () => {
    start()
    await until(() => told.length === 1)
    const closed = once(sockets[0] as WebSocket, 'close')
    heads.stop()
    await closed
    expect([losses, clock.pending]).toEqual([0, 0])
  })
})

describe('nothing is told, and it is tried again later, where a provider', () => {
  test.each<[string, (method: string) => unknown]>([
    ['is on another chain', (method) => (method === 'eth_chainId' ? '0x5' : '0x0')],
    ['gives no chain', () => ({})],
    ['has no subscriptions', (method) => (method === 'eth_chainId' ? '0x1' : undefined)],
  ])('%s', async (_, answers) => {
    answer = answers
    start()
    await until(() => asked.length > 0)
    // Time runs out where it does not answer.
    while (losses === 0) await clock.elapse(1 * second)
    expect(told).toEqual([])
  })

  test('pushes what is no JSON', async () => {
    start()
    await until(() => told.length === 1)
    sockets[0]?.send('<html>')
    await until(() => losses === 1)
  })

  test('sends more than a block can be', async () => {
    start()
    await until(() => told.length === 1)
    sockets[0]?.send('"'.padEnd(2 * 1024 * 1024, 'a'))
    await until(() => losses === 1)
  })

  test('closes: at once, then after times that double', async () => {
    start()
    await until(() => told.length === 1)
    const { port } = server.address() as AddressInfo
    for (const socket of server.clients) socket.terminate()
    await until(() => losses === 1)
    await new Promise((resolve) => server.close(resolve))
    const begun = clock.now()
    for (const [index, pause] of [1, 2, 4, 8, 16, 32, 60, 60].entries()) {
      await clock.elapse(pause * second)
      await until(() => losses === index + 2)
    }
    expect(clock.now() - begun).toBe(183 * second)
    server = new WebSocketServer({ host: '127.0.0.1', port })
    await once(server, 'listening')
  })
})

test('one that is doubted begins anew', async () => {
  start()
  await until(() => told.length === 1)
  heads.doubt()
  expect(losses).toBe(1)
  await clock.elapse(1 * second)
  await until(() => told.length === 2)
  expect(sockets).toHaveLength(2)
  await clock.elapse(1 * minute)
})
