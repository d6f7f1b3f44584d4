import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { limits } from '@nightjar/shared/limits'
import { codeOfAsync } from '@nightjar/shared/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readDocument } from './index.ts'

let folder: string
const servers: Server[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-document-'))
})

afterEach(async () => {
  await rm(folder, { recursive: true })
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

describe('a file', () => {
  test('is read as it is', async () => {
    const path = join(folder, 'network.json')
    await writeFile(path, '{"ä":1}\n')
    expect(await readDocument(path)).toBe('{"ä":1}\n')
  })

  test('of exactly the limit is read, and one that is larger is not', async () => {
    const path = join(folder, 'network.json')
    await writeFile(path, Buffer.alloc(limits.documentBytes, 'x'))
    expect((await readDocument(path)).length).toBe(limits.documentBytes)
    await writeFile(path, Buffer.alloc(limits.documentBytes + 1, 'x'))
    expect(await codeOfAsync(() => readDocument(path))).toBe('file-unusable')
  })

  test.each(['missing.json', '.', '', 'a\0b', 'HTTP://127.0.0.1/', 'file:///etc/hostname', 'ftp://127.0.0.1/x'])(
    'that cannot be read says so: %j',
    async (name) => {
      const path = name === 'missing.json' || name === '.' ? join(folder, name) : name
      expect(await codeOfAsync(() => readDocument(path))).toBe('file-unusable')
    },
  )
})

describe('a server', () => {
  test.each(['127.0.0.1', 'localhost'])('on %s is asked, plainly', async (host) => {
    const asked: (string | undefined)[] = []
    const port = await serve((request, response) => {
      asked.push(request.url)
      response.end('{"ä":1}')
    })
    expect(await readDocument(`http://${host}:${port}/network.json?x=1`)).toBe('{"ä":1}')
    expect(asked).toEqual(['/network.json?x=1'])
  })

  test('anywhere else is never asked plainly: it is refused, and nobody is contacted', async () => {
    let requests = 0
    const port = await serve((_, response) => {
      requests += 1
      response.end('{}')
    })
    let dialled = 0
    const count = () => {
      dialled += 1
    }
    subscribe('net.client.socket', count)
    try {
      for (const url of [
        // On Linux this very address leads to the server above.
        `http://0.0.0.0:${port}/`,
        `http://[::ffff:127.0.0.1]:${port}/`,
        'http://192.0.2.1/network.json',
        'http://directory.example/network.json',
        'http://127.0.0.1.directory.example/network.json',
        'http://127.0.0.1@192.0.2.1/network.json',
      ]) {
        expect(await codeOfAsync(() => readDocument(url)), url).toBe('config-invalid')
      }
      expect([dialled, requests]).toEqual([0, 0])
      await readDocument(`http://127.0.0.1:${port}/`)
      // The channel does tell of connections: this one was counted.
      expect([dialled, requests]).toEqual([1, 1])
    } finally {
      unsubscribe('net.client.socket', count)
    }
  })

  test('is not followed elsewhere', async () => {
    let followed = 0
    const other = await serve((_, response) => {
      followed += 1
      response.end('{}')
    })
    for (const status of [301, 302, 307, 308]) {
      const headers = { location: `http://127.0.0.1:${other}/` }
      const port = await serve((_, response) => response.writeHead(status, headers).end())
      expect(await codeOfAsync(() => readDocument(`http://127.0.0.1:${port}/`))).toBe('connect-failed')
    }
    expect(followed).toBe(0)
  })

  test.each([404, 500, 204])('that answers with status %i has no document', async (status) => {
    const port = await serve((_, response) => response.writeHead(status).end())
    expect(await codeOfAsync(() => readDocument(`http://127.0.0.1:${port}/`))).toBe('connect-failed')
  })

  test('that hangs up, in the middle or before, has none', async () => {
    for (const begin of [false, true]) {
      const port = await serve((_, response) => {
        if (begin) response.writeHead(200, { 'content-length': '100' }).write('{', () => response.destroy())
        else response.destroy()
      })
      expect(await codeOfAsync(() => readDocument(`http://127.0.0.1:${port}/`))).toBe('connect-failed')
    }
  })

  test('that never stops is left at the limit', async () => {
    let sent = 0
    let stopped: () => void
    const left = new Promise<void>((resolve) => {
      stopped = resolve
    })
    const port = await serve((_, response) => {
      const part = Buffer.alloc(64 * 1024, 'x')
      const more = () => {
        sent += part.length
        if (!response.destroyed) response.write(part, more)
      }
      response.once('close', () => stopped())
      more()
    })
    expect(await codeOfAsync(() => readDocument(`http://127.0.0.1:${port}/`))).toBe('connect-failed')
    await left
    // What sockets and streams hold besides is some megabytes.
    expect(sent).toBeLessThan(limits.documentBytes + 64 * 1024 * 1024)
  })

  test('that speaks no TLS has no document on https', async () => {
    const port = await serve((_, response) => response.end('{}'))
    expect(await codeOfAsync(() => readDocument(`https://127.0.0.1:${port}/`))).toBe('connect-failed')
  })

  test.each(['http:', 'https:', 'https://', 'http://:80', 'https://[', 'http://127.0.0.1:99999/'])(
    'of no address, %j, is a mistake in the configuration',
    async (url) => {
      expect(await codeOfAsync(() => readDocument(url))).toBe('config-invalid')
    },
  )
})
