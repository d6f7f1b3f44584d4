import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeFrames } from '@nightjar/shared/bridge'
import { NightjarError } from '@nightjar/shared/errors'
import { codeOf, codeOfAsync } from '@nightjar/shared/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { askDaemon } from './client.ts'
import { type ControlRequest, type ControlResponse, parseControlRequest, parseControlResponse } from './messages.ts'
import { type ControlServer, listenControl } from './server.ts'

let folder: string
let path: string
let server: ControlServer | undefined
let requests: ControlRequest[]
let answer: (request: ControlRequest) => Promise<ControlResponse>

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-control-'))
  path = join(folder, 'nightjar.sock')
  requests = []
  answer = async ({ id }) => ({ id, result: 'fine' })
})
afterEach(async () => {
  await server?.close()
  server = undefined
  await rm(folder, { recursive: true })
})

async function listen(): Promise<void> {
  server = await listenControl(path, (request) => {
    requests.push(request)
    return answer(request)
  })
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
    answer = async ({ id }) => ({ id, error })
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
    answer = async ({ id }) => ({ id, result: large })
    expect(await askDaemon(path, { ...rpc, params: [large] })).toEqual({ id: 1, result: large })
    expect(requests).toMatchObject([{ params: [large] }])
  })

  test('several on one connection are answered as they are ready, each by its id', async () => {
    await listen()
    let release = () => {}
    answer = ({ id }) =>
      id === 1
        ? new Promise((resolve) => (release = () => resolve({ id, result: 1 })))
        : Promise.resolve({ id, result: 2 })
    const socket = connect(path)
    const parts: Buffer[] = []
    const text = () => Buffer.concat(parts).toString()
    await new Promise<void>((resolve) => {
      socket.on('data', (part: Buffer) => {
        parts.push(part)
        if (text().includes('"id":2')) release()
        if (text().includes('"id":1')) resolve()
      })
      for (const id of [1, 2]) for (const frame of encodeFrames({ id, type: 'status' })) socket.write(frame)
    })
    expect(text().indexOf('"id":2')).toBeLessThan(text().indexOf('"id":1'))
    socket.destroy()
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
    answer = ({ id }) =>
      new Promise((resolve) => {
        release = () => resolve({ id, result: 'x'.repeat(1 << 20) })
        asked()
      })
    const socket = connect(path, () => {
      for (const each of encodeFrames({ id: 1, type: 'status' })) socket.write(each)
    })
    await isAsked
    await new Promise<void>((resolve) => {
      socket.on('close', () => resolve())
      socket.destroy()
    })
    release()
    answer = async ({ id }) => ({ id, result: 'fine' })
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
    expect(await codeOfAsync(() => listenControl(path, answer))).toBe('already-running')
    expect(await askDaemon(path, { type: 'status' })).toMatchObject({ result: 'fine' })
  })

  test('is gone after close, with the connections of its callers', async () => {
    await listen()
    const socket = connect(path)
    const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()))
    await askDaemon(path, { type: 'status' })
    await server?.close()
    server = undefined
    await closed
    expect(await codeOfAsync(() => askDaemon(path, { type: 'status' }))).toBe('daemon-not-running')
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('a folder that is not there is an error of the file', async () => {
    expect(await codeOfAsync(() => listenControl(join(folder, 'none', 'x.sock'), answer))).toBe('file-unusable')
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

test('messages are parsed strictly', () => {
  expect(parseControlRequest({ id: 1, type: 'status' })).toEqual({ id: 1, type: 'status' })
  expect(codeOf(() => parseControlRequest({ id: 1.5, type: 'status' }))).toBe('malformed-frame')
  expect(codeOf(() => parseControlRequest(null))).toBe('malformed-frame')
  expect(parseControlResponse({ id: 1, result: null })).toEqual({ id: 1, result: null })
  expect(codeOf(() => parseControlResponse({ id: 1, error: { code: 'x', message: '' } }))).toBe('malformed-frame')
})
