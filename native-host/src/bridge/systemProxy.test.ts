import type { SystemProxy } from '@nightjar/shared/bridge'
import { parseFromDaemon } from '@nightjar/shared/bridge'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Machine } from '../install/machine.ts'
import { findSystemProxy, fromEnvironment, fromGsettings, fromRegistry, fromScutil } from './systemProxy.ts'

const script = { kind: 'script' }
const fixed = (addresses: object, bypass: string[] = []) => ({ kind: 'fixed', ...addresses, bypass })

describe('the environment', () => {
  test.each<[string, NodeJS.ProcessEnv, unknown]>([
    ['says nothing', { HOME: '/home/me' }, null],
    ['is empty', { http_proxy: '', HTTPS_PROXY: '' }, null],
    ['names one for https', { https_proxy: 'http://proxy.example:3128/' }, fixed({ https: 'proxy.example:3128' })],
    ['names one without scheme and port', { HTTPS_PROXY: 'proxy.example' }, fixed({ https: 'proxy.example:80' })],
    ['prefers the small letters', { http_proxy: 'a:1', HTTP_PROXY: 'b:2' }, fixed({ http: 'a:1' })],
    ['names one for all', { all_proxy: 'a:1', http_proxy: 'b:2' }, fixed({ http: 'b:2', https: 'a:1' })],
    ['names SOCKS for all', { ALL_PROXY: 'socks5h://[::1]' }, fixed({ socks: '[::1]:1080' })],
    [
      'leaves hosts out',
      { https_proxy: 'a:1', no_proxy: 'localhost, .example.org,,10.0.0.0/8' },
      fixed({ https: 'a:1' }, ['localhost', '.example.org', '10.0.0.0/8']),
    ],
    ['leaves all hosts out', { https_proxy: 'a:1', NO_PROXY: '*' }, null],
    ['names one with a password', { https_proxy: 'http://me:secret@proxy.example:3128' }, script],
    ['names one behind TLS', { https_proxy: 'https://proxy.example' }, script],
    ['names a script', { auto_proxy: 'http://proxy.example/x.pac', https_proxy: 'a:1' }, script],
    ['has one searched for', { auto_proxy: '' }, script],
  ])('%s', (_, environment, expected) => {
    expect(fromEnvironment(environment)).toEqual(expected)
  })

  test('whatever it says can be told, and never a password', () => {
    const value = fc.oneof(fc.string(), fc.webUrl({ withQueryParameters: true }), fc.constant('u:s3cret@h:1'))
    const names = fc.constantFrom('http_proxy', 'HTTPS_PROXY', 'all_proxy', 'no_proxy')
    fc.assert(
      fc.property(fc.dictionary(names, value), (environment) => {
        const systemProxy = fromEnvironment({ ...environment, ALL_PROXY: 'http://u:s3cret@h:1' })
        expect(parseFromDaemon({ event: 'browser', systemProxy })).toMatchObject({ event: 'browser' })
        if (environment.no_proxy?.includes('s3cret') !== true)
          expect(JSON.stringify(systemProxy)).not.toContain('s3cret')
      }),
    )
  })
})

describe('GNOME', () => {
  const settings = (mode: string, more = '') =>
    `org.gnome.system.proxy autoconfig-url ''
org.gnome.system.proxy ignore-hosts ['localhost', '127.0.0.0/8', '::1']
org.gnome.system.proxy mode '${mode}'
org.gnome.system.proxy use-same-proxy true
org.gnome.system.proxy.ftp host ''
org.gnome.system.proxy.ftp port 0
org.gnome.system.proxy.http authentication-password ''
org.gnome.system.proxy.http authentication-user ''
org.gnome.system.proxy.http enabled false
org.gnome.system.proxy.http host 'proxy.example'
org.gnome.system.proxy.http port 8080
org.gnome.system.proxy.http use-authentication ${more === '' ? 'false' : more}
org.gnome.system.proxy.https host 'secure.example'
org.gnome.system.proxy.https port 8443
org.gnome.system.proxy.socks host ''
org.gnome.system.proxy.socks port 0
`

  test('none, a script, fixed ones, and one with a password', () => {
    expect(fromGsettings(settings('none'))).toBe(null)
    expect(fromGsettings(settings('auto'))).toEqual(script)
    expect(fromGsettings(settings('manual', 'true'))).toEqual(script)
    const addresses = { http: 'proxy.example:8080', https: 'secure.example:8443' }
    expect(fromGsettings(settings('manual'))).toEqual(fixed(addresses, ['localhost', '127.0.0.0/8', '::1']))
  })
})

describe('macOS', () => {
  const settings = (changes: Record<string, string> = {}) => {
    const values = {
      ExceptionsList: '<array> {\n    0 : *.local\n    1 : 169.254/16\n  }',
      FTPPassive: '1',
      HTTPEnable: '0',
      HTTPSEnable: '0',
      ProxyAutoConfigEnable: '0',
      SOCKSEnable: '0',
      ...changes,
    }
    const lines = Object.entries(values).map(([key, value]) => `  ${key} : ${value}`)
    return `<dictionary> {\n${lines.join('\n')}\n}\n`
  }

  test('none, scripts, and fixed ones', () => {
    expect(fromScutil(settings())).toBe(null)
    expect(fromScutil(settings({ ProxyAutoConfigEnable: '1' }))).toEqual(script)
    expect(fromScutil(settings({ ProxyAutoDiscoveryEnable: '1' }))).toEqual(script)
    const both = { HTTPSEnable: '1', HTTPSProxy: 'a.example', HTTPSPort: '3128', HTTPProxy: 'off.example' }
    const socks = { SOCKSEnable: '1', SOCKSProxy: '10.0.0.1', SOCKSPort: '1080' }
    const addresses = { https: 'a.example:3128', socks: '10.0.0.1:1080' }
    expect(fromScutil(settings({ ...both, ...socks }))).toEqual(fixed(addresses, ['*.local', '169.254/16']))
  })
})

