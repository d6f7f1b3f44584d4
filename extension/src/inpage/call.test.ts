import { describe, expect, test } from 'vitest'
import { copy, readCall } from './call.ts'

const codeOf = (run: () => unknown): unknown => {
  try {
    run()
  } catch (error) {
    return (error as { code?: unknown }).code
  }
  return 'nothing thrown'
}

describe('arguments that MetaMask refuses too', () => {
  test.each([
    [undefined],
    [null],
    ['eth_call'],
    [[{ method: 'eth_call' }]],
    [{}],
    [{ method: '' }],
    [{ method: 7 }],
    [{ method: 'eth_call', params: null }],
    [{ method: 'eth_call', params: 'latest' }],
    [{ method: 'eth_call', params: 1 }],
  ])('%j', (args) => {
    expect(codeOf(() => readCall(args))).toBe(-32600)
  })
})

test('a method that is longer than any is refused, for the background would not read it', () => {
  expect(readCall({ method: 'x'.repeat(128) }).method).toHaveLength(128)
  expect(codeOf(() => readCall({ method: 'x'.repeat(129) }))).toBe(-32601)
})

test('params are the page’s own object until they are copied', () => {
  const params = [{ to: '0x1' }]
  const call = readCall({ method: 'eth_call', params })
  expect(call.params).toBe(params)
  const copied = copy(call)
  params[0] = { to: '0x2' }
  params.push({ to: '0x3' })
  expect(copied).toEqual({ method: 'eth_call', params: [{ to: '0x1' }] })
})

test('what a page computes in getters is computed once', () => {
  let reads = 0
  const params = [
    {
      get to() {
        reads += 1
        return `0x${reads}`
      },
    },
  ]
  const copied = copy({ method: 'eth_call', params })
  expect(JSON.stringify(copied.params)).toBe('[{"to":"0x1"}]')
  expect(JSON.stringify(copied.params)).toBe('[{"to":"0x1"}]')
  expect(reads).toBe(1)
})

describe('params that are no JSON', () => {
  const circle: unknown[] = []
  circle.push(circle)
  test.each([
    ['a circle', circle],
    ['a bigint', [1n]],
    ['a toJSON that throws', [{ toJSON: () => JSON.parse('{') }]],
    ['a toJSON that returns nothing', { toJSON: () => undefined }],
    ['a toJSON that returns no array or object', { toJSON: () => 'latest' }],
  ])('%s', (_, params) => {
    expect(codeOf(() => copy({ method: 'eth_call', params }))).toBe(-32602)
  })
})

test('a page that replaces JSON afterwards changes nothing', () => {
  const { parse, stringify } = JSON
  try {
    JSON.stringify = () => '["forged"]'
    JSON.parse = () => ['forged']
    expect(copy({ method: 'eth_call', params: ['0x1'] }).params).toEqual(['0x1'])
  } finally {
    Object.assign(JSON, { parse, stringify })
  }
})
