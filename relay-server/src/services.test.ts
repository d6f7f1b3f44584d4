import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { utf8 } from '@nightjar/shared/bytes'
import { collect, type Stream } from '@nightjar/shared/circuit'
import { counterOf, EnvelopeSession } from '@nightjar/shared/envelope'
import type { ErrorCode } from '@nightjar/shared/errors'
import { purpose, startHandshake } from '@nightjar/shared/handshake'
import { decodeAnswer, encodeQuestion } from '@nightjar/shared/rpc'
import { FakeClock, joinMuxes } from '@nightjar/shared/testing'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { describe, expect, test } from 'vitest'
import { loadRelayConfig, type RelayConfig } from './config.ts'
import { makeKeys } from './gateway/testing/circuit.ts'
import { openServices, type ServicesContext } from './services.ts'

/** Gateway and exit, with `outbound_address` 192.0.2.10. */
const both = await loadRelayConfig(new URL('../relay.example.yaml', import.meta.url).pathname)
const { gateway: _, ...exitAlone } = both
const { exit: __, ...gatewayAlone } = both

function context(addresses: string[]): ServicesContext {
  return {
    crypto: nativeCrypto,
    clock: new FakeClock(),
    resolve: async (host) => ({ addresses: host === 'relay.example.org' ? ['8.8.8.8'] : addresses, lifetime: 0 }),
    connectFrom: (localAddress) => () => Promise.reject(new Error(`from ${localAddress}`)),
  }
}

describe('a new configuration', () => {
  const gateway = both.gateway as NonNullable<RelayConfig['gateway']>
  const exit = both.exit as NonNullable<RelayConfig['exit']>

  /** How often each role's service was opened, by what it is opened with. */
  function counted() {
    const opened = { gateway: 0, exit: 0 }
    const services = openServices(
      both,
      {
        ...context([]),
        upstreamMetrics: () => {
          opened.gateway += 1
          return { onOutcome() {}, onEjected() {}, onHedged() {} }
        },
        connectFrom: () => {
          opened.exit += 1
          return () => Promise.reject(new Error('nobody is dialled here'))
        },
      },
      () => {
        throw new Error('nothing is agreed on here')
      },
    )
    return { services, opened }
  }

  test('opens anew what it changes, and nothing else', async () => {
    const { services, opened } = counted()
    const before = { ...opened }
    services.renew({ ...both, drain_timeout: 7 })
    expect(opened).toEqual(before)
    const otherExit = { ...both, exit: { ...exit, max_streams: 7 } }
    services.renew(otherExit)
    expect(opened).toEqual({ gateway: before.gateway, exit: 2 * before.exit })
    services.renew({ ...otherExit, gateway: { ...gateway, batch_window_ms: 7 } })
    expect(opened).toEqual({ gateway: 2 * before.gateway, exit: 2 * before.exit })
    await services.close()
  })
})

/** The code that a BEGIN is refused with; names lead to `addresses`. */
async function refusalOf(config: RelayConfig, service: string, argument = '', addresses = ['10.0.0.1']) {
  const services = openServices(config, context(addresses), () => {
    throw new Error('nothing is agreed on here')
  })
  const muxes = joinMuxes(services.serve(() => {}))
  const code = await new Promise<ErrorCode>((resolve) => {
    const first = { data: new Uint8Array(0), end: false }
    muxes.client.open(service, utf8(argument), { onData() {}, onEnd: resolve }, first)
  })
  await services.close()
  return code
}

test('a relay that is gateway and exit has the services of both, and no other', async () => {
  expect(await refusalOf(both, 'rpc')).toBe('envelope-rejected')
  expect(await refusalOf(both, 'tcp', 'example.org:443')).toBe('host-not-listed')
  expect(await refusalOf(both, 'smtp')).toBe('unknown-service')
})

test('each role alone has its own', async () => {
  expect(await refusalOf(gatewayAlone, 'rpc')).toBe('envelope-rejected')
  expect(await refusalOf(gatewayAlone, 'tcp', 'mainnet.infura.io:443')).toBe('unknown-service')
  expect(await refusalOf(exitAlone, 'rpc')).toBe('unknown-service')
  expect(await refusalOf(exitAlone, 'tcp', 'example.org:443')).toBe('host-not-listed')
})

