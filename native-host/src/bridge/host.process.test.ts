/** The program itself, as a browser starts it: what stands on its stdout, and how it ends. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer, text } from 'node:stream/consumers'
import { encodeFrames } from '@nightjar/shared/bridge'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { placesFrom } from '../config.ts'
import { ScriptedDaemon, writeMessage } from './testing/daemon.ts'

const program = new URL('../main.ts', import.meta.url).pathname
const MiB = 1024 * 1024

let home: string
let daemon: ScriptedDaemon | undefined
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'nightjar-bridge-'))
})
afterEach(async () => {
  await daemon?.close()
  daemon = undefined
  await rm(home, { recursive: true })
})

/** The environment of this test, without proxies and desktops. */
const bare = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/(_proxy|^xdg_current_desktop)$/i.test(name)),
)
const noProxy = encodeFrames({ event: 'browser', systemProxy: null })

function start(environment: NodeJS.ProcessEnv = {}) {
  const args = [program, 'host', 'chrome-extension://x/', '--parent-window=0']
  const child = spawn(process.execPath, args, { env: { ...bare, ...environment, NIGHTJAR_HOME: home } })
  const ended = once(child, 'exit')
  return { child, stdin: child.stdin, out: buffer(child.stdout), err: text(child.stderr), ended }
}

const socket = () => placesFrom({ NIGHTJAR_HOME: home }).socket

describe('with a daemon', () => {
  test('what the host says of the machine, then only what the daemon says stands on stdout; the end of stdin ends it', async () => {
    const large = { text: 'ü'.repeat(MiB) }
    daemon = await ScriptedDaemon.answering((message) => message).listen(socket())
    const { child, stdin, out, err, ended } = start()
    writeMessage(stdin, large)
    const expected = Buffer.concat([...noProxy, ...encodeFrames(large)])
    let received = 0
    child.stdout.on('data', (bytes: Buffer) => {
      received += bytes.length
      if (received === expected.length) stdin.end()
    })
    // Comparing megabytes one by one takes seconds.
    expect((await out).equals(expected)).toBe(true)
    expect(await err).toBe('')
    expect(await ended).toEqual([0, null])
  })

  test('what the daemon said last arrives before the end', async () => {
    const last = { text: 'x'.repeat(3 * MiB) }
    daemon = await new ScriptedDaemon((caller) => {
      writeMessage(caller, last)
      caller.end()
    }).listen(socket())
    const { out, ended } = start()
    expect((await out).equals(Buffer.concat([...noProxy, ...encodeFrames(last)]))).toBe(true)
    expect(await ended).toEqual([0, null])
  })
})

test('a daemon that cannot start is told in one frame after that of the machine, and stderr names no place', async () => {
  await writeFile(join(home, 'config.yaml'), 'network: {}\n')
  const { stdin, out, err, ended } = start({ HTTPS_PROXY: 'http://proxy.example:3128' })
  const systemProxy = { kind: 'fixed', https: 'proxy.example:3128', bypass: [] } as const
  const detail = `${home}/config.yaml:1: network.document is missing; 1 more problem`
  expect(await out).toEqual(
    Buffer.concat([
      ...encodeFrames({ event: 'browser', systemProxy }),
      ...encodeFrames({ event: 'failed', code: 'config-invalid', detail }),
    ]),
  )
  expect(await err).not.toContain(home)
  expect(await ended).toEqual([1, null])
  stdin.destroy()
})

test('a real daemon is started, serves, and is ended by `nightjar stop`', async () => {
  const trust = { keys: [Buffer.alloc(32, 1).toString('base64')], threshold: 1 }
  const config = { network: { document: 'none.json', trust }, endpoint: { port: 0 }, log: { level: 'silent' } }
  await writeFile(join(home, 'config.yaml'), JSON.stringify(config))
  const { child, stdin, ended } = start()
  writeMessage(stdin, { id: 1, type: 'hello', bridge: 3, version: 'x' })
  let said = ''
  while (!said.includes('"id":1')) said += String((await once(child.stdout, 'data'))[0])
  expect(said).toMatch(/"id":1,"result":.*"bridge":4/)

  const stop = spawn(process.execPath, [program, 'stop'], { env: { ...process.env, NIGHTJAR_HOME: home } })
  expect(await text(stop.stdout)).toBe('Stopped.\n')
  expect(await ended).toEqual([0, null])
})
