import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ErrorCode, errorTable, NightjarError } from '../errors/index.ts'
import { codeOf } from '../testing/index.ts'
import { idOf, nightjarCodeOf, parseOutcome, parseRequest, toRpcError } from './index.ts'

/** Whatever JSON can say, and a few things it cannot. */
const anything = fc.oneof(
  fc.jsonValue(),
  fc.anything(),
  fc.record(
    {
      jsonrpc: fc.oneof(fc.constant('2.0'), fc.anything()),
      id: fc.oneof(fc.string(), fc.integer(), fc.anything()),
      method: fc.oneof(fc.string(), fc.anything()),
      params: fc.oneof(fc.array(fc.jsonValue()), fc.anything()),
      result: fc.anything(),
      error: fc.oneof(fc.record({ code: fc.integer(), message: fc.string(), data: fc.jsonValue() }), fc.anything()),
    },
    { requiredKeys: [] },
  ),
)

describe('parseRequest', () => {
  test('gives method, params and id, and nothing else of the request', () => {
    const request = { jsonrpc: '2.0', id: 7, method: 'eth_call', params: [{ to: '0x' }, 'latest'], extra: 'no' }
    expect(parseRequest(request)).toEqual({ id: 7, method: 'eth_call', params: [{ to: '0x' }, 'latest'] })
  })

  test.each([1, 0, -1.5, 'text', '', null])('takes %j as id', (id) => {
    expect(parseRequest({ jsonrpc: '2.0', id, method: 'm' })).toEqual({ id, method: 'm' })
  })

  test('a request without id is a notification', () => {
    expect(parseRequest({ jsonrpc: '2.0', method: 'm' })).toEqual({ id: undefined, method: 'm' })
  })

  test.each([[[]], [{}], [{ a: 1 }]])('takes %j as params', (params) => {
    expect(parseRequest({ jsonrpc: '2.0', id: 1, method: 'm', params })).toEqual({ id: 1, method: 'm', params })
  })

  test('params of null count as none, as some wallets send them', () => {
    expect(parseRequest({ jsonrpc: '2.0', id: 1, method: 'm', params: null })).toEqual({ id: 1, method: 'm' })
  })

  const good = { jsonrpc: '2.0', id: 1, method: 'm', params: [] }
  test.each<[string, unknown]>([
    ['null', null],
    ['nothing', undefined],
    ['a number', 7],
    ['a text', JSON.stringify(good)],
    ['an array', [good]],
    ['no version', { ...good, jsonrpc: undefined }],
    ['version 1.0', { ...good, jsonrpc: '1.0' }],
    ['version 2 as a number', { ...good, jsonrpc: 2 }],
    ['an object as id', { ...good, id: {} }],
    ['an array as id', { ...good, id: [1] }],
    ['a truth value as id', { ...good, id: true }],
    ['no method', { ...good, method: undefined }],
    ['an empty method', { ...good, method: '' }],
    ['a method of 129 characters', { ...good, method: 'm'.repeat(129) }],
    ['a method in an array', { ...good, method: ['eth_call'] }],
    ['a text as params', { ...good, params: '[]' }],
    ['a number as params', { ...good, params: 1 }],
    ['a truth value as params', { ...good, params: false }],
  ])('refuses %s', (_, value) => {
    expect(codeOf(() => parseRequest(value))).toBe('bad-request')
  })

  test('a prototype in the JSON is data and reaches no prototype', () => {
    const parsed = parseRequest(JSON.parse('{"jsonrpc":"2.0","id":1,"method":"m","__proto__":{"params":[1]}}'))
    expect(parsed).toEqual({ id: 1, method: 'm' })
    expect(Object.getPrototypeOf(parsed)).toBe(Object.prototype)
  })

  test('of anything at all is a request or a bad request', () => {
    fc.assert(
      fc.property(anything, (value) => {
        let method: unknown
        const code = codeOf(() => (method = parseRequest(value).method))
        expect([undefined, 'bad-request']).toContain(code)
        if (code === undefined) expect(typeof method).toBe('string')
      }),
      { numRuns: 1000 },
    )
  })
})

