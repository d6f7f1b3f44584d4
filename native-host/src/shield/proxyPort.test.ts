import { once } from 'node:events'
import { request } from 'node:http'
import { utf8 } from '@nightjar/shared/bytes'
import { second } from '@nightjar/shared/runtime'
import { codeOfAsync, FakeClock } from '@nightjar/shared/testing'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { type Call, listenProxyPort, type ProxyPort } from './proxyPort.ts'
import { askConnect, askSocks, Wire } from './testing/clients.ts'

const open: ProxyPort[] = []
afterEach(async () => {
  for (const port of open.splice(0)) await port.close()
})

/** A port whose calls `onCall` answers. */
async function listen(onCall: (call: Call) => void = (call) => call.refuse('host-not-listed')) {
  const clock = new FakeClock()
  const calls: Call[] = []
  let unserved = 0
  const proxy = await listenProxyPort({
    port: 0,
    clock,
    onCall(call) {
      calls.push(call)
      onCall(call)
    },
    onUnserved() {
      unserved += 1
    },
  })
  open.push(proxy)
  return { clock, calls, port: proxy.port, unserved: () => unserved }
}

/** Accepts, and gives back what comes. */
function echo(call: Call): void {
  const socket = call.accept()
  socket.pipe(socket)
}

describe('accepted', () => {
  test('by SOCKS5: what was sent early and later arrives, in order, and so does each end', async () => {
    const { port, calls } = await listen(echo)
    const { wire, reply } = await askSocks(port, { host: 'mainnet.infura.io', early: 'early ' })
    expect([reply, calls[0]?.ask]).toEqual([0, { host: 'mainnet.infura.io', port: 443, credentials: '' }])
    wire.socket.end('late')
    await wire.until(({ hasEnded }) => hasEnded)
    expect(String(wire.received)).toBe('early late')
  })

  test('by CONNECT', async () => {
    const { port, calls } = await listen(echo)
    const { wire, response } = await askConnect(port, 'mainnet.infura.io:443', { 'proxy-authorization': 'Basic bTp4' })
    expect(response.statusCode).toBe(200)
    expect(calls[0]?.ask).toEqual({ host: 'mainnet.infura.io', port: 443, credentials: 'Basic bTp4' })
    wire.socket.write('hello')
    expect(String(await wire.take(5))).toBe('hello')
    wire.socket.end()
    await wire.until(({ hasEnded }) => hasEnded)
  })

  test('by CONNECT cut anywhere, with what is for the host in the same piece as the head', async () => {
    const { port } = await listen(echo)
    const whole = 'CONNECT infura.io:443 HTTP/1.1\r\nHost: infura.io:443\r\n\r\nearly'
    for (const cut of [1, 7, 30, whole.indexOf('\r\n\r\n') + 2, whole.length]) {
      const wire = await Wire.to(port)
      wire.socket.setNoDelay()
      wire.socket.write(whole.slice(0, cut))
      await new Promise(setImmediate)
      wire.socket.end(whole.slice(cut))
      await wire.until(({ hasEnded }) => hasEnded)
      expect(String(wire.received)).toBe('HTTP/1.1 200 Connection established\r\n\r\nearly')
    }
  })

  test('little is read before: a client that goes on sending is held up, and nothing of it is lost', async () => {
    let call: Call | undefined
    const { port, calls } = await listen((each) => {
      call = each
    })
    const wire = await Wire.to(port)
    wire.socket.write(Uint8Array.of(5, 1, 0, 5, 1, 0, 3, 1, 97, 1, 187))
    await wire.take(2)
    while (calls.length === 0) await new Promise(setImmediate)
    const offered = 32 * 1024 * 1024
    let written = false
    wire.socket.write(Buffer.alloc(offered), () => {
      written = true
    })
    for (let round = 0; round < 200; round++) await new Promise(setImmediate)
    expect(written).toBe(false)
    const socket = (call as Call).accept()
    let received = 0
    socket.on('data', (bytes: Buffer) => {
      received += bytes.length
    })
    socket.resume()
    wire.socket.end()
    await once(socket, 'end')
    expect(received).toBe(offered)
  })
})

