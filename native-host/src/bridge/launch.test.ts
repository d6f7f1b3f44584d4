import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { connectTo } from './connect.ts'
import { launchDaemon } from './launch.ts'

const module = (name: string) => JSON.stringify(new URL(name, import.meta.url).href)

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-launch-'))
})
afterEach(() => rm(folder, { recursive: true }))

async function script(name: string, ...lines: string[]): Promise<string> {
  const file = join(folder, name)
  await writeFile(file, lines.join('\n'))
  return file
}

/** A program that reports as a daemon does. */
function reporting(...lines: string[]): Promise<string> {
  return script(
    'daemon.mjs',
    `import { reportStart } from ${module('./launch.ts')}`,
    `import { NightjarError } from ${module('../../../shared/src/errors/index.ts')}`,
    ...lines,
  )
}

/** A daemon that serves on `socket`: it says who it is, and ends with its first caller. */
function serving(socket: string): Promise<string> {
  return reporting(
    "import { createServer } from 'node:net'",
    'const server = createServer((caller) => {',
    '  caller.end(JSON.stringify({ args: process.argv.slice(2), pid: process.pid, folder: process.cwd() }))',
    '  server.close()',
    '})',
    `server.listen(${JSON.stringify(socket)}, () => reportStart())`,
  )
}

async function said(socket: string): Promise<string> {
  const daemon = await connectTo(socket)
  if (daemon === undefined) throw new Error('no daemon listens')
  return text(daemon)
}

describe('launchDaemon', () => {
  test('runs `up` and resolves once it serves', async () => {
    const socket = join(folder, 's')
    await launchDaemon(await serving(socket))
    expect(JSON.parse(await said(socket))).toMatchObject({ args: ['up'], folder: '/' })
  })

  test('the daemon outlives whoever launched it, with all of its process group', async () => {
    const socket = join(folder, 's')
    const launcher = await script(
      'launcher.mjs',
      `import { launchDaemon } from ${module('./launch.ts')}`,
      'setInterval(() => {}, 1000)',
      `await launchDaemon(${JSON.stringify(await serving(socket))})`,
      "process.stdout.write('launched')",
    )
    const child = spawn(process.execPath, [launcher], { detached: true, stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    process.kill(-(child.pid as number), 'SIGKILL')
    // The end of its stdout shows that the daemon has not inherited it.
    await once(child, 'close')
    expect(JSON.parse(await said(socket)).pid).not.toBe(child.pid)
  })

  test('a daemon that is still starting does not keep its launcher from ending', async () => {
    const silent = await script('silent.mjs', "process.on('disconnect', () => process.exit())")
    const launcher = await script(
      'launcher.mjs',
      `import { launchDaemon } from ${module('./launch.ts')}`,
      `launchDaemon(${JSON.stringify(silent)}).catch(() => {})`,
    )
    const child = spawn(process.execPath, [launcher], { stdio: 'ignore' })
    expect(await once(child, 'exit')).toEqual([0, null])
  })

  test.each<[string, string, object]>([
    [
      'a typed error',
      "await reportStart(new NightjarError('config-invalid', { detail: 'line 3' }))",
      { code: 'config-invalid', detail: 'line 3' },
    ],
    ['one without a detail', "await reportStart(new NightjarError('no-path'))", { code: 'no-path', detail: undefined }],
    ['an error of the program', "await reportStart(new TypeError('secret'))", { code: 'internal', detail: undefined }],
    [
      'a code of another version',
      "process.send({ serving: false, code: 'of-tomorrow' })",
      { code: 'daemon-failed', detail: undefined },
    ],
    ['something else', "process.send('hello')", { code: 'daemon-failed' }],
    ['its end', 'process.exit(3)', { code: 'daemon-failed', detail: 'it ended with exit code 3' }],
    ['its death', "process.kill(process.pid, 'SIGKILL')", { code: 'daemon-failed', detail: 'it ended with SIGKILL' }],
  ])('rejects with what the daemon reports: %s', async (_, line, error) => {
    await expect(launchDaemon(await reporting(line))).rejects.toMatchObject(error)
  })
})

test('a daemon that nobody launched reports to nobody', async () => {
  const alone = await reporting('await reportStart()', "await reportStart(new Error('x'))")
  const child = spawn(process.execPath, [alone], { stdio: 'ignore' })
  expect(await once(child, 'exit')).toEqual([0, null])
})

test('a launcher that has gone meanwhile needs no report', async () => {
  const late = await script(
    'late.mjs',
    `import { reportStart } from ${module('./launch.ts')}`,
    "process.once('disconnect', () => reportStart().then(() => process.exit(7)))",
  )
  const child = spawn(process.execPath, [late], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
  child.disconnect()
  expect(await once(child, 'exit')).toEqual([7, null])
})
