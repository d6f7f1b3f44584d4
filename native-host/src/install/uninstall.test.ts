import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { FakeClock } from '@nightjar/shared/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ScriptedDaemon } from '../bridge/testing/daemon.ts'
import { type Places, placesFrom } from '../config.ts'
import { install } from './install.ts'
import type { Machine } from './machine.ts'
import { addBrowsers, fakeMachine } from './testing/machine.ts'
import { type UninstallOptions, uninstall } from './uninstall.ts'

let folder: string
let home: string
let nightjarHome: string
let places: Places
let machine: Machine
let daemon: ScriptedDaemon | undefined
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-uninstall-'))
  home = join(folder, 'home')
  nightjarHome = join(folder, 'nightjar')
  places = placesFrom({ NIGHTJAR_HOME: nightjarHome })
  machine = fakeMachine(home, 'linux', { NIGHTJAR_HOME: nightjarHome })
  await addBrowsers(home, '.config/chromium', '.config/google-chrome')
})
afterEach(async () => {
  await daemon?.close()
  daemon = undefined
  await rm(folder, { recursive: true })
})

const manifest = (browser: string) => join(home, '.config', browser, 'NativeMessagingHosts/io.nightjar.host.json')
const isThere = (file: string) =>
  stat(file).then(
    () => true,
    () => false,
  )

function put(options: { userDataDir?: string; wrapper?: string } = {}) {
  const { userDataDir, wrapper = places.wrapper } = options
  const context = { machine, clock: new FakeClock(), version: '1', wrapper, node: '/n', script: '/s' }
  return install({ userDataDir, check: false }, context)
}

/** @returns what it said, without the steps for the wallet */
async function take(options: Partial<UninstallOptions> = {}): Promise<string[]> {
  const said: string[] = []
  await uninstall(
    { purge: false, ...options },
    { machine, places, clock: new FakeClock(), say: (line) => said.push(line) },
  )
  expect(said.splice(0, 4).join('\n')).toMatch(/^Put MetaMask back to its own RPC URL.*\n.*Default RPC URL.*\n.*\n$/)
  return said
}

test('removes what was installed, and names it', async () => {
  await put()
  expect(await take()).toEqual([
    `Removed ${manifest('chromium')}`,
    `Removed ${manifest('google-chrome')}`,
    `Removed ${places.wrapper}`,
  ])
  for (const file of [manifest('chromium'), manifest('google-chrome'), places.wrapper]) {
    expect(await isThere(file)).toBe(false)
  }
  expect(await take()).toEqual(['Nothing of Nightjar was installed there.'])
})

test('one browser alone keeps the script for the other', async () => {
  await put()
  expect(await take({ browser: 'chromium' })).toEqual([
    `Removed ${manifest('chromium')}`,
    `Left ${places.wrapper}, which another browser starts.`,
  ])
  expect(await isThere(manifest('google-chrome'))).toBe(true)
  expect(await take({ browser: 'chrome' })).toEqual([
    `Removed ${manifest('google-chrome')}`,
    `Removed ${places.wrapper}`,
  ])
})

describe('a folder of a browser that is named', () => {
  const file = (userDataDir: string) => join(userDataDir, 'NativeMessagingHosts/io.nightjar.host.json')
  let [one, other] = ['', '']
  beforeEach(() => {
    one = join(folder, 'one')
    other = join(folder, 'other')
  })

  test('is the only one that loses it: the other browsers go on', async () => {
    await put()
    await put({ userDataDir: one })
    expect(await take({ userDataDir: one })).toEqual([
      `Removed ${file(one)}`,
      `Left ${places.wrapper}, which another browser starts.`,
    ])
    expect(await isThere(manifest('chromium'))).toBe(true)
    expect(await isThere(manifest('google-chrome'))).toBe(true)
  })

  test('keeps the script for another such folder', async () => {
    await put({ userDataDir: one })
    await put({ userDataDir: other })
    await take({ userDataDir: one })
    expect(await isThere(file(other))).toBe(true)
    expect(await take({ userDataDir: other })).toEqual([`Removed ${file(other)}`, `Removed ${places.wrapper}`])
  })

  test('goes with all the others where none is named', async () => {
    await put()
    await put({ userDataDir: one })
    await put({ userDataDir: other })
    expect(await take()).toEqual(
      [manifest('chromium'), manifest('google-chrome'), file(one), file(other), places.wrapper].map(
        (each) => `Removed ${each}`,
      ),
    )
  })

  test('is not taken away itself', async () => {
    await put({ userDataDir: one })
    await take({ userDataDir: one })
    expect(await readdir(one)).toEqual([])
  })
})