describe('a client that leaves before it is told', () => {
  test.each(['FIN', 'RST'] as const)(
    'with a %s is noticed, whatever it sent early, and is told nothing',
    async (how) => {
      const { port, calls, clock } = await listen(() => {})
      const wire = await Wire.to(port)
      wire.socket.write(Uint8Array.of(5, 1, 0, 5, 1, 0, 3, 1, 97, 1, 187, 1, 2, 3))
      await wire.take(2)
      while (calls.length === 0) await new Promise(setImmediate)
      const [{ gone, refuse }] = calls as [Call]
      expect(gone.aborted).toBe(false)
      if (how === 'FIN') wire.socket.end('more')
      else wire.socket.resetAndDestroy()
      while (!gone.aborted) await new Promise(setImmediate)
      refuse('name-not-found')
      await wire.until(({ isClosed }) => isClosed)
      expect(wire.received).toHaveLength(0)
      expect(clock.pending).toBe(0)
    },
  )

  test('is not one that leaves after it was told', async () => {
    const { port, calls } = await listen(echo)
    const { wire } = await askSocks(port, { host: 'mainnet.infura.io' })
    wire.socket.end()
    await wire.until(({ isClosed }) => isClosed)
    expect(calls[0]?.gone.aborted).toBe(false)
  })
})

describe('refused', () => {
  test.each([
    ['host-not-listed', 2, 403],
    ['host-blocked', 2, 403],
    ['address-forbidden', 2, 403],
    ['name-not-found', 4, 502],
    ['host-unreachable', 4, 502],
    ['network-unreachable', 3, 503],
    ['no-exit', 3, 503],
    ['limit-reached', 1, 503],
    ['too-many-sites', 1, 503],
    ['timed-out', 6, 504],
  ] as const)('%s is told as SOCKS reply %i and HTTP status %i', async (code, socks, http) => {
    const { port } = await listen((call) => call.refuse(code))
    const { wire, reply } = await askSocks(port, { host: 'example.com' })
    expect(reply).toBe(socks)
    await wire.until(({ hasEnded }) => hasEnded)
    const { wire: tunnel, response } = await askConnect(port, 'example.com:443')
    expect([response.statusCode, response.headers['nightjar-error']]).toEqual([http, code])
    await tunnel.until(({ hasEnded }) => hasEnded)
    expect(String(tunnel.received)).toMatch(/^[A-Z].*\.\n$/)
  })

  test('other methods of HTTP, paths that are no host and port, and heads that are none', async () => {
    const { port, unserved, calls } = await listen()
    const get = request({ host: '127.0.0.1', port, path: 'http://example.com/' })
    get.end()
    const [response] = await once(get, 'response')
    expect([response.statusCode, response.headers.allow, response.headers.connection]).toEqual([
      405,
      'CONNECT',
      'close',
    ])
    for (const text of [
      'CONNECT nowhere HTTP/1.1\r\n\r\n',
      'CONNECT a:99999 HTTP/1.1\r\n\r\n',
      'nonsense\r\n\r\n',
      '\0',
    ]) {
      const wire = await Wire.to(port)
      wire.socket.write(text)
      await wire.until(({ hasEnded }) => hasEnded)
      expect(String(wire.received)).toMatch(/^HTTP\/1\.1 400 /)
    }
    expect([unserved(), calls]).toEqual([5, []])
  })

  test('once, however many requests are sent at once', async () => {
    const { port, unserved } = await listen()
    const wire = await Wire.to(port)
    wire.socket.end('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(50))
    await wire.until(({ isClosed }) => isClosed)
    expect(String(wire.received).match(/HTTP\/1\.1 405 /g)).toHaveLength(1)
    expect(unserved()).toBe(1)
  })

  test('a head that never ends', async () => {
    const { port } = await listen()
    const wire = await Wire.to(port)
    wire.socket.write(`CONNECT a:443 HTTP/1.1\r\n${'x: y\r\n'.repeat(5000)}`)
    await wire.until(({ hasEnded, isClosed }) => hasEnded || isClosed)
    expect(String(wire.received)).toMatch(/^HTTP\/1\.1 400 /)
  })

  test('a client that does not go is closed after two seconds', async () => {
    const { port, clock } = await listen()
    const { wire } = await askSocks(port, { host: 'example.com' })
    await wire.until(({ hasEnded }) => hasEnded)
    clock.advance(2 * second)
    // Half of it is closed already: that the rest is shows when something is sent.
    while (!wire.isClosed) {
      wire.socket.write('x')
      await new Promise(setImmediate)
    }
  })
})

describe('a client that says nothing, or half of it', () => {
  test.each([
    ['nothing', []],
    ['half a greeting', [5, 3, 0]],
    ['a greeting alone', [5, 1, 0]],
    ['half a request', [5, 1, 0, 5, 1, 0, 3, 20, 97]],
    ['half a head', [...utf8('CONNECT infura.io:4')]],
  ])('%s is closed after ten seconds, not sooner', async (_, bytes) => {
    const { port, clock, calls } = await listen()
    const wire = await Wire.to(port)
    wire.socket.write(Uint8Array.from(bytes))
    if (bytes[0] === 5 && bytes.length > 2 && bytes[1] === 1) await wire.take(2)
    while (clock.pending === 0) await new Promise(setImmediate)
    clock.advance(10 * second - 1)
    for (let round = 0; round < 20; round++) await new Promise(setImmediate)
    expect(wire.isClosed || wire.hasEnded).toBe(false)
    clock.advance(1)
    await wire.until(({ hasEnded, isClosed }) => hasEnded || isClosed)
    expect(calls).toEqual([])
  })

  test('and goes leaves nothing behind', async () => {
    const { port, clock } = await listen()
    const wire = await Wire.to(port)
    wire.socket.write(Uint8Array.of(5))
    while (clock.pending === 0) await new Promise(setImmediate)
    wire.socket.end()
    await wire.until(({ isClosed }) => isClosed)
    while (clock.pending > 0) await new Promise(setImmediate)
  })
})

test('any bytes in any pieces do no harm: the next client is served', async () => {
  const { port } = await listen()
  const piece = fc.oneof(fc.uint8Array({ maxLength: 100 }), fc.constantFrom(Uint8Array.of(5, 1, 0), utf8('CONNECT ')))
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 5 }), async (pieces) => {
      const wire = await Wire.to(port)
      for (const each of pieces) {
        wire.socket.write(each)
        await new Promise(setImmediate)
      }
      wire.socket.end()
      await wire.until(({ isClosed }) => isClosed)
    }),
    { numRuns: 60 },
  )
  expect((await askSocks(port, { host: 'example.com' })).reply).toBe(2)
})

