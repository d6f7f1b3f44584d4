import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BridgeEventMessage, type BridgeRequest, encodeFrames } from '@nightjar/shared/bridge'
import { NightjarError } from '@nightjar/shared/errors'
import type { Outcome } from '@nightjar/shared/rpc'
import { codeOfAsync, turn } from '@nightjar/shared/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { askDaemon } from './client.ts'
import { type ControlServer, listenControl, type Session } from './server.ts'
import { Connection } from './testing/connection.ts'

/** The daemon's end of a connection, as the test sees it. */
interface Opened {
  send(event: BridgeEventMessage): void
  isClosed: boolean
}

let folder: string
let path: string
let server: ControlServer | undefined
let requests: BridgeRequest[]
let sessions: Opened[]
let answer: (request: BridgeRequest) => Promise<Outcome | undefined>
/** Called when a session was closed. */
let onSessionClosed: () => void

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-control-'))
  path = join(folder, 'nightjar.sock')
  requests = []
  sessions = []
  answer = async () => ({ result: 'fine' })
  onSessionClosed = () => {}
})
afterEach(async () => {
  await server?.close()
  server = undefined
  await rm(folder, { recursive: true })
})

function open(send: (event: BridgeEventMessage) => void): Session {
  const opened: Opened = { send, isClosed: false }
  sessions.push(opened)
  return {
    handle(request) {
      requests.push(request)
      return answer(request)
    },
    close() {
      expect(opened.isClosed).toBe(false)
      opened.isClosed = true
      onSessionClosed()
    },
  }
}

async function listen(unsentBytes?: number): Promise<void> {
  server = await listenControl(path, open, unsentBytes)
}

/** A connection whose session is open, and that session. */
async function connected(): Promise<{ caller: Connection; session: Opened }> {
  const caller = new Connection(path)
  caller.say({ id: 0, type: 'status' })
  await caller.received(1)
  return { caller, session: sessions.at(-1) as Opened }
}

const rpc = { type: 'rpc' as const, chain: 1, method: 'eth_call', params: [{ to: '0x' }, 'latest'] }

describe('one question, one answer', () => {
  test('status and rpc arrive as they were asked', async () => {
    await listen()
    expect(await askDaemon(path, { type: 'status' })).toEqual({ id: 1, result: 'fine' })
    expect(await askDaemon(path, rpc)).toEqual({ id: 1, result: 'fine' })
    expect(requests).toEqual([
      { id: 1, type: 'status' },
      { id: 1, ...rpc },
    ])
  })

  test('an error of the node is an answer', async () => {
    await listen()
    const error = { code: 3, message: 'reverted', data: '0x' }
    answer = async () => ({ error })
    expect(await askDaemon(path, rpc)).toEqual({ id: 1, error })
  })

  test.each<[string, unknown, object]>([
    ['a typed error', new NightjarError('no-path'), { code: 4900, data: { nightjar: 'no-path' } }],
    ['an error of the program', new TypeError('secret'), { code: -32603, data: { nightjar: 'internal' } }],
  ])('%s of the handler is the error of the answer', async (_, thrown, error) => {
    await listen()
    answer = () => Promise.reject(thrown)
    const response = await askDaemon(path, rpc)
    expect(response).toMatchObject({ id: 1, error })
    expect(JSON.stringify(response)).not.toContain('secret')
  })

  test('questions and answers of more than 1 MiB', async () => {
    await listen()
    const large = 'ö'.repeat(3 * 1024 * 1024)
    answer = async () => ({ result: large })
    expect(await askDaemon(path, { ...rpc, params: [large] })).toEqual({ id: 1, result: large })
    expect(requests).toMatchObject([{ params: [large] }])
  })

  test('several on one connection are answered as they are ready, each by its id', async () => {
    await listen()
    let release = () => {}
    answer = ({ id }) =>
      id === 1 ? new Promise((resolve) => (release = () => resolve({ result: 1 }))) : Promise.resolve({ result: 2 })
    const caller = new Connection(path)
    caller.say({ id: 1, type: 'status' }, { id: 2, type: 'status' })
    expect(await caller.received(1)).toEqual([{ id: 2, result: 2 }])
    release()
    expect((await caller.received(2))[1]).toEqual({ id: 1, result: 1 })
    caller.socket.destroy()
  })

  test('what an event has said already gets no answer', async () => {
    await listen()
    answer = async ({ id }) => (id === 1 ? undefined : { result: id })
    const caller = new Connection(path)
    caller.say({ id: 1, type: 'status' }, { id: 2, type: 'status' })
    expect(await caller.received(1)).toEqual([{ id: 2, result: 2 }])
    caller.socket.destroy()
  })
})

