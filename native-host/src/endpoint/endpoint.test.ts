import { endpointProof } from '@nightjar/shared/bridge'
import { hex } from '@nightjar/shared/bytes'
import { NightjarError } from '@nightjar/shared/errors'
import { limits } from '@nightjar/shared/limits'
import type { Order } from '@nightjar/shared/requests'
import type { Outcome } from '@nightjar/shared/rpc'
import { flipBit, pattern } from '@nightjar/shared/testing'
import { nativeCrypto } from '@nightjar/shared-node/crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Endpoint, type EndpointOptions, listenEndpoint } from './endpoint.ts'
import { type Call, Caller, type Reply } from './testing/http.ts'

const token = '0123456789abcdef0123456789abcdef'
const wallet = 'nkbihfbeogaeaoehlefnkodbefgpgknn'
const question = { jsonrpc: '2.0', id: 7, method: 'eth_blockNumber', params: [] }

let endpoint: Endpoint
let caller: Caller
let orders: Order[]
let calls: [origin: string, chain: number][]
let answer: (order: Order) => Promise<Outcome>

const proofKey = pattern(32)
const { hmac } = nativeCrypto.hash

function listen(port: number, changes: Partial<EndpointOptions> = {}): Promise<Endpoint> {
  return listenEndpoint({
    port,
    token,
    wallets: [wallet],
    request(order) {
      orders.push(order)
      return answer(order)
    },
    onCall: (origin, chain) => void calls.push([origin, chain]),
    prove: (challenge, at) => endpointProof(hmac, proofKey, at, challenge),
    ...changes,
  })
}

beforeEach(async () => {
  orders = []
  calls = []
  answer = async () => ({ result: '0x10' })
  endpoint = await listen(0)
  caller = new Caller(endpoint.port)
})

afterEach(async () => {
  caller.close()
  await endpoint.close()
})

const post = (body: unknown, call: Call = {}) => caller.send({ path: `/${token}/1`, body, ...call })

/** After whatever came before, the same socket gives a good answer. */
async function expectUsable(socketPort: Reply['socketPort']): Promise<void> {
  answer = async () => ({ result: 'fine' })
  const reply = await post(question)
  expect(reply).toMatchObject({ status: 200, json: { jsonrpc: '2.0', id: 7, result: 'fine' }, socketPort })
}

const codeIn = (json: unknown) => (json as { error: { data: { nightjar: string } } }).error.data.nightjar

test('answers a call, with its id, in JSON', async () => {
  const reply = await post(question)
  expect(reply).toMatchObject({ status: 200, json: { jsonrpc: '2.0', id: 7, result: '0x10' } })
  expect(reply.headers['content-type']).toBe('application/json')
  expect(orders).toEqual([{ group: 'endpoint local', chain: 1, call: { method: 'eth_blockNumber', params: [] } }])
})

test('a port that is taken is an error that names what to set', async () => {
  const { port } = endpoint
  await expect(listen(port)).rejects.toMatchObject({
    code: 'connect-failed',
    detail: `port ${port} is taken; set endpoint.port`,
  })
})

test('close ends open sockets and frees the port', async () => {
  await post(question)
  await endpoint.close()
  await expect(post(question)).rejects.toThrow()
  endpoint = await listen(endpoint.port)
})

