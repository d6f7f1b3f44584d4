import type { ErrorCode } from '@nightjar/shared/errors'
import { afterEach, describe, expect, test } from 'vitest'
import { startExits } from '../client/testing/exits.ts'
import type { FakeRelay } from '../client/testing/relay.ts'
import { groupOf, openShield, type Shield } from './shield.ts'
import { askConnect, askSocks, Wire } from './testing/clients.ts'

const running: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of running.splice(0)) await stop()
})

async function start(exits?: number) {
  const network = await startExits(exits)
  const { client, net } = network
  let changes = 0
  let wake = () => {}
  const shield: Shield = await openShield({
    clock: net.clock,
    port: 0,
    client,
    onChange() {
      changes += 1
      wake()
    },
  })
  running.push(async () => {
    await shield.close()
    await client.stop()
  })
  /** Once what the shield says of itself is so. */
  const until = async (condition: (status: Shield['status']) => boolean) => {
    while (!condition(shield.status)) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
  const connections = () => network.exits.flatMap((exit) => exit.connections)
  return { ...network, shield, until, connections, changes: () => changes }
}

const infura = 'mainnet.infura.io'
const turns = async (condition: () => boolean) => {
  while (!condition()) await new Promise(setImmediate)
}

describe('a listed host', () => {
  test.each(['socks', 'connect'])('is reached through an exit, by %s, with both ends kept apart', async (by) => {
    const { shield, connections, until } = await start()
    const { wire } =
      by === 'socks' ? await askSocks(shield.port, { host: infura }) : await askConnect(shield.port, `${infura}:443`)
    const [far] = connections()
    expect(far?.host).toBe(infura)
    await until(({ streams }) => streams === 1)
    wire.socket.end('question')
    await turns(() => far?.endedWith === 'done')
    expect(far?.received).toBe('question')
    far?.stream.send(Buffer.from('answer'), true)
    await wire.until(({ hasEnded }) => hasEnded)
    expect(String(wire.received)).toBe('answer')
    await until(({ streams }) => streams === 0)
    expect(shield.status).toMatchObject({
      running: true,
      refused: 0,
      today: { rpc: { shielded: 1, blocked: 0 } },
      hosts: [{ suffix: 'infura.io', category: 'rpc', shielded: 1, blocked: 0 }],
      lastError: null,
    })
  })

  test('is told as connected when the exit is, and nothing is read before', async () => {
    const { shield, exits, connections } = await start(1)
    const held = Promise.withResolvers<ErrorCode | undefined>()
    ;(exits[0] as FakeRelay).connect = () => held.promise
    const asked = askSocks(shield.port, { host: infura, early: 'early ' })
    await turns(() => connections().length === 1)
    let isTold = false
    void asked.then(() => {
      isTold = true
    })
    for (let round = 0; round < 50; round++) await new Promise(setImmediate)
    expect([isTold, connections()[0]?.received]).toEqual([false, ''])
    held.resolve(undefined)
    const { wire, reply } = await asked
    expect(reply).toBe(0)
    wire.socket.write('late')
    await turns(() => connections()[0]?.received === 'early late')
  })

  test('in capitals and with a dot at the end is the same host', async () => {
    const { shield, connections } = await start()
    expect((await askSocks(shield.port, { host: 'MainNet.Infura.IO.' })).reply).toBe(0)
    expect(connections()[0]?.host).toBe(infura)
  })

  test('that resets is reset here', async () => {
    const { shield, connections, until } = await start()
    const { wire } = await askSocks(shield.port, { host: infura })
    connections()[0]?.stream.reset('connection-reset')
    await wire.until(({ isClosed }) => isClosed)
    expect(wire.hasEnded).toBe(false)
    await until(({ streams }) => streams === 0)
  })

  test('is lost with its exit in the middle of a download, and never resumed', async () => {
    const { shield, connections, used, exits } = await start()
    const { wire } = await askSocks(shield.port, { host: infura })
    connections()[0]?.stream.send(Buffer.from('half'), false)
    await wire.take(4)
    used().kill()
    await wire.until(({ isClosed }) => isClosed)
    expect(wire.hasEnded).toBe(false)
    expect(exits.flatMap((exit) => exit.connections)).toHaveLength(1)
    expect((await askSocks(shield.port, { host: infura })).reply).toBe(0)
  })

  test('that a client leaves is left by the exit', async () => {
    const { shield, connections } = await start()
    const { wire } = await askSocks(shield.port, { host: infura })
    wire.socket.resetAndDestroy()
    await turns(() => connections()[0]?.endedWith === 'connection-reset')
  })

  test('that a client no longer waits for is given up at the exit at once, and is no error', async () => {
    const { shield, exits, connections } = await start(1)
    ;(exits[0] as FakeRelay).connect = () => new Promise(() => {})
    const wire = await Wire.to(shield.port)
    const name = Buffer.from(infura)
    wire.socket.write(Buffer.concat([Buffer.of(5, 1, 0, 5, 1, 0, 3, name.length), name, Buffer.of(1, 187)]))
    await turns(() => connections().length === 1)
    wire.socket.end()
    await turns(() => connections()[0]?.endedWith === 'cancelled')
    await wire.until(({ isClosed }) => isClosed)
    expect(shield.status).toMatchObject({ streams: 0, hosts: [], lastError: null })
    expect(connections()).toHaveLength(1)
  })

  test('that cannot be reached is told with its code, and counted', async () => {
    const { shield, exits, until } = await start()
    for (const exit of exits) exit.connect = () => 'name-not-found'
    expect((await askSocks(shield.port, { host: infura })).reply).toBe(4)
    await until(({ lastError }) => lastError === 'name-not-found')
    expect(shield.status).toMatchObject({
      streams: 0,
      today: { rpc: { shielded: 0, blocked: 0 } },
      hosts: [{ suffix: 'infura.io', lastError: 'name-not-found' }],
    })
  })

  test('that waits for its exit holds up no other', async () => {
    const { shield, exits } = await start(1)
    ;(exits[0] as FakeRelay).connect = ({ host }) => (host === infura ? new Promise(() => {}) : undefined)
    const slow = askSocks(shield.port, { host: infura })
    expect((await askSocks(shield.port, { host: 'linea-mainnet.infura.io' })).reply).toBe(0)
    await shield.close()
    expect((await slow).reply).toBeUndefined()
  })
})

describe('isolation', () => {
  test('hosts of one domain share a branch; other domains and other credentials have their own', async () => {
    const { shield, client, exits } = await start(1)
    const ask = async (host: string, user?: string) => {
      const { reply } = await askSocks(shield.port, user === undefined ? { host } : { host, user })
      expect(reply).toBe(0)
      return client.status().branches
    }
    expect(await ask(infura)).toBe(1)
    expect(await ask('linea-mainnet.infura.io')).toBe(1)
    expect(await ask('accounts.api.cx.metamask.io')).toBe(2)
    expect(await ask('price.api.cx.metamask.io')).toBe(2)
    expect(await ask('metamask.github.io')).toBe(3)
    expect(await ask(infura, 'a')).toBe(4)
    expect(await ask(infura, 'b')).toBe(5)
    expect(await ask(infura, 'a')).toBe(5)
    expect(
      (await askConnect(shield.port, `${infura}:443`, { 'proxy-authorization': 'Basic YTp4' })).response.statusCode,
    ).toBe(200)
    expect(client.status().branches).toBe(6)
    expect(exits[0]?.hops.size).toBe(6)
  })
})

test('who has a name below a shared domain is a site of its own (Public Suffix List, private part)', () => {
  expect(groupOf('metamask.github.io', '')).not.toBe(groupOf('other.github.io', ''))
  expect(groupOf('a.infura.io', '')).toBe(groupOf('b.infura.io', ''))
  // No credentials can be written so that they are those of another domain.
  expect(groupOf('infura.io', 'x')).not.toBe(groupOf('infura.io', ''))
})

describe('whatever is not on the list', () => {
  const unlisted = ['example.com', 'infura.io.example.com', 'notinfura.io', 'localhost', '127.0.0.1', '', '::1', 'a b']

  test('is refused, counted, and reaches no exit', async () => {
    const { shield, exits, client } = await start()
    for (const host of unlisted) expect((await askSocks(shield.port, { host })).reply).toBe(2)
    for (const port of [80, 22, 8443, 0]) expect((await askSocks(shield.port, { host: infura, port })).reply).toBe(2)
    const { response, wire } = await askConnect(shield.port, 'example.com:443')
    expect([response.statusCode, response.headers['nightjar-error']]).toEqual([403, 'host-not-listed'])
    await wire.until(({ hasEnded }) => hasEnded)
    expect(String(wire.received)).toContain('not on the list')
    expect((await askConnect(shield.port, '[::1]:443')).response.statusCode).toBe(403)
    const bind = await Wire.to(shield.port)
    bind.socket.write(Uint8Array.of(5, 1, 0, 5, 2, 0, 3))
    expect((await bind.take(12))[3]).toBe(7)
    expect(shield.status).toMatchObject({ refused: unlisted.length + 4 + 3, today: {}, hosts: [], lastError: null })
    expect(exits.flatMap((exit) => exit.connections)).toEqual([])
    expect(client.status().branches).toBe(0)
  })

  test('is refused as an address, too', async () => {
    const { shield } = await start()
    for (const address of [
      [1, 10, 0, 0, 1],
      [4, ...new Array(15).fill(0), 1],
    ]) {
      const wire = await Wire.to(shield.port)
      wire.socket.write(Uint8Array.of(5, 1, 0, 5, 1, 0, ...address, 1, 187))
      expect((await wire.take(12))[3]).toBe(2)
    }
    expect(shield.status.refused).toBe(2)
  })
})

test('the sink refuses all, and counts what is listed', async () => {
  const { shield, exits, changes } = await start()
  expect((await askSocks(shield.sinkPort, { host: infura })).reply).toBe(2)
  const { response } = await askConnect(shield.sinkPort, 'api.coingecko.com:443')
  expect([response.statusCode, response.headers['nightjar-error']]).toEqual([403, 'host-blocked'])
  expect((await askSocks(shield.sinkPort, { host: 'example.com' })).reply).toBe(2)
  expect(shield.status).toMatchObject({
    refused: 1,
    today: { rpc: { shielded: 0, blocked: 1 }, price: { shielded: 0, blocked: 1 } },
  })
  expect(changes()).toBe(3)
  expect(exits.flatMap((exit) => exit.connections)).toEqual([])
})

test('two hundred connections at once, one of them stalled, each get their own answer', async () => {
  const { shield, connections, until } = await start(1)
  const wires = await Promise.all(
    Array.from({ length: 200 }, async (_, index) => {
      const { wire } = await askSocks(shield.port, { host: infura })
      wire.socket.write(`${index};`)
      return wire
    }),
  )
  await until(({ streams }) => streams === 200)
  const stalled = wires[7] as Wire
  stalled.socket.pause()
  await turns(() => connections().every(({ received }) => received.endsWith(';')))
  for (const { stream, received } of connections()) {
    const part = Buffer.from(received)
    stream.send(received === '7;' ? Buffer.alloc(8 * 1024 * 1024) : part, false)
  }
  await Promise.all(
    wires.map(async (wire, index) => {
      if (wire !== stalled) expect(String(await wire.take(`${index};`.length))).toBe(`${index};`)
    }),
  )
})
