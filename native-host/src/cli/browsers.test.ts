import { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import type { BridgeCheck } from '../install/check.ts'
import type { InstallOptions } from '../install/install.ts'
import type { UninstallOptions } from '../install/uninstall.ts'
import { addBrowserCommands } from './browsers.ts'

const ours = 'aamjeflenjlfgoidebdgkogmcmjfphph'
const other = 'b'.repeat(32)

async function run(args: readonly string[], check: BridgeCheck | null = null) {
  const seen = {
    out: '',
    error: '',
    code: 0,
    installed: [] as InstallOptions[],
    uninstalled: [] as UninstallOptions[],
    hosts: 0,
  }
  const program = new Command('nightjar').exitOverride().configureOutput({
    writeOut: (text) => {
      seen.out += text
    },
    writeErr: (text) => {
      seen.error += text
    },
  })
  addBrowserCommands(program, {
    print: (text) => {
      seen.out += text
    },
    setExitCode: (code) => {
      seen.code = code
    },
    async host() {
      seen.hosts += 1
      return 1
    },
    async install(options) {
      seen.installed.push(options)
      return { wrapper: '/w', browsers: [], check }
    },
    async uninstall(options) {
      seen.uninstalled.push(options)
    },
  })
  for (const command of program.commands) command.copyInheritedSettings(program)
  await program.parseAsync(args, { from: 'user' }).catch(() => {
    seen.code = 2
  })
  return seen
}

describe('install', () => {
  const defaults = { browser: undefined, userDataDir: undefined, extensionIds: undefined, check: true }

  test.each<[string, object]>([
    ['', {}],
    ['--browser brave', { browser: 'brave' }],
    ['--user-data-dir /d --no-check', { userDataDir: '/d', check: false }],
    [`--extension-id ${other}`, { extensionIds: [other] }],
    ['--browser firefox --extension-id n@example.org', { browser: 'firefox', extensionIds: ['n@example.org'] }],
    [`--extension-id ${other} ${ours}`, { extensionIds: [other, ours] }],
    [`--extension-id ${ours} --extension-id ${other}`, { extensionIds: [ours, other] }],
  ])('%s', async (line, options) => {
    const { installed, code } = await run(['install', ...line.split(' ').filter((word) => word !== '')])
    expect(installed).toEqual([{ ...defaults, ...options }])
    expect(code).toBe(0)
  })

  test.each([
    ['an unknown browser', ['--browser', 'lynx'], 'chromium, chrome, brave, edge, firefox'],
    ['what is no extension id', ['--extension-id', 'chrome-extension://x/'], '32 letters from a to p'],
    ['an unknown option', ['--browsr', 'chrome'], '--browser'],
    ['an argument', ['chrome'], 'too many arguments'],
  ])('refuses %s, and says what there is', async (_, args, words) => {
    const { installed, error, code } = await run(['install', ...args])
    expect(installed).toEqual([])
    expect(error).toContain(words)
    expect(code).toBe(2)
  })

  test('says what it did, or prints it as one object', async () => {
    expect((await run(['install'])).out).toBe('Wrote /w\nThe bridge was not tried.\n')
    expect((await run(['install', '--json'])).out).toBe('{"wrapper":"/w","browsers":[],"check":null}\n')
  })

  test('ends with 1 where the check found something', async () => {
    expect((await run(['install'], { bridge: true, daemon: '1' })).code).toBe(0)
    expect((await run(['install'], { bridge: true, daemon: null, code: 'no-path' })).code).toBe(1)
    expect((await run(['install', '--json'], { bridge: false, daemon: null, code: 'host-exited' })).code).toBe(1)
  })
})

test.each<[string, UninstallOptions]>([
  ['', { browser: undefined, userDataDir: undefined, purge: false }],
  ['--browser edge --user-data-dir /d --purge', { browser: 'edge', userDataDir: '/d', purge: true }],
])('uninstall %s', async (line, options) => {
  const { uninstalled } = await run(['uninstall', ...line.split(' ').filter((word) => word !== '')])
  expect(uninstalled).toEqual([options])
})

test.each([
  ['nothing', []],
  ['the origin', [`chrome-extension://${ours}/`]],
  ['what Windows adds', [`chrome-extension://${ours}/`, '--parent-window=12345']],
  ['what is to come', ['--parent-window', '1', '--new-thing=2', 'x']],
])('host takes %s, and ends as the bridge ends', async (_, args) => {
  const { hosts, code, out, error } = await run(['host', ...args])
  expect([hosts, code, out, error]).toEqual([1, 1, '', ''])
})

test.each(['install', 'uninstall', 'host'])('%s has a help text with an example', async (command) => {
  expect((await run([command, '--help'])).out).toContain(`Example:\n  nightjar ${command}`)
})
