/**
 * scripts/install.sh, for real, in a home folder of its own: what it makes works without this checkout, and is gone
 * afterwards. There is neither a systemd for users nor a launchd where tests run: those that are tried only pretend.
 */
import { existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { distFolder, type Status, until } from '../src/network/index.ts'
import { resultOf } from './support/chain.ts'
import { type Home, makeHome, type Pretended, pretendLaunchd, pretendSystemd } from './support/installer.ts'
import { isRunning, useNetwork } from './support/network.ts'

/** What is the base64 text of 32 bytes. */
const someKey = `${'a'.repeat(42)}A=`

const isLinux = process.platform === 'linux'
if (!isLinux) console.warn('install.sh is tried on Linux only: elsewhere it would change the services of this user.')

describe.skipIf(!isLinux)('install.sh', () => {
  const shared = useNetwork({ chains: [1] })
  let folder: string
  let home: Home
  let settings: readonly string[]

  beforeAll(() => {
    const { documentFile, trust } = shared.network.relays
    settings = ['--network', documentFile, ...trust.keys.flatMap((key) => ['--key', key]), '--port', '0']
  })

  async function makeFresh(): Promise<void> {
    folder = await mkdtemp(join(tmpdir(), 'nightjar-installed-'))
    home = await makeHome(join(folder, 'home'))
  }
  async function clear(): Promise<void> {
    if (existsSync(command())) await home.run(command(), 'stop')
    await rm(folder, { recursive: true })
  }

  const command = () => home.path('.local/bin/nightjar')
  const config = () => home.path('.config/nightjar/config.yaml')
  const daemonPid = async () => Number(await readFile(home.path('.local/state/nightjar/daemon.pid'), 'utf8'))
  const manifests = [
    '.config/chromium/NativeMessagingHosts/io.nightjar.host.json',
    '.mozilla/native-messaging-hosts/io.nightjar.host.json',
  ]

  const script = (name: string) => join(dirname(distFolder()), 'scripts', name)
  const isProgram = (line: string) => line.includes('/.local/share/')

  async function installed(...more: readonly string[]): Promise<string> {
    const { code, output } = await home.install(...settings, ...more)
    expect({ code, output }).toMatchObject({ code: 0 })
    return output
  }

  async function mode(path: string): Promise<number> {
    return (await stat(path)).mode & 0o777
  }

  describe('one installation, from the first day to the last', () => {
    let before: readonly string[]
    beforeAll(makeFresh)
    beforeAll(async () => {
      before = await home.tree()
    })
    afterAll(clear)

    test('a dry run says what would be done, and does nothing', async () => {
      const { code, output } = await home.install(...settings, '--dry-run')
      expect(code).toBe(0)
      for (const wanted of ['package.mjs', config(), command(), `${command()} install`])
        expect(output).toContain(wanted)
      expect(await home.tree()).toEqual(before)
    })

    test('makes a private daemon of the user, with every browser told of it', async () => {
      const output = await installed()
      expect(output).toContain('there is no service manager for users here')
      for (const manifest of manifests) {
        expect(output).toContain(`${home.path(manifest)}: its program starts`)
        const { path } = JSON.parse(await readFile(home.path(manifest), 'utf8')) as { path: string }
        expect(path).toBe(home.path('.local/state/nightjar/nightjar-host'))
      }
      expect(output).toContain('Load unpacked')
      const { keys, threshold } = shared.network.relays.trust
      for (const key of keys) expect(output).toContain(`key        ${key}\n`)
      expect(output).toContain(`signatures ${threshold}\n`)
      expect(await mode(config())).toBe(0o600)
      expect(await mode(dirname(config()))).toBe(0o700)
      await until('it is private', async () => {
        const { output } = await home.run(command(), 'status', '--json')
        return (JSON.parse(output) as Status).state === 'private'
      })
      const { output: answer } = await home.run(command(), 'rpc', 'eth_chainId')
      expect(JSON.parse(answer)).toBe(await resultOf(shared.network.nodes[1] as string, 'eth_chainId'))
    })

    test('what it makes needs nothing of the checkout', async () => {
      const pid = await daemonPid()
      expect(await readlink(`/proc/${pid}/exe`)).toBe(home.path('.local/share/nightjar/program/bin/node'))
      const loaded = await readFile(`/proc/${pid}/maps`, 'utf8')
      expect(loaded).toContain(home.path('.local/share/nightjar/program/app/node_modules/sodium-native/'))
      expect(loaded).not.toContain(dirname(distFolder()))
      expect(existsSync(home.path('.local/share/nightjar/program/extension/manifest.json'))).toBe(true)
      expect(existsSync(home.path('.local/share/nightjar/program/extension-firefox/manifest.json'))).toBe(true)
    })

    test('a dry run of taking it out says what would be done, and does nothing', async () => {
      const made = (await home.tree()).filter(isProgram)
      const { code, output } = await home.install('--uninstall', '--purge', '--dry-run')
      expect(code).toBe(0)
      expect(output).toContain('would run: nightjar uninstall --purge')
      expect((await home.tree()).filter(isProgram)).toEqual(made)
    })

    test('run again it changes nothing, and keeps what the user made of the configuration', async () => {
      await writeFile(config(), `${await readFile(config(), 'utf8')}\n# mine\n`)
      const isLasting = (line: string) => !/\/(run|state\.json|newest-network\.json|daemon\.pid)/.test(line)
      const lasting = (await home.tree()).filter(isLasting)
      const { code, output } = await home.install()
      expect({ code, output }).toMatchObject({ code: 0 })
      expect((await home.tree()).filter(isLasting)).toEqual(lasting)
    })

    test('without being told to, it deletes neither configuration nor state', async () => {
      const { code, output } = await home.install('--uninstall')
      expect(code).toBe(0)
      expect(output).toContain('kept configuration and state')
      expect(existsSync(config())).toBe(true)
      expect(existsSync(home.path('.local/state/nightjar/state.json'))).toBe(true)
      for (const gone of ['.local/share', '.local/bin', '.mozilla', ...manifests]) {
        expect(existsSync(home.path(gone))).toBe(false)
      }
    })

    test('what was put in is taken out again, to the last folder, also what an earlier time had left', async () => {
      await installed()
      const pid = await daemonPid()
      const { code, output } = await home.install('--uninstall', '--purge')
      expect({ code, output }).toMatchObject({ code: 0 })
      await until('the daemon has ended', () => !isRunning(pid))
      expect(await home.tree()).toEqual(before)
    })
  })

  describe('where systemd runs for the user', () => {
    let systemd: Pretended
    let before: readonly string[]
    const unit = () => home.path('.config/systemd/user/nightjar.service')
    beforeAll(makeFresh)
    beforeAll(async () => {
      systemd = await pretendSystemd(home, folder)
      before = await home.tree()
    })
    afterAll(clear)

    test('the daemon is a service', async () => {
      const output = await installed()
      expect(output).toContain('the daemon is a service of systemd')
      expect(await systemd.asked()).toEqual([
        '--user show-environment',
        '--user daemon-reload',
        '--user enable --quiet nightjar.service',
        '--user restart nightjar.service',
      ])
      expect(await systemd.pid()).toBe(await daemonPid())
    })

    test('the unit restarts the daemon, and gives it no new rights', async () => {
      const text = await readFile(unit(), 'utf8')
      expect(text).toContain('NoNewPrivileges=yes')
      expect(text).toContain('Restart=on-failure')
    })

    test.skipIf(!existsSync('/usr/bin/systemd-analyze'))('the unit is one that systemd takes', async () => {
      await mkdir(join(folder, 'check/systemd'), { recursive: true })
      const { code, output } = await home.run('/usr/bin/env', ...check(), unit())
      expect({ code, output }).toEqual({ code: 0, output: '' })
    })

    const check = () => [`XDG_RUNTIME_DIR=${join(folder, 'check')}`, 'systemd-analyze', 'verify', '--user']

    test('and it is no longer one once it is taken out', async () => {
      const pid = await daemonPid()
      await home.install('--uninstall', '--purge')
      expect((await systemd.asked()).slice(4)).toContain('--user disable --now --quiet nightjar.service')
      expect(await home.tree()).toEqual(before)
      await until('the daemon has ended', () => !isRunning(pid))
    })
  })

  describe('in a home where nothing was', () => {
    beforeEach(makeFresh)
    afterEach(clear)

    test('an installation knows where its files are, whatever the variables say later', async () => {
      const before = await home.tree()
      const elsewhere = home.path("else where's")
      const { code, output } = await home.installWith([`NIGHTJAR_HOME=${elsewhere}`], ...settings)
      expect({ code, output }).toMatchObject({ code: 0 })
      expect(await mode(join(elsewhere, 'config.yaml'))).toBe(0o600)
      const pid = Number(await readFile(join(elsewhere, 'daemon.pid'), 'utf8'))
      // Without the variable, and with another.
      expect(await home.run(command(), 'status')).toMatchObject({ code: 0 })
      expect(await home.installWith([`XDG_CONFIG_HOME=${home.path('none')}`], '--uninstall', '--purge')).toMatchObject({
        code: 0,
      })
      await until('the daemon has ended', () => !isRunning(pid))
      expect(await home.tree()).toEqual(before)
    })

    test('where the program is gone already the rest is taken back without it', async () => {
      const before = await home.tree()
      await installed()
      const pid = await daemonPid()
      await rm(home.path('.local/share/nightjar/program'), { recursive: true })
      const { code, output } = await home.install('--uninstall', '--purge')
      expect({ code, output }).toMatchObject({ code: 0 })
      await until('the daemon has ended', () => !isRunning(pid))
      expect(await home.tree()).toEqual(before)
    })

    test('a folder of something else is never replaced by the program', async () => {
      await mkdir(home.path('mine'))
      await writeFile(home.path('mine', 'thesis.txt'), 'mine')
      const before = await home.tree()
      const { code, output } = await home.run(process.execPath, script('package.mjs'), home.path('mine'))
      expect(code).toBe(1)
      expect(output).toContain('is left alone')
      expect(await home.tree()).toEqual(before)
    })

    test('what is missing or older than its sources is built before it is laid out', async () => {
      const checkout = (...names: string[]) => join(folder, 'checkout', ...names)
      for (const each of ['scripts/node', 'shared', 'native-host', 'extension']) {
        await mkdir(checkout(each), { recursive: true })
      }
      for (const file of ['package.mjs', 'bootstrap.mjs']) await copyFile(script(file), checkout('scripts', file))
      await writeFile(checkout('scripts/node/package.json'), '{ "optionalDependencies": {} }')
      for (const file of ['LICENSE', 'vite.config.ts', 'package-lock.json', 'shared/a.ts', 'shared/b.ts']) {
        await writeFile(checkout(file), '')
      }
      const builds = (parts: readonly string[]) =>
        `import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
for (const part of ${JSON.stringify(parts.map((part) => checkout('dist', part)))}) {
  mkdirSync(dirname(part), { recursive: true })
  writeFileSync(part, '')
}
appendFileSync(${JSON.stringify(checkout('builds'))}, process.argv[2] + ' ')
`
      const layOut = () => home.run(process.execPath, checkout('scripts/package.mjs'), home.path('program'))
      await writeFile(checkout('scripts/run.mjs'), builds(['nightjar.js', 'extension/manifest.json']))
      expect(await layOut()).toMatchObject({ code: 1, output: expect.stringContaining('The build has made no') })
      expect(existsSync(home.path('program'))).toBe(false)

      const all = ['nightjar.js', 'extension/manifest.json', 'extension-firefox/manifest.json']
      await writeFile(checkout('scripts/run.mjs'), builds(all))
      const changes = [
        async () => {},
        () => writeFile(checkout('shared/a.ts'), 'changed'),
        () => rm(checkout('shared/b.ts')),
        () => rm(checkout('dist/extension'), { recursive: true }),
      ]
      for (const [index, change] of changes.entries()) {
        await change()
        // The second time there is nothing to build.
        for (const _ of ['first', 'second']) expect(await layOut()).toEqual({ code: 0, output: '' })
        expect(await readFile(checkout('builds'), 'utf8')).toBe('build:package '.repeat(index + 2))
      }
      expect(existsSync(home.path('program/extension-firefox/manifest.json'))).toBe(true)
      expect(await readdir(home.folder)).not.toContainEqual(expect.stringMatching(/^program\./))
    })

    test('a private Node that npm leaves out is no Node, today and the next time', async () => {
      const scripts = join(folder, 'checkout/scripts')
      await mkdir(join(scripts, 'node/node_modules'), { recursive: true })
      for (const file of ['bootstrap.mjs', 'node/package.json', 'node/package-lock.json']) {
        await copyFile(script(file), join(scripts, file))
      }
      await writeFile(home.path('bin/npm'), '#!/bin/sh\nexit 0\n', { mode: 0o755 })
      const bring = () =>
        home.run(
          process.execPath,
          '--input-type=module',
          '--eval',
          `import { ensurePrivateNode } from ${JSON.stringify(pathToFileURL(join(scripts, 'bootstrap.mjs')).href)}
ensurePrivateNode()`,
        )
      for (const time of ['first', 'second']) {
        const { code, output } = await bring()
        expect({ time, code }).toEqual({ time, code: 1 })
        expect(output).toContain('or install Node 22.12 or newer')
      }
    })

    test.each<[string, readonly string[], RegExp]>([
      ['no network document', ['--key', someKey], /--network is needed/],
      ['one that is not there', ['--network', '/none', '--key', someKey], /\/none cannot be read/],
      ['one without encryption', ['--network', 'http://example.org/n.json', '--key', someKey], /neither a file nor/],
      [
        'another machine that is named like this one',
        ['--network', 'http://127.evil.example/n.json', '--key', someKey],
        /neither a file nor/,
      ],
      ['no port', ['--network', 'https://example.org/n.json', '--key', someKey, '--port', '99999'], /99999 is no port/],
      [
        'a key of more than 32 bytes',
        ['--network', 'https://example.org/n.json', '--key', 'a'.repeat(44)],
        /is not the base64 text/,
      ],
      [
        'a key twice',
        ['--network', 'https://example.org/n.json', '--key', someKey, '--key', someKey],
        /is there twice/,
      ],
      ['no key', ['--network', 'https://example.org/n.json'], /--key is needed/],
      ['what is no key', ['--network', 'https://example.org/n.json', '--key', 'abc'], /abc is not the base64 text/],
      [
        'more signatures than keys',
        ['--network', 'https://example.org/n.json', '--key', someKey, '--threshold', '2'],
        /more than the 1 keys/,
      ],
      ['an unknown option', ['--purgee'], /there is no option --purgee/],
      ['to purge while installing', ['--purge'], /--purge goes with --uninstall/],
    ])('refuses %s before anything is done', async (_, args, words) => {
      const before = await home.tree()
      const { code, output } = await home.install(...args)
      expect(code).toBeGreaterThan(0)
      expect(output).toMatch(words)
      expect(await home.tree()).toEqual(before)
    })

    test('leaves a program of the same name alone', async () => {
      await mkdir(dirname(command()), { recursive: true })
      await writeFile(command(), '#!/bin/sh\necho mine\n', { mode: 0o755 })
      const before = await home.tree()
      const output = await installed('--no-browsers')
      expect(output).toContain(`left ${command()} alone`)
      await home.install('--uninstall', '--purge')
      expect(await home.tree()).toEqual(before)
    })

    test('on macOS the daemon is an agent of launchd, and no longer one afterwards', async () => {
      const launchd = await pretendLaunchd(home, folder)
      const before = await home.tree()
      await installed('--no-browsers')
      const agent = home.path('Library/LaunchAgents/io.nightjar.daemon.plist')
      const domain = `gui/${process.getuid?.()}`
      expect(await launchd.asked()).toEqual([`bootstrap ${domain} ${agent}`])
      const pid = await daemonPid()
      expect(await launchd.pid()).toBe(pid)
      // XML: two dashes end a comment.
      expect((await readFile(agent, 'utf8')).replace(/<!--.*?--/gs, '').match(/--|&(?!amp;|lt;|gt;)/)).toBeNull()
      await home.install('--uninstall', '--purge')
      expect((await launchd.asked()).at(-1)).toBe(`bootout ${domain}/io.nightjar.daemon`)
      expect(await home.tree()).toEqual(before)
      await until('the daemon has ended', () => !isRunning(pid))
    })
  })

  afterAll(async () => {
    // The relays' daemon of the network is another one, and still there.
    expect((await shared.network.daemon.status()).state).toBe('private')
  })
})
