import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { base64, utf8 } from '../bytes/index.ts'
import { recordSize } from '../envelope/index.ts'
import { limits } from '../limits.ts'
import { codeOf, pattern } from '../testing/index.ts'
import {
  type BridgeEventMessage,
  type BridgeMessage,
  type BridgeResultMessages,
  type BridgeResults,
  parseBridgeRequest,
  parseBridgeResponse,
  parseFromDaemon,
  parseResult,
  type Status,
} from './index.ts'

type RequestOf<T extends BridgeMessage['type']> = Extract<BridgeMessage, { type: T }>
type EventOf<T extends BridgeEventMessage['event']> = Extract<BridgeEventMessage, { event: T }>

const label = 'a1'.repeat(32)
const identity = '0f'.repeat(32)
const record = pattern(928)
const party = { name: 'relay', operator: 'somebody', region: 'eu' }

const status: Status = {
  state: 'degraded',
  trunks: [{ entry: party, middle: party }],
  branches: 1,
  gateways: [party],
  requests: { ok: 2, failed: 0 },
  divergingRelays: 0,
  failingGuards: [party],
  lastError: 'link-lost',
  profile: 'fast',
  endpoint: 'http://127.0.0.1:8645/0123/1',
  chains: [1, 31337],
  callers: [{ origin: 'local', chain: 1, requests: 3, last: 1_767_225_600_000 }],
  shield: {
    port: 41000,
    sinkPort: 41001,
    running: true,
    streams: 1,
    refused: 2,
    today: { rpc: { shielded: 3, blocked: 1 } },
    hosts: [
      { suffix: 'infura.io', category: 'rpc', shielded: 3, blocked: 0, lastError: 'name-not-found' },
      { suffix: 'example.org', category: 'rpc', shielded: 0, blocked: 1 },
    ],
    lastError: null,
  },
  accounts: {
    watched: 3,
    cold: 1,
    freshnessSeconds: 12,
    verified: 5,
    compared: 4,
    unverified: 3,
    refuted: 2,
    linking: [{ reason: 'transfer', count: 2, at: 1_767_225_600_000, sent: false }],
    lies: [{ gateway: 'relay', what: 'balance', at: 1_767_225_600_000 }],
    disputes: [{ gateways: ['relay'], what: 'block', at: 1_767_225_600_000 }],
  },
  version: '0.1.0',
}

// One of each: a type that is added later does not compile without an example.
const requests: { readonly [T in BridgeMessage['type']]: RequestOf<T> } = {
  hello: { id: 1, type: 'hello', bridge: 2, version: '0.1.0' },
  status: { id: 2, type: 'status' },
  document: { id: 3, type: 'document' },
  gateways: { id: 4, type: 'gateways', group: label, chain: 1 },
  open: { id: 5, type: 'open', group: label, gateway: identity, hello: base64(pattern(1227)), hidesMiddle: true },
  keep: { id: 10, type: 'keep', branch: 1, seconds: 7200 },
  exchange: { id: 6, type: 'exchange', branch: 1, record: base64(record) },
  follow: { id: 7, type: 'follow', branch: 1, record: base64(record), cells: 4 },
  cancel: { id: 8, type: 'cancel', request: 7 },
  close: { id: 9, type: 'close', branch: 1, failed: false },
  rpc: { id: 0, type: 'rpc', chain: 1, method: 'eth_call', params: [{ to: '0x' }, 'latest'] },
}

const results: BridgeResultMessages = {
  hello: { bridge: 2, version: '0.1.0', proofKey: base64(pattern(32)) },
  status,
  document: { text: '{"payload":"…"}' },
  gateways: [
    { relay: identity, avoided: false },
    { relay: label, avoided: true },
  ],
  open: { branch: 1, reply: base64(pattern(1188)) },
  keep: null,
  exchange: { record: base64(record) },
  follow: null,
  cancel: null,
  close: null,
}

