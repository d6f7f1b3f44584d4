import { describe, expect, test } from 'vitest'
import { type ErrorCode, type ErrorEntry, errorTable, fromWire, toWire } from './index.ts'

const entries = Object.entries(errorTable) as [ErrorCode, ErrorEntry][]

/** The numbers given so far. Append to it; a line that changes or goes away breaks every Nightjar in the field. */
const given: [number, ErrorCode][] = [
  [0, 'done'],
  [1, 'protocol-violation'],
  [2, 'cell-rejected'],
  [3, 'overflow'],
  [4, 'limit-reached'],
  [5, 'unknown-relay'],
  [6, 'connect-failed'],
  [7, 'link-lost'],
  [8, 'handshake-failed'],
  [9, 'unknown-key'],
  [10, 'timed-out'],
  [11, 'draining'],
  [12, 'unknown-service'],
  [13, 'refused'],
  [14, 'upstream-failed'],
  [15, 'method-not-allowed'],
  [16, 'chain-not-served'],
  [17, 'request-too-large'],
  [18, 'answer-too-large'],
  [19, 'envelope-rejected'],
  [20, 'cancelled'],
  [21, 'internal'],
  [22, 'replayed'],
  [23, 'branch-retired'],
  [24, 'idle'],
  [25, 'host-not-listed'],
  [26, 'address-forbidden'],
  [27, 'name-not-found'],
  [28, 'host-unreachable'],
  [29, 'connection-reset'],
  [30, 'busy'],
]

describe('the wire numbers', () => {
  test('are append-only', () => {
    const numbered = entries.flatMap(([code, { wire }]) => (wire === undefined ? [] : [[wire, code]]))
    expect(numbered.slice(0, given.length)).toEqual(given)
  })

  test('are unique, ascend without a gap, and fit one byte', () => {
    const numbers = entries.flatMap(([, { wire }]) => (wire === undefined ? [] : [wire]))
    expect(numbers).toEqual(numbers.map((_, index) => index))
    expect(numbers.length).toBeLessThanOrEqual(256)
  })

  test('name the same code in both directions', () => {
    for (const [code, { wire }] of entries) {
      if (wire !== undefined) expect(fromWire(toWire(code))).toBe(code)
    }
  })

  test('codes without a number leave as `internal`, so that nothing of this machine is told', () => {
    for (const [code, { wire }] of entries) {
      if (wire === undefined) expect(fromWire(toWire(code))).toBe('internal')
    }
  })

  test('a number that is not known is a violation', () => {
    for (let wire = given.length; wire < 256; wire++) expect(fromWire(wire)).toBe('protocol-violation')
  })
})

describe.each(entries)('%s', (code, entry) => {
  test('has a sentence for the user and a JSON-RPC or EIP-1193 code', () => {
    expect(code).toMatch(/^[a-z]+(-[a-z]+)*$/)
    expect(entry.sentence).toMatch(/^[A-Z].*\.$/)
    expect(entry.sentence.length).toBeGreaterThan(20)
    expect([4100, 4900, 4901, -32700, -32600, -32601, -32603, -32005]).toContain(entry.rpc)
  })
})

test('no two codes have the same sentence', () => {
  expect(new Set(entries.map(([, { sentence }]) => sentence)).size).toBe(entries.length)
})
