import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { codeOf } from '@nightjar/shared/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isOurWrapper, placesIn, userDataDirsIn, type WrapperFacts, wrapperText } from './wrapper.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nightjar-wrapper-'))
})
afterEach(() => rm(folder, { recursive: true }))

const nasty = [
  'with spaces',
  "with 'single' quotes",
  "'",
  'with "double" quotes',
  'with $HOME and `id` and $(id)',
  'with \\ and \\\\ and \\n',
  'with ! # & ; | < > * ? ~ [a] {b,c} %PATH%',
  '-n',
  'ünïcödé 🐦',
  'with a tab\t',
]

describe('the shell script, run by /bin/sh', () => {
  test.each(nasty)('finds Node, program and home %s', async (name) => {
    const place = join(folder, name)
    await mkdir(place)
    const node = join(place, 'node')
    await symlink(process.execPath, node)
    // Node loads no ES module from a folder with a backslash in its name.
    const script = join(place, 'script.cjs')
    await writeFile(
      script,
      `process.stdout.write(JSON.stringify({ script: process.argv[1], args: process.argv.slice(2),
        home: process.env.NIGHTJAR_HOME, runtime: process.env.XDG_RUNTIME_DIR }))`,
    )
    const places = { NIGHTJAR_HOME: place }
    const facts: WrapperFacts = { platform: 'linux', node, script, places, userDataDirs: [place] }
    const wrapper = join(place, 'nightjar-host')
    await writeFile(wrapper, wrapperText(facts))
    await chmod(wrapper, 0o755)
    // As a browser runs it: another folder, hardly any environment, an origin, maybe more.
    const { stdout } = await promisify(execFile)(wrapper, ['chrome-extension://x/', '--parent-window=1 2'], {
      cwd: '/',
      env: { XDG_RUNTIME_DIR: '/run' },
    })
    const args = ['host', 'chrome-extension://x/', '--parent-window=1 2']
    expect(JSON.parse(stdout)).toEqual({ script, args, home: place, runtime: '/run' })
    expect(userDataDirsIn(wrapperText(facts))).toEqual([place])
  })

  test('holds nothing but what it needs', () => {
    const places = { XDG_CONFIG_HOME: '/c', XDG_STATE_HOME: "/s's" }
    expect(wrapperText({ platform: 'darwin', node: '/n', script: '/p.js', places, userDataDirs: ['/d d'] })).toBe(
      [
        '#!/bin/sh',
        '# Written by `nightjar install`; `nightjar uninstall` removes it.',
        '# For the browser in /d d',
        "export XDG_CONFIG_HOME='/c'",
        "export XDG_STATE_HOME='/s'\\''s'",
        `exec '/n' '/p.js' host "$@"`,
        '',
      ].join('\n'),
    )
  })
})

test('the batch file', () => {
  const places = { NIGHTJAR_HOME: 'C:\\Users\\Zoë & co\\100%' }
  const [node, script] = ['C:\\Program Files\\node.exe', 'D:\\n.js']
  const text = wrapperText({ platform: 'win32', node, script, places, userDataDirs: [] })
  expect(text).toBe(
    [
      '@echo off',
      'rem Written by `nightjar install`; `nightjar uninstall` removes it.',
      'chcp 65001 >nul',
      'set "NIGHTJAR_HOME=C:\\Users\\Zoë & co\\100%%"',
      '"C:\\Program Files\\node.exe" "D:\\n.js" host %*',
      '',
    ].join('\r\n'),
  )
})

describe('what cannot stand in a script is refused', () => {
  const facts = { platform: 'linux', node: '/n', script: '/s', places: {}, userDataDirs: [] } as const

  test.each<[string, Partial<WrapperFacts>]>([
    ['a line break in Node’s path', { node: '/a\nb' }],
    ['one in the program’s', { script: '/a\rb' }],
    ['one in the home’s', { places: { NIGHTJAR_HOME: '/a\nrm' } }],
    ['one in a browser’s folder', { userDataDirs: ['/a\nrm'] }],
    ['one for Windows', { platform: 'win32', script: 'C:\\a\r\nb' }],
    ['a quotation mark for Windows', { platform: 'win32', node: 'C:\\a"b' }],
  ])('%s', (_, change) => {
    expect(codeOf(() => wrapperText({ ...facts, ...change }))).toBe('file-unusable')
  })

  test('and named on one line', () => {
    expect(() => wrapperText({ ...facts, node: '/a\nb' })).toThrow('"/a\\nb" has a line break in it')
  })
})

test('ours are recognised', () => {
  for (const platform of ['linux', 'win32'] as const) {
    expect(isOurWrapper(wrapperText({ platform, node: '/n', script: '/s', places: {}, userDataDirs: [] }))).toBe(true)
  }
  expect(isOurWrapper('#!/bin/sh\nexec nightjar host\n')).toBe(false)
})

describe('placesIn', () => {
  test('NIGHTJAR_HOME makes the others irrelevant', () => {
    expect(placesIn({ NIGHTJAR_HOME: '/h', XDG_STATE_HOME: '/s' })).toEqual({ NIGHTJAR_HOME: '/h' })
  })

  test('otherwise the XDG folders that are set, and nothing else', () => {
    const environment = { XDG_STATE_HOME: '/s', XDG_CONFIG_HOME: '', XDG_DATA_HOME: '/d', PATH: '/bin' }
    expect(placesIn(environment)).toEqual({ XDG_STATE_HOME: '/s' })
    expect(placesIn({})).toEqual({})
  })

  test('relative folders become absolute', () => {
    expect(placesIn({ NIGHTJAR_HOME: 'h' })).toEqual({ NIGHTJAR_HOME: join(process.cwd(), 'h') })
  })
})