test('folders that are left empty go, too', async () => {
  await mkdir(join(home, '.config/chromium/Default'), { recursive: true })
  await mkdir(join(home, '.config/mozilla/firefox/x.default'), { recursive: true })
  await put()
  await take()
  const left = await readdir(home, { recursive: true })
  expect(left.sort()).toEqual([
    '.config',
    '.config/chromium',
    '.config/chromium/Default',
    '.config/mozilla',
    '.config/mozilla/firefox',
    '.config/mozilla/firefox/x.default',
  ])
  expect(await isThere(nightjarHome)).toBe(false)
})

test('what was installed with another NIGHTJAR_HOME is found through its manifest', async () => {
  const wrapper = join(folder, 'other/nightjar-host')
  await put({ wrapper })
  expect(await take()).toEqual([
    `Removed ${manifest('chromium')}`,
    `Removed ${manifest('google-chrome')}`,
    `Removed ${wrapper}`,
  ])
})

describe('what is not ours stays', () => {
  test('a manifest of our name for another program', async () => {
    const text = '{"name":"io.nightjar.host","path":"/usr/bin/env","type":"stdio"}'
    await mkdir(dirname(manifest('chromium')), { recursive: true })
    await writeFile(manifest('chromium'), text)
    expect(await take()).toEqual([
      "Left the manifest for Chromium alone: it is not Nightjar's.",
      'Nothing of Nightjar was installed there.',
    ])
    expect(await readFile(manifest('chromium'), 'utf8')).toBe(text)
  })

  test('manifests of others beside it', async () => {
    const other = join(dirname(manifest('chromium')), 'org.example.host.json')
    await mkdir(dirname(other), { recursive: true })
    await writeFile(other, '{}')
    await put()
    await take()
    expect(await readFile(other, 'utf8')).toBe('{}')
  })

  test('a script of our name that we did not write, where a manifest names it or not', async () => {
    await put()
    await writeFile(places.wrapper, '#!/bin/sh\necho mine\n')
    expect(await take()).not.toContain(`Removed ${places.wrapper}`)
    expect(await readFile(places.wrapper, 'utf8')).toContain('mine')
  })

  test('configuration and state', async () => {
    await put()
    await writeFile(places.config, 'x')
    await writeFile(places.state, 'y')
    await take()
    expect(await readFile(places.config, 'utf8')).toBe('x')
    expect(await readFile(places.state, 'utf8')).toBe('y')
  })
})

test('a daemon that runs goes on, and it is said how to end it', async () => {
  await put()
  daemon = await new ScriptedDaemon(() => {}).listen(places.socket)
  const said = await take()
  expect(said.at(-1)).toBe('The daemon still runs and serves your wallets; `nightjar stop` ends it.')
})

describe('purging', () => {
  test('says what it deletes, and deletes it; folders go where they are empty', async () => {
    await put()
    for (const file of [places.config, places.state, places.document]) await writeFile(file, 'x')
    const said = await take({ purge: true })
    expect(said.slice(-2)).toEqual([
      `Deleting configuration and state: ${places.config}, ${places.state}, ${places.document}, ${places.pid}`,
      'Deleted.',
    ])
    expect(await isThere(nightjarHome)).toBe(false)
  })

  test('leaves what others keep in the folder', async () => {
    await put()
    const other = join(nightjarHome, 'network.json')
    await writeFile(other, '{}')
    await writeFile(places.config, 'x')
    await take({ purge: true })
    expect(await isThere(places.config)).toBe(false)
    expect(await readFile(other, 'utf8')).toBe('{}')
  })

  test('deletes nothing under a daemon that cannot be ended', async () => {
    await put()
    await writeFile(places.config, 'x')
    daemon = await new ScriptedDaemon(() => {}).listen(places.socket)
    await expect(take({ purge: true })).rejects.toMatchObject({ code: 'file-unusable' })
    expect(await readFile(places.config, 'utf8')).toBe('x')
  })
})