describe('Windows', () => {
  const settings = (enabled: string, server: string, more = '') =>
    `\r
HKEY_CURRENT_USER\\Software\\Microsoft\\Windows\\CurrentVersion\\Internet Settings\r
    User Agent    REG_SZ    Mozilla/4.0 (compatible; MSIE 8.0; Win32)\r
    ProxyEnable    REG_DWORD    ${enabled}\r
    ProxyServer    REG_SZ    ${server}\r
    ProxyOverride    REG_SZ    *.corp.example;<local>\r
${more}`

  test('none, a script, one for all, and one for each', () => {
    const bypass = ['*.corp.example', '<local>']
    expect(fromRegistry(settings('0x0', 'a:1'))).toBe(null)
    expect(fromRegistry(settings('0x0', 'a:1', '    AutoConfigURL    REG_SZ    http://x/p.pac\r\n'))).toEqual(script)
    expect(fromRegistry(settings('0x1', 'a:1'))).toEqual(fixed({ http: 'a:1', https: 'a:1' }, bypass))
    const each = settings('0x1', 'http=a:1;https=b:2;socks=c:3')
    expect(fromRegistry(each)).toEqual(fixed({ http: 'a:1', https: 'b:2', socks: 'c:3' }, bypass))
  })
})

describe('it is looked for', () => {
  const find = (platform: NodeJS.Platform, environment: NodeJS.ProcessEnv, outputs: Record<string, string> = {}) => {
    const asked: string[] = []
    const run: Machine['run'] = async (file, args, timeout) => {
      asked.push([file, ...args].join(' '))
      expect(timeout).toBe(2000)
      const said = outputs[[file, args[0]].join(' ')] ?? outputs[file]
      return { ok: said !== undefined, stdout: said ?? '' }
    }
    return findSystemProxy({ platform, environment, run }).then((found: SystemProxy | null) => ({ found, asked }))
  }
  const environment = { https_proxy: 'a:1', XDG_CURRENT_DESKTOP: 'ubuntu:GNOME' }
  const manual =
    "org.gnome.system.proxy mode 'manual'\norg.gnome.system.proxy.https host 'b'\norg.gnome.system.proxy.https port 2\n"

  const desktops = [
    { XDG_CURRENT_DESKTOP: 'ubuntu:GNOME' },
    { XDG_CURRENT_DESKTOP: 'X-Cinnamon' },
    { XDG_CURRENT_DESKTOP: 'Pantheon' },
    { XDG_CURRENT_DESKTOP: 'Unity:Unity7:ubuntu' },
    { XDG_CURRENT_DESKTOP: 'Deepin' },
    { XDG_CURRENT_DESKTOP: 'UKUI' },
    { XDG_CURRENT_DESKTOP: 'MATE', DESKTOP_SESSION: 'mate' },
  ]
  const https = { https_proxy: 'a:1' }

  test.each(desktops)('on %o in its settings, and nowhere else', async (desktop) => {
    expect((await find('linux', { ...https, ...desktop }, { gsettings: manual })).found).toEqual(
      fixed({ https: 'b:2' }),
    )
  })

  test('on GNOME without these settings in the environment', async () => {
    const outputs = { 'gsettings list-schemas': 'org.gnome.desktop.interface\norg.gnome.system.proxy.http\n' }
    expect((await find('linux', environment, outputs)).found).toEqual(fixed({ https: 'a:1' }))
  })

  test('on other desktops in the environment alone', async () => {
    const { found, asked } = await find('linux', { ...https, XDG_CURRENT_DESKTOP: 'XFCE' }, { gsettings: manual })
    expect([found, asked]).toEqual([fixed({ https: 'a:1' }), []])
  })

  test('on macOS and Windows in the system’s settings alone', async () => {
    expect(await find('darwin', environment, { scutil: '<dictionary> {\n}\n' })).toEqual({
      found: null,
      asked: ['scutil --proxy'],
    })
    const { found, asked } = await find('win32', environment, { reg: '    ProxyEnable    REG_DWORD    0x0\r\n' })
    expect([found, asked.length, asked[0]?.startsWith('reg query HKCU')]).toEqual([null, 1, true])
  })

  test.each(['linux', 'darwin', 'win32'] as const)(
    'on %s what cannot be read may be anything, not none',
    async (platform) => {
      const gnome = { XDG_CURRENT_DESKTOP: 'GNOME' }
      expect((await find(platform, gnome)).found).toEqual(script)
      const silent = { gsettings: '\n', scutil: '', reg: '\r\n' }
      expect((await find(platform, gnome, silent)).found).toEqual(script)
      const there = { 'gsettings list-schemas': 'org.gnome.system.proxy\n' }
      expect((await find(platform, gnome, there)).found).toEqual(script)
    },
  )
})