const events: { readonly [T in BridgeEventMessage['event']]: EventOf<T> } = {
  status: { event: 'status', status },
  document: { event: 'document' },
  record: { event: 'record', request: 7, record: base64(record) },
  'branch-lost': { event: 'branch-lost', branch: 1, code: 'link-lost', requests: [6, 7] },
  browser: {
    event: 'browser',
    systemProxy: {
      kind: 'fixed',
      https: 'proxy.example:3128',
      socks: '[::1]:1080',
      bypass: ['localhost', '10.0.0.0/8'],
    },
  },
  failed: { event: 'failed', code: 'daemon-failed', detail: 'no node' },
}

/** Fields that are base64 text on the wire, and bytes for whoever reads them. */
const byteFields: Readonly<Record<string, Uint8Array>> = {
  hello: pattern(1227),
  reply: pattern(1188),
  record,
  proofKey: pattern(32),
}

/** What is read of a message: itself, with bytes in the place of base64 text. */
function read(message: object | null): unknown {
  if (message === null || Array.isArray(message)) return message
  const entries = Object.entries(message)
  return Object.fromEntries(entries.map(([key, value]) => [key, byteFields[key] ?? value]))
}

const json = (value: unknown): unknown => JSON.parse(JSON.stringify(value))
const refused = (run: () => unknown) => expect(codeOf(run)).toBe('malformed-frame')

/** Every copy of `message` that lacks one of its fields. */
function incomplete(message: object): object[] {
  return Object.keys(message).map((missing) =>
    Object.fromEntries(Object.entries(message).filter(([key]) => key !== missing)),
  )
}

describe.each(Object.values(requests))('request $type', (request) => {
  test('arrives as it was sent', () => {
    expect(parseBridgeRequest(json(request))).toEqual(read(request))
  })

  test('is refused with a field less, or one more', () => {
    for (const less of incomplete(request)) refused(() => parseBridgeRequest(less))
    refused(() => parseBridgeRequest({ ...request, more: 1 }))
  })
})

describe.each(Object.entries(results))('result of %s', (type, result) => {
  const asked = type as keyof BridgeResults

  test('arrives as it was sent', () => {
    const said = parseBridgeResponse(json({ id: 1, result }))
    if (!('result' in said)) throw new Error('no result')
    expect(parseResult(asked, said.result)).toEqual(read(result))
  })

  test('is refused with a field less; what a newer daemon says besides is passed over', () => {
    if (result === null || Array.isArray(result)) return refused(() => parseResult(asked, {}))
    for (const less of incomplete(result)) refused(() => parseResult(asked, less))
    expect(parseResult(asked, { ...result, more: 1 })).toEqual(read(result))
  })

  test('is not taken for that of another request', () => {
    for (const [other, value] of Object.entries(results)) {
      if (value === null ? result !== null : other !== type) refused(() => parseResult(asked, value))
    }
  })
})

describe.each(Object.values(events))('event $event', (event) => {
  test('arrives as it was sent', () => {
    expect(parseFromDaemon(json(event))).toEqual(read(event))
  })

  test('is refused with a field less, or one more', () => {
    for (const less of incomplete(event)) {
      // The reason in words may be missing.
      if (event.event === 'failed' && !('detail' in less)) expect(parseFromDaemon(less)).toEqual(less)
      else refused(() => parseFromDaemon(less))
    }
    refused(() => parseFromDaemon({ ...event, more: 1 }))
  })

  test('is no request, and no response', () => {
    refused(() => parseBridgeRequest(event))
    refused(() => parseBridgeResponse(event))
  })
})

describe('a response', () => {
  test.each<[string, object]>([
    ['a result', { id: 1, result: { deep: [1, [2, [3]]] } }],
    ['a result of null', { id: 1, result: null }],
    ['an error', { id: 1, error: { code: 4900, message: 'gone', data: { nightjar: 'link-lost' } } }],
    ['an error without data', { id: 1, error: { code: -32603, message: '' } }],
  ])('with %s arrives as it was sent', (_, response) => {
    expect(parseBridgeResponse(json(response))).toEqual(response)
    expect(parseFromDaemon(json(response))).toEqual(response)
  })

  test.each<[string, object]>([
    ['neither result nor error', { id: 1 }],
    ['both', { id: 1, result: 1, error: { code: 1, message: '' } }],
    ['something more', { id: 1, result: 1, more: 1 }],
    ['no id', { result: 1 }],
    ['an id of null', { id: null, result: 1 }],
    ['an error that is text', { id: 1, error: 'x' }],
    ['an error without a message', { id: 1, error: { code: 1 } }],
    ['an error whose code is text', { id: 1, error: { code: 'x', message: '' } }],
    ['an error with something more', { id: 1, error: { code: 1, message: '', stack: 'x' } }],
  ])('with %s is refused', (_, response) => {
    refused(() => parseBridgeResponse(response))
    refused(() => parseFromDaemon(response))
  })
})