describe('who may call', () => {
  test.each<[string, Call]>([
    ['another token', { path: '/ffffffffffffffffffffffffffffffff/1' }],
    ['a part of the token', { path: `/${token.slice(0, 31)}/1` }],
    ['more than the token', { path: `/${token}0/1` }],
    ['no token', { path: '/' }],
    ['the token elsewhere', { path: `/1/${token}` }],
    ['the origin of a web page', { headers: { origin: 'https://dapp.example' } }],
    ['an opaque origin', { headers: { origin: 'null' } }],
    ['another extension', { headers: { origin: 'chrome-extension://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' } }],
    ['an origin that begins like the wallet', { headers: { origin: `chrome-extension://${wallet}.example` } }],
    ['the wallet id as a web site', { headers: { origin: `https://${wallet}` } }],
    ['a foreign Host (DNS rebinding)', { headers: { host: 'rebound.example' } }],
    ['a foreign Host with our port', { headers: { host: 'rebound.example:8645' } }],
    ['our Host with another port', { headers: { host: '127.0.0.1:1' } }],
    ['sec-fetch-site cross-site', { headers: { 'sec-fetch-site': 'cross-site' } }],
    ['sec-fetch-site same-site', { headers: { 'sec-fetch-site': 'same-site' } }],
    ['sec-fetch-site same-origin', { headers: { 'sec-fetch-site': 'same-origin' } }],
    ['a GET of a web page', { method: 'GET', headers: { origin: 'https://dapp.example' } }],
    ['a preflight of a web page', { method: 'OPTIONS', headers: { origin: 'https://dapp.example' } }],
  ])('%s is refused with 403 and nothing else', async (_, call) => {
    const reply = await post(call.method === undefined ? question : undefined, call)
    expect(reply).toMatchObject({ status: 403, text: '' })
    expect(Object.keys(reply.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
    expect([orders, calls]).toEqual([[], []])
    await expectUsable(reply.socketPort)
  })

  test.each(['GET', 'OPTIONS', 'PUT', 'DELETE'])('%s is refused with 405 even with the token', async (method) => {
    const reply = await post(undefined, { method })
    expect(reply).toMatchObject({ status: 405, text: '' })
    await expectUsable(reply.socketPort)
  })

  test('each allowed extension has a group of its own', async () => {
    const firefox = `moz-extension://${wallet}`
    const chrome = `chrome-extension://${wallet}`
    for (const origin of [chrome, firefox]) {
      expect((await post(question, { headers: { origin, 'sec-fetch-site': 'none' } })).status).toBe(200)
    }
    await post(question, { headers: { host: `localhost:${endpoint.port}` } })
    const groups = orders.map(({ group }) => group)
    expect(groups).toEqual([`endpoint ${chrome}`, `endpoint ${firefox}`, 'endpoint local'])
  })

  test('a large body that is refused leaves the socket usable', async () => {
    const reply = await post('x'.repeat(200_000), { path: '/wrong/1' })
    expect(reply.status).toBe(403)
    await expectUsable(reply.socketPort)
  })
})

describe('who has called', () => {
  test('is noted with origin and chain, whatever becomes of the call', async () => {
    const origin = `chrome-extension://${wallet}`
    await post(question)
    await post([question, question], { headers: { origin } })
    answer = () => Promise.reject(new NightjarError('network-unreachable'))
    await post(question, { path: `/${token}/31337`, headers: { origin } })
    expect(calls).toEqual([
      ['local', 1],
      [origin, 1],
      [origin, 31337],
    ])
  })

  test('not without a chain, nor for a proof', async () => {
    await post(question, { path: `/${token}/mainnet` })
    await post('00'.repeat(32), { path: `/${token}/proof` })
    expect(calls).toEqual([])
  })

  test('need not be noted at all', async () => {
    const other = await listenEndpoint({ port: 0, token, wallets: [], request: answer, prove: () => proofKey })
    const local = new Caller(other.port)
    expect((await local.send({ path: `/${token}/1`, body: question })).json).toMatchObject({ result: '0x10' })
    local.close()
    await other.close()
  })
})

describe('the proof whose port it is', () => {
  const ours = 'chrome-extension://abcdefghijklmnopabcdefghijklmnop'
  const challenge = pattern(32, 5)
  const ask = (call: Call = {}, body: unknown = hex(challenge)) =>
    post(body, { path: `/${token}/proof`, headers: { origin: ours, 'sec-fetch-site': 'none' }, ...call })

  test.each([ours, 'moz-extension://3c078156-979c-498b-8990-85f7987dd929', undefined])(
    'is given to %s, who may not call for it',
    async (origin) => {
      const headers: Record<string, string> = origin === undefined ? {} : { origin }
      const reply = await caller.send({ path: `/${token}/proof`, headers, body: hex(challenge) })
      expect(reply).toMatchObject({ status: 200, text: hex(endpointProof(hmac, proofKey, endpoint.port, challenge)) })
      expect(reply.headers['content-type']).toBe('text/plain')
      expect(Object.keys(reply.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
      if (origin !== undefined) expect((await post(question, { headers })).status).toBe(403)
      expect(orders).toEqual([])
    },
  )

  test('depends on challenge, port and key', async () => {
    const { text } = await ask()
    expect((await ask()).text).toBe(text)
    expect((await ask({}, hex(flipBit(challenge, 7)))).text).not.toBe(text)

    const elsewhere = await listen(0)
    const sameKey = new Caller(elsewhere.port)
    const path = `/${token}/proof`
    expect((await sameKey.send({ path, body: hex(challenge) })).text).not.toBe(text)
    sameKey.close()
    await elsewhere.close()

    const { port } = endpoint
    caller.close()
    await endpoint.close()
    endpoint = await listen(port, { prove: (said, at) => endpointProof(hmac, flipBit(proofKey, 0), at, said) })
    caller = new Caller(port)
    const other = await ask()
    expect(other.status).toBe(200)
    expect(other.text).not.toBe(text)
  })

  test.each<[string, Call]>([
    ['another token', { path: '/ffffffffffffffffffffffffffffffff/proof' }],
    ['no token', { path: '/proof' }],
    ['the origin of a web page', { headers: { origin: 'https://dapp.example' } }],
    ['the origin of a web page that looks like ours', { headers: { origin: 'https://chrome-extension' } }],
    ['ours in a longer one', { headers: { origin: `https://dapp.example/${ours}` } }],
    ['an opaque origin', { headers: { origin: 'null' } }],
    ['a foreign Host (DNS rebinding)', { headers: { origin: ours, host: 'rebound.example' } }],
    ['our Host with another port', { headers: { origin: ours, host: '127.0.0.1:1' } }],
    ['sec-fetch-site cross-site', { headers: { origin: ours, 'sec-fetch-site': 'cross-site' } }],
    ['a GET of a web page', { method: 'GET', headers: { origin: 'https://dapp.example' } }],
  ])('is refused with 403: %s', async (_, call) => {
    const reply = await ask(call, call.method === undefined ? hex(challenge) : '')
    expect(reply).toMatchObject({ status: 403, text: '' })
    await expectUsable(reply.socketPort)
  })

  test.each(['GET', 'OPTIONS', 'PUT'])('is refused with 405: %s', async (method) => {
    expect(await caller.send({ path: `/${token}/proof`, method })).toMatchObject({ status: 405, text: '' })
  })

  test.each<[string, string]>([
    ['nothing', ''],
    ['too short', '00'.repeat(31)],
    ['too long', '00'.repeat(33)],
    ['half a byte more', `${'00'.repeat(32)}0`],
    ['capitals', 'AB'.repeat(32)],
    ['no hexadecimal', 'xy'.repeat(32)],
    ['with its prefix', `0x${'00'.repeat(31)}`],
    ['the bytes themselves', '\u0001'.repeat(32)],
    ['other characters of that length', 'ä'.repeat(64)],
    ['a line more', `${'00'.repeat(32)}\n`],
    ['large', '0'.repeat(500_000)],
  ])('of a challenge that is %s is refused with 400', async (_, body) => {
    const reply = await ask({}, body)
    expect(reply).toMatchObject({ status: 400, text: '' })
    await expectUsable(reply.socketPort)
  })

  test('of a challenge beyond all bounds ends the socket, and the next call is served', async () => {
    expect((await ask({}, '0'.repeat(limits.endpointBodyBytes + 1)).catch(() => undefined))?.status).not.toBe(200)
    expect((await post(question)).json).toMatchObject({ result: '0x10' })
  })
})

describe('chain', () => {
  test.each(['', '/', '/0', '/-1', '/0x1', '/1.5', '/01', '/mainnet', '/99999999999999999'])(
    'a path that ends in "%s" has none',
    async (rest) => {
      const reply = await post(question, { path: `/${token}${rest}` })
      expect(reply).toMatchObject({ status: 200, json: { id: 7, error: { code: 4901 } } })
      expect(codeIn(reply.json)).toBe('chain-not-served')
      expect(orders).toEqual([])
    },
  )

  test('comes from the path, whatever follows it', async () => {
    await post(question, { path: `/${token}/11155111` })
    await post(question, { path: `/${token}/10/?a=/b` })
    expect(orders.map(({ chain }) => chain)).toEqual([11155111, 10])
  })
})

describe('bodies', () => {
  test.each<[string, unknown, string, unknown]>([
    ['no JSON', '{"jsonrpc":', 'bad-json', null],
    ['nothing', '', 'bad-json', null],
    ['an empty batch', [], 'bad-request', null],
    ['a call without its version', { id: 3, method: 'eth_chainId' }, 'bad-request', 3],
    ['a call without a method', { jsonrpc: '2.0', id: 'x' }, 'bad-request', 'x'],
    ['an id that is an object', { ...question, id: {} }, 'bad-request', null],
    ['a number', 5, 'bad-request', null],
    ['null', null, 'bad-request', null],
    ['params that are text', { ...question, params: 'a' }, 'bad-request', 7],
    ['too many calls', Array.from({ length: limits.batchCalls + 1 }, () => 0), 'request-too-large', null],
    ['a body of one byte too much', ' '.repeat(limits.endpointBodyBytes + 1), 'request-too-large', null],
  ])('%s is an error in HTTP 200, and the socket goes on', async (_, body, code, id) => {
    const reply = await post(body)
    expect(reply).toMatchObject({ status: 200, json: { jsonrpc: '2.0', id } })
    expect(codeIn(reply.json)).toBe(code)
    expect(orders).toEqual([])
    await expectUsable(reply.socketPort)
  })

  test('the largest body is taken', async () => {
    const text = JSON.stringify(question)
    const reply = await post(text + ' '.repeat(limits.endpointBodyBytes - text.length))
    expect(reply.json).toMatchObject({ result: '0x10' })
  })

  test('a body that is not read to its end closes its socket, so that the next call does not hang on it', async () => {
    const sent = post(' '.repeat(limits.endpointBodyBytes * 9))
    // The answer may be cut off by the close: the caller is still sending.
    const reply = await sent.catch(() => undefined)
    expect(reply?.headers.connection ?? 'close').toBe('close')
    expect((await post(question)).json).toMatchObject({ result: '0x10' })
  })

  test('UTF-8 arrives as it was sent', async () => {
    await post({ ...question, params: ['grün 🦉'] })
    expect(orders[0]?.call.params).toEqual(['grün 🦉'])
  })
})

describe('batches and notifications', () => {
  test('a batch is answered in its order, whichever call ends first, errors in their places', async () => {
    const waiting: (() => void)[] = []
    answer = ({ call }) =>
      new Promise((resolve) => {
        waiting.push(() => resolve({ result: call.method }))
        if (waiting.length === 3) for (const finish of waiting.reverse()) finish()
      })
    const calls = ['a', 'b', 'c'].map((method, id) => ({ jsonrpc: '2.0', id, method }))
    const reply = await post([calls[0], { jsonrpc: '1.0', id: 'old', method: 'x' }, calls[1], calls[2]])
    expect(reply.json).toMatchObject([
      { id: 0, result: 'a' },
      { id: 'old', error: { code: -32600 } },
      { id: 1, result: 'b' },
      { id: 2, result: 'c' },
    ])
  })

  const notification = { jsonrpc: '2.0', method: 'eth_blockNumber' }

  test('notifications are passed on and get no answer', async () => {
    const reply = await post(notification)
    expect(reply).toMatchObject({ status: 204, text: '' })
    expect((await post([notification, notification])).status).toBe(204)
    expect((await post([notification, question])).json).toMatchObject([{ id: 7 }])
    expect(orders).toHaveLength(5)
    await expectUsable(reply.socketPort)
  })

  test('a notification that fails gets no answer either (JSON-RPC 2.0, section 4.1)', async () => {
    answer = () => Promise.reject(new NightjarError('network-unreachable'))
    const reply = await post(notification)
    expect(reply).toMatchObject({ status: 204, text: '' })
    expect((await post([notification, question])).json).toMatchObject([{ id: 7, error: { code: 4900 } }])
    expect((await post(notification, { path: `/${token}/none` })).status).toBe(204)
  })

  test('an id of null is no notification', async () => {
    expect((await post({ ...question, id: null })).json).toEqual({ jsonrpc: '2.0', id: null, result: '0x10' })
  })
})

describe('what fails behind the endpoint is HTTP 200 on a socket that stays open', () => {
  test.each<[string, unknown, number, string]>([
    ['a typed error', new NightjarError('network-unreachable'), 4900, 'network-unreachable'],
    ['an error of the program', new TypeError('secret detail'), -32603, 'internal'],
    ['something thrown that is no error', 'secret detail', -32603, 'internal'],
  ])('%s', async (_, thrown, code, nightjar) => {
    answer = () => Promise.reject(thrown)
    const reply = await post(question)
    expect(reply).toMatchObject({ status: 200, json: { id: 7, error: { code, data: { nightjar } } } })
    expect(reply.text).not.toContain('secret')
    await expectUsable(reply.socketPort)
  })

  test('a handler that throws at once', async () => {
    answer = () => {
      throw new TypeError('broken')
    }
    const reply = await post(question)
    expect(reply).toMatchObject({ status: 200, json: { id: 7, error: { code: -32603 } } })
    await expectUsable(reply.socketPort)
  })

  test('facts are told to the caller', async () => {
    answer = () => Promise.reject(new NightjarError('outcome-unknown', { facts: { hash: '0xab' } }))
    expect((await post(question)).json).toMatchObject({
      error: { data: { hash: '0xab', nightjar: 'outcome-unknown' } },
    })
  })

  test('an error of the node is passed on unchanged', async () => {
    const error = { code: 3, message: 'execution reverted', data: '0x08c379a0' }
    answer = async () => ({ error })
    expect((await post(question)).json).toEqual({ jsonrpc: '2.0', id: 7, error })
  })
})
