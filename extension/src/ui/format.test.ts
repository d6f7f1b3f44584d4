import { day, hour, minute, second } from '@nightjar/shared/runtime'
import { expect, test } from 'vitest'
import { formatAgo, formatCount } from './format.ts'

test.each([
  [0, 'just now'],
  [4 * second, '4 s ago'],
  [59_999, '59 s ago'],
  [minute, '1 min ago'],
  [90 * minute, '1 h ago'],
  [23 * hour, '23 h ago'],
  [day, '1 day ago'],
  [3 * day, '3 days ago'],
  [-5 * second, 'just now'],
])('%i ms is %s', (age, text) => {
  expect(formatAgo(1_000_000_000_000 - age, 1_000_000_000_000)).toBe(text)
})

test('counts have thousands and the right number', () => {
  expect([0, 1, 1284].map((count) => formatCount(count, 'request'))).toEqual([
    '0 requests',
    '1 request',
    '1,284 requests',
  ])
})
