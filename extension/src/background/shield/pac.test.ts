/** The script as the browser runs it: evaluated by itself, and asked for proxies. */
import { runInNewContext } from 'node:vm'
import { hostList } from '@nightjar/shared/shield'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Choice } from '../../messages/ui.ts'
import { chosenHosts, noChoices } from './choices.ts'
import { direct, type Elsewhere } from './elsewhere.ts'
import { type PacInit, pacScript } from './pac.ts'

const ports = { port: 41000, sinkPort: 41001 }
const shield = 'SOCKS5 127.0.0.1:41000'
const sink = 'SOCKS5 127.0.0.1:41001'
const nobody = 'SOCKS5 127.0.0.1:9'
const listed: readonly (readonly [string, Choice])[] = [
  ['infura.io', 'shield'],
  ['cx.metamask.io', 'shield'],
  ['left.metamask.io', 'leave'],
  ['under.left.metamask.io', 'block'],
  ['blocked.example', 'block'],
]

/** What it says; the context has nothing but the language. */
function evaluate(changes: Partial<PacInit> = {}) {
  const text = pacScript({ hosts: listed, ports, elsewhere: direct, ...changes })
  const context: { FindProxyForURL?: (url: string, host: string) => string } = {}
  runInNewContext(text, context)
  const find = context.FindProxyForURL
  if (find === undefined) throw new Error('no function')
  return { text, find, ask: (url: string) => find(url, new URL(url).hostname.replace(/^\[|\]$/g, '')) }
}

const theirs: Elsewhere = {
  kind: 'script',
  text: `function FindProxyForURL(url, host) { return host === 'intranet.example' ? 'PROXY their.proxy:3128' : 'DIRECT' }`,
}
const corporate: Elsewhere = {
  kind: 'servers',
  http: 'PROXY a:1',
  https: 'PROXY b:2',
  sockets: 'SOCKS5 c:3',
  bypass: ['^[a-z]+://.*\\.corp:\\d+$'],
}

