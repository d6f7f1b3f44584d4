import { utf8 } from '@nightjar/shared/bytes'
import { minute, second } from '@nightjar/shared/runtime'
import { FakeClock } from '@nightjar/shared/testing'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Session } from '../session.ts'
import { asksChain, LeakWatch, looksLikeNode, type SeenRequest } from './leakWatch.ts'

const question = '{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[]}'
const bytes = (text: string) => utf8(text).slice().buffer

async function setUp() {
  const clock = new FakeClock()
  const session = await Session.load({ read: async () => undefined, write: async () => undefined })
  let told = 0
  const watch = new LeakWatch({ clock, session, isKnown: (host) => host === 'listed.example', onChange: () => told++ })
  const see = (changes: Partial<SeenRequest> & { text?: string } = {}) =>
    watch.take({
      url: 'https://rpc.example/v3/key?secret',
      method: 'POST',
      initiator: 'https://dapp.example',
      body: [bytes(changes.text ?? question)],
      ...changes,
    })
  const leaks = () => {
    clock.advance(second)
    return session.state.leaks
  }
  return { clock, watch, see, leaks, told: () => told }
}

describe('the leak watch', () => {
  test('notes which site asked which host, how often and when, and nothing else', async () => {
    const { clock, see, leaks } = await setUp()
    see()
    clock.advance(minute)
    see()
    const last = clock.now()
    expect(leaks()).toEqual([{ host: 'rpc.example', site: 'dapp.example', count: 2, last }])
    expect(JSON.stringify(leaks())).not.toMatch(/key|secret|eth_/)
  })

  test.each<[string, Parameters<Awaited<ReturnType<typeof setUp>>['see']>[0]]>([
    ['a listed host', { url: 'https://listed.example/' }],
    ['our own endpoint', { url: 'http://127.0.0.1:8645/token/1' }],
    ['this computer', { url: 'http://localhost:8545/' }],
    ['an address', { url: 'https://[2001:db8::1]/' }],
    ['something fetched', { method: 'GET' }],
    ['no body', { body: [] }],
    ['another protocol', { text: '{"jsonrpc":"2.0","method":"textDocument/hover"}' }],
    ['JSON of another kind', { text: '{"method":"eth_call"}' }],
    ['a method in words only', { text: '"jsonrpc":"2.0" is how eth_call is asked' }],
    ['a socket of a chat', { url: 'wss://chat.example/socket' }],
  ])('passes over %s', async (_, request) => {
    const { see, leaks } = await setUp()
    see(request)
    expect(leaks()).toEqual([])
  })

  test('sees batches, pieces, sockets, and pages that the browser does not name', async () => {
    const { see, leaks } = await setUp()
    see({ url: 'https://batch.example/', text: `[${question},${question}]` })
    see({ url: 'https://pieces.example/', body: [bytes(question.slice(0, 20)), bytes(question.slice(20))] })
    see({ url: 'wss://rpc.example/', method: 'GET', body: [] })
    see({ url: 'https://a.example/', initiator: undefined })
    see({ url: 'https://b.example/', initiator: 'null' })
    expect(leaks().map(({ host, site }) => `${host} ${site}`)).toEqual([
      'batch.example dapp.example',
      'pieces.example dapp.example',
      'rpc.example dapp.example',
      'a.example ',
      'b.example ',
    ])
  })

  test('a site that asks everywhere drives out itself, not what others did', async () => {
    const { see, leaks } = await setUp()
    see({ url: 'https://first.example/', initiator: 'https://other.example' })
    for (let index = 0; index < 300; index++) see({ url: `https://host${index}.example/` })
    const hosts = leaks().map(({ host }) => host)
    expect([hosts.length, hosts[0], hosts.at(-1)]).toEqual([100, 'first.example', 'host299.example'])
  })

  test('tells once for all that pages do within a second', async () => {
    const { see, leaks, told } = await setUp()
    for (let index = 0; index < 1000; index++) see()
    expect([told(), leaks()[0]?.count, told()]).toEqual([0, 1000, 1])
  })
})

describe('bodies', () => {
  test('are read for 16 KiB and no further', () => {
    const pad = ' '.repeat(16 * 1024)
    expect([asksChain([bytes(question + pad)]), asksChain([bytes(pad + question)])]).toEqual([true, false])
    expect(asksChain([bytes(pad), bytes(question)])).toBe(false)
  })

  test('may hold anything', () => {
    const body = fc.array(fc.uint8Array({ maxLength: 200 }).map((each) => each.slice().buffer))
    fc.assert(fc.property(body, (pieces) => asksChain(pieces) === false))
    const almost = '"jsonrpc"'.padEnd(8000, ' ') + '"method"'.padEnd(8000, ' ')
    const begun = performance.now()
    for (let round = 0; round < 100; round++) asksChain([bytes(almost)])
    expect(performance.now() - begun).toBeLessThan(1000)
  })
})

test.each([
  ['mainnet.provider.example', '/', true],
  ['eth-mainnet.example', '/', true],
  ['a.example', '/v2/0123456789abcdef0123', true],
  ['a.example', '/rpc', true],
  ['chat.example', '/socket', false],
  ['method.example', '/v2/short', false],
])('a socket to %s%s looks like a node: %s', (host, path, is) => {
  expect(looksLikeNode(host, path)).toBe(is)
})
