import { mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { bridgeVersion } from '@nightjar/shared/bridge'
import { FakeClock } from '@nightjar/shared/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { placesFrom } from '../config.ts'
import { type InstallOptions, install } from './install.ts'
import { writeHostScript } from './testing/hostScript.ts'
import { addBrowsers, fakeMachine } from './testing/machine.ts'
import { userDataDirsIn } from './wrapper.ts'

let folder: string
/** The user's home; Nightjar's stands beside it, with a name that is hard to write in a script. */
let home: string
let nightjarHome: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-install-'))
  home = join(folder, 'home')
  nightjarHome = join(folder, `it's "my" $HOME`)
  await addBrowsers(home, '.config/chromium', '.config/google-chrome')
})
afterEach(() => rm(folder, { recursive: true }))

const manifest = (browser: string) => join(home, '.config', browser, 'NativeMessagingHosts/io.nightjar.host.json')

function run(options: Partial<InstallOptions> = {}, environment: NodeJS.ProcessEnv = { NIGHTJAR_HOME: nightjarHome }) {
  return install(
    { check: false, ...options },
    {
      machine: fakeMachine(home, 'linux', environment),
      clock: new FakeClock(),
      version: '1.2.3',
      wrapper: placesFrom({ NIGHTJAR_HOME: nightjarHome }).wrapper,
      node: process.execPath,
      script: join(folder, 'host.mjs'),
    },
  )
}

test('writes the script and a manifest for each browser, and says what it wrote', async () => {
  const installed = await run()
  const wrapper = join(nightjarHome, 'nightjar-host')
  expect(installed).toEqual({
    wrapper,
    browsers: [
      { browser: 'Chromium', wrote: [manifest('chromium')] },
      { browser: 'Google Chrome', wrote: [manifest('google-chrome')] },
    ],
    check: null,
  })
  expect((await stat(wrapper)).mode & 0o777).toBe(0o755)
  expect((await stat(nightjarHome)).mode & 0o777).toBe(0o700)
  expect(JSON.parse(await readFile(manifest('chromium'), 'utf8'))).toMatchObject({
    path: wrapper,
    allowed_origins: ['chrome-extension://aamjeflenjlfgoidebdgkogmcmjfphph/'],
  })
})

test('what it wrote works: the script finds home and program', async () => {
  // A version has no room for all of it.
  const seen =
    "[...process.argv.slice(2).map((arg) => arg.split('//').at(-1)), process.env.NIGHTJAR_HOME.split('/').at(-1)].join(' ')"
  const proofKey = Buffer.alloc(32).toString('base64')
  await writeHostScript(
    join(folder, 'host.mjs'),
    `{ id: message.id, result: { bridge: ${bridgeVersion}, version: ${seen}, proofKey: '${proofKey}' } }`,
  )
  const extension = 'b'.repeat(32)
  const { check } = await run(
    { check: true, extensionIds: [extension] },
    { ...process.env, NIGHTJAR_HOME: nightjarHome },
  )
  expect(check).toEqual({ bridge: true, daemon: `host ${extension}/ ${basename(nightjarHome)}` })
})

test('a bridge that does not work leaves the files, and is told', async () => {
  const { check } = await run({ check: true })
  expect(check).toMatchObject({ bridge: false, code: 'host-exited' })
  expect(await readFile(manifest('chromium'), 'utf8')).toContain('io.nightjar.host')
})

test('once more changes nothing', async () => {
  const files = async () => {
    const names = await readdir(folder, { recursive: true, withFileTypes: true })
    const whole = names.filter((each) => each.isFile()).map((each) => join(each.parentPath, each.name))
    return Promise.all(whole.sort().map(async (name) => [name, await readFile(name, 'utf8'), (await stat(name)).mode]))
  }
  await run()
  const before = await files()
  expect(before).toHaveLength(3)
  await run()
  expect(await files()).toEqual(before)
})

test('the ids that are given replace ours', async () => {
  await run({ browser: 'chrome', extensionIds: ['b'.repeat(32), 'c'.repeat(32)] })
  expect(JSON.parse(await readFile(manifest('google-chrome'), 'utf8')).allowed_origins).toEqual([
    `chrome-extension://${'b'.repeat(32)}/`,
    `chrome-extension://${'c'.repeat(32)}/`,
  ])
  await expect(stat(manifest('chromium'))).rejects.toMatchObject({ code: 'ENOENT' })
})

test('Firefox is told of its extension beside the others of theirs', async () => {
  await addBrowsers(home, '.config/mozilla/firefox')
  await run()
  const text = await readFile(join(home, '.mozilla/native-messaging-hosts/io.nightjar.host.json'), 'utf8')
  expect(JSON.parse(text)).toMatchObject({
    path: join(nightjarHome, 'nightjar-host'),
    allowed_extensions: ['nightjar@nightjar.app'],
  })
})

test('folders that are named are remembered while their browsers are told of us', async () => {
  const [a, b] = [join(folder, 'a'), join(folder, 'b')]
  const remembered = async () => userDataDirsIn(await readFile(join(nightjarHome, 'nightjar-host'), 'utf8'))
  await run({ userDataDir: b })
  await run({ userDataDir: a })
  await run()
  expect(await remembered()).toEqual([a, b])
  await rm(b, { recursive: true })
  await run()
  expect(await remembered()).toEqual([a])
})

test('a path that no script can hold is refused before anything is written', async () => {
  await expect(run({}, { NIGHTJAR_HOME: '/a\nb' })).rejects.toMatchObject({ code: 'file-unusable' })
  await expect(stat(nightjarHome)).rejects.toMatchObject({ code: 'ENOENT' })
  await expect(stat(manifest('chromium'))).rejects.toMatchObject({ code: 'ENOENT' })
})

test('a folder that cannot be made is named', async () => {
  await mkdir(join(folder, 'data'))
  const userDataDir = join(folder, 'home/.config/chromium/NativeMessagingHosts')
  await run({ userDataDir })
  // Where a folder is wanted there is a file now.
  const below = join(userDataDir, 'NativeMessagingHosts/io.nightjar.host.json')
  await expect(run({ userDataDir: below })).rejects.toMatchObject({
    code: 'file-unusable',
    detail: expect.stringContaining(below),
  })
})
