import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { second } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Places, placesFrom } from '../config.ts'
import { stopDaemon } from './stop.ts'
import { ScriptedDaemon } from './testing/daemon.ts'

let home: string
let places: Places
let daemon: ScriptedDaemon | undefined
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'nightjar-stop-'))
  places = placesFrom({ NIGHTJAR_HOME: home })
})
afterEach(async () => {
  await daemon?.close()
  daemon = undefined
  await rm(home, { recursive: true })
})

const stop = (clock = new FakeClock()) => stopDaemon(places, clock)

/** A process of its own that listens as a daemon does, and takes its time to say goodbye. */
async function startProcess() {
  const program = `
    import { createServer } from 'node:net'
    import { writeFileSync } from 'node:fs'
    const callers = new Set()
    const server = createServer((caller) => callers.add(caller)).listen(${JSON.stringify(places.socket)}, () => {
      process.stdout.write('ready')
    })
    process.once('SIGTERM', () => {
      server.close(() => writeFileSync(${JSON.stringify(join(home, 'goodbye'))}, 'said'))
      for (const caller of callers) caller.end()
    })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  await writeFile(places.pid, `${child.pid}\n`)
  return child
}

test('ends the daemon and waits until it has ended', async () => {
  const child = await startProcess()
  const ended = once(child, 'exit')
  expect(await stop()).toBe(true)
  expect(await ended).toEqual([0, null])
  expect(await readFile(join(home, 'goodbye'), 'utf8')).toBe('said')
  expect(await stop()).toBe(false)
})

test('without a daemon nothing is ended, whatever number was left behind', async () => {
  const bystander = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
  const ended = once(bystander, 'exit')
  await writeFile(places.pid, `${bystander.pid}\n`)
  expect(await stop()).toBe(false)
  expect(bystander.kill('SIGKILL')).toBe(true)
  expect(await ended).toEqual([null, 'SIGKILL'])
})

test.each<[string, string | undefined]>([
  ['no number', undefined],
  ['nonsense', 'x'],
  ['process 1', '1'],
  ['a process group', '-5'],
])('%s is an error, and nothing is ended', async (_, text) => {
  daemon = await new ScriptedDaemon(() => {}).listen(places.socket)
  if (text !== undefined) await writeFile(places.pid, text)
  await expect(stop()).rejects.toMatchObject({ code: 'file-unusable', detail: expect.stringContaining('daemon.pid') })
})

test('a daemon that does not end is told', async () => {
  const connected = Promise.withResolvers<void>()
  daemon = await new ScriptedDaemon(() => connected.resolve()).listen(places.socket)
  const deaf = spawn(
    process.execPath,
    [
      '-e',
      "process.on('SIGTERM', () => process.stdout.write('deaf')); setInterval(() => {}, 1000); process.stdout.write('ready')",
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  await once(deaf.stdout, 'data')
  await writeFile(places.pid, `${deaf.pid}\n`)
  const clock = new FakeClock()
  const stopped = stop(clock).catch((error: unknown) => error)
  // It has heard, so the time runs.
  await once(deaf.stdout, 'data')
  clock.advance(10 * second)
  expect(await stopped).toMatchObject({ code: 'timed-out' })
  deaf.kill('SIGKILL')
})
