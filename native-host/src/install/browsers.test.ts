import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { codeOfAsync } from '@nightjar/shared/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type BrowserName, type Choice, chosenBrowsers, knownBrowsers } from './browsers.ts'
import { addBrowsers, fakeMachine } from './testing/machine.ts'

let home: string
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'nightjar-browsers-'))
})
afterEach(() => rm(home, { recursive: true }))

const file = 'NativeMessagingHosts/io.nightjar.host.json'
const wrapper = () => join(home, 'state/nightjar-host')

/** Where an installation for `choice` writes to, below the home folder. */
async function written(choice: Choice, platform: NodeJS.Platform, environment: NodeJS.ProcessEnv = {}) {
  const machine = fakeMachine(home, platform, environment)
  const registrations = chosenBrowsers(choice, machine, wrapper())
  const paths = await Promise.all(registrations.map((registration) => registration.add('text')))
  return paths.flat().map((path) => path.replace(`${home}/`, ''))
}

describe('a browser that is named, whether it is there or not', () => {
  test.each<[BrowserName, string, string]>([
    ['chromium', '.config/chromium', 'Library/Application Support/Chromium'],
    ['chrome', '.config/google-chrome', 'Library/Application Support/Google/Chrome'],
    ['brave', '.config/BraveSoftware/Brave-Browser', 'Library/Application Support/BraveSoftware/Brave-Browser'],
    ['edge', '.config/microsoft-edge', 'Library/Application Support/Microsoft Edge'],
  ])('%s', async (browser, linux, macos) => {
    expect(await written({ browser }, 'linux')).toEqual([`${linux}/${file}`])
    expect(await written({ browser }, 'darwin')).toEqual([`${macos}/${file}`])
    expect(await readFile(join(home, linux, file), 'utf8')).toBe('text')
    expect((await stat(join(home, linux, file))).mode & 0o777).toBe(0o644)
  })

  test('is where the browser’s own variables say', async () => {
    const environment = { XDG_CONFIG_HOME: join(home, 'x'), CHROME_CONFIG_HOME: join(home, 'c') }
    expect(await written({ browser: 'chromium' }, 'linux', environment)).toEqual([`c/chromium/${file}`])
    const { XDG_CONFIG_HOME } = environment
    expect(await written({ browser: 'chromium' }, 'linux', { XDG_CONFIG_HOME })).toEqual([`x/chromium/${file}`])
    expect(await written({ browser: 'chromium' }, 'darwin', environment)).toEqual([
      `Library/Application Support/Chromium/${file}`,
    ])
  })
})

describe('Firefox', () => {
  const hosts = '.mozilla/native-messaging-hosts/io.nightjar.host.json'

  test('has one folder for all profiles, whatever the variables say', async () => {
    const environment = { XDG_CONFIG_HOME: join(home, 'x'), CHROME_CONFIG_HOME: join(home, 'c') }
    expect(await written({ browser: 'firefox' }, 'linux', environment)).toEqual([hosts])
    expect(await written({ browser: 'firefox' }, 'darwin')).toEqual([
      'Library/Application Support/Mozilla/NativeMessagingHosts/io.nightjar.host.json',
    ])
  })

  test.each(['.mozilla/firefox', '.config/mozilla/firefox'])('is found by its profiles in %s', async (profiles) => {
    await addBrowsers(home, profiles)
    expect(await written({}, 'linux')).toEqual([hosts])
  })

  test('is found by its profiles on macOS and on Windows', async () => {
    await addBrowsers(home, 'Library/Application Support/Firefox', 'Roaming/Mozilla/Firefox')
    expect(await written({}, 'darwin')).toHaveLength(1)
    const [manifest, key] = await written({}, 'win32', { APPDATA: join(home, 'Roaming') })
    expect(manifest).toBe('state/io.nightjar.host.firefox.json')
    expect(key).toBe('HKCU\\Software\\Mozilla\\NativeMessagingHosts\\io.nightjar.host')
  })

  test('has no folder to be named', async () => {
    expect(await codeOfAsync(() => written({ browser: 'firefox', userDataDir: home }, 'linux'))).toBe('file-unusable')
  })
})