test('an exit knows the address behind its own public name for its own', async () => {
  expect(await refusalOf(both, 'tcp', 'mainnet.infura.io:443', ['8.8.8.8'])).toBe('address-forbidden')
  expect(await refusalOf(both, 'tcp', 'mainnet.infura.io:443', ['8.8.8.9'])).toBe('host-unreachable')
  expect(await refusalOf({ ...both, outbound_address: '8.8.8.9' }, 'tcp', 'infura.io:443', ['8.8.8.9'])).toBe(
    'address-forbidden',
  )
  const elsewhere = { ...both, public_address: 'wss://[2606:4700::1]/relay' }
  expect(await refusalOf(elsewhere, 'tcp', 'infura.io:443', ['2606:4700::1'])).toBe('address-forbidden')
})

test('a gateway sends raw transactions to the service for them, and asks its upstreams for all else', async () => {
  const asked: string[] = []
  const servers = ['upstream', 'transactions'].map((name) =>
    createServer(async (request, response) => {
      const { method } = JSON.parse(await text(request)) as { method: string }
      // What a gateway asks by itself.
      if (method !== 'eth_getBlockByNumber' && method !== 'eth_chainId') asked.push(`${name} ${request.url} ${method}`)
      response.end('{"jsonrpc":"2.0","id":1,"result":"0x1"}')
    }),
  )
  for (const server of servers) await once(server.listen(0, '127.0.0.1'), 'listening')
  const [upstream, transactions] = servers.map(
    (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/?hint=hash`,
  ) as [string, string]
  const { keyPair, responder } = await makeKeys()
  const { outbound_address: ___, ...config } = gatewayAlone
  const { chains: ____, ...gatewayDefaults } = config.gateway as NonNullable<RelayConfig['gateway']>
  const chain = { strategy: 'weighted', transactions: { url: transactions }, heads_poll_ms: 1000 } as const
  const section = { ...gatewayDefaults, chains: { 1: { upstreams: [{ url: upstream, weight: 1 }], ...chain } } }
  const services = openServices({ ...config, gateway: section }, context(['10.0.0.1']), () => ({
    ...responder,
    findKey: () => keyPair,
    document: { version: 1, hash: new Uint8Array(32) },
  }))
  /** As a client on a circuit of its own. */
  async function ask(...methods: string[]): Promise<void> {
    const muxes = joinMuxes(services.serve(() => {}))
    function exchange(service: string, data: Uint8Array): Promise<Uint8Array> {
      return new Promise((onMessage, onFailure) => {
        const handler = collect({ stream: () => stream, maxBytes: 1 << 20, onMessage, onFailure })
        const stream: Stream = muxes.client.open(service, new Uint8Array(0), handler, { data, end: true })
      })
    }
    const handshake = await startHandshake(nativeCrypto, { purpose: purpose.envelope, depth: 0, responder })
    const { keys } = await handshake.finish(await exchange('envelope', handshake.hello))
    const session = new EnvelopeSession(nativeCrypto, keys, 'client')
    for (const method of methods) {
      const record = session.seal(encodeQuestion({ chain: 1, cells: 1, method, params: ['0x0102'] }), 1)
      const answer = session.open(await exchange('rpc', record), counterOf(record))
      expect(decodeAnswer(answer)).toEqual({ result: '0x1' })
    }
    muxes.end()
  }
  await ask('eth_sendRawTransaction', 'eth_getBalance')
  // The envelope key is not told of here.
  expect(services.health().map(({ name, ok }) => [name, ok])).toEqual([
    ['providers of chain 1', true],
    ['envelopes', false],
    ['answers', true],
  ])
  expect(services.chains()).toEqual([{ chain: 1, areWell: [true], headFailures: expect.any(Number) }])
  expect(asked).toEqual(['transactions /?hint=hash eth_sendRawTransaction', 'upstream /?hint=hash eth_getBalance'])
  // A gateway that is configured anew knows what was sent by the one before it.
  services.renew({ ...config, gateway: { ...section, request_timeout_seconds: 7 } })
  await ask('eth_sendRawTransaction', 'eth_getBalance')
  expect(asked.slice(2)).toEqual(['upstream /?hint=hash eth_getBalance'])
  await services.close()
  for (const server of servers) server.close()
})