test.each(['accepted', 'not answered yet', 'still asking'] as const)(
  'closed, it resets a client that is %s: what was cut off never ends as if it were whole',
  async (state) => {
    const { port, calls } = await listen((call) => void (state === 'accepted' && call.accept().write('half of')))
    const wire = await Wire.to(port)
    wire.socket.write(Uint8Array.of(5, 1, 0))
    await wire.take(2)
    if (state !== 'still asking') wire.socket.write(Uint8Array.of(5, 1, 0, 3, 1, 97, 1, 187))
    while (state !== 'still asking' && calls.length === 0) await new Promise(setImmediate)
    if (state === 'accepted') expect(String((await wire.take(17)).subarray(10))).toBe('half of')
    const errors: unknown[] = []
    wire.socket.on('error', ({ code }: NodeJS.ErrnoException) => errors.push(code))
    await open.pop()?.close()
    await wire.until(({ hasEnded, isClosed }) => hasEnded || isClosed)
    expect([wire.hasEnded, errors]).toEqual([false, ['ECONNRESET']])
  },
)

test('the 1025th connection at once is closed; there is room again when one goes', async () => {
  const { port } = await listen()
  const wires = await Promise.all(Array.from({ length: 1024 }, () => Wire.to(port)))
  const { wire, reply } = await askSocks(port, { host: 'example.com' })
  expect(reply).toBeUndefined()
  wire.socket.destroy()
  expect(wires.every(({ isClosed }) => !isClosed)).toBe(true)
  for (const each of wires) each.socket.destroy()
  await Promise.all(wires.map((each) => each.until(({ isClosed }) => isClosed)))
  const served = async () => (await askSocks(port, { host: 'example.com' })).reply === 2
  while (!(await served())) await new Promise(setImmediate)
})

test('a port that is taken is named, with the setting', async () => {
  const { port } = await listen()
  const again = listenProxyPort({ port, clock: new FakeClock(), onCall() {}, onUnserved() {} })
  expect(await codeOfAsync(() => again)).toBe('connect-failed')
  await expect(again).rejects.toThrow('set shield.port')
})
