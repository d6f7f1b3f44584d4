import { BlockList } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isPublic, mayConnectTo } from './addresses.ts'

const inside: Record<string, readonly string[]> = {
  'this network': ['0.0.0.0', '0.1.2.3', '0.255.255.255'],
  private: ['10.0.0.1', '10.255.255.255', '172.16.0.0', '172.31.255.255', '192.168.0.1', '192.168.255.255'],
  'carrier-grade NAT': ['100.64.0.0', '100.127.255.255'],
  loopback: ['127.0.0.1', '127.255.255.254'],
  'link-local': ['169.254.0.1', '169.254.169.254'],
  assignments: ['192.0.0.1', '192.0.0.170', '192.88.99.1'],
  documentation: ['192.0.2.1', '198.51.100.7', '203.0.113.255'],
  benchmarking: ['198.18.0.1', '198.19.255.255'],
  multicast: ['224.0.0.1', '239.255.255.255'],
  'reserved and broadcast': ['240.0.0.1', '255.255.255.255'],
  'IPv6 unspecified and loopback': ['::', '::1', '0:0:0:0:0:0:0:1'],
  'IPv6 local': ['fe80::1', 'febf::1', 'fec0::1', 'fc00::1', 'fd12:3456::1'],
  'IPv6 multicast': ['ff02::1', 'ff0e::1'],
  'IPv6 documentation and discard': ['2001:db8::1', '3fff::1', '3fff:fff::1', '100::1'],
  'IPv6 benchmarking and ORCHID': ['2001:2::1', '2001:10::1', '2001:20::1'],
  'IPv4-mapped': ['::ffff:127.0.0.1', '::ffff:10.0.0.1', '::ffff:8.8.8.8', '::ffff:7f00:1'],
  'IPv4-compatible': ['::127.0.0.1', '::8.8.8.8'],
  NAT64: ['64:ff9b::127.0.0.1', '64:ff9b::808:808', '64:ff9b:1::1'],
  '6to4': ['2002:7f00:1::1', '2002:a00:1::', '2002:808:808::1'],
  Teredo: ['2001::1', '2001:0:4136:e378:8000:63bf:3fff:fdd2'],
  'no address': [
    '',
    'localhost',
    '127.1',
    '0x7f000001',
    '8.8.8.8:443',
    '[2606:4700::1]',
    '2606:4700::1%eth0',
    'fe80::1%lo',
  ],
}

describe('isPublic', () => {
  test.each(Object.entries(inside))('no: %s', (_, addresses) => {
    expect(addresses.filter(isPublic)).toEqual([])
  })

  test.each([
    '1.1.1.1',
    '8.8.8.8',
    '9.255.255.255',
    '11.0.0.0',
    '100.63.255.255',
    '100.128.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '192.167.255.255',
    '198.17.255.255',
    '198.20.0.0',
    '223.255.255.255',
    '2001:200::1',
    '2001:4860:4860::8888',
    '2003::1',
    '2606:4700:4700::1111',
    '3ffe::1',
    '2A00:1450::1',
  ])('yes: %s', (address) => {
    expect(isPublic(address)).toBe(true)
  })

  // By arithmetic, not by the list that the code uses.
  const numberOf = (address: string) => address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0)
  const blocks = [
    '0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24',
    '192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4',
  ]
    .join(' ')
    .split(' ')
    .map((block) => {
      const [net = '', prefix] = block.split('/')
      return { first: numberOf(net), size: 2 ** (32 - Number(prefix)) }
    })
  const inBlock = (address: string) =>
    blocks.some(({ first, size }) => numberOf(address) >= first && numberOf(address) < first + size)
  const ordinary = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255)).map((bytes) => bytes.join('.'))
  const atEdges = fc.constantFrom(...blocks).chain(({ first, size }) =>
    fc.constantFrom(first - 1, first, first + size - 1, first + size).map((number) => {
      const whole = ((number % 2 ** 32) + 2 ** 32) % 2 ** 32
      return [24, 16, 8, 0].map((shift) => Math.floor(whole / 2 ** shift) % 256).join('.')
    }),
  )

  test('property: an IPv4 address is public where no special block holds it', () => {
    fc.assert(
      fc.property(fc.oneof(ordinary, atEdges), (address) => isPublic(address) === !inBlock(address)),
      { numRuns: 5000 },
    )
  })

  test('property: no IPv4 address comes back in an IPv6 one that embeds it', () => {
    const hex = (address: string) => {
      const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number)
      return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
    }
    const forms = [
      (address: string) => `::ffff:${address}`,
      (address: string) => `::ffff:${hex(address)}`,
      (address: string) => `::${address}`,
      (address: string) => `64:ff9b::${address}`,
      (address: string) => `2002:${hex(address)}::1`,
      (address: string) => `2001:0:${hex(address)}::`,
    ]
    fc.assert(fc.property(ordinary, fc.constantFrom(...forms), (address, form) => !isPublic(form(address))))
  })

  test('property: outside of 2000::/3 nothing of IPv6 is public', () => {
    const group = fc.nat(0xffff).map((value) => value.toString(16))
    const addresses = fc.tuple(fc.nat(0xffff), fc.array(group, { minLength: 7, maxLength: 7 }))
    fc.assert(
      fc.property(addresses, ([first, rest]) => {
        const address = [first.toString(16), ...rest].join(':')
        return first >= 0x2000 && first < 0x4000 ? true : !isPublic(address)
      }),
    )
  })
})

describe('mayConnectTo', () => {
  const own = ['8.8.8.8', '2606:4700:0:0:0:0:0:1', '127.0.0.1', '0.0.0.0']

  test('its own addresses are refused, in any spelling', () => {
    expect(
      ['8.8.8.8', '2606:4700::1', '2606:4700::0001', '127.0.0.1'].filter((each) => mayConnectTo(each, own)),
    ).toEqual([])
  })

  test('neighbours of its own addresses are not its own', () => {
    expect(mayConnectTo('8.8.8.9', own)).toBe(true)
    expect(mayConnectTo('2606:4700::2', own)).toBe(true)
    expect(mayConnectTo('8.8.8.8', [])).toBe(true)
  })

  test('the platform compares addresses as numbers, which this relies on', () => {
    const list = new BlockList()
    list.addAddress('2606:4700:0:0:0:0:0:1', 'ipv6')
    expect(list.check('2606:4700::1', 'ipv6')).toBe(true)
  })
})
