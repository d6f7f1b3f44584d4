import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable, Writable } from 'node:stream'
import { encodeFrames, FrameDecoder, type SystemProxy } from '@nightjar/shared/bridge'
import { NightjarError } from '@nightjar/shared/errors'
import { second } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type HostContext, runHost } from './host.ts'
import { ScriptedDaemon, writeMessage } from './testing/daemon.ts'

const MiB = 1024 * 1024

let folder: string
let path: string
let daemon: ScriptedDaemon | undefined
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-host-'))
  path = join(folder, 'nightjar.sock')
})
afterEach(async () => {
  await daemon?.close()
  daemon = undefined
  await rm(folder, { recursive: true })
})

/** What a host says first where nothing else is set. */
const noProxy = { event: 'browser', systemProxy: null } as const

/** A browser: writes messages to the host's stdin and reads them from its stdout, the first of which is about the machine. */
class Browser {
  readonly input = new PassThrough()
  readonly output = new PassThrough()
  /** What the host itself said of the machine. */
  told: unknown
  readonly #messages: unknown[] = []
  #wake = () => {}

  constructor() {
    const decoder = new FrameDecoder((message) => {
      if (this.told === undefined) this.told = message
      else this.#messages.push(message)
      this.#wake()
    })
    this.output.on('data', (bytes: Buffer) => decoder.push(bytes))
  }

  send(message: unknown): void {
    writeMessage(this.input, message)
  }

  async next(): Promise<unknown> {
    while (this.#messages.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#messages.shift()
  }
}

function run(streams: Pick<HostContext, 'input' | 'output'>, more: Partial<HostContext> = {}): Promise<number> {
  return runHost({
    input: streams.input,
    output: streams.output,
    clock: new FakeClock(),
    socket: async () => path,
    launch: () => Promise.reject(new NightjarError('internal', { detail: 'nothing was to be launched' })),
    systemProxy: async () => null,
    ...more,
  })
}

describe('with a daemon', () => {
  test('messages go both ways, those of 2 MiB in parts too', async () => {
    daemon = await ScriptedDaemon.answering((message) => ({ echo: message })).listen(path)
    const browser = new Browser()
    const code = run(browser)
    for (const message of [{ id: 1 }, { id: 2, text: 'ü'.repeat(MiB) }, { id: 3 }]) {
      browser.send(message)
      expect(await browser.next()).toEqual({ echo: message })
    }
    browser.input.end()
    expect(await code).toBe(0)
  })

  test('bytes are copied as they are, frames or not', async () => {
    daemon = await new ScriptedDaemon((socket) => socket.pipe(socket)).listen(path)
    const input = new PassThrough()
    const output = new PassThrough()
    const code = run({ input, output })
    input.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 0]))
    const expected = Buffer.concat([...encodeFrames(noProxy), Buffer.from([0xff, 0xff, 0xff, 0xff, 0])])
    let received = Buffer.alloc(0)
    while (received.length < expected.length) received = Buffer.concat([received, (await once(output, 'data'))[0]])
    expect(received).toEqual(expected)
    input.end()
    expect(await code).toBe(0)
  })

  test('the end of stdin ends the connection, after what was written before', async () => {
    const received: Buffer[] = []
    const ended = Promise.withResolvers<void>()
    daemon = await new ScriptedDaemon((socket) => {
      socket.on('data', (bytes: Buffer) => received.push(bytes))
      socket.on('end', () => ended.resolve())
    }).listen(path)
    const browser = new Browser()
    const code = run(browser)
    browser.send({ last: 'words' })
    browser.input.end()
    expect(await code).toBe(0)
    await ended.promise
    expect(Buffer.concat(received)).toEqual(Buffer.concat(encodeFrames({ last: 'words' })))
  })

  test('the end of the daemon ends the host, after what it said before', async () => {
    daemon = await new ScriptedDaemon((socket) => {
      writeMessage(socket, { last: 'words' })
      socket.end()
    }).listen(path)
    const browser = new Browser()
    const code = run(browser)
    expect(await browser.next()).toEqual({ last: 'words' })
    expect(await code).toBe(0)
    expect(browser.input.destroyed).toBe(true)
  })

  test('a daemon that dies in the middle of a write ends the host, too', async () => {
    daemon = await new ScriptedDaemon((socket) => void socket.once('data', () => socket.destroy())).listen(path)
    const browser = new Browser()
    const code = run(browser)
    browser.input.write(Buffer.alloc(4 * MiB))
    expect(await code).toBe(0)
  })

  test('a browser that is gone ends the host', async () => {
    daemon = await ScriptedDaemon.answering((message) => message).listen(path)
    const input = new PassThrough()
    const output = new Writable({ write: (_bytes, _encoding, done) => done(new Error('EPIPE')) })
    const code = run({ input, output })
    writeMessage(input, { id: 1 })
    expect(await code).toBe(0)
  })
})