describe('without a name', () => {
  test('every browser that is there', async () => {
    await addBrowsers(home, '.config/microsoft-edge', '.config/chromium')
    expect(await written({}, 'linux')).toEqual([`.config/chromium/${file}`, `.config/microsoft-edge/${file}`])
  })

  test('none that is there: an error that names the options', async () => {
    const code = await codeOfAsync(() => written({}, 'linux'))
    expect(code).toBe('file-unusable')
    await expect(written({}, 'linux')).rejects.toThrow(/--browser.*--user-data-dir/)
    await expect(written({}, 'linux')).rejects.not.toThrow(/Snap/)
  })

  test('only Chromium from Snap is there: why that cannot be', async () => {
    await addBrowsers(home, 'snap/chromium')
    await expect(written({}, 'linux')).rejects.toThrow(/Chromium from Snap cannot start programs/)
  })
})

test('a folder that is named stands for its browser alone', async () => {
  await addBrowsers(home, '.config/chromium')
  expect(await written({ userDataDir: join(home, 'data dir') }, 'linux')).toEqual([`data dir/${file}`])
  expect(await written({ userDataDir: join(home, 'd'), browser: 'chrome' }, 'linux')).toEqual([`d/${file}`])
})

test('what uninstalling looks at: all that is known, or only what is named', () => {
  const titles = (choice: Choice) =>
    knownBrowsers(choice, fakeMachine(home, 'linux'), wrapper(), ['/r']).map(({ browser }) => browser)
  const all = ['Chromium', 'Google Chrome', 'Brave', 'Microsoft Edge', 'Firefox', 'the browser in /r']
  expect(titles({})).toEqual(all)
  expect(titles({ userDataDir: '/d' })).toEqual(['the browser in /d'])
  expect(titles({ browser: 'brave', userDataDir: '/d' })).toEqual(['the browser in /d'])
  expect(titles({ browser: 'brave' })).toEqual(['Brave'])
})

describe('on Windows', () => {
  const key = 'HKCU\\Software\\Chromium\\NativeMessagingHosts\\io.nightjar.host'

  test('a registry key names a manifest beside the script', async () => {
    const machine = fakeMachine(home, 'win32')
    const [registration] = chosenBrowsers({ browser: 'chromium' }, machine, wrapper())
    const manifest = join(home, 'state/io.nightjar.host.chromium.json')
    expect(await registration?.read()).toBeUndefined()
    expect(await registration?.add('text')).toEqual([manifest, key])
    expect(await readFile(manifest, 'utf8')).toBe('text')
    expect(await registration?.read()).toBe('text')
    expect(await registration?.remove()).toEqual([key, manifest])
    expect(await registration?.read()).toBeUndefined()
    await expect(stat(manifest)).rejects.toMatchObject({ code: 'ENOENT' })
    expect(machine.commands.filter((command) => !command.includes('query'))).toEqual([
      `reg.exe add ${key} /ve /t REG_SZ /d ${manifest} /f`,
      `reg.exe delete ${key} /f`,
    ])
    expect(machine.commands[0]).toBe(`reg.exe query ${key} /ve`)
  })

  test.each<[BrowserName, string]>([
    ['chrome', 'Google\\Chrome'],
    ['brave', 'Google\\Chrome'],
    ['edge', 'Microsoft\\Edge'],
  ])('%s has its key', async (browser, below) => {
    const machine = fakeMachine(home, 'win32')
    for (const each of chosenBrowsers({ browser }, machine, wrapper())) await each.add('text')
    expect([...machine.registry]).toEqual([
      [
        `HKCU\\Software\\${below}\\NativeMessagingHosts\\io.nightjar.host`,
        join(home, `state/io.nightjar.host.${browser}.json`),
      ],
    ])
  })

  test('browsers that are there are found by their folders', async () => {
    await addBrowsers(home, 'Local/Google/Chrome/User Data')
    const paths = await written({}, 'win32', { LOCALAPPDATA: join(home, 'Local') })
    expect(paths[0]).toBe('state/io.nightjar.host.chrome.json')
  })

  test('a registry that refuses is an error that names the key', async () => {
    const machine = { ...fakeMachine(home, 'win32'), run: async () => ({ ok: false, stdout: '' }) }
    const [registration] = chosenBrowsers({ browser: 'chromium' }, machine, wrapper())
    await expect(registration?.add('text')).rejects.toMatchObject({
      code: 'file-unusable',
      detail: `registry key ${key}`,
    })
  })

  test('a user data folder is refused, as browsers look in the registry only', async () => {
    expect(await codeOfAsync(() => written({ userDataDir: home }, 'win32'))).toBe('file-unusable')
  })
})