describe('idOf', () => {
  test('finds an id in what is malformed otherwise, and null where there is none', () => {
    expect(idOf({ id: 7, method: 3 })).toBe(7)
    expect(idOf({ id: 'x' })).toBe('x')
    for (const value of [{}, { id: {} }, { id: undefined }, [], null, 'x', 7]) expect(idOf(value)).toBeNull()
    fc.assert(
      fc.property(anything, (value) => {
        const id = idOf(value)
        expect(id === null || ['string', 'number'].includes(typeof id)).toBe(true)
      }),
    )
  })
})

describe('parseOutcome', () => {
  test.each([[null], [0], [''], ['0x1'], [[]], [{ a: [1] }], [false]])('takes the result %j', (result) => {
    expect(parseOutcome({ jsonrpc: '2.0', id: 1, result })).toEqual({ result })
  })

  test('takes an error, with what its form has and nothing else', () => {
    const error = { code: 3, message: 'execution reverted', data: '0x08c379a0', stack: 'at provider.internal' }
    expect(parseOutcome({ error })).toEqual({ error: { code: 3, message: 'execution reverted', data: '0x08c379a0' } })
    expect(parseOutcome({ error: { code: 3, message: '' } })).toEqual({ error: { code: 3, message: '' } })
  })

  test('an error counts before a result, and an error of null as none', () => {
    expect(parseOutcome({ result: 1, error: { code: 1, message: 'm' } })).toEqual({ error: { code: 1, message: 'm' } })
    expect(parseOutcome({ result: 1, error: null })).toEqual({ result: 1 })
  })

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'result'],
    ['an array', [{ result: 1 }]],
    ['neither result nor error', { jsonrpc: '2.0', id: 1 }],
    ['an error that is a text', { error: 'rate limit' }],
    ['an error that is an array', { error: [3, 'x'] }],
    ['an error without code', { error: { message: 'm' } }],
    ['an error whose code is a text', { error: { code: '3', message: 'm' } }],
    ['an error without message', { error: { code: 3 } }],
    ['an error of false', { error: false, result: 1 }],
  ])('refuses %s', (_, value) => {
    expect(codeOf(() => parseOutcome(value))).toBe('bad-request')
  })

  test('of anything at all is an outcome or a bad request', () => {
    fc.assert(
      fc.property(anything, (value) => {
        expect([undefined, 'bad-request']).toContain(codeOf(() => parseOutcome(value)))
      }),
      { numRuns: 1000 },
    )
  })
})

describe('our errors in the form of JSON-RPC', () => {
  test.each(Object.keys(errorTable) as ErrorCode[])('%s carries its code, its sentence and our stable name', (code) => {
    const error = toRpcError(new NightjarError(code))
    expect(error).toEqual({
      code: errorTable[code].rpc,
      message: errorTable[code].sentence,
      data: { nightjar: code },
    })
    expect(nightjarCodeOf(error)).toBe(code)
    expect(nightjarCodeOf(JSON.parse(JSON.stringify(error)))).toBe(code)
  })

  test('facts are told to the one who asked, and the words of a cause to nobody', () => {
    const cause = new Error('connect ECONNREFUSED 10.0.0.7:8545')
    const error = new NightjarError('method-not-allowed', { detail: 'x', facts: { method: 'debug_trace' }, cause })
    const told = toRpcError(error)
    expect(told).toEqual({
      code: -32601,
      message: `${errorTable['method-not-allowed'].sentence} (x) [method: debug_trace]`,
      data: { nightjar: 'method-not-allowed', method: 'debug_trace' },
    })
    expect(JSON.stringify(told)).not.toContain('10.0.0.7')
  })

  test('no fact hides which error it is', () => {
    const error = new NightjarError('refused', { facts: { nightjar: 'done' } })
    expect(nightjarCodeOf(toRpcError(error))).toBe('refused')
  })

  test.each([
    undefined,
    null,
    'nightjar',
    [],
    {},
    { nightjar: 7 },
    { nightjar: 'no-such-code' },
    { nightjar: 'toString' },
    { nightjar: '__proto__' },
    { nightjar: 'constructor' },
  ])('an error of the provider with data %j is not one of ours', (data) => {
    expect(nightjarCodeOf({ code: 1, message: 'm', ...(data === undefined ? {} : { data }) })).toBeUndefined()
  })
})