describe('what the host sees of the machine', () => {
  const systemProxy: SystemProxy = { kind: 'fixed', https: 'proxy.example:3128', bypass: ['localhost'] }

  test('stands before all that the daemon says, however long it takes to be found out', async () => {
    daemon = await new ScriptedDaemon((socket) => writeMessage(socket, { n: 1 })).listen(path)
    const found = Promise.withResolvers<SystemProxy>()
    const browser = new Browser()
    const code = run(browser, { systemProxy: () => found.promise })
    browser.send({ id: 1 })
    while (daemon.connections === 0) await new Promise(setImmediate)
    // Time enough for what the daemon has said to come through, if it could.
    for (let round = 0; round < 100; round++) await new Promise(setImmediate)
    expect(browser.told).toBeUndefined()
    found.resolve(systemProxy)
    expect(await browser.next()).toEqual({ n: 1 })
    expect(browser.told).toEqual({ event: 'browser', systemProxy })
    browser.input.end()
    expect(await code).toBe(0)
  })

  test('is told again within a minute of its change, between two messages of the daemon, and not otherwise', async () => {
    const clock = new FakeClock()
    const large = encodeFrames({ text: 'x'.repeat(2 * MiB) })
    const whole = Buffer.concat(large)
    const sockets: Socket[] = []
    daemon = await new ScriptedDaemon((socket) => void sockets.push(socket)).listen(path)
    const browser = new Browser()
    let found: SystemProxy | null = systemProxy
    let looks = 0
    const look = async () => {
      looks += 1
      return found
    }
    const code = run(browser, { clock, systemProxy: look })
    while (sockets.length === 0 || clock.pending === 0) await new Promise(setImmediate)
    const [socket] = sockets as [Socket]
    let arrived = 0
    browser.output.on('data', (bytes: Buffer) => {
      arrived += bytes.length
    })
    const lookAgain = async () => {
      const before = looks
      await clock.elapse(60 * second)
      while (looks === before || clock.pending === 0) await new Promise(setImmediate)
    }
    await lookAgain()
    // Half-way in a frame, then between the parts of a message: neither is a place.
    for (const cut of [(large[0] as Uint8Array).length - 10, (large[0] as Uint8Array).length]) {
      const before = arrived
      socket.write(whole.subarray(0, cut))
      while (arrived < before + cut) await new Promise(setImmediate)
      found = found === null ? systemProxy : null
      await lookAgain()
      socket.write(whole.subarray(cut))
      expect(await browser.next()).toEqual({ text: 'x'.repeat(2 * MiB) })
      expect(await browser.next()).toEqual({ event: 'browser', systemProxy: found })
    }
    found = { kind: 'script' }
    await lookAgain()
    expect(await browser.next()).toEqual({ event: 'browser', systemProxy: found })
    await lookAgain()
    writeMessage(socket, { last: true })
    expect(await browser.next()).toEqual({ last: true })
    browser.input.end()
    expect(await code).toBe(0)
    expect(clock.pending).toBe(0)
  })

  test('is told without a daemon, too', async () => {
    const browser = new Browser()
    expect(await run(browser, { systemProxy: async () => systemProxy })).toBe(1)
    expect(await browser.next()).toMatchObject({ event: 'failed' })
    expect(browser.told).toEqual({ event: 'browser', systemProxy })
  })
})