describe('a connection that stays', () => {
  const lost = (branch: number): BridgeEventMessage => ({
    event: 'branch-lost',
    branch,
    code: 'link-lost',
    requests: [],
  })

  test('has a session of its own, whose events reach it and no other', async () => {
    await listen()
    const [one, two] = [await connected(), await connected()]
    one.session.send(lost(1))
    two.session.send(lost(2))
    expect(await one.caller.received(2)).toEqual([{ id: 0, result: 'fine' }, lost(1)])
    expect(await two.caller.received(2)).toEqual([{ id: 0, result: 'fine' }, lost(2)])
    for (const { caller } of [one, two]) caller.socket.destroy()
  })

  test('gets events of more than 1 MiB, in their order with answers', async () => {
    await listen()
    const { caller, session } = await connected()
    const large: BridgeEventMessage = { event: 'record', request: 7, record: 'A'.repeat(3 * 1024 * 1024) }
    session.send(large)
    session.send(lost(1))
    expect((await caller.received(3)).slice(1)).toEqual([large, lost(1)])
    caller.socket.destroy()
  })

  test('ends with its session, once, and the others go on; what is sent to it then is dropped', async () => {
    await listen()
    const [one, two] = [await connected(), await connected()]
    const isClosed = new Promise<void>((resolve) => (onSessionClosed = resolve))
    one.caller.socket.end()
    await isClosed
    expect([one.session.isClosed, two.session.isClosed]).toEqual([true, false])
    one.session.send(lost(1))
    two.session.send(lost(2))
    expect(await two.caller.received(2)).toContainEqual(lost(2))
    two.caller.socket.destroy()
  })

  test('that sends garbage ends with its session too', async () => {
    await listen()
    const { caller, session } = await connected()
    caller.say({ id: 1, type: 'shutdown' })
    await caller.closed
    expect(session.isClosed).toBe(true)
  })

  test('is ended when the daemon ends', async () => {
    await listen()
    const { caller, session } = await connected()
    await server?.close()
    server = undefined
    await caller.closed
    expect(session.isClosed).toBe(true)
  })

  const large: BridgeEventMessage = { event: 'record', request: 7, record: 'A'.repeat(256 * 1024) }
  const unsent = 1024 * 1024

  test('and never reads is cut off before it fills the memory', async () => {
    await listen(unsent)
    const { caller, session } = await connected()
    caller.socket.pause()
    let sent = 0
    for (; !session.isClosed; sent += large.record.length) {
      // What the daemon may hold, and as much again for what the system holds on the way.
      expect(sent).toBeLessThan(2 * unsent)
      session.send(large)
      await turn()
    }
    expect(sent).toBeGreaterThanOrEqual(unsent)
    caller.socket.destroy()
    expect(await askDaemon(path, { type: 'status' })).toMatchObject({ result: 'fine' })
  })

  test('and reads may get any amount', async () => {
    await listen(unsent)
    const { caller, session } = await connected()
    for (let count = 1; count <= 20; count++) {
      session.send(large)
      await caller.received(1 + count)
    }
    expect(session.isClosed).toBe(false)
    caller.socket.destroy()
  })
})

