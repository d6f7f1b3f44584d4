import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endpointProof, parseResult } from '@nightjar/shared/bridge'
import { base64, fromHex, hex } from '@nightjar/shared/bytes'
import { minute } from '@nightjar/shared/runtime'
import { codeOfAsync, FakeClock, pattern, turn } from '@nightjar/shared/testing'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Places, placesFrom } from './config.ts'
import { askDaemon } from './control/client.ts'
import { Connection } from './control/testing/connection.ts'
import { type Daemon, startDaemon } from './daemon.ts'
import { askSocks } from './shield/testing/clients.ts'

const gate = vi.hoisted(() => {
  // Test files share modules: this one has its own, as what it mocks is in them, and leaves none.
  vi.resetModules()
  return { reached: () => {}, open: Promise.resolve() }
})
vi.mock('./endpoint/endpoint.ts', async (original) => {
  const real = await original<typeof import('./endpoint/endpoint.ts')>()
  const listenEndpoint: typeof real.listenEndpoint = async (options) => {
    gate.reached()
    await gate.open
    return real.listenEndpoint(options)
  }
  return { ...real, listenEndpoint }
})
afterAll(() => {
  vi.doUnmock('./endpoint/endpoint.ts')
  vi.resetModules()
})

let home: string
let places: Places
let clock: FakeClock
let daemon: Daemon | undefined

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'nightjar-daemon-'))
  places = placesFrom({ NIGHTJAR_HOME: home })
  clock = new FakeClock()
  gate.open = Promise.resolve()
})
afterEach(async () => {
  await daemon?.stop()
  daemon = undefined
  await rm(home, { recursive: true })
})

/** Without a network document: it serves all the same, and fails every request. */
async function start(port = 0, shieldPort = 0): Promise<void> {
  const trust = `{ keys: ['${base64(pattern(32))}'], threshold: 1 }`
  const network = `network: { document: absent.json, trust: ${trust} }`
  await writeFile(
    places.config,
    `${network}\nendpoint: { port: ${port} }\nshield: { port: ${shieldPort} }\nlog: { level: silent }\n`,
  )
  const dial = () => Promise.reject(new Error('dialled'))
  // Chance that is the same on every run.
  const crypto = { ...nativeCrypto, randomBytes: (length: number) => pattern(length) }
  daemon = await startDaemon({ crypto, clock, dial, places, version: '1.2.3' })
}

async function ask<T extends 'hello' | 'status'>(type: T) {
  const said = type === 'hello' ? { type, bridge: 3, version: '0.1.0' } : { type }
  const response = await askDaemon(places.socket, said as { type: 'status' })
  if ('error' in response) throw new Error(response.error.message)
  return parseResult(type, response.result)
}

const call = { jsonrpc: '2.0', id: 1, method: 'eth_blockNumber' }
const post = (url: string, body: string) => fetch(url, { method: 'POST', body })

test('the key that it tells over its socket is the one that its endpoint proves itself with', async () => {
  await start()
  const [{ proofKey, version }, { endpoint }] = [await ask('hello'), await ask('status')]
  expect(version).toBe('1.2.3')
  const { port, pathname, origin } = new URL(endpoint)
  expect(daemon?.ready).toMatchObject({ port: Number(port) })
  const challenge = pattern(32, 3)
  const response = await post(`${origin}/${pathname.split('/')[1]}/proof`, hex(challenge))
  const proof = fromHex(await response.text())
  expect(proof).toEqual(endpointProof(nativeCrypto.hash.hmac, proofKey, Number(port), challenge))
})

test('calls of its endpoint are told to who said hello, together', async () => {
  await start()
  // By now the trunks, which want a document, are tried again every ten seconds or so: nothing else is told meanwhile.
  clock.advance(10 * minute)
  const caller = new Connection(places.socket)
  caller.say({ id: 1, type: 'hello', bridge: 3, version: '0.1.0' })
  await caller.received(1)
  const { endpoint } = await ask('status')
  for (let count = 0; count < 3; count++) expect((await post(endpoint, JSON.stringify(call))).status).toBe(200)
  clock.advance(99)
  caller.say({ id: 2, type: 'status' })
  await caller.received(2)
  clock.advance(1)
  caller.say({ id: 3, type: 'status' })
  const callers = [{ origin: 'local', chain: 1, requests: 3, last: clock.now() - 100 }]
  expect((await caller.received(4)).slice(1)).toMatchObject([
    { id: 2, result: { callers } },
    { event: 'status', status: { callers } },
    { id: 3, result: { callers } },
  ])
  caller.socket.destroy()
})

// Found here: the browser starts the daemon and asks at once, and got an error of the program for an answer.
test('who asks before the endpoint is there is answered once it is', async () => {
  const isReached = new Promise<void>((resolve) => (gate.reached = resolve))
  const { promise, resolve: open } = Promise.withResolvers<void>()
  gate.open = promise
  const started = start()
  await isReached
  const asked = ask('status')
  const caller = new Connection(places.socket)
  caller.say({ id: 1, type: 'status' })
  // All in this process: after some turns both questions have arrived.
  for (let round = 0; round < 50; round++) await turn()
  expect(caller.messages).toEqual([])
  open()
  await started
  expect((await asked).endpoint).toMatch(new RegExp(`^http://127\\.0\\.0\\.1:${daemon?.ready.port}/[0-9a-f]{32}/1$`))
  expect((await caller.received(1))[0]).toMatchObject({ id: 1, result: { version: '1.2.3' } })
  caller.socket.destroy()
})

test('it stops once its state is written', async () => {
  await start()
  const { endpoint } = await ask('status')
  await daemon?.stop()
  daemon = undefined
  expect((await readdir(home)).sort()).toEqual(['config.yaml', 'state.json'])
  expect(await readFile(places.state, 'utf8')).toContain(endpoint.split('/')[3])
})

test('the shield’s ports are told, it refuses what is not listed, and without a network what is', async () => {
  await start()
  const { shield } = await ask('status')
  expect(shield).toMatchObject({ running: true, streams: 0, refused: 0, lastError: null })
  expect(daemon?.ready).toMatchObject({ shieldPort: shield.port, sinkPort: shield.sinkPort })
  clock.advance(10 * minute)
  const caller = new Connection(places.socket)
  caller.say({ id: 1, type: 'hello', bridge: 3, version: '0.1.0' })
  await caller.received(1)
  expect((await askSocks(shield.port, { host: 'example.com' })).reply).toBe(2)
  expect((await askSocks(shield.sinkPort, { host: 'mainnet.infura.io' })).reply).toBe(2)
  // The document cannot be read, and nothing is dialled (`dial` would say so).
  expect((await askSocks(shield.port, { host: 'mainnet.infura.io' })).reply).toBe(3)
  clock.advance(100)
  const [, told] = await caller.received(2)
  expect(told).toMatchObject({
    event: 'status',
    status: { shield: { refused: 1, today: { rpc: { shielded: 0, blocked: 1 } }, lastError: expect.any(String) } },
  })
  caller.socket.destroy()
})

test.each(['endpoint', 'shield'])('where the port of the %s is taken nothing is left behind', async (which) => {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  const { port } = other.address() as { port: number }
  expect(await codeOfAsync(() => (which === 'shield' ? start(0, port) : start(port)))).toBe('connect-failed')
  expect(await codeOfAsync(() => ask('status'))).toBe('daemon-not-running')
  await new Promise((resolve) => other.close(resolve))
})
