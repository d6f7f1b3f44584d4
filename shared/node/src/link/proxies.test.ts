import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isAddressRange, listProxies, plainAddress } from './index.ts'
import { forwardedAddress } from './proxies.ts'

const proxies = listProxies(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32'])
const forwarded = (headers: Record<string, string>) => forwardedAddress(headers, '10.0.0.1', proxies)

test('a range is an address, or one with so many bits', () => {
  for (const text of ['10.0.0.1', '10.0.0.0/8', '0.0.0.0/0', '::1', '2001:db8::/32', '::/128']) {
    expect(isAddressRange(text), text).toBe(true)
  }
  for (const text of [
    '',
    'proxy',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '10.0.0/8',
    '::/129',
    '::/',
    '::/1e1',
  ]) {
    expect(isAddressRange(text), text).toBe(false)
  }
})

test('listed are those in a range, and what is no address is not', () => {
  for (const address of ['10.9.9.9', '192.0.2.7', '2001:db8:1::1']) expect(proxies.has(address), address).toBe(true)
  for (const address of ['11.0.0.1', '192.0.2.8', '2001:db9::1', '', 'x'])
    expect(proxies.has(address), address).toBe(false)
  expect(listProxies([]).has('127.0.0.1')).toBe(false)
})

test('an IPv4 address is the same over an IPv6 socket', () => {
  expect(['::ffff:192.0.2.1', '::FFFF:192.0.2.1', '192.0.2.1', '::1'].map(plainAddress)).toEqual([
    '192.0.2.1',
    '192.0.2.1',
    '192.0.2.1',
    '::1',
  ])
})

describe('the client that a proxy speaks for', () => {
  test.each<[string, Record<string, string>, string]>([
    ['the one it names', { 'x-forwarded-for': '198.51.100.1' }, '198.51.100.1'],
    ['the last one, as those before may be invented', { 'x-forwarded-for': '1.1.1.1, 198.51.100.1' }, '198.51.100.1'],
    ['the one before other listed proxies', { 'x-forwarded-for': '198.51.100.1, 10.2.0.1,192.0.2.7' }, '198.51.100.1'],
    ['over IPv6', { 'x-forwarded-for': '2001:dead::1' }, '2001:dead::1'],
    ['X-Real-IP where there is nothing else', { 'x-real-ip': '198.51.100.2' }, '198.51.100.2'],
    ['not X-Real-IP where there is', { 'x-real-ip': '1.1.1.1', 'x-forwarded-for': '198.51.100.1' }, '198.51.100.1'],
    ['the proxy where it names none', {}, '10.0.0.1'],
    ['the proxy where it names only proxies', { 'x-forwarded-for': '10.2.0.1' }, '10.0.0.1'],
    ['the proxy where it names no address', { 'x-forwarded-for': '1.1.1.1, unknown' }, '10.0.0.1'],
    ['the proxy where it says nothing', { 'x-forwarded-for': '' }, '10.0.0.1'],
  ])('is %s', (_, headers, client) => {
    expect(forwarded(headers)).toBe(client)
  })

  test('is an address that is no listed proxy, or the proxy, whatever the header says', () => {
    const part = fc.oneof(fc.string(), fc.ipV4(), fc.ipV6(), fc.constantFrom('10.1.1.1', '192.0.2.7'))
    fc.assert(
      fc.property(fc.array(part, { maxLength: 60 }), (parts) => {
        const client = forwarded({ 'x-forwarded-for': parts.join(',') })
        expect(client === '10.0.0.1' || (isAddressRange(client) && !proxies.has(client))).toBe(true)
      }),
    )
  })
})