describe('a listed host', () => {
  test.each([
    ['https://infura.io/', shield],
    ['https://mainnet.infura.io/v3/key', shield],
    ['wss://mainnet.infura.io/ws', shield],
    ['https://MAINNET.Infura.IO/', shield],
    ['https://mainnet.infura.io./', shield],
    ['https://mainnet.infura.io:443/', shield],
    ['https://user:pass@mainnet.infura.io/', shield],
    ['https://accounts.api.cx.metamask.io/', shield],
    ['https://mainnet.infura.io:8443/', sink],
    ['http://mainnet.infura.io/', sink],
    ['http://mainnet.infura.io:443/', sink],
    ['ws://mainnet.infura.io/', sink],
    ['ftp://mainnet.infura.io/', sink],
    ['https://blocked.example/', sink],
    ['https://www.blocked.example/', sink],
    ['https://under.left.metamask.io/', sink],
    ['https://left.metamask.io/', 'DIRECT'],
    ['http://deep.left.metamask.io:8080/', 'DIRECT'],
  ])('%s goes to %s', (url, way) => {
    expect(evaluate().ask(url)).toBe(way)
  })

  test.each([
    'https://example.org/',
    'https://metamask.io/',
    'https://notinfura.io/',
    'https://infura.io.example/',
    'https://io/',
    'http://localhost/',
    'http://127.0.0.1:8645/',
    'http://[::1]:8645/',
    'https://constructor/',
    'https://__proto__/',
    'data:text/plain,infura.io',
  ])('is not %s', (url) => {
    expect(evaluate().ask(url)).toBe('DIRECT')
  })

  test('goes where nobody listens while the daemon is not there, blocked or not', () => {
    const { ask } = evaluate({ ports: undefined })
    const urls = ['https://infura.io/', 'http://infura.io/', 'wss://a.infura.io/', 'https://blocked.example/']
    expect(urls.map(ask)).toEqual(urls.map(() => nobody))
  })

  test.each<[string, Elsewhere]>([
    ['direct', direct],
    ['a proxy', corporate],
    ['a script', theirs],
    ['a script that takes our place', { kind: 'script', text: `FindProxyForURL = function () { return 'DIRECT' }` }],
    [
      'a script that ends its function',
      { kind: 'script', text: `}); function FindProxyForURL() { return 'DIRECT' } ({` },
    ],
    [
      'a script that will not give our place back',
      {
        kind: 'script',
        text: `Object.defineProperty(this, 'FindProxyForURL', { value: function () { return 'DIRECT' }, writable: false })`,
      },
    ],
  ])('never goes direct in any spelling, before %s or not', (_, elsewhere) => {
    const hosts = [...chosenHosts(noChoices)]
    const spelling = fc.record({
      suffix: fc.constantFrom(...hosts.map(([suffix]) => suffix)),
      below: fc.array(fc.stringMatching(/^[a-z0-9-]{1,12}$/), { maxLength: 4 }),
      upper: fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
      dots: fc.integer({ min: 0, max: 3 }),
      scheme: fc.constantFrom('https', 'http', 'wss', 'ws', 'HTTPS', 'ftp', 'blob', ''),
      user: fc.constantFrom('', 'a@', 'a:b@', 'example.org@'),
      port: fc.constantFrom('', ':443', ':80', ':8443', ':0', ':65535'),
      path: fc.constantFrom('', '/', '/a@b.example/', '?example.org', '/#https://example.org:443/'),
      there: fc.boolean(),
    })
    const scripts = [ports, undefined].map((each) => () => evaluate({ hosts, elsewhere, ports: each }))
    const [there, gone] = scripts.map((make) => {
      try {
        return make().find
      } catch {
        // Mandatory and broken: the browser then sends nothing at all.
        return () => 'nothing'
      }
    })
    fc.assert(
      fc.property(spelling, ({ suffix, below, upper, dots, scheme, user, port, path, ...rest }) => {
        const name = [...below, suffix].join('.') + '.'.repeat(dots)
        const host = [...name].map((letter, at) => (upper[at % 8] ? letter.toUpperCase() : letter)).join('')
        const way = (rest.there ? there : gone)?.(`${scheme}://${user}${host}${port}${path}`, host)
        expect(way).toMatch(
          rest.there ? /^(SOCKS5 127\.0\.0\.1:4100[01]|nothing)$/ : /^(SOCKS5 127\.0\.0\.1:9|nothing)$/,
        )
      }),
      { numRuns: 2000 },
    )
  })

  test('is all there is on the published list', () => {
    const { ask } = evaluate({ hosts: chosenHosts(noChoices) })
    for (const { suffix } of hostList) expect([suffix, ask(`https://a.${suffix}/`)]).toEqual([suffix, shield])
  })
})

describe('any other host', () => {
  test('goes by the proxy that was there, with its exceptions', () => {
    const { ask } = evaluate({ elsewhere: corporate })
    expect(
      ['http://a.example/', 'https://a.example/', 'wss://a.example/', 'ws://a.example/', 'https://git.corp/'].map(ask),
    ).toEqual(['PROXY a:1', 'PROXY b:2', 'SOCKS5 c:3', 'SOCKS5 c:3', 'DIRECT'])
  })

  test('goes where the script that was there says', () => {
    const { ask } = evaluate({ elsewhere: theirs })
    expect(['https://intranet.example/', 'https://a.example/'].map(ask)).toEqual(['PROXY their.proxy:3128', 'DIRECT'])
  })
})

test('no name server is asked, and nothing but ASCII is in it', () => {
  const bypass = ['^[a-z]+://bücher:\\d+$']
  const { text, ask } = evaluate({ elsewhere: { ...corporate, bypass } })
  expect(text).not.toMatch(/dnsResolve|isInNet|isResolvable|myIpAddress|alert|Ex\(/)
  expect(text).toMatch(/^[\0-\x7f]*$/)
  expect(ask('https://a.example/')).toBe('PROXY b:2')
})

test('a thousand hosts take no longer than one: each label is looked up once', () => {
  const many = Array.from({ length: 1000 }, (_, index): [string, Choice] => [`host${index}.example`, 'shield'])
  const { find } = evaluate({ hosts: many })
  const host = `${'a.'.repeat(120)}host999.example`
  const begun = performance.now()
  for (let round = 0; round < 1000; round++) find(`https://${host}/`, host)
  expect(performance.now() - begun).toBeLessThan(1000)
})