describe('what is no caller of ours', () => {
  const frame = (text: string) => {
    const header = Buffer.alloc(4)
    header.writeUInt32LE(Buffer.byteLength(text))
    return Buffer.concat([header, Buffer.from(text)])
  }

  test.each<[string, Uint8Array]>([
    ['a length beyond the limit', Buffer.from('GET / HTTP/1.1\r\n')],
    ['no JSON', frame('{')],
    ['an unknown type', frame('{"id":1,"type":"shutdown"}')],
    ['an unknown key', frame('{"id":1,"type":"status","more":1}')],
    ['no id', frame('{"type":"status"}')],
    ['a chain that is none', frame('{"id":1,"type":"rpc","chain":0,"method":"a","params":[]}')],
    ['parts out of order', frame('{"part":2,"of":2,"bytes":"AA=="}')],
  ])('%s closes the connection without an answer; the next caller is served', async (_, bytes) => {
    await listen()
    const received = await new Promise<number>((resolve) => {
      const socket = connect(path, () => socket.write(bytes))
      let count = 0
      socket.on('data', (part: Buffer) => {
        count += part.length
      })
      socket.on('error', () => {})
      socket.on('close', () => resolve(count))
    })
    expect(received).toBe(0)
    expect(requests).toEqual([])
    expect(await askDaemon(path, { type: 'status' })).toMatchObject({ result: 'fine' })
  })

  test('a caller that leaves before its answer does no harm', async () => {
    await listen()
    let asked = () => {}
    const isAsked = new Promise<void>((resolve) => (asked = resolve))
    let release = () => {}
    answer = () =>
      new Promise((resolve) => {
        release = () => resolve({ result: 'x'.repeat(1 << 20) })
        asked()
      })
    const caller = new Connection(path)
    caller.say({ id: 1, type: 'status' })
    await isAsked
    caller.socket.destroy()
    await caller.closed
    release()
    answer = async () => ({ result: 'fine' })
    expect(await askDaemon(path, { type: 'status' })).toMatchObject({ result: 'fine' })
  })
})

describe('the socket', () => {
  test('is for its user only', async () => {
    await listen()
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  test('a file that a killed daemon left is taken over', async () => {
    await writeFile(path, '')
    await listen()
    expect(await askDaemon(path, { type: 'status' })).toMatchObject({ result: 'fine' })
  })

  test('a second daemon is refused, and the first goes on', async () => {
    await listen()
    expect(await codeOfAsync(() => listenControl(path, open))).toBe('already-running')
    expect(await askDaemon(path, { type: 'status' })).toMatchObject({ result: 'fine' })
  })

  test('is gone after close, with the connections of its callers', async () => {
    await listen()
    const caller = new Connection(path)
    await askDaemon(path, { type: 'status' })
    await server?.close()
    server = undefined
    await caller.closed
    expect(await codeOfAsync(() => askDaemon(path, { type: 'status' }))).toBe('daemon-not-running')
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('a folder that is not there is an error of the file', async () => {
    expect(await codeOfAsync(() => listenControl(join(folder, 'none', 'x.sock'), open))).toBe('file-unusable')
  })
})

describe('a daemon that speaks otherwise', () => {
  async function against(bytes: Uint8Array | undefined) {
    const other = createServer((socket) => {
      // Unread, its end would never be seen.
      socket.resume()
      if (bytes === undefined) socket.destroy()
      else socket.write(bytes)
    })
    await new Promise<void>((resolve) => other.listen(path, resolve))
    const code = await codeOfAsync(() => askDaemon(path, { type: 'status' }))
    await new Promise((resolve) => other.close(resolve))
    return code
  }

  test('garbage, an unknown answer, none at all', async () => {
    expect(await against(Buffer.from('HTTP/1.1 400'))).toBe('malformed-frame')
    expect(await against(Buffer.concat(encodeFrames({ id: 1 })))).toBe('malformed-frame')
    expect(await against(undefined)).toBe('daemon-not-running')
  })
})
