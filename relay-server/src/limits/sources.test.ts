import { expect, test } from 'vitest'
import { Counts, Sources } from './sources.ts'

test.each([
  ['one IPv4 address', '198.51.100.1', '198.51.100.1', true],
  ['two of them', '198.51.100.1', '198.51.100.2', false],
  ['IPv4 by an IPv6 socket', '198.51.100.1', '::ffff:198.51.100.1', true],
  ['two /64 of one /48', '2001:db8:7:1::1', '2001:db8:7:ffff:1:2:3:4', true],
  ['one /48, written in two ways', '2001:db8::1', '2001:0DB8:0:ff00::', true],
  ['two /48', '2001:db8:7::1', '2001:db8:8::1', false],
])('%s', (_, one, other, isSame) => {
  const sources = new Sources()
  expect(sources.of(one) === sources.of(other)).toBe(isSame)
})

test('links of which no address is known are one source each', () => {
  const sources = new Sources()
  expect(sources.of(undefined)).not.toBe(sources.of(undefined))
})

test('what a source has is counted, and it is forgotten with the last', () => {
  const counts = new Counts()
  counts.add('a')
  counts.add('a')
  counts.add('b')
  expect([counts.of('a'), counts.of('b'), counts.of('c'), counts.total, counts.size]).toEqual([2, 1, 0, 3, 2])
  counts.remove('a')
  counts.remove('b')
  expect([counts.of('a'), counts.of('b'), counts.total, counts.size]).toEqual([1, 0, 1, 1])
})
