import { once } from 'node:events'
import { appendFile, chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bridgeVersion } from '@nightjar/shared/bridge'
import { second } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type BridgeCheck, checkBridge } from './check.ts'
import { writeHostScript } from './testing/hostScript.ts'
import { wrapperText } from './wrapper.ts'

let folder: string
let wrapper: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-check-'))
  wrapper = join(folder, 'nightjar-host')
})
afterEach(() => rm(folder, { recursive: true }))

function check(clock = new FakeClock(), environment: NodeJS.ProcessEnv = process.env): Promise<BridgeCheck> {
  return checkBridge({ wrapper, caller: 'chrome-extension://x/', version: '1.2.3', clock, environment })
}

async function shell(...lines: string[]): Promise<void> {
  await writeFile(wrapper, ['#!/bin/sh', ...lines].join('\n'))
  await chmod(wrapper, 0o755)
}

/** A bridge whose daemon answers `answer`, an expression of `message`. */
async function answering(answer: string): Promise<void> {
  const script = join(folder, 'host.mjs')
  await writeHostScript(script, answer)
  const facts = { platform: 'linux', node: process.execPath, script, userDataDirs: [] } as const
  await writeFile(wrapper, wrapperText({ ...facts, places: { NIGHTJAR_HOME: '/baked' } }))
  await chmod(wrapper, 0o755)
}

const hello = (bridge: number, version: string) =>
  `{ id: message.id, result: { bridge: ${bridge}, version: ${version}, proofKey: '${Buffer.alloc(32).toString('base64')}' } }`

test('a daemon that answers', async () => {
  await answering(hello(bridgeVersion, "'0.9'"))
  expect(await check()).toEqual({ bridge: true, daemon: '0.9' })
})

test('is asked as an extension asks, in the environment of a browser', async () => {
  const seen =
    '[message.type, message.bridge, message.version, process.argv[3], process.env.NIGHTJAR_HOME, process.env.XDG_STATE_HOME].join()'
  await answering(hello(bridgeVersion, seen))
  const { daemon } = await check(undefined, { ...process.env, NIGHTJAR_HOME: '/other', XDG_STATE_HOME: '/s' })
  expect(daemon).toBe(`hello,${bridgeVersion},1.2.3,chrome-extension://x/,/baked,`)
})

test.each<[string, string, object]>([
  [
    'could not be started',
    "{ event: 'failed', code: 'config-invalid', detail: 'line 3' }",
    { code: 'config-invalid', detail: 'line 3' },
  ],
  ['fails for a reason of another version', "{ event: 'failed', code: 'of-tomorrow' }", { code: 'daemon-failed' }],
  [
    'refuses',
    "{ id: message.id, error: { code: 4900, message: 'x', data: { nightjar: 'extension-outdated' } } }",
    { code: 'extension-outdated' },
  ],
  ['refuses in words only', "{ id: message.id, error: { code: 1, message: 'x' } }", { code: 'daemon-failed' }],
  [
    'is of another version',
    hello(bridgeVersion + 1, "'9.9'"),
    { code: 'host-outdated', detail: 'a daemon of version 9.9 still runs; end it with `nightjar stop`' },
  ],
])('the bridge works, but the daemon %s', async (_, answer, finding) => {
  await answering(answer)
  expect(await check()).toEqual({ bridge: true, daemon: null, ...finding })
})

test('a script that is not there', async () => {
  const detail = 'the script cannot be started: ENOENT'
  expect(await check()).toEqual({ bridge: false, daemon: null, code: 'host-exited', detail })
})

test('a script that may not be run', async () => {
  await shell('exit 0')
  await chmod(wrapper, 0o644)
  const detail = 'the script cannot be started: EACCES'
  expect(await check()).toEqual({ bridge: false, daemon: null, code: 'host-exited', detail })
})

test('a script that ends', async () => {
  await shell('exit 3')
  const detail = 'the script ended with exit code 3'
  expect(await check()).toEqual({ bridge: false, daemon: null, code: 'host-exited', detail })
})

test.each<[string, string]>([
  ['prints text', 'Hello, world'],
  ['answers something else', '\\002\\000\\000\\000{}'],
])('a script that %s', async (_, text) => {
  await shell(`printf '${text}'`, 'cat >/dev/null')
  expect(await check()).toEqual({ bridge: false, daemon: null, code: 'host-garbled' })
})

describe('afterwards the script is ended', () => {
  let server: Server
  let ended: Promise<unknown>
  let connected: Promise<unknown>
  /** In a program: a connection that lasts as long as it does, and does not keep it alive. */
  let tell: string
  beforeEach(async () => {
    const socket = join(folder, 's')
    server = createServer()
    await new Promise<void>((resolve) => server.listen(socket, resolve))
    const callers = once(server, 'connection') as Promise<[Socket]>
    connected = callers
    ended = callers.then(([caller]) => once(caller.resume(), 'close'))
    tell = `import('node:net').then(({ connect }) => connect(${JSON.stringify(socket)}).unref())`
  })
  afterEach(() => new Promise((resolve) => server.close(resolve)))

  test('when it has answered', async () => {
    await answering(hello(bridgeVersion, "'1'"))
    await appendFile(join(folder, 'host.mjs'), `\n${tell}`)
    await check()
    await ended
  })

  test('when it says nothing for too long', async () => {
    const script = join(folder, 'silent.mjs')
    await writeFile(script, `${tell}\nsetInterval(() => {}, 1000)`)
    await shell(`exec '${process.execPath}' '${script}'`)
    const clock = new FakeClock()
    const checked = check(clock)
    await connected
    clock.advance(20 * second)
    const detail = 'the script says nothing'
    expect(await checked).toEqual({ bridge: false, daemon: null, code: 'timed-out', detail })
    await ended
  })
})