describe('a field', () => {
  const { hello, gateways, open, exchange, follow, close, rpc } = requests

  test.each<[string, object]>([
    ['a negative id', { ...hello, id: -1 }],
    ['half an id', { ...hello, id: 1.5 }],
    ['an id beyond 2^53', { ...hello, id: 2 ** 53 }],
    ['an id as text', { ...hello, id: '1' }],
    ['an unknown type', { ...hello, type: 'shutdown' }],
    ['the type of an object’s own property', { ...hello, type: '__proto__' }],
    ['a type that is a list', { ...hello, type: ['hello'] }],
    ['a long version', { ...hello, version: '1'.repeat(65) }],
    ['a bridge as text', { ...hello, bridge: '1' }],
    ['chain 0', { ...gateways, chain: 0 }],
    ['a negative chain', { ...rpc, chain: -1 }],
    ['half a chain', { ...gateways, chain: 1.5 }],
    ['a chain beyond 2^53', { ...gateways, chain: 2 ** 53 }],
    ['a group in the clear', { ...gateways, group: 'https://dapp.example' }],
    ['a short group', { ...gateways, group: label.slice(1) }],
    ['a long group', { ...gateways, group: `${label}a` }],
    ['a group in capitals', { ...gateways, group: label.toUpperCase() }],
    ['a group and a line', { ...gateways, group: `${label}\n` }],
    ['a gateway by its name', { ...open, gateway: 'relay' }],
    ['branch 0', { ...exchange, branch: 0 }],
    ['half a branch', { ...close, branch: 0.5 }],
    ['half a cell', { ...follow, cells: 1.5 }],
    ['cells as text', { ...follow, cells: '4' }],
    ['a failure that is text', { ...close, failed: 'no' }],
    ['params that are an object', { ...rpc, params: {} }],
    ['a method that is none', { ...rpc, method: null }],
  ])('of %s is refused', (_, message) => {
    refused(() => parseBridgeRequest(message))
  })

  test.each<[string, unknown]>([
    ['no base64', 'A==='],
    ['half of it', 'AAA'],
    ['that of URLs', '-_-_'],
    ['with a space', 'AA A'],
    ['with a line', 'AAAA\n'],
    ['with bits that are left over', 'AB=='],
    ['a list', [1, 2, 3]],
    ['bytes that were not encoded', pattern(3)],
    ['null', null],
  ])('of bytes that is %s is refused', (_, bytes) => {
    refused(() => parseBridgeRequest({ ...exchange, record: bytes }))
    refused(() => parseBridgeRequest({ ...open, hello: bytes }))
    refused(() => parseResult('exchange', { record: bytes }))
    refused(() => parseResult('hello', { bridge: 2, version: '', proofKey: bytes }))
    refused(() => parseFromDaemon({ ...events.record, record: bytes }))
  })

  test('of bytes takes any of them, up to the largest record', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(parseBridgeRequest({ ...exchange, record: base64(bytes) })).toMatchObject({ record: bytes })
        expect(parseResult('exchange', { record: base64(bytes) })).toEqual({ record: bytes })
      }),
    )
    const largest = pattern(recordSize(limits.questionCells))
    const { record: arrived } = parseBridgeRequest({ ...exchange, record: base64(largest) }) as { record: Uint8Array }
    expect(Buffer.compare(arrived, largest)).toBe(0)
  })

  test('of the status is refused where it is not what it says', () => {
    for (const change of [
      { state: 'fine' },
      { trunks: [{ entry: party }] },
      { gateways: ['relay'] },
      { requests: { ok: 1 } },
      { lastError: 7 },
      { chains: [0] },
      { callers: [{ origin: 'local' }] },
      { shield: { ...status.shield, port: '1080' } },
      { shield: { ...status.shield, today: { rpc: { shielded: 1 } } } },
      { shield: { ...status.shield, hosts: [{ suffix: 'infura.io' }] } },
      { accounts: undefined },
      { accounts: { ...status.accounts, linking: [{ reason: 'transfer', count: 2 }] } },
      { accounts: { ...status.accounts, lies: ['relay'] } },
      { accounts: { ...status.accounts, disputes: [{ what: 'block', at: 1 }] } },
    ]) {
      refused(() => parseResult('status', { ...status, ...change }))
      refused(() => parseFromDaemon({ event: 'status', status: { ...status, ...change } }))
    }
    expect(parseResult('status', { ...status, lastError: null })).toEqual({ ...status, lastError: null })
    expect(parseResult('status', { ...status, lastError: 'of-a-newer-version' }).lastError).toBe('of-a-newer-version')
  })
})

