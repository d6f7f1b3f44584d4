import { codeOf } from '@nightjar/shared/testing'
import { describe, expect, test } from 'vitest'
import { direct, elsewhereOf, elsewhereOfSystem, type ProxyConfig } from './elsewhere.ts'

const host = 'proxy.example'

describe('a setting', () => {
  test.each<[string, ProxyConfig, object]>([
    ['direct', { mode: 'direct' }, direct],
    [
      'one proxy for all',
      { mode: 'fixed_servers', rules: { singleProxy: { host } } },
      { http: 'PROXY proxy.example:80', https: 'PROXY proxy.example:80', sockets: 'PROXY proxy.example:80' },
    ],
    [
      'one for each scheme',
      {
        mode: 'fixed_servers',
        rules: {
          proxyForHttp: { scheme: 'http', host, port: 3128 },
          proxyForHttps: { scheme: 'https', host: '::1' },
          fallbackProxy: { scheme: 'socks5', host },
        },
      },
      { http: 'PROXY proxy.example:3128', https: 'HTTPS [::1]:443', sockets: 'SOCKS5 proxy.example:1080' },
    ],
    [
      'for http alone',
      { mode: 'fixed_servers', rules: { proxyForHttp: { scheme: 'socks4', host } } },
      { http: 'SOCKS proxy.example:1080', https: 'DIRECT', sockets: 'SOCKS proxy.example:1080' },
    ],
    ['a script as text', { mode: 'pac_script', pacScript: { data: 'x' } }, { kind: 'script', text: 'x' }],
  ])('%s is taken over', (_, config, elsewhere) => {
    expect(elsewhereOf(config)).toMatchObject(elsewhere)
  })

  test.each<[string, ProxyConfig]>([
    ['a script behind a URL', { mode: 'pac_script', pacScript: { url: 'http://wpad/wpad.dat' } }],
    ['a search', { mode: 'auto_detect' }],
    ['servers without rules', { mode: 'fixed_servers' }],
    [
      'a kind of proxy that scripts cannot name',
      { mode: 'fixed_servers', rules: { singleProxy: { scheme: 'quic', host } } },
    ],
    ['something new', { mode: 'oblivious' }],
  ])('%s is refused', (_, config) => {
    expect(codeOf(() => elsewhereOf(config))).toBe('proxy-unknown')
  })
})

describe('the system’s proxy', () => {
  test('is taken over, by scheme, and its hosts stand for all below them', () => {
    const elsewhere = elsewhereOfSystem({
      kind: 'fixed',
      http: 'a:1',
      https: 'b:2',
      bypass: ['corp.example', '10.0.0.0/8'],
    })
    expect(elsewhere).toMatchObject({ http: 'PROXY a:1', https: 'PROXY b:2', sockets: 'PROXY b:2' })
    expect(isBypassed(elsewhere, 'https://git.corp.example:443')).toBe(true)
    expect(isBypassed(elsewhere, 'https://10.1.2.3:443')).toBe(true)
    expect(isBypassed(elsewhere, 'https://corp.example.org:443')).toBe(false)
  })

  test('of SOCKS is for everything; none is direct; a script is refused', () => {
    expect(elsewhereOfSystem({ kind: 'fixed', socks: 's:1080', bypass: [] })).toMatchObject({
      http: 'SOCKS5 s:1080',
      https: 'SOCKS5 s:1080',
      sockets: 'SOCKS5 s:1080',
    })
    expect(elsewhereOfSystem(null)).toEqual(direct)
    expect(codeOf(() => elsewhereOfSystem({ kind: 'script' }))).toBe('proxy-unknown')
  })
})

function isBypassed(elsewhere: ReturnType<typeof elsewhereOf>, target: string): boolean {
  return elsewhere.kind === 'servers' && elsewhere.bypass.some((source) => new RegExp(source).test(target))
}

describe('a bypass rule', () => {
  test.each([
    ['git.example', ['https://git.example:443'], ['https://a.git.example:443', 'https://gitaexample:443']],
    ['.example', ['http://a.example:80', 'http://a.b.example:80'], ['http://example:80']],
    ['*.example', ['http://a.example:80'], ['http://example:80', 'http://a.example.org:80']],
    ['*example', ['http://anexample:80', 'http://a.example:80'], ['http://example.org:80']],
    ['https://git.example:8443', ['https://git.example:8443'], ['https://git.example:443', 'http://git.example:8443']],
    ['<local>', ['http://intranet:80'], ['http://a.example:80', 'http://[::1]:80']],
    ['172.16.0.0/12', ['http://172.31.255.1:80'], ['http://172.32.0.1:80', 'http://172.15.0.1:80']],
    ['192.168.1.7/32', ['http://192.168.1.7:80'], ['http://192.168.1.8:80']],
    ['[::1]', ['http://[::1]:80'], ['http://1:80']],
    ['(a+)+$', [], ['http://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!:80']],
    ['fe80::/10', [], ['http://[fe80::1]:80']],
    ['', [], ['http://a.example:80']],
  ])('%j holds for %j and not for %j', (rule, held, others) => {
    const elsewhere = elsewhereOf({ mode: 'fixed_servers', rules: { singleProxy: { host }, bypassList: [rule] } })
    expect(held.filter((target) => !isBypassed(elsewhere, target))).toEqual([])
    expect(others.filter((target) => isBypassed(elsewhere, target))).toEqual([])
  })
})