describe('who does not read holds up who writes', () => {
  const chunk = Buffer.alloc(64 * 1024, 1)
  const offered = 64 * MiB
  /** Buffers of streams and sockets on the way. */
  const onTheWay = 4 * MiB

  /** `offered` bytes, and how many of them were taken. */
  function supply(): { readonly stream: Readable; taken(): number } {
    let taken = 0
    const stream = new Readable({
      read() {
        taken += chunk.length
        this.push(taken <= offered ? chunk : null)
      },
    })
    return { stream, taken: () => taken }
  }

  test('the daemon the browser; what the daemon says comes through meanwhile', async () => {
    const connected = Promise.withResolvers<Socket>()
    daemon = await new ScriptedDaemon((socket) => connected.resolve(socket)).listen(path)
    const source = supply()
    const browser = new Browser()
    const code = run({ input: source.stream, output: browser.output })
    const socket = await connected.promise
    // Each message takes several turns of the event loop, in which more could be taken.
    for (let n = 0; n < 100; n++) {
      writeMessage(socket, { n })
      expect(await browser.next()).toEqual({ n })
    }
    expect(source.taken()).toBeLessThan(onTheWay)

    let received = 0
    socket.on('data', (bytes: Buffer) => {
      received += bytes.length
    })
    await once(socket, 'end')
    expect(received).toBe(offered)
    expect(await code).toBe(0)
  })

  test('the browser the daemon; what the browser says comes through meanwhile', async () => {
    const source = supply()
    const heard: unknown[] = []
    let wake = () => {}
    daemon = await new ScriptedDaemon((socket) => {
      source.stream.pipe(socket)
      const decoder = new FrameDecoder((message) => {
        heard.push(message)
        wake()
      })
      socket.on('data', (bytes: Buffer) => decoder.push(bytes))
    }).listen(path)
    let received = 0
    let isReading = false
    let read = () => {}
    const output = new Writable({
      write(bytes: Buffer, _encoding, done) {
        received += bytes.length
        if (isReading) done()
        else read = done
      },
    })
    const input = new PassThrough()
    const code = run({ input, output })
    for (let n = 0; n < 100; n++) {
      writeMessage(input, { n })
      while (heard.length <= n) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
    expect(source.taken()).toBeLessThan(onTheWay)

    isReading = true
    read()
    expect(await code).toBe(0)
    expect(received).toBe(Buffer.concat(encodeFrames(noProxy)).length + offered)
  })
})

describe('without a daemon', () => {
  test('one is started, and the browser gets its answers', async () => {
    let launches = 0
    const browser = new Browser()
    const code = run(browser, {
      async launch() {
        launches += 1
        daemon = await ScriptedDaemon.answering((message) => ({ echo: message })).listen(path)
      },
    })
    browser.send({ id: 1 })
    expect(await browser.next()).toEqual({ echo: { id: 1 } })
    browser.input.end()
    expect(await code).toBe(0)
    expect(launches).toBe(1)
  })

  test('two hosts at once end with one daemon and two bridges', async () => {
    let launches = 0
    // As the daemon itself: the second to come is refused.
    const launch = async () => {
      launches += 1
      if (launches === 2) throw new NightjarError('already-running')
      daemon = await ScriptedDaemon.answering((message) => ({ echo: message })).listen(path)
    }
    const browsers = [new Browser(), new Browser()]
    const codes = browsers.map((browser) => run(browser, { launch }))
    for (const browser of browsers) browser.send({ id: 1 })
    for (const browser of browsers) expect(await browser.next()).toEqual({ echo: { id: 1 } })
    expect(launches).toBe(2)
    expect(daemon?.connections).toBe(2)
    for (const browser of browsers) browser.input.end()
    expect(await Promise.all(codes)).toEqual([0, 0])
  })

  test.each<[string, Partial<HostContext>, object]>([
    [
      'a daemon that cannot start',
      { launch: () => Promise.reject(new NightjarError('config-invalid', { detail: 'config.yaml:3: x is missing' })) },
      { code: 'config-invalid', detail: 'config.yaml:3: x is missing' },
    ],
    [
      'a daemon that fails without a detail',
      { launch: () => Promise.reject(new NightjarError('document-expired')) },
      { code: 'document-expired' },
    ],
    [
      'a daemon that ends at once',
      { launch: () => Promise.resolve() },
      { code: 'daemon-failed', detail: 'it ended at once' },
    ],
    [
      'a socket that must not be used',
      { socket: () => Promise.reject(new NightjarError('file-unusable', { detail: 'the folder' })) },
      { code: 'file-unusable', detail: 'the folder' },
    ],
    ['a fault of our own', { launch: () => Promise.reject(new TypeError('secret')) }, { code: 'internal' }],
  ])('%s is told in one message; the host ends with 1', async (_, more, failure) => {
    const browser = new Browser()
    expect(await run(browser, more)).toBe(1)
    browser.output.end()
    await once(browser.output, 'end')
    expect(await browser.next()).toEqual({ event: 'failed', ...failure })
  })

  test('a daemon that does not come up in time is told, too', async () => {
    const clock = new FakeClock()
    const launched = Promise.withResolvers<void>()
    const browser = new Browser()
    const code = run(browser, {
      clock,
      launch() {
        launched.resolve()
        return new Promise(() => {})
      },
    })
    await launched.promise
    clock.advance(15 * second)
    expect(await browser.next()).toEqual({
      event: 'failed',
      code: 'daemon-failed',
      detail: 'it does not serve after 15 seconds',
    })
    expect(await code).toBe(1)
  })

  test('a browser that is gone by then does not hold up the end', async () => {
    const output = new Writable({ write: (_bytes, _encoding, done) => done(new Error('EPIPE')) })
    const launch = () => Promise.reject(new NightjarError('daemon-failed'))
    expect(await run({ input: new PassThrough(), output }, { launch })).toBe(1)
  })
})