describe('the proxy of a machine', () => {
  const told = (systemProxy: unknown) => parseFromDaemon({ event: 'browser', systemProxy })

  test('is none, a script, or addresses with what goes past them', () => {
    for (const systemProxy of [null, { kind: 'script' }, { kind: 'fixed', bypass: [] }, events.browser.systemProxy]) {
      expect(told(systemProxy)).toEqual({ event: 'browser', systemProxy })
    }
  })

  test.each([
    undefined,
    'proxy.example:3128',
    { kind: 'pac' },
    { kind: 'fixed' },
    { kind: 'fixed', bypass: 'localhost' },
    { kind: 'fixed', https: 'proxy.example', bypass: [] },
    { kind: 'fixed', https: `${'x'.repeat(300)}:1`, bypass: [] },
    { kind: 'fixed', bypass: Array.from({ length: 501 }, () => 'a') },
    { kind: 'fixed', password: 'secret', bypass: [] },
    { kind: 'script', url: 'http://proxy.example/pac' },
  ])('%o is refused', (systemProxy) => {
    refused(() => told(systemProxy))
  })
})

describe('anything else', () => {
  const parsers: ((value: unknown) => unknown)[] = [
    parseBridgeRequest,
    parseBridgeResponse,
    parseFromDaemon,
    ...Object.keys(results).map((type) => (value: unknown) => parseResult(type as keyof BridgeResults, value)),
  ]
  const samples = [...Object.values(requests), ...Object.values(events), ...Object.values(results)]

  /** Whatever comes out, nothing but our own error does so by being thrown: `codeOf` lets the others through. */
  function survive(value: unknown): void {
    for (const parse of parsers) expect([undefined, 'malformed-frame']).toContain(codeOf(() => parse(value)))
  }

  test('that is JSON ends in a message or in `malformed-frame`', () => {
    fc.assert(fc.property(fc.jsonValue(), survive), { numRuns: 300 })
  })

  test('that is a message with fields exchanged does too', () => {
    const key = fc.constantFrom(...new Set(samples.flatMap((sample) => Object.keys(sample ?? {}))), '__proto__')
    const changes = fc.array(fc.tuple(key, fc.jsonValue()), { minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(fc.constantFrom(...samples), changes, (sample, fields) => {
        const members = [...Object.entries(sample ?? {}), ...fields]
        // As text, so that `__proto__` is a key like any other, and the last of two that are equal counts.
        survive(JSON.parse(`{${members.map((each) => each.map((part) => JSON.stringify(part)).join(':')).join()}}`))
      }),
      { numRuns: 500 },
    )
  })

  test.each([undefined, null, true, 0, '', 'hello', [], [requests.hello], utf8('{}')])('%o is no message', (value) => {
    refused(() => parseBridgeRequest(value))
    refused(() => parseBridgeResponse(value))
    refused(() => parseFromDaemon(value))
  })

  test('is not repeated by the error, which may be logged', () => {
    let message = ''
    try {
      parseBridgeRequest({ ...requests.rpc, method: 7, params: ['0xd8dA'] })
    } catch (error) {
      message = `${String(error)} ${JSON.stringify(error)}`
    }
    expect(message).toContain('unknown message')
    expect(message).not.toContain('0xd8dA')
  })
})
